// Canonical float reductions: 32 lanes, lane = k mod 32, tails padded with +0, then one halving tree.
#pragma once

#include <cstdint>

#include "gguf/base/inline.h"

namespace linnet {
namespace {

template <class S>
struct Lanes {
  static constexpr int registers = 32 / S::width;
  typename S::F a[registers];

  LINNET_INLINE explicit Lanes(float start = 0.0f) {
    for (auto& r : a) r = S::set(start);
  }
  LINNET_INLINE float sum() {
    for (int w = registers / 2; w >= 1; w /= 2)
      for (int i = 0; i < w; ++i) a[i] = S::add(a[i], a[i + w]);
    return S::sum_tree(a[0]);
  }
  LINNET_INLINE float max() {
    for (int w = registers / 2; w >= 1; w /= 2)
      for (int i = 0; i < w; ++i) a[i] = S::max(a[i], a[i + w]);
    return S::max_tree(a[0]);
  }
};

// How many of a vector's lanes hold elements k, k+1, ... below n.
template <class S>
LINNET_INLINE int64_t lanes_left(int64_t k, int64_t n) {
  return n - k >= S::width ? S::width : n > k ? n - k : 0;
}

// Visits x[0..n) as 32 lanes: step(register, vector, index of its first element). Padding is +0.
template <class S, class Step>
LINNET_INLINE void for_lanes(const float* x, int64_t n, Step&& step) {
  int64_t k = 0;
  for (; k + 32 <= n; k += 32)
    for (int i = 0; i < Lanes<S>::registers; ++i) step(i, S::load(x + k + i * S::width), k + i * S::width);
  if (k < n)
    for (int i = 0; i < Lanes<S>::registers; ++i) {
      const int64_t at = k + i * S::width;
      const int64_t left = lanes_left<S>(at, n);
      step(i, left > 0 ? S::load_n(x + at, left) : S::set(0.0f), at);
    }
}

// sum of x[k]
template <class S>
LINNET_INLINE float sum_of(const float* x, int64_t n) {
  Lanes<S> lanes;
  for_lanes<S>(x, n, [&](int i, typename S::F v, int64_t) { lanes.a[i] = S::add(lanes.a[i], v); });
  return lanes.sum();
}

// sum of x[k]^2
template <class S>
LINNET_INLINE float sum_of_squares(const float* x, int64_t n) {
  Lanes<S> lanes;
  for_lanes<S>(x, n, [&](int i, typename S::F v, int64_t) { lanes.a[i] = S::fma(v, v, lanes.a[i]); });
  return lanes.sum();
}

}  // namespace
}  // namespace linnet
