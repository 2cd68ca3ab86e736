#include "gguf/base/json.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <simdjson.h>

#include "gguf/base/json_place.h"
#include "gguf/base/utf8.h"

namespace linnet {

// Builds the tree from simdjson's. Recursion is at most kMaxJsonDepth deep: simdjson refused deeper texts.
class JsonReader {
 public:
  explicit JsonReader(std::vector<std::string>* duplicates) : duplicates_(duplicates) {}

  Json read(simdjson::dom::element e) {
    Json json;
    switch (e.type()) {
      case simdjson::dom::element_type::ARRAY:
        json.value_ = read_array(e.get_array().value_unsafe());
        break;
      case simdjson::dom::element_type::OBJECT:
        json.value_ = read_object(e.get_object().value_unsafe());
        break;
      case simdjson::dom::element_type::INT64:
        json.value_ = e.get_int64().value_unsafe();
        break;
      case simdjson::dom::element_type::UINT64:
        json.value_ = e.get_uint64().value_unsafe();
        break;
      case simdjson::dom::element_type::DOUBLE:
        json.value_ = e.get_double().value_unsafe();
        break;
      case simdjson::dom::element_type::STRING:
        json.value_ = std::string(e.get_string().value_unsafe());
        break;
      case simdjson::dom::element_type::BOOL:
        json.value_ = e.get_bool().value_unsafe();
        break;
      case simdjson::dom::element_type::NULL_VALUE:
        break;
    }
    return json;
  }

 private:
  Json::Array read_array(simdjson::dom::array from) {
    Json::Array array;
    array.reserve(from.size());
    const size_t mark = path_.size();
    for (const simdjson::dom::element e : from) {
      if (duplicates_ != nullptr) path_ += fmt::format("/{}", array.size());
      array.push_back(read(e));
      path_.resize(mark);
    }
    return array;
  }

  Json::Object read_object(simdjson::dom::object from) {
    Json::Object object;
    object.reserve(from.size());
    const size_t mark = path_.size();
    for (const auto& [key, value] : from) {
      path_ += '/';
      path_ += key;
      object.push_back({std::string(key), read(value)});
      path_.resize(mark);
    }
    drop_duplicates(object);
    return object;
  }

  void drop_duplicates(Json::Object& object) {
    std::vector<size_t> order(object.size());
    std::iota(order.begin(), order.end(), size_t(0));
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      const int c = object[a].key.compare(object[b].key);
      return c != 0 ? c < 0 : a < b;
    });
    std::vector<bool> again(object.size());
    bool any = false;
    for (size_t i = 1; i < order.size(); ++i) {
      if (object[order[i]].key == object[order[i - 1]].key) any = again[order[i]] = true;
    }
    if (!any) return;
    size_t kept = 0;
    for (size_t i = 0; i < object.size(); ++i) {
      if (!again[i]) {
        if (kept != i) object[kept] = std::move(object[i]);
        ++kept;
      } else if (duplicates_ != nullptr) {
        duplicates_->push_back(fmt::format("{}/{}", path_, object[i].key));
      }
    }
    object.resize(kept);
  }

  std::vector<std::string>* duplicates_;
  std::string path_;  // of the value being read; elements of arrays by their index, when anybody asks
};

namespace {

Error type_error(const Json& json, std::string_view wanted) {
  return fail(Code::json_type, "expected {}, found {}", wanted, json.type_name());
}

// " at line 2, column 7", or nothing where the place is not known. Columns count characters.
std::string place_of_error(std::string_view text) {
  const std::optional<size_t> offset = json_error_offset(text);
  if (!offset) return {};
  const std::string_view before = text.substr(0, *offset);
  const size_t line = before.rfind('\n');
  const std::string_view column = line == std::string_view::npos ? before : before.substr(line + 1);
  return fmt::format(" at line {}, column {}{}", std::count(before.begin(), before.end(), '\n') + 1,
                     utf8_count(column) + 1, *offset == text.size() ? ", where the text ends" : "");
}

Error parse_error(simdjson::error_code error, std::string_view text) {
  switch (error) {
    case simdjson::CAPACITY:
      return fail(Code::too_large, "the JSON text has {} bytes; at most {} are read", text.size(), kMaxJsonBytes);
    case simdjson::DEPTH_ERROR:
      return fail(Code::too_large, "the JSON text nests deeper than {} levels", kMaxJsonDepth);
    case simdjson::MEMALLOC:
      return fail(Code::out_of_memory, "no memory to parse {} bytes of JSON", text.size());
    case simdjson::EMPTY:
      return fail(Code::json_syntax, "expected JSON, found no text");
    case simdjson::UTF8_ERROR:
      return fail(Code::json_syntax, "the JSON text is not valid UTF-8");
    default:
      return fail(Code::json_syntax, "not valid JSON{}: {}", place_of_error(text), simdjson::error_message(error));
  }
}

}  // namespace

