// Decode: quantized matrix times one to four tokens. One row at a time, so that a thread reads the matrix as one linear
// stream; more rows at once lose a quarter to a half of the memory bandwidth. Units come in groups (four of 256 values,
// eight of 32): their integer sums meet in four lanes, which are the four canonical accumulators.
#pragma once

#include <cstddef>
#include <cstring>

#include "kernels/cpu/quads.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

// a += float sums of four consecutive units. An absent unit has zero scales and sums, which leaves its lane as it is:
// the definition skips it, and adding zero differs from that only for -0, which a lane never is. It starts at +0, and
// every term is a multiple of the smallest subnormal (a float times an integer), so that no sum rounds to zero.
template <class F, int N>
LINNET_INLINE void add_quad(__m128 (&a)[N], const GroupSums<F, N>& sums, int quad, const QuantRows& x) {
#pragma GCC unroll 4
  for (int t = 0; t < N; ++t) {
    const __m128 dx = _mm_loadu_ps(x.d + t * x.d_stride + 4 * quad);
    a[t] = _mm_fmadd_ps(_mm_mul_ps(sums.d[quad], dx), _mm_cvtepi32_ps(sums.isum[t][quad]), a[t]);
    if constexpr (F::has_min)
      a[t] = _mm_fnmadd_ps(_mm_mul_ps(sums.minimum[quad], dx), _mm_cvtepi32_ps(sums.msum[t][quad]), a[t]);
  }
}

// The last units % group units of the tokens, with zeros behind them, so that a partial group reads like a whole one.
template <class F, int N>
struct TailTokens {
  static constexpr int values = Codes<F>::group * F::unit;
  static constexpr int per_sum = F::unit == 32 ? 32 : 16;
  alignas(64) int8_t q[N][values];
  alignas(64) int16_t sums[N][values / per_sum];
  float d[N][Codes<F>::group];

  QuantRows rows() const { return {q[0], sums[0], d[0], values, values / per_sum, Codes<F>::group}; }
  void load(const QuantRows& x, int64_t first_unit, int64_t units) {
    std::memset(this, 0, sizeof *this);
    for (int t = 0; t < N; ++t) {
      std::memcpy(q[t], x.q + t * x.q_stride + first_unit * F::unit, size_t(units * F::unit));
      std::memcpy(sums[t], x.sums + t * x.sums_stride + first_unit * (F::unit / per_sum),
                  size_t(units * (F::unit / per_sum)) * sizeof(int16_t));
      std::memcpy(d[t], x.d + t * x.d_stride + first_unit, size_t(units) * sizeof(float));
    }
  }
};

template <class F>
LINNET_INLINE void copy_units(const typename F::Block* row, int64_t first, int64_t count,
                              typename UnitFormat<F>::Block* out) {
  if constexpr (units_per_block<F> == 1)
    std::memcpy(static_cast<void*>(out), row + first, size_t(count) * sizeof(*out));
  else
    for (int64_t i = 0; i < count; ++i) out[i] = unit_block<F>(row, first + i);
}

// y[t*stride + r] for t < N, r in [r0, r1).
template <class M, class F, int N>
void gemv(float* y, int64_t stride, const Weight& w, const QuantRows& x, int64_t r0, int64_t r1) {
  using U = UnitFormat<F>;
  using Unit = typename U::Block;
  constexpr int group = Codes<U>::group, quads = group / 4;
  const int64_t units = w.cols / U::unit, whole = units / group * group, rest = units - whole;
  constexpr int per_sum = TailTokens<U, N>::per_sum, blocks = group / units_per_block<F>;
  TailTokens<U, N> tail;
  if (rest > 0) tail.load(x, whole, rest);
  Unit last[group];                                // the last units of a row, then zeros
  Unit parts[units_per_block<F> > 1 ? group : 1];  // of blocks of several units
  std::memset(static_cast<void*>(last), 0, sizeof last);
  for (int64_t r = r0; r < r1; ++r) {
    const auto* row = static_cast<const typename F::Block*>(w.data) + r * (w.cols / F::values);
    __m128 a[N];
    for (int t = 0; t < N; ++t) a[t] = _mm_setzero_ps();
    // Whole groups, then the last units: two rounds of one loop, so that the body, which is large, is there once.
    for (int round = whole > 0 ? 0 : 1; round < (rest > 0 ? 2 : 1); ++round) {
      QuantRows at = round == 0 ? x : tail.rows();
      if (round == 1) copy_units<F>(row, whole, rest, last);
      for (int64_t b = 0; b < (round == 0 ? whole : group); b += group) {
        const Unit* from = last;
        if (round == 0) {
          prefetch_ahead(row + b / units_per_block<F>, blocks * int64_t(sizeof(typename F::Block)));
          if constexpr (units_per_block<F> == 1) {
            from = row + b;
          } else {
            copy_units<F>(row, b, group, parts);
            from = parts;
          }
        }
        GroupSums<U, N> sums;
        M::template group<U, N>(from, at, sums);
        for (int h = 0; h < quads; ++h) add_quad<U, N>(a, sums, h, at);
        at.q += group * U::unit, at.sums += group * U::unit / per_sum, at.d += group;
      }
    }
    for (int t = 0; t < N; ++t) {
      const __m128 two = _mm_add_ps(a[t], _mm_movehl_ps(a[t], a[t]));  // a0 + a2, a1 + a3
      y[t * stride + r] = _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
  }
}

}  // namespace
}  // namespace linnet
