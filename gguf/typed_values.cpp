// Typed access to the keys of an open file: the errors that a model loader passes on.
#include <cmath>

#include "gguf/base/utf8.h"
#include "gguf/metadata.h"
#include "gguf/reader.h"

namespace linnet {
namespace {

Error missing(std::string_view key, std::string_view wanted) {
  return fail(Code::gguf_key_missing, "key {} is missing; expected a value of type {}", quoted(key), wanted);
}

Error wrong_type(const Value& value, std::string_view wanted) {
  const bool array = value.type == ValueType::array;
  return fail(Code::gguf_key_type, "key {} at offset {} has type {}{}; expected {}", quoted(value.key), value.offset,
              array ? "array of " : "", value_type_name(value.element), wanted);
}

Result<std::string_view> as_string(const Value& value) {
  if (value.type != ValueType::string) return wrong_type(value, "string");
  return value.string();
}

Result<double> as_number(const Value& value) {
  if (value.type == ValueType::array || !value.is_number()) return wrong_type(value, "a number");
  const double number = value.number();
  if (!std::isfinite(number)) {
    return fail(Code::gguf_value_range, "key {} at offset {} is {}; expected a finite number", quoted(value.key),
                value.offset, number);
  }
  return number;
}

Result<bool> as_boolean(const Value& value) {
  if (value.type != ValueType::boolean) return wrong_type(value, "bool");
  return value.boolean();
}

}  // namespace

Result<std::string_view> Gguf::string(std::string_view key) const {
  const Value* value = find(key);
  return value == nullptr ? missing(key, "string") : as_string(*value);
}

Result<uint64_t> Gguf::integer(std::string_view key) const {
  const Value* value = find(key);
  return value == nullptr ? missing(key, "integer") : unsigned_integer(*value);
}

Result<double> Gguf::number(std::string_view key) const {
  const Value* value = find(key);
  return value == nullptr ? missing(key, "number") : as_number(*value);
}

Result<bool> Gguf::boolean(std::string_view key) const {
  const Value* value = find(key);
  return value == nullptr ? missing(key, "bool") : as_boolean(*value);
}

Result<std::string_view> Gguf::string_or(std::string_view key, std::string_view otherwise) const {
  const Value* value = find(key);
  return value == nullptr ? otherwise : as_string(*value);
}

Result<uint64_t> Gguf::integer_or(std::string_view key, uint64_t otherwise) const {
  const Value* value = find(key);
  return value == nullptr ? otherwise : unsigned_integer(*value);
}

Result<double> Gguf::number_or(std::string_view key, double otherwise) const {
  const Value* value = find(key);
  return value == nullptr ? otherwise : as_number(*value);
}

Result<bool> Gguf::boolean_or(std::string_view key, bool otherwise) const {
  const Value* value = find(key);
  return value == nullptr ? otherwise : as_boolean(*value);
}

}  // namespace linnet
