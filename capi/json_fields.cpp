#include "capi/json_fields.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

namespace linnet {
namespace {

Error wrong_type(const Json& value, const Place& place, std::string_view expected) {
  return fail(Code::option_type, "{} is {}, expected {}", place.name, shown_json(value), expected);
}

template <class Integer>
ReadJson whole_number(Integer& value) {
  return [&value](const Json& json, const Place& place) -> Status {
    constexpr double kMost = std::min(9007199254740992.0, static_cast<double>(std::numeric_limits<Integer>::max()));
    const double number = json.is_number() ? *json.number() : std::nan("");
    if (!(number == std::floor(number) && std::abs(number) <= kMost)) return wrong_type(json, place, "a whole number");
    value = static_cast<Integer>(number);
    return {};
  };
}

template <class T>
ReadJson list(std::vector<T>& values) {
  return [&values](const Json& json, const Place& place) -> Status {
    values.clear();
    return read_elements(json, place, [&values](const Json& element, const Place& at) -> Status {
      T value = {};
      LINNET_CHECK(into(value)(element, at));
      values.push_back(std::move(value));
      return {};
    });
  };
}

}  // namespace

Status read_fields(const Json& json, const Place& place, std::initializer_list<JsonField> fields) {
  if (!json.is_object()) return wrong_type(json, place, "an object");
  for (const auto& [key, value] : json.members()) {
    const std::string_view name = key;
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const JsonField& f) { return f.key == name; });
    if (field != fields.end()) {
      LINNET_CHECK(field->read(value, place.member(key)));
      continue;
    }
    std::string known;
    for (const JsonField& f : fields) known += (known.empty() ? "" : ", ") + std::string(f.key);
    Error error = fail(Code::option_unknown, "{} has the key \"{}\", expected {}", place.name, shown_text(key), known);
    if (!place.skipped) return error;
    place.skipped->push_back({place.member(key).name, std::move(error)});
  }
  return {};
}

Status read_elements(const Json& json, const Place& place, const ReadJson& read) {
  if (!json.is_array()) return wrong_type(json, place, "an array");
  for (size_t i = 0; i < json.elements().size(); ++i) {
    const Place at = place.element(i);
    const Status status = read(json.elements()[i], at);
    if (status) continue;
    if (!place.skipped) return status;
    place.skipped->push_back({at.name, status.error()});
  }
  return {};
}

namespace {

void write_without(JsonWriter& w, const Json& json, const Place& place, const std::set<std::string_view>& skipped) {
  if (json.is_object()) {
    w.begin_object();
    for (const auto& [key, value] : json.members()) {
      const Place at = place.member(key);
      if (skipped.contains(at.name)) continue;
      w.key(key);
      write_without(w, value, at, skipped);
    }
    w.end_object();
  } else if (json.is_array()) {
    w.begin_array();
    for (size_t i = 0; i < json.elements().size(); ++i) {
      const Place at = place.element(i);
      if (!skipped.contains(at.name)) write_without(w, json.elements()[i], at, skipped);
    }
    w.end_array();
  } else {
    w.value(json);
  }
}

}  // namespace

std::string json_without(const Json& json, const std::string& name, const SkippedJson& skipped) {
  std::set<std::string_view> names;
  for (const SkippedJsonPart& part : skipped) names.insert(part.name);
  JsonWriter w;
  write_without(w, json, {name}, names);
  return w.text();
}

std::string shown_json(const Json& json) {
  if (json.is_array() || json.is_object()) return std::string(json.type_name());
  return json.is_string() ? "\"" + shown_text(*json.string()) + "\"" : JsonWriter().value(json).text();
}

std::string shown_text(std::string_view text) {
  constexpr size_t kMost = 64;
  if (text.size() <= kMost) return json_escape(text);
  size_t end = kMost;
  while (end > 0 && (text[end] & 0xC0) == 0x80) --end;  // not inside a character
  return json_escape(text.substr(0, end)) + "...";
}

ReadJson into(bool& value) {
  return [&value](const Json& json, const Place& place) -> Status {
    if (!json.is_boolean()) return wrong_type(json, place, "true or false");
    value = *json.boolean();
    return {};
  };
}

ReadJson into(double& value) {
  return [&value](const Json& json, const Place& place) -> Status {
    if (!json.is_number()) return wrong_type(json, place, "a number");
    value = *json.number();
    return {};
  };
}

ReadJson into(int64_t& value) { return whole_number(value); }
ReadJson into(int32_t& value) { return whole_number(value); }

ReadJson into(std::string& value) {
  return [&value](const Json& json, const Place& place) -> Status {
    if (!json.is_string()) return wrong_type(json, place, "a text");
    value = std::string(*json.string());
    return {};
  };
}

ReadJson into(std::vector<std::string>& values) { return list(values); }
ReadJson into(std::vector<int32_t>& values) { return list(values); }

}  // namespace linnet
