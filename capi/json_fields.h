// Reads JSON objects whose members are known: of the right type, and none that nobody knows.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/base/json.h"

namespace linnet {

// `where` is the place of the value, for messages: "stopping.dynamic_timeout.base_ms".
using ReadJson = std::function<Status(const Json& value, const std::string& where)>;

struct JsonField {
  std::string_view key;
  ReadJson read;
};

// option_type for anything but an object, option_unknown for a member without a field.
Status read_fields(const Json& json, const std::string& where, std::initializer_list<JsonField> fields);
// Calls read for each element; option_type for anything but an array.
Status read_elements(const Json& json, const std::string& where, const ReadJson& read);

ReadJson into(bool& value);
ReadJson into(double& value);
ReadJson into(int64_t& value);  // up to 2^53
ReadJson into(int32_t& value);
ReadJson into(std::string& value);
ReadJson into(std::vector<std::string>& values);
ReadJson into(std::vector<int32_t>& values);

}  // namespace linnet
