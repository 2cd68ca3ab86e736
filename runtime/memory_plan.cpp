#include "runtime/memory_plan.h"

#include <algorithm>

#include "gguf/base/os.h"

namespace linnet {

Result<MemoryPlan> plan_memory(const std::shared_ptr<const Model>& model, const EngineOptions& options) {
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

Result<EngineOptions> fit_to_memory(const std::shared_ptr<const Model>& model, EngineOptions options,
                                    const MemoryLimit& limit, std::vector<std::string>& remarks) {
  constexpr int64_t kLeastBatch = 32, kLeastContext = 512;
  constexpr double kGigabyte = 1 << 30;
  const EngineOptions wished = options;
  LINNET_TRY(MemoryPlan plan, plan_memory(model, options));
  options.context = plan.context;
  const auto room = [&] {  // for the cache
    const uint64_t fixed = plan.total() - plan.kv_bytes;
    return limit.bytes > fixed ? limit.bytes - fixed : 0;
  };
  const auto cache = [&](int64_t tokens) {
    return static_cast<uint64_t>(tokens) * plan.kv_bytes / static_cast<uint64_t>(plan.cache_tokens);
  };
  if (plan.total() <= limit.bytes || plan.cache_tokens == 0) return options;
  while (limit.smaller_batch && cache(options.context) > room() && options.batch_tokens > kLeastBatch) {
    options.batch_tokens = std::max(options.batch_tokens / 2, kLeastBatch);
    LINNET_TRY(plan, plan_memory(model, options));
  }
  while (limit.smaller_context && cache(options.context) > room() && options.context > kLeastContext) {
    options.context = std::max(options.context / 2, kLeastContext);
  }
  if (cache(options.context) > room()) {
    const uint64_t needed = plan.total() - plan.kv_bytes + cache(options.context);
    if (limit.strict) {
      return fail(
          Code::out_of_memory,
          "the model does not fit. Available memory: {:.2f} GB, required: {:.2f} GB (weights {:.2f} GB, cache of "
          "one context {:.2f} GB). Suggestion: raise max_memory_mb, or take a smaller model or ctx_size",
          limit.bytes / kGigabyte, needed / kGigabyte, plan.weight_bytes / kGigabyte,
          cache(options.context) / kGigabyte);
    }
    remarks.push_back(fmt::format(
        "the model takes {:.2f} GB and {:.2f} GB are there: it will be slow, since the system reads weights again and "
        "again; take a smaller model, or one of fewer bits",
        needed / kGigabyte, limit.bytes / kGigabyte));
  }
  const auto fitting = static_cast<int64_t>(room() / std::max<uint64_t>(cache(kPageTokens), 1)) * kPageTokens;
  options.cache_tokens = std::clamp(fitting, std::min(options.context, plan.cache_tokens), plan.cache_tokens);
  if (options.batch_tokens < wished.batch_tokens)
    remarks.push_back(
        fmt::format("batch_size is {} instead of {}, to fit into memory", options.batch_tokens, wished.batch_tokens));
  if (options.context < model->context_for(wished.context))
    remarks.push_back(fmt::format("ctx_size is {} instead of {}, to fit into memory", options.context,
                                  model->context_for(wished.context)));
  if (options.cache_tokens < plan.cache_tokens)
    remarks.push_back(fmt::format("the cache holds {} tokens instead of {}, to fit into memory", options.cache_tokens,
                                  plan.cache_tokens));
  return options;
}

}  // namespace linnet
