// The parameters of a sampler chain. Definitions and ranges: docs/sampling.md.
#pragma once

#include <cstdint>

namespace linnet {

struct SamplingParams {
  float temperature = 0.7f;  // 0: greedy
  int32_t top_k = 40;        // <= 0: off
  float top_p = 0.95f;
  float min_p = 0.05f;
  float repeat_penalty = 1.10f;
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  int32_t penalty_last_n = 64;  // -1: the context size
  int32_t min_keep = 1;
  int64_t seed = -1;  // -1: chosen at random by create() and reported by Chain::seed()
};

}  // namespace linnet
