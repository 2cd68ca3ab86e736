// What a model would take, without loading it.
#pragma once

#include <string>
#include <string_view>

#include "gguf/base/error.h"

namespace linnet {

// One JSON object; `config` as a model's. Its warnings are in the object.
Result<std::string> plan_json(const std::string& path, std::string_view config);

}  // namespace linnet
