// Prefill: quantized matrix times many tokens. A slab of rows is unpacked once to bytes with lane = row; then every
// token tile runs over it with one multiply instruction per 4 values x rows x token, without a shuffle or a horizontal
// sum. Any format becomes the same integer tiles, so they all run at about the same speed.
//
// A unit in a slab of R rows (a lane is 4 bytes; one column of lanes per row, so R lanes are a line):
//   [unit/4 lines]   bytes: 4 consecutive values of a row per lane
//   [subs lines]     sub-scales in the form the instruction set multiplies with          (formats with sub-scales)
//   [pairs lines]    int16 pairs that meet pairs of activation sums: sub-minimums, or -offset * sub-scale where the
//                    instruction set puts the offset right afterwards
//   [1 line]         d, float
//   [1 line]         minimum, float                                                       (formats with minimums)
#pragma once

#include <cstddef>
#include <cstring>

#include "kernels/cpu/quads.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

template <class M, class F>
struct SlabUnit {
  using C = Codes<F>;
  static constexpr int rows = M::lanes * M::vectors;
  static constexpr bool min_pairs = C::scaled && C::has_min;
  // Where offsets are not put right at the start of a sum (starts), nor avoided by signed bytes.
  static constexpr bool offset_pairs = C::scaled && C::offset != 0 && !M::start_sums && !(C::wide && M::signed_bytes);
  static constexpr bool starts = C::offset != 0 && !offset_pairs && !(C::wide && M::signed_bytes);
  static constexpr int pairs = min_pairs || offset_pairs ? C::subs / 2 : 0;

  static constexpr int64_t line = rows * 4;
  static constexpr int64_t scales_at = C::unit / 4 * line;
  static constexpr int64_t pairs_at = scales_at + (C::scaled ? C::subs * line : 0);
  static constexpr int64_t d_at = pairs_at + pairs * line;
  static constexpr int64_t minimum_at = d_at + line;
  static constexpr int64_t bytes = minimum_at + (C::has_min ? line : 0);
};

// What a tile of T tokens brings.
struct TileTokens {
  const int8_t* q;  // of the first token, q_stride to the next
  int64_t q_stride;
  const float* d;
  int64_t d_stride;
  const int32_t* starts;  // [units * subs] per token: -offset * (sum of the sub-block's activations)
  int64_t starts_stride;
  const int16_t* sums;  // [units * subs] per token: sums of the sub-blocks, read in pairs
  int64_t sums_stride;
};

// Rows of a matrix; those beyond the last are the last again, computed and not stored.
template <class F>
struct SlabRows {
  const typename F::Block* first;
  int64_t blocks, count;  // blocks of a row
  LINNET_INLINE const typename F::Block* row(int64_t r) const { return first + (r < count ? r : count - 1) * blocks; }
};

// The same unit of n rows: where it lies, or copies where it is a part of a block.
template <class F, int n>
struct SlabBlocks {
  using Block = typename UnitFormat<F>::Block;
  static constexpr bool copies = units_per_block<F> > 1;
  const Block* at[n];
  Block copy[copies ? n : 1];

  LINNET_INLINE SlabBlocks(const SlabRows<F>& rows, int64_t row, int64_t b) {
    for (int i = 0; i < n; ++i) {
      if constexpr (copies)
        copy[i] = unit_block<F>(rows.row(row + i), b), at[i] = &copy[i];
      else
        at[i] = rows.row(row + i) + b;
    }
  }
  LINNET_INLINE Four<UnitFormat<F>> four(int i) const { return {{at[i], at[i + 1], at[i + 2], at[i + 3]}}; }
};

