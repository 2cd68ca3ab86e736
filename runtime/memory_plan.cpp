#include "runtime/memory_plan.h"

#include "gguf/base/os.h"

namespace linnet {

Result<MemoryPlan> plan_memory(std::shared_ptr<const Model> model, const EngineOptions& options) {
  LINNET_TRY(const auto engine, Engine::create(model, options));
  const EngineStats stats = engine->stats();
  MemoryPlan plan;
  plan.weight_bytes = model->weight_bytes();
  plan.context = model->context_for(options.context);
  plan.batch_tokens = options.batch_tokens;
  const auto groups = static_cast<int64_t>(model->groups().size());
  const int64_t pages = groups > 0 ? stats.pages_total / groups : 0;  // of each group
  plan.cache_tokens = pages * kPageTokens;
  plan.kv_bytes = static_cast<uint64_t>(pages * stats.page_bytes);
  for (const LayerGroup& group : model->groups()) {
    if (group.window == 0) plan.kv_token_bytes += static_cast<uint64_t>(group.page_bytes) / kPageTokens;
  }
  plan.workspace_bytes = static_cast<uint64_t>(stats.workspace_bytes);
  // A token's text, its entry in the index by text, and its kind.
  const Tokenizer& tokenizer = model->tokenizer();
  for (int32_t token = 0; token < tokenizer.size(); ++token)
    plan.vocabulary_bytes += tokenizer.piece(token).size() + 64;
  LINNET_TRY(plan.available_bytes, os::available_memory());
  return plan;
}

}  // namespace linnet
