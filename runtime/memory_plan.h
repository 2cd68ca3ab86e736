// What a model takes in memory, said before it is used: the numbers of the very objects that would be made, which
// allocate nothing before they compute.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/engine.h"

namespace linnet {

struct MemoryPlan {
  uint64_t weight_bytes = 0;      // mapped from the file: the system reads them when they are used, and may drop them
  uint64_t kv_bytes = 0;          // of a full page pool; taken page by page
  uint64_t kv_token_bytes = 0;    // of one token, in all layers that keep every token
  uint64_t workspace_bytes = 0;   // of the forward pass, taken with the first step
  uint64_t vocabulary_bytes = 0;  // the tokenizer's own tables, about
  int64_t context = 0, cache_tokens = 0, batch_tokens = 0;
  uint64_t available_bytes = 0;

  // What has to stay in memory while the model works.
  uint64_t total() const { return weight_bytes + kv_bytes + workspace_bytes + vocabulary_bytes; }
  bool fits() const { return total() <= available_bytes; }
};

Result<MemoryPlan> plan_memory(const std::shared_ptr<const Model>& model, const EngineOptions& options);

struct MemoryLimit {
  uint64_t bytes = 0;           // that the model may take with all it needs
  bool strict = false;          // what does not fit is an error; otherwise a remark, since the system can page weights
  bool smaller_batch = true;    // steps may have fewer rows,
  bool smaller_context = true;  // and texts fewer positions
};

// What of the options fits: first the cache becomes smaller, down to one context, then the batch, then the context.
// `remarks` says what was made smaller. out_of_memory names what there is and what it takes.
Result<EngineOptions> fit_to_memory(const std::shared_ptr<const Model>& model, EngineOptions options,
                                    const MemoryLimit& limit, std::vector<std::string>& remarks);

}  // namespace linnet
