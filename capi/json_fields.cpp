#include "capi/json_fields.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace linnet {
namespace {

Error wrong_type(const Json& value, const std::string& where, std::string_view expected) {
  const std::string found =
      value.is_array() || value.is_object() ? std::string(value.type_name()) : JsonWriter().value(value).text();
  return fail(Code::option_type, "{} is {}, expected {}", where, found, expected);
}

template <class Integer>
ReadJson whole_number(Integer& value) {
  return [&value](const Json& json, const std::string& where) -> Status {
    constexpr double kMost = std::min<double>(9007199254740992.0, std::numeric_limits<Integer>::max());
    const double number = json.is_number() ? *json.number() : std::nan("");
    if (!(number == std::floor(number) && std::abs(number) <= kMost)) return wrong_type(json, where, "a whole number");
    value = static_cast<Integer>(number);
    return {};
  };
}

template <class T>
ReadJson list(std::vector<T>& values) {
  return [&values](const Json& json, const std::string& where) -> Status {
    values.clear();
    return read_elements(json, where, [&values](const Json& element, const std::string& place) {
      return into(values.emplace_back())(element, place);
    });
  };
}

}  // namespace

Status read_fields(const Json& json, const std::string& where, std::initializer_list<JsonField> fields) {
  if (!json.is_object()) return wrong_type(json, where, "an object");
  for (const auto& [key, value] : json.members()) {
    const auto field =
        std::find_if(fields.begin(), fields.end(), [&key = key](const JsonField& f) { return f.key == key; });
    if (field == fields.end()) {
      std::string known;
      for (const JsonField& f : fields) known += (known.empty() ? "" : ", ") + std::string(f.key);
      return fail(Code::option_unknown, "{} has the key \"{}\", expected {}", where, key, known);
    }
    LINNET_CHECK(field->read(value, where + "." + key));
  }
  return {};
}

Status read_elements(const Json& json, const std::string& where, const ReadJson& read) {
  if (!json.is_array()) return wrong_type(json, where, "an array");
  for (size_t i = 0; i < json.elements().size(); ++i) {
    LINNET_CHECK(read(json.elements()[i], fmt::format("{}[{}]", where, i)));
  }
  return {};
}

ReadJson into(bool& value) {
  return [&value](const Json& json, const std::string& where) -> Status {
    if (!json.is_boolean()) return wrong_type(json, where, "true or false");
    value = *json.boolean();
    return {};
  };
}

ReadJson into(double& value) {
  return [&value](const Json& json, const std::string& where) -> Status {
    if (!json.is_number()) return wrong_type(json, where, "a number");
    value = *json.number();
    return {};
  };
}

ReadJson into(int64_t& value) { return whole_number(value); }
ReadJson into(int32_t& value) { return whole_number(value); }

ReadJson into(std::string& value) {
  return [&value](const Json& json, const std::string& where) -> Status {
    if (!json.is_string()) return wrong_type(json, where, "a text");
    value = std::string(*json.string());
    return {};
  };
}

ReadJson into(std::vector<std::string>& values) { return list(values); }
ReadJson into(std::vector<int32_t>& values) { return list(values); }

}  // namespace linnet
