// Fast scans over one row of logits. Runtime fills this from the kernel table; the defaults are the scalar definition.
#pragma once

#include <cstdint>

namespace linnet {

// Signatures and meaning as in kernels/kernels.h. All are pure functions, callable from any thread.
struct Scans {
  // NaN when any x is NaN; n >= 1.
  float (*max)(const float* x, int64_t n);
  // Writes the indices with x[i] >= threshold in order; returns how many there are (which may exceed capacity: only the
  // first `capacity` are written).
  int64_t (*above)(const float* x, int64_t n, float threshold, int32_t* ids, int64_t capacity);
  // Sum of exp(x - shift): lane i mod 32, then a halving tree.
  float (*sum_exp)(const float* x, int64_t n, float shift);
  // y[i] = exp(x[i] - shift); y may be x.
  void (*exp)(const float* x, int64_t n, float shift, float* y);
  static Scans scalar();
};

}  // namespace linnet
