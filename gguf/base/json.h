// JSON in and out. Reading keeps a small tree with checked access; writing is a builder that cannot forget a comma.
// RFC 8259; the parser is simdjson, seen by json.cpp alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "gguf/base/error.h"

namespace linnet {

inline constexpr size_t kMaxJsonBytes = 16 << 20;
inline constexpr size_t kMaxJsonDepth = 64;  // objects and arrays inside each other

class Json {
 public:
  struct Member;
  using Array = std::vector<Json>;
  using Object = std::vector<Member>;  // in the order of the text, keys distinct

  Json() = default;  // null

  // "null", "boolean", "integer", "number", "string", "array", "object"
  std::string_view type_name() const;
  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_boolean() const { return std::holds_alternative<bool>(value_); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  bool is_number() const;   // integers too
  bool is_integer() const;  // written without fraction and exponent, and within int64 or uint64

  // json_type for another type; integer() also for numbers beyond int64.
  Result<bool> boolean() const;
  Result<int64_t> integer() const;
  Result<double> number() const;  // an integer beyond 2^53 is rounded
  Result<std::string_view> string() const;

  // Elements, members, or the empty span for another type.
  std::span<const Json> elements() const;
  std::span<const Member> members() const;
  // nullptr when this is no object or has no such member. O(members).
  const Json* find(std::string_view key) const;

 private:
  friend class JsonReader;
  friend class JsonWriter;
  std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string, Array, Object> value_;
};

struct Json::Member {
  std::string key;
  Json value;
};

// Parses one JSON text. json_syntax says what is wrong with it, too_large when it exceeds the limits above. Of equal
// keys in an object the first wins; when `duplicates` is given, the others are listed there by their path ("/a/b").
Result<Json> parse_json(std::string_view text, std::vector<std::string>* duplicates = nullptr);

// The text between quotes, without them: '"', '\' and control characters escaped, invalid UTF-8 replaced by U+FFFD.
std::string json_escape(std::string_view text);
// The text as a JSON string, quotes included.
inline std::string json_quote(std::string_view text) { return "\"" + json_escape(text) + "\""; }

// Writes one JSON text. Misuse (a value without a key inside an object) is a mistake of the caller and gives bad JSON.
//   JsonWriter w; w.begin_object().member("a", 1).key("b").begin_array().value(true).end_array().end_object();
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(bool b) { return raw(b ? "true" : "false"); }
  // The shortest digits that read back as the same number; NaN and infinities, which JSON lacks, become null.
  JsonWriter& value(double number);
  JsonWriter& value(float number);
  template <class Integer>
  requires std::is_integral_v<Integer> JsonWriter& value(Integer number) { return raw(fmt::format("{}", number)); }
  JsonWriter& value(std::nullptr_t) { return raw("null"); }
  JsonWriter& value(const Json& json);
  // A value that is JSON text already.
  JsonWriter& raw(std::string_view json);

  template <class T>
  JsonWriter& member(std::string_view name, const T& v) {
    key(name);
    return value(v);
  }

  const std::string& text() const { return text_; }

 private:
  JsonWriter& open(char bracket);
  JsonWriter& close(char bracket);
  void separate();
  std::string text_;
};

}  // namespace linnet
