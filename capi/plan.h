// What a model would take, without loading it.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "capi/config.h"
#include "gguf/base/error.h"
#include "runtime/memory_plan.h"

namespace linnet {

// One JSON object; `config` with keys of all groups. Its warnings are in the object.
Result<std::string> plan_json(const std::string& path, std::string_view config);
// The same of a plan that is there.
std::string plan_json(const std::string& path, const Model& model, const MemoryPlan& plan,
                      std::span<const ConfigWarning> warnings);

}  // namespace linnet
