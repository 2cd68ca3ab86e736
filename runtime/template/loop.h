// The variable `loop` of a for statement, which also knows what the next turn is over.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/template/nodes.h"
#include "runtime/template/run.h"

namespace linnet::jinja {

class Loop : public Object {
 public:
  // Over `items`, in a scope inside `outer`; `depth`: how many loop() calls it is in.
  Loop(const ForStatement& code, List* items, std::shared_ptr<Scope> outer, int64_t depth)
      : code_(code), items_(items), outer_(std::move(outer)), depth_(depth) {}

  // All turns of the statement over a value; writes what they write.
  static Result<Flow> run_over(Run& run, const ForStatement& code, const Value& value, std::shared_ptr<Scope> outer,
                               int64_t depth);

  std::string_view type_name() const override { return "LoopContext"; }
  Result<std::string> print(Heap& heap) const override;
  Result<Value> attribute(Run& run, std::string_view name) override;
  bool callable() const override { return true; }
  Result<Value> call(Run& run, const Arguments& arguments) override;  // loop(items) of a recursive loop

  Result<Value> cycle(const std::vector<Value>& values) const;
  Result<Value> changed(Heap& heap, std::vector<Value> values);

 private:
  Result<bool> advance(Run& run);               // to the next turn, if there is one
  Result<bool> peek(Run& run);                  // whether there is one
  Result<std::optional<Value>> pull(Run& run);  // the next item that the condition lets through
  Result<int64_t> length(Run& run);

  const ForStatement& code_;
  List* items_;
  std::shared_ptr<Scope> outer_;
  int64_t depth_;
  size_t position_ = 0;      // of the next item
  int64_t index_ = -1;       // of the turn, from 0
  std::deque<Value> ahead_;  // pulled and not yet had their turn
  std::optional<int64_t> length_;
  Value current_ = Value::absent(), before_ = Value::absent();
  std::optional<std::vector<Value>> last_changed_;
};

}  // namespace linnet::jinja
