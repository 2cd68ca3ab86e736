// The canonical dot products (docs/canonical-arithmetic.md), written to be read. The scalar backend runs them; every
// other path must give the same bits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "gguf/formats/formats.h"
#include "kernels/cpu/codes.h"

namespace linnet {

// The integer view of one row of a quantized matrix, unpacked once for all tokens. int16 holds every weight of every
// format: at most 128 * 127 with sub-scale.
struct IntegerRow {
  int16_t* weight;      // [cols]
  int16_t* min_weight;  // [cols], only with minimums
  float* scale;         // [cols/unit]
  float* minimum;       // [cols/unit], only with minimums

  // In memory of kIntegerRowBytes * cols bytes, aligned to 4.
  LINNET_INLINE static IntegerRow in(std::byte* memory, int64_t cols) {
    float* floats = reinterpret_cast<float*>(memory);
    int16_t* words = reinterpret_cast<int16_t*>(floats + 2 * cols);
    return {words, words + cols, floats, floats + cols};
  }
};
inline constexpr int64_t kIntegerRowBytes = 4 + 4 + 2 + 2;  // per value: room for any unit

template <class F>
LINNET_INLINE void unpack_row(const typename F::Block* row, int64_t cols, const IntegerRow& out) {
  using U = UnitFormat<F>;
  for (int64_t b = 0; b < cols / U::unit; ++b) {
    const typename U::Block& unit = unit_block<F>(row, b);
    out.scale[b] = U::scale(unit);
    for (int i = 0; i < U::unit; ++i) out.weight[b * U::unit + i] = int16_t(U::weight(unit, i));
    if constexpr (U::has_min) {
      out.minimum[b] = U::minimum(unit);
      for (int i = 0; i < U::unit; ++i) out.min_weight[b * U::unit + i] = int16_t(U::min_weight(unit, i));
    }
  }
}

// Four accumulators: unit b belongs to a[b mod 4]. The integers of a unit are exact; its float part is rounded in the
// scale (d * dx), in the conversion to float, and in the fma, nowhere else.
template <class F>
LINNET_INLINE float dot_quantized(const IntegerRow& w, const int8_t* q, const float* dx, int64_t cols) {
  float a[4] = {};
  for (int64_t b = 0; b < cols / F::unit; ++b) {
    const int16_t* weight = w.weight + b * F::unit;
    const int8_t* x = q + b * F::unit;
    int32_t isum = 0;
    for (int i = 0; i < F::unit; ++i) isum += weight[i] * x[i];
    a[b % 4] = std::fmaf(w.scale[b] * dx[b], float(isum), a[b % 4]);
    if constexpr (F::has_min) {
      const int16_t* min_weight = w.min_weight + b * F::unit;
      int32_t msum = 0;
      for (int i = 0; i < F::unit; ++i) msum += min_weight[i] * x[i];
      a[b % 4] = std::fmaf(-(w.minimum[b] * dx[b]), float(msum), a[b % 4]);
    }
  }
  return (a[0] + a[2]) + (a[1] + a[3]);
}

// 32 accumulators: value k belongs to a[k mod 32], in order of k; the tail is padded with +0. Then one halving tree.
template <class F>
LINNET_INLINE float dot_float(const typename F::Block* w, const float* x, int64_t cols) {
  float a[32] = {};
  for (int64_t k = 0; k < cols; k += 32) {
    for (int i = 0; i < 32; ++i) {
      const bool inside = k + i < cols;
      a[i] = std::fmaf(inside ? F::value(w[k + i], 0) : 0.0f, inside ? x[k + i] : 0.0f, a[i]);
    }
  }
  for (int half = 16; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) a[i] += a[i + half];
  return a[0];
}

}  // namespace linnet