// Unpacks one unit of the rows of one vector of lanes.
template <class M, class F, class B>
LINNET_INLINE void build_unit(std::byte* out, const B& blocks) {
  using C = Codes<F>;
  using U = SlabUnit<M, F>;
  alignas(64) uint8_t bytes[M::lanes][C::unit];
  for (int i = 0; i < M::lanes; ++i) M::template unit_bytes<F>(*blocks.at[i], bytes[i]);
  for (int k = 0; k < C::unit; k += 16) M::transpose4(bytes[0] + k, C::unit, out + k / 4 * U::line, U::line);
  for (int i = 0; i < M::lanes; i += 4) {
    const Four<F> four = blocks.four(i);
    _mm_storeu_ps(reinterpret_cast<float*>(out + U::d_at) + i, four_scales(four));
    if constexpr (C::has_min) _mm_storeu_ps(reinterpret_cast<float*>(out + U::minimum_at) + i, four_minimums(four));
  }
  if constexpr (C::scaled) {
    alignas(64) int16_t scale[M::lanes][16], minimum[M::lanes][16];
    alignas(64) std::byte lines[8][M::lanes * 4];
    for (int i = 0; i < M::lanes; i += 4) M::template unit_words<F>(blocks.four(i), scale[i], minimum[i]);
    for (int k = 0; k < 2; ++k) M::transpose4(scale[0] + 8 * k, sizeof scale[0], lines[4 * k], sizeof lines[0]);
    M::template put_scales<F>(lines[0], out + U::scales_at, U::line);
    if constexpr (U::offset_pairs) M::template put_offset_pairs<F>(lines[0], out + U::pairs_at, U::line);
    if constexpr (U::min_pairs) {
      for (int k = 0; k < 2; ++k) M::transpose4(minimum[0] + 8 * k, sizeof minimum[0], lines[4 * k], sizeof lines[0]);
      M::template put_min_pairs<F>(lines[0], out + U::pairs_at, U::line);
    }
  }
}

template <class M, class F>
void build_slab(std::byte* slab, const SlabRows<F>& rows) {
  using U = SlabUnit<M, UnitFormat<F>>;
  for (int v = 0; v < M::vectors; ++v)
    for (int64_t b = 0; b < rows.blocks * units_per_block<F>; ++b)
      build_unit<M, UnitFormat<F>>(slab + b * U::bytes + v * M::lanes * 4,
                                   SlabBlocks<F, M::lanes>(rows, v * M::lanes, b));
}

// The sums of activations in the order tiles read them. One sum covers 32 values, or 16 in units of 256.
template <class M, class F>
struct TokenSums {
  using C = Codes<F>;
  using U = SlabUnit<M, F>;
  static constexpr int per_sum = F::unit == 32 ? 32 : 16;
  static constexpr int per_sub = C::sub / per_sum;
  static constexpr bool copies_pairs = U::pairs > 0 && per_sub > 1;  // else read where they are

  static constexpr int64_t starts_bytes(int64_t units) { return U::starts ? units * C::subs * M::tokens * 4 : 0; }
  static constexpr int64_t bytes(int64_t units) {
    return starts_bytes(units) + (copies_pairs ? units * C::subs * M::tokens * 2 : 0);
  }
  static int32_t sum(const int16_t* sums, int64_t sub) {
    int32_t total = 0;
    for (int i = 0; i < per_sub; ++i) total += sums[sub * per_sub + i];
    return total;
  }
  static int32_t sum_of(const int8_t* q, int64_t sub) {
    int32_t total = 0;
    for (int i = 0; i < C::sub; ++i) total += q[sub * C::sub + i];
    return total;
  }
  static TileTokens make(const QuantRows& x, int64_t first, int T, int64_t units, std::byte* memory) {
    const int64_t subs = units * C::subs;
    const int16_t* sums = x.sums + first * x.sums_stride;
    int32_t* starts = reinterpret_cast<int32_t*>(memory);
    int16_t* pairs = reinterpret_cast<int16_t*>(memory + starts_bytes(units));
    for (int t = 0; t < T; ++t) {
      const int16_t* from = sums + t * x.sums_stride;
      if constexpr (U::starts && C::halves)  // no sum is as short as half a unit
        for (int64_t j = 0; j < subs; ++j)
          starts[t * subs + j] = -C::offset * sum_of(x.q + (first + t) * x.q_stride, j);
      else if constexpr (U::starts)
        for (int64_t j = 0; j < subs; ++j) starts[t * subs + j] = -C::offset * sum(from, j);
      if constexpr (copies_pairs)
        for (int64_t j = 0; j < subs; ++j) pairs[t * subs + j] = int16_t(sum(from, j));
    }
    return {x.q + first * x.q_stride,
            x.q_stride,
            x.d + first * x.d_stride,
            x.d_stride,
            starts,
            subs,
            copies_pairs ? pairs : sums,
            copies_pairs ? subs : x.sums_stride};
  }
};

