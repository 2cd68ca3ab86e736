// Filters, tests, methods and global functions: one row each, in one list per kind.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/template/object.h"
#include "runtime/template/value.h"

namespace linnet::jinja {

class Call;

struct Function {
  std::string_view name;
  // The names of the parameters, after the value that is filtered or tested or whose method it is. "a?" may be left
  // out; "*" and "**" take all others, by position and by name; what stands before "/" is given by position only.
  std::string_view parameters;
  Result<Value> (*body)(Call& call);
};

// A call under way: arguments bound to parameters.
class Call {
 public:
  Call(Run& in, const Function& function, const Value& of) : run(in), subject(of), function_(function) {}
  Status bind(const Arguments& arguments);

  const Value& operator[](size_t i) const { return arguments_[i]; }  // absent when not given
  bool given(size_t i) const { return !arguments_[i].is_absent(); }
  bool given_not_none(size_t i) const { return given(i) && !arguments_[i].is_none(); }
  // Argument i as a type. Left out: `otherwise`.
  Result<int64_t> integer(size_t i) const;
  Result<int64_t> integer(size_t i, int64_t otherwise) const;
  Result<std::string_view> text(size_t i) const;
  bool flag(size_t i) const;  // left out: false
  Error wrong(size_t i, std::string_view expected) const;
  // "name: message"
  Error problem(std::string_view message) const;

  // The subject as text: anything becomes it, as by str().
  Result<Value> subject_text() const;
  Heap& heap() const;
  // A text that is markup where the subject is.
  Value like_subject(std::string text) const;

  Run& run;
  const Value& subject;
  Arguments rest;  // what * and ** took

 private:
  const Function& function_;
  std::vector<Value> arguments_;
};

Result<Value> invoke(Run& run, const Function& function, const Value& subject, const Arguments& arguments);

const Function* find_function(std::span<const Function> rows, std::string_view name);
const Function* find_filter(std::string_view name);
const Function* find_test(std::string_view name);
// Of the value's type; null when it has no such method.
const Function* find_method(const Value& value, std::string_view name);
std::span<const Function> global_functions();

// The rows of one file each.
std::span<const Function> text_filters();      // filters_text.cpp
std::span<const Function> sequence_filters();  // filters_sequence.cpp
std::span<const Function> test_functions();    // tests.cpp
std::span<const Function> text_methods();      // methods_text.cpp
std::span<const Function> list_methods();      // methods_containers.cpp
std::span<const Function> tuple_methods();
std::span<const Function> dict_methods();

// What filters and methods of the same name share.
Result<Value> replaced(Call& call, std::string_view text, std::string_view part, std::string_view by, int64_t most);
// dict(from, name=...): from is a dict, or pairs, or absent.
Status update_dict(Call& call, Dict& dict, const Value& from);
// `text` in the middle of a field, or at its left or right, of `width` characters.
enum class Align : uint8_t { left, center, right };
Result<Value> padded(Call& call, std::string_view text, int64_t width, std::string_view fill, Align align);

// A function as a value: one of the globals, or a method with the value it belongs to.
class BoundFunction : public Object {
 public:
  BoundFunction(const Function& function, Value subject) : function_(function), subject_(std::move(subject)) {}
  std::string_view type_name() const override { return "function"; }
  Result<std::string> print(Heap& heap) const override;
  bool callable() const override { return true; }
  Result<Value> call(Run& run, const Arguments& arguments) override;

 private:
  const Function& function_;
  Value subject_;
};

// namespace(a=1): names with values that {% set ns.a = ... %} changes.
class Namespace : public Object {
 public:
  explicit Namespace(Dict* names) : names_(names) {}
  std::string_view type_name() const override { return "Namespace"; }
  Result<std::string> print(Heap& heap) const override;
  Result<Value> attribute(Run& run, std::string_view name) override;
  Dict& names() { return *names_; }

 private:
  Dict* names_;
};

}  // namespace linnet::jinja
