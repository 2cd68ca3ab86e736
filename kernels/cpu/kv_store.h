// One token's key or value of one head into its page (layouts: kernels/kv_layout.h), and back.
// Q8_0: d = amax/127 rounded to binary16, q = round(x * (1/d)) with that d; a NaN becomes 0, as in activations.
#pragma once

#include <cstring>

#include "kernels/cpu/quantize_activations.h"
#include "kernels/kv_layout.h"

namespace linnet {
namespace {

// 32 values: codes and the scale.
template <class S>
LINNET_INLINE Half quantize_kv(const float* x, int8_t* q) {
  const Half d = to_half(amax_of<S>(x, 32) / 127.0f);
  const float scale = to_float(d);
  quantize_codes<S>(x, 32, scale > 0.0f ? 1.0f / scale : 0.0f, q);
  return d;
}

// Dimensions [d0, d1) of one key, x[d0] to x[d1 - 1]; whole blocks of 32 for Q8_0. block: k_head().
template <class S>
void store_key(std::byte* block, KvType type, int64_t k_dim, int64_t d0, int64_t d1, int64_t slot, const float* x) {
  if (type == KvType::f32) {
    auto* k = reinterpret_cast<float*>(block) + slot;
    for (int64_t d = d0; d < d1; ++d) k[d * kPageTokens] = x[d];
  } else if (type == KvType::f16) {
    auto* k = reinterpret_cast<Half*>(block) + slot;
    for (int64_t d = d0; d < d1; d += S::width) {
      Half h[S::width];
      const int64_t left = d1 - d < S::width ? d1 - d : S::width;
      S::store_half(h, S::load_n(x + d, left));
      for (int64_t i = 0; i < left; ++i) k[(d + i) * kPageTokens] = h[i];
    }
  } else {
    Half* scales = kv_scales(block, k_dim) + slot;
    for (int64_t b = d0 / 32; b < d1 / 32; ++b) {
      int8_t q[32];
      scales[b * kPageTokens] = quantize_kv<S>(x + b * 32, q);
      for (int64_t i = 0; i < 8; ++i) std::memcpy(block + ((b * 8 + i) * kPageTokens + slot) * 4, q + i * 4, 4);
    }
  }
}

template <class S>
void store_value(std::byte* block, KvType type, int64_t v_dim, int64_t slot, const float* x) {
  if (type == KvType::f32) {
    std::memcpy(block + slot * v_dim * 4, x, static_cast<size_t>(v_dim) * 4);
  } else if (type == KvType::f16) {
    auto* v = reinterpret_cast<Half*>(block) + slot * v_dim;
    int64_t d = 0;
    for (; d + S::width <= v_dim; d += S::width) S::store_half(v + d, S::load(x + d));
    if (d < v_dim) S::store_half_n(v + d, S::load_n(x + d, v_dim - d), v_dim - d);
  } else {
    Half* scales = kv_scales(block, v_dim) + slot;
    for (int64_t b = 0; b < v_dim / 32; ++b)
      scales[b * kPageTokens] = quantize_kv<S>(x + b * 32, reinterpret_cast<int8_t*>(block) + slot * v_dim + b * 32);
  }
}

// Dimension d of one key.
LINNET_INLINE float key_at(const std::byte* block, KvType type, int64_t k_dim, int64_t slot, int64_t d) {
  if (type == KvType::f32) return reinterpret_cast<const float*>(block)[d * kPageTokens + slot];
  if (type == KvType::f16) return to_float(reinterpret_cast<const Half*>(block)[d * kPageTokens + slot]);
  const int8_t q = reinterpret_cast<const int8_t*>(block)[(d / 4 * kPageTokens + slot) * 4 + d % 4];
  const Half* scales = reinterpret_cast<const Half*>(block + kPageTokens * k_dim);
  return static_cast<float>(q) * to_float(scales[d / 32 * kPageTokens + slot]);
}

// Dimension d of one value.
LINNET_INLINE float value_at(const std::byte* block, KvType type, int64_t v_dim, int64_t slot, int64_t d) {
  if (type == KvType::f32) return reinterpret_cast<const float*>(block)[slot * v_dim + d];
  if (type == KvType::f16) return to_float(reinterpret_cast<const Half*>(block)[slot * v_dim + d]);
  const int8_t q = reinterpret_cast<const int8_t*>(block)[slot * v_dim + d];
  const Half* scales = reinterpret_cast<const Half*>(block + kPageTokens * v_dim);
  return static_cast<float>(q) * to_float(scales[d / 32 * kPageTokens + slot]);
}

}  // namespace
}  // namespace linnet
