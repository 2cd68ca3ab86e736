// Reads JSON objects whose members are known: of the right type, and none that nobody knows. What is wrong is an error,
// or, for those who would rather have the rest, left out and listed.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/base/json.h"

namespace linnet {

// A member or element that was left out: where it stands, and why.
struct SkippedJsonPart {
  std::string name;  // as Place::name
  Error error;
};
using SkippedJson = std::vector<SkippedJsonPart>;

// Where a value stands, and what happens to parts of it that are wrong.
struct Place {
  std::string name;                // for messages: "stopping.dynamic_timeout.base_ms", "logit_bias[2]"
  SkippedJson* skipped = nullptr;  // null: the first thing that is wrong is the error

  Place member(std::string_view key) const { return {fmt::format("{}.{}", name, key), skipped}; }
  Place element(size_t index) const { return {fmt::format("{}[{}]", name, index), skipped}; }
};

using ReadJson = std::function<Status(const Json& value, const Place& place)>;

struct JsonField {
  std::string_view key;
  ReadJson read;
};

// option_type for anything but an object. Members without a field are option_unknown, or skipped.
Status read_fields(const Json& json, const Place& place, std::initializer_list<JsonField> fields);
// Calls read for each element, and skips those that it refuses where that is wanted; option_type for anything but an
// array. What read has changed before it refused stays changed: let it change nothing.
Status read_elements(const Json& json, const Place& place, const ReadJson& read);
// The value without the parts that were skipped; its own name is that of the place it was read from.
std::string json_without(const Json& json, const std::string& name, const SkippedJson& skipped);

// A text of somebody else in a message: escaped, and cut where it is long.
std::string shown_text(std::string_view text);
std::string shown_json(const Json& json);  // numbers and texts as they are, of others the type

ReadJson into(bool& value);
ReadJson into(double& value);
ReadJson into(int64_t& value);  // up to 2^53
ReadJson into(int32_t& value);
ReadJson into(std::string& value);
ReadJson into(std::vector<std::string>& values);
ReadJson into(std::vector<int32_t>& values);

}  // namespace linnet
