// What a template can hold that is neither data nor text: namespaces, functions, macros, the loop variable.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/template/value.h"

namespace linnet::jinja {

class Run;

// What a call passes: f(1, *more, key=2).
struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;  // names distinct; they outlive the call
};

class Object {
 public:
  virtual ~Object() = default;
  virtual std::string_view type_name() const = 0;
  // What {{ x }} shows.
  virtual Result<std::string> print(Heap& heap) const = 0;
  // Absent when there is none.
  virtual Result<Value> attribute(Run& run, std::string_view name);
  virtual bool callable() const { return false; }
  virtual Result<Value> call(Run& run, const Arguments& arguments);
};

}  // namespace linnet::jinja
