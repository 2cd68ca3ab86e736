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

// y[t*stride + r] for t < N, r in [r0, r1).
template <class M, class F, int N>
void gemv(float* y, int64_t stride, const Weight& w, const QuantRows& x, int64_t r0, int64_t r1) {
  using C = Codes<F>;
  using Block = typename F::Block;
  constexpr int group = C::group, quads = group / 4;
  const int64_t units = w.cols / F::unit, whole = units / group * group, rest = units - whole;
  TailTokens<F, N> tail;
  Block tail_blocks[group];
  if (rest > 0) {
    tail.load(x, whole, rest);
    std::memset(static_cast<void*>(tail_blocks), 0, sizeof tail_blocks);
  }
  constexpr int per_sum = TailTokens<F, N>::per_sum;
  for (int64_t r = r0; r < r1; ++r) {
    const Block* row = static_cast<const Block*>(w.data) + r * units;
    __m128 a[N];
    for (int t = 0; t < N; ++t) a[t] = _mm_setzero_ps();
    for (int64_t b = 0; b < whole; b += group) {
      const QuantRows at = {x.q + b * F::unit, x.sums + b * (F::unit / per_sum), x.d + b, x.q_stride, x.sums_stride,
                            x.d_stride};
      prefetch_ahead(row + b, group * int64_t(sizeof(Block)));
      GroupSums<F, N> sums;
      M::template group<F, N>(row + b, at, sums);
      for (int h = 0; h < quads; ++h) add_quad<F, N>(a, sums, h, at);
    }
    if (rest > 0) {
      std::memcpy(static_cast<void*>(tail_blocks), row + whole, size_t(rest) * sizeof(Block));
      GroupSums<F, N> sums;
      M::template group<F, N>(tail_blocks, tail.rows(), sums);
      for (int h = 0; h < quads; ++h) add_quad<F, N>(a, sums, h, tail.rows());
    }
    for (int t = 0; t < N; ++t) {
      const __m128 two = _mm_add_ps(a[t], _mm_movehl_ps(a[t], a[t]));  // a0 + a2, a1 + a3
      y[t * stride + r] = _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
  }
}

}  // namespace
}  // namespace linnet
