#include "capi/plan.h"

#include "gguf/base/json.h"

namespace linnet {

Result<std::string> plan_json(const std::string& path, std::string_view config) {
  ConfigLayers layers;
  std::vector<ConfigWarning> warnings;
  LINNET_CHECK(layers.read(ConfigLayer::backend, config, {}, warnings));
  LINNET_TRY(const KvType kv_type, kv_type_of(layers.options()));
  LINNET_TRY(auto model, Model::load(path, {.kv_type = kv_type}));
  LINNET_TRY(const MemoryPlan plan, plan_memory(model, engine_options(layers.options())));
  return plan_json(path, *model, plan, warnings);
}

std::string plan_json(const std::string& path, const Model& model, const MemoryPlan& plan,
                      std::span<const ConfigWarning> warnings) {
  JsonWriter w;
  w.begin_object().member("path", path).member("architecture", model.facts.architecture);
  w.member("weight_bytes", plan.weight_bytes).member("kv_bytes", plan.kv_bytes);
  w.member("workspace_bytes", plan.workspace_bytes).member("vocabulary_bytes", plan.vocabulary_bytes);
  w.member("total_bytes", plan.total()).member("available_bytes", plan.available_bytes).member("fits", plan.fits());
  w.member("context", plan.context).member("cache_tokens", plan.cache_tokens);
  w.member("kv_token_bytes", plan.kv_token_bytes).member("batch_tokens", plan.batch_tokens);
  w.key("warnings").begin_array();
  for (const ConfigWarning& warning : warnings) w.value(warning.text());
  return w.end_array().end_object().text();
}

}  // namespace linnet
