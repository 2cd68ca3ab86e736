#include "capi/plan.h"

#include <algorithm>

#include "gguf/base/json.h"
#include "gguf/base/os.h"

namespace linnet {
namespace {

void write_plan(JsonWriter& w, const MemoryPlan& plan) {
  w.member("weight_bytes", plan.weight_bytes).member("kv_bytes", plan.kv_bytes);
  w.member("workspace_bytes", plan.workspace_bytes).member("vocabulary_bytes", plan.vocabulary_bytes);
  w.member("total_bytes", plan.total()).member("context", plan.context).member("cache_tokens", plan.cache_tokens);
  w.member("kv_token_bytes", plan.kv_token_bytes).member("batch_tokens", plan.batch_tokens);
}

}  // namespace

MemoryLimit memory_limit(const Options& o, uint64_t available, uint64_t others) {
  const uint64_t budget = static_cast<uint64_t>(o.max_memory_mb) << 20;
  const uint64_t usual = static_cast<uint64_t>(static_cast<double>(available) * o.memory_pressure_threshold);
  return {.bytes = budget == 0 ? usual : budget - std::min(budget, others),
          .strict = budget > 0,
          .smaller_batch = o.dynamic_batch_size,
          .smaller_context = o.smart_context_size};
}

Result<PlannedModel> plan_model(const std::shared_ptr<const Model>& model, const Options& options) {
  PlannedModel planned;
  const EngineOptions engine = engine_options(options);
  LINNET_TRY(planned.wished, plan_memory(model, engine));
  planned.fitted = planned.wished;
  const auto fitting =
      fit_to_memory(model, engine, memory_limit(options, planned.wished.available_bytes, 0), planned.remarks);
  if (!fitting) {
    planned.refused = true;
    planned.remarks = {fitting.error().message};
    return planned;
  }
  LINNET_TRY(planned.fitted, plan_memory(model, *fitting));
  return planned;
}

Result<std::string> plan_json(const std::string& path, std::string_view config) {
  ConfigLayers layers;
  std::vector<ConfigWarning> warnings;
  LINNET_CHECK(layers.read(ConfigLayer::backend, config, {}, warnings));
  LINNET_TRY(const KvType kv_type, kv_type_of(layers.options()));
  LINNET_TRY(auto model, Model::load(path, {.kv_type = kv_type}));
  LINNET_TRY(const PlannedModel plan, plan_model(model, layers.options()));
  return plan_json(path, *model, plan, warnings);
}

std::string plan_json(const std::string& path, const Model& model, const PlannedModel& plan,
                      std::span<const ConfigWarning> warnings) {
  JsonWriter w;
  w.begin_object().member("path", path).member("architecture", model.facts.architecture);
  write_plan(w, plan.wished);
  w.member("available_bytes", plan.wished.available_bytes).member("fits", plan.wished.fits());
  w.member("refused", plan.refused).key("fitted").begin_object();
  write_plan(w, plan.fitted);
  w.end_object().key("remarks").begin_array();
  for (const std::string& remark : plan.remarks) w.value(remark);
  w.end_array().key("warnings").begin_array();
  for (const ConfigWarning& warning : warnings) w.value(warning.text());
  return w.end_array().end_object().text();
}

}  // namespace linnet
