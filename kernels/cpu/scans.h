// Scans over one row of logits.
#pragma once

#include "kernels/cpu/lanes.h"

namespace linnet {
namespace {

template <class S>
float scan_max(const float* x, int64_t n) {
  Lanes<S> best(-__builtin_inff());
  auto nan = S::unordered(S::set(0.0f));
  for_lanes<S>(x, n, [&](int i, typename S::F v, int64_t at) {
    nan = S::mask_or(nan, S::unordered(v));
    if (at + S::width > n) v = S::select(S::range(0, n - at), v, S::set(-__builtin_inff()));
    best.a[i] = S::max(v, best.a[i]);
  });
  return S::any(nan) ? __builtin_nanf("") : best.max();
}

template <class S>
int64_t scan_above(const float* x, int64_t n, float threshold, int32_t* ids, int64_t capacity) {
  int64_t found = 0;
  for_lanes<S>(x, n, [&](int, typename S::F v, int64_t at) {
    auto bits = S::mask_bits(S::le(S::set(threshold), v));
    if (at + S::width > n) bits &= n > at ? (1u << (n - at)) - 1 : 0u;
    for (; bits; bits &= bits - 1, ++found)
      if (found < capacity) ids[found] = static_cast<int32_t>(at + __builtin_ctz(bits));
  });
  return found;
}

template <class S>
float scan_sum_exp(const float* x, int64_t n, float shift) {
  Lanes<S> lanes;
  for_lanes<S>(x, n, [&](int i, typename S::F v, int64_t at) {
    auto e = math::exp_of<S>(S::sub(v, S::set(shift)));
    if (at + S::width > n) e = S::select(S::range(0, n - at), e, S::set(0.0f));
    lanes.a[i] = S::add(lanes.a[i], e);
  });
  return lanes.sum();
}

template <class S>
void scan_exp(const float* x, int64_t n, float shift, float* y) {
  const auto exp = [shift](typename S::F v) { return math::exp_of<S>(S::sub(v, S::set(shift))); };
  int64_t k = 0;
  for (; k + S::width <= n; k += S::width) S::store(y + k, exp(S::load(x + k)));
  if (k < n) S::store_n(y + k, exp(S::load_n(x + k, n - k)), n - k);
}

}  // namespace
}  // namespace linnet