Result<Json> parse_json(std::string_view text, std::vector<std::string>* duplicates) {
  if (text.size() > kMaxJsonBytes) return parse_error(simdjson::CAPACITY, text);
  simdjson::dom::parser parser(kMaxJsonBytes);
  if (const auto error = parser.allocate(std::max<size_t>(text.size(), 1), kMaxJsonDepth)) {
    return parse_error(error, text);
  }
  simdjson::dom::element root;
  // simdjson reads a few bytes beyond the end: it copies the text to memory with that much room.
  if (const auto error = parser.parse(text.data(), text.size(), true).get(root)) { return parse_error(error, text); }
  return JsonReader(duplicates).read(root);
}

std::string_view Json::type_name() const {
  constexpr std::string_view names[] = {"null", "boolean", "integer", "integer", "number", "string", "array", "object"};
  return names[value_.index()];
}

bool Json::is_integer() const {
  return std::holds_alternative<int64_t>(value_) || std::holds_alternative<uint64_t>(value_);
}

bool Json::is_number() const { return is_integer() || std::holds_alternative<double>(value_); }

Result<bool> Json::boolean() const {
  if (const bool* b = std::get_if<bool>(&value_)) return *b;
  return type_error(*this, "a boolean");
}

Result<int64_t> Json::integer() const {
  if (const int64_t* i = std::get_if<int64_t>(&value_)) return *i;
  if (const uint64_t* u = std::get_if<uint64_t>(&value_)) {
    return fail(Code::json_type, "expected an integer up to {}, found {}", INT64_MAX, *u);
  }
  return type_error(*this, "an integer");
}

Result<double> Json::number() const {
  if (const double* d = std::get_if<double>(&value_)) return *d;
  if (const int64_t* i = std::get_if<int64_t>(&value_)) return double(*i);
  if (const uint64_t* u = std::get_if<uint64_t>(&value_)) return double(*u);
  return type_error(*this, "a number");
}

Result<std::string_view> Json::string() const {
  if (const std::string* s = std::get_if<std::string>(&value_)) return std::string_view(*s);
  return type_error(*this, "a string");
}

std::span<const Json> Json::elements() const {
  const Array* array = std::get_if<Array>(&value_);
  return array != nullptr ? std::span<const Json>(*array) : std::span<const Json>();
}

std::span<const Json::Member> Json::members() const {
  const Object* object = std::get_if<Object>(&value_);
  return object != nullptr ? std::span<const Member>(*object) : std::span<const Member>();
}

const Json* Json::find(std::string_view key) const {
  for (const Member& member : members()) {
    if (member.key == key) return &member.value;
  }
  return nullptr;
}

std::string json_escape(std::string_view text) {
  const std::string valid = utf8_replace_invalid(text);
  std::string out;
  out.reserve(valid.size() + 2);
  for (const char c : valid) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default:
        if (uint8_t(c) < 0x20) {
          out += fmt::format("\\u{:04x}", uint8_t(c));
        } else {
          out += c;
        }
    }
  }
  return out;
}

void JsonWriter::separate() {
  if (text_.empty()) return;
  const char last = text_.back();
  if (last != '{' && last != '[' && last != ':') text_ += ',';
}

JsonWriter& JsonWriter::open(char bracket) {
  separate();
  text_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::close(char bracket) {
  text_ += bracket;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  text_ += '"';
  text_ += json_escape(name);
  text_ += "\":";
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  text_ += json;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  separate();
  text_ += '"';
  text_ += json_escape(text);
  text_ += '"';
  return *this;
}

JsonWriter& JsonWriter::value(double number) {
  return std::isfinite(number) ? raw(fmt::format("{}", number)) : raw("null");
}

JsonWriter& JsonWriter::value(float number) {
  return std::isfinite(number) ? raw(fmt::format("{}", number)) : raw("null");
}

JsonWriter& JsonWriter::value(const Json& json) {
  if (json.is_object()) {
    begin_object();
    for (const Json::Member& m : json.members()) member(m.key, m.value);
    return end_object();
  }
  if (json.is_array()) {
    begin_array();
    for (const Json& e : json.elements()) value(e);
    return end_array();
  }
  return std::visit(
      [this](const auto& v) -> JsonWriter& {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) {
          return value(nullptr);
        } else if constexpr (std::is_same_v<T, Json::Array> || std::is_same_v<T, Json::Object>) {
          return *this;
        } else {
          return value(v);
        }
      },
      json.value_);
}

}  // namespace linnet
