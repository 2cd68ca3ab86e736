// What a model would take, without loading it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "capi/config.h"
#include "gguf/base/error.h"
#include "runtime/memory_plan.h"

namespace linnet {

// What a model with these options may take when so many bytes are free, and other models of the runtime take `others`.
MemoryLimit memory_limit(const Options& options, uint64_t available, uint64_t others);

struct PlannedModel {
  MemoryPlan wished;                 // with the options as they are
  MemoryPlan fitted;                 // as it would be loaded now, if nothing else were
  std::vector<std::string> remarks;  // what is smaller then, or why it is refused
  bool refused = false;
};
Result<PlannedModel> plan_model(const std::shared_ptr<const Model>& model, const Options& options);

// One JSON object; `config` with keys of all groups. Its warnings are in the object.
Result<std::string> plan_json(const std::string& path, std::string_view config);
// The same of a plan that is there.
std::string plan_json(const std::string& path, const Model& model, const PlannedModel& plan,
                      std::span<const ConfigWarning> warnings);

}  // namespace linnet
