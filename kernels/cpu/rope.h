// Rotary position embedding of one head: each pair (x0, x1) turns by its angle,
//   x0' = fma(x0, cos, -(x1 * sin)), x1' = fma(x1, cos, x0 * sin).
#pragma once

#include <cstdint>

#include "gguf/base/inline.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

// In place; cos and sin: [dims/2].
LINNET_INLINE void rope_head(Rope kind, int64_t dims, const float* cos, const float* sin, float* x) {
  if (kind == Rope::none) return;
  const int64_t pairs = dims / 2;
  if (kind == Rope::half) {
    float* y = x + pairs;
    for (int64_t i = 0; i < pairs; ++i) {
      const float x0 = x[i], x1 = y[i];
      x[i] = __builtin_fmaf(x0, cos[i], -(x1 * sin[i]));
      y[i] = __builtin_fmaf(x1, cos[i], x0 * sin[i]);
    }
  } else {
    for (int64_t i = 0; i < pairs; ++i) {
      const float x0 = x[2 * i], x1 = x[2 * i + 1];
      x[2 * i] = __builtin_fmaf(x0, cos[i], -(x1 * sin[i]));
      x[2 * i + 1] = __builtin_fmaf(x1, cos[i], x0 * sin[i]);
    }
  }
}

}  // namespace
}  // namespace linnet
