// Values as text: Python's str() and repr(), and JSON as json.dumps writes it.
#pragma once

#include <optional>
#include <string>

#include "gguf/base/error.h"
#include "runtime/template/value.h"

namespace linnet::jinja {

// What {{ x }} shows.
Result<std::string> to_text(Heap& heap, const Value& value);
// As it stands inside a list: texts in quotes.
Result<std::string> repr(Heap& heap, const Value& value);

struct JsonStyle {
  bool ascii = false;  // characters beyond ASCII as \uXXXX
  bool sort_keys = false;
  std::optional<std::string> indent;  // of one level; without it all is on one line
  std::string comma = ", ", colon = ": ";
};
Result<std::string> to_json(Heap& heap, const Value& value, const JsonStyle& style);

}  // namespace linnet::jinja