// a += (sign * row's factor * token's scale) * sum; factors: a line of a slab unit.
template <class M, int T>
LINNET_INLINE void add_scaled(typename M::Simd::F (&a)[M::vectors][T], const typename M::Simd::I (&sum)[M::vectors][T],
                              const std::byte* factors, float sign, const TileTokens& x, int64_t b) {
  using S = typename M::Simd;
#pragma GCC unroll 2
  for (int v = 0; v < M::vectors; ++v) {
    const typename S::F factor = S::mul(S::load(reinterpret_cast<const float*>(factors) + v * M::lanes), S::set(sign));
#pragma GCC unroll 8
    for (int t = 0; t < T; ++t)
      a[v][t] = S::fma(S::mul(factor, S::set(x.d[t * x.d_stride + b])), S::to_float(sum[v][t]), a[v][t]);
  }
}

// The slab's rows with T tokens: y[t*stride + row], row < count. Units are visited class by class (b mod 4), so that one
// of the four accumulators of every result is at work and the others wait.
template <class M, class F, int T>
void run_tile(float* y, int64_t stride, int64_t count, const std::byte* slab, int64_t units, const TileTokens& x) {
  using S = typename M::Simd;
  using U = SlabUnit<M, F>;
  constexpr int V = M::vectors;
  typename S::F waiting[4][V][T];
  for (int c = 0; c < 4; ++c) {
    typename S::F a[V][T];
#pragma GCC unroll 2
    for (int v = 0; v < V; ++v)
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) a[v][t] = S::set(0);
    for (int64_t b = c; b < units; b += 4) {
      const std::byte* unit = slab + b * U::bytes;
      typename S::I sum[V][T];
      M::template unit_sums<F, T>(unit, x, b, sum);
      add_scaled<M, T>(a, sum, unit + U::d_at, 1.0f, x, b);
      if constexpr (F::has_min) {
        M::template unit_min_sums<F, T>(unit, x, b, sum);
        add_scaled<M, T>(a, sum, unit + U::minimum_at, -1.0f, x, b);
      }
    }
    for (int v = 0; v < V; ++v)
      for (int t = 0; t < T; ++t) waiting[c][v][t] = a[v][t];
  }
  for (int v = 0; v < V; ++v) {
    const int64_t left = count - v * M::lanes;
    if (left <= 0) break;
    for (int t = 0; t < T; ++t) {
      const auto even = S::add(waiting[0][v][t], waiting[2][v][t]), odd = S::add(waiting[1][v][t], waiting[3][v][t]);
      float* to = y + t * stride + v * M::lanes;
      if (left >= M::lanes)
        S::store(to, S::add(even, odd));
      else
        S::store_n(to, S::add(even, odd), left);
    }
  }
}

// run_tile for a number of tokens only known here.
template <class M, class F, int T = M::tokens>
LINNET_INLINE void run_tile_of(int tokens, float* y, int64_t stride, int64_t count, const std::byte* slab,
                               int64_t units, const TileTokens& x) {
  if (tokens == T)
    run_tile<M, F, T>(y, stride, count, slab, units, x);
  else if constexpr (T > 1)
    run_tile_of<M, F, T - 1>(tokens, y, stride, count, slab, units, x);
}

template <class M, class F>
constexpr int64_t slab_scratch(int64_t cols) {
  using U = UnitFormat<F>;
  return cols / U::unit * SlabUnit<M, U>::bytes + TokenSums<M, U>::bytes(cols / U::unit);
}

template <class M, class F>
void slab_rows(float* y, int64_t stride, const Weight& w, const QuantRows& x, int64_t n, int64_t r0, int64_t r1,
               std::byte* scratch) {
  using U = UnitFormat<F>;
  constexpr int64_t slab = SlabUnit<M, U>::rows;
  const int64_t units = w.cols / U::unit, blocks = w.cols / F::values;
  std::byte* sums = scratch + units * SlabUnit<M, U>::bytes;
  for (int64_t r = r0; r < r1; r += slab) {
    const int64_t count = r1 - r < slab ? r1 - r : slab;
    build_slab<M, F>(scratch, {static_cast<const typename F::Block*>(w.data) + r * blocks, blocks, count});
    for (int64_t t = 0; t < n; t += M::tokens) {
      const int tokens = int(n - t < M::tokens ? n - t : M::tokens);
      const TileTokens tile = TokenSums<M, U>::make(x, t, tokens, units, sums);
      run_tile_of<M, U>(tokens, y + t * stride + r, stride, count, scratch, units, tile);
    }
  }
}

}  // namespace
}  // namespace linnet
