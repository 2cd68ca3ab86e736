// One rendering of a template: its variables, its output, its limits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/template/clock.h"
#include "runtime/template/functions.h"
#include "runtime/template/heap.h"
#include "runtime/template/nodes.h"
#include "runtime/template/object.h"

namespace linnet::jinja {

// The names that a part of the template has for itself; macros keep the scope that they were defined in.
struct Scope {
  std::shared_ptr<Scope> outer;
  std::vector<std::pair<Name, Value>> names;
};

class Run {
 public:
  Run(const Program& program, const Limits& limits, std::optional<CivilTime> now);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  Heap& heap() { return heap_; }
  const std::optional<CivilTime>& now() const { return now_; }

  // Counts a statement, a turn of a loop or a call.
  Status step();
  // Node `place` is being evaluated; balanced by leave(). An error of it is remembered to come from there.
  Status enter(uint32_t place);
  void leave() { --nesting_; }
  void failed_at(uint32_t place);

  Value lookup(Name name);
  void define(Name name, Value value);  // in the innermost scope
  const std::shared_ptr<Scope>& scope() const { return scope_; }
  // The spelling of a name, kept as long as the rendering.
  const std::string* keep_name(std::string_view spelling);

  Status write(std::string_view text);

  // value.name and value[key]; undefined when there is no such thing, an error when value itself is undefined.
  Result<Value> attribute(const Value& value, const std::string& name);
  Result<Value> item(const Value& value, const Value& key);
  // "a.b.0": what filters with an attribute= argument look up; a number too.
  Result<Value> path(const Value& value, const Value& attribute);
  Result<Value> call(const Value& callee, const Arguments& arguments);
  Result<Value> call_method(const Value& value, const std::string& name, const Arguments& arguments);

  std::string take_output() { return std::move(main_output_); }
  // The error with the line it comes from.
  Error located(Error error) const;

 private:
  friend class InnerScope;
  friend class Capture;
  friend class MacroCall;
  const Program& program_;
  std::optional<CivilTime> now_;
  Heap heap_;
  std::vector<std::unique_ptr<std::string>> spellings_;
  std::shared_ptr<Scope> scope_;
  std::string* output_;
  std::string main_output_;
  uint64_t written_ = 0;  // bytes in all outputs that are open
  uint64_t steps_ = 0;
  uint32_t nesting_ = 0, calls_ = 0;
  std::optional<uint32_t> error_place_;
};

// A scope inside the present one (or inside another), for as long as this lives.
class InnerScope {
 public:
  explicit InnerScope(Run& run) : InnerScope(run, run.scope_) {}
  InnerScope(Run& run, std::shared_ptr<Scope> outer) : run_(run), before_(run.scope_) {
    run.scope_ = std::make_shared<Scope>();
    run.scope_->outer = std::move(outer);
  }
  ~InnerScope() { run_.scope_ = std::move(before_); }
  InnerScope(const InnerScope&) = delete;
  InnerScope& operator=(const InnerScope&) = delete;

 private:
  Run& run_;
  std::shared_ptr<Scope> before_;
};

// Takes what is written while it lives.
class Capture {
 public:
  explicit Capture(Run& run) : run_(run), before_(run.output_) { run.output_ = &text_; }
  ~Capture() {
    run_.output_ = before_;
    run_.written_ -= text_.size();
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  std::string take() {
    run_.written_ -= text_.size();
    return std::exchange(text_, {});
  }

 private:
  Run& run_;
  std::string* before_;
  std::string text_;
};

// Counts a macro that is running.
class MacroCall {
 public:
  explicit MacroCall(Run& run) : run_(run) { ++run.calls_; }
  ~MacroCall() { --run_.calls_; }
  MacroCall(const MacroCall&) = delete;
  MacroCall& operator=(const MacroCall&) = delete;
  Status allowed() const;

 private:
  Run& run_;
};

}  // namespace linnet::jinja
