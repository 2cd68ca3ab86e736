// Matrices of floats (F32, F16, BF16). A product has 32 accumulator lanes, lane = k mod 32, in order of k, and one
// halving tree at the end. The lanes of a vector are independent chains, so a register tile may visit k with stride 32
// for one vector of lanes after another and still give the same bits: that is what lets many rows and tokens share loads.
#pragma once

#include <cstddef>
#include <cstring>

#include "kernels/cpu/quads.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

template <class M, class F>
LINNET_INLINE typename M::Simd::F load_values(const typename F::Block* p) {
  const void* at = p;  // blocks may lie at any address
  if constexpr (F::type == Type::f32)
    return M::Simd::load(static_cast<const float*>(at));
  else if constexpr (F::type == Type::f16)
    return M::Simd::load_half(static_cast<const Half*>(at));
  else
    return M::load_bfloat16(at);
}
template <int width>
LINNET_INLINE int64_t clamp_to(int64_t n) {
  return n < 0 ? 0 : n > width ? width : n;
}

// The first n of them, the rest +0.
template <class M, class F>
LINNET_INLINE typename M::Simd::F load_values_n(const typename F::Block* p, int64_t n) {
  constexpr int width = M::Simd::width;
  if (n >= width) return load_values<M, F>(p);
  typename F::Block padded[width];
  std::memset(static_cast<void*>(padded), 0, sizeof padded);
  std::memcpy(static_cast<void*>(padded), p, size_t(n) * sizeof(*p));
  return load_values<M, F>(padded);
}

// The tree over 32 lanes: a[i] += a[i + 16], then + 8, ...
template <class S>
LINNET_INLINE float sum_lanes(typename S::F (&a)[32 / S::width]) {
  for (int half = 16 / S::width; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) a[i] = S::add(a[i], a[i + half]);
  return S::sum_tree(a[0]);
}

// One row, one token: all 32 lanes at once, one linear stream.
template <class M, class F>
LINNET_INLINE float dot_row(const typename F::Block* w, const float* x, int64_t cols) {
  using S = typename M::Simd;
  constexpr int width = S::width, vectors = 32 / width;
  typename S::F a[vectors];
  for (int i = 0; i < vectors; ++i) a[i] = S::set(0);
  int64_t k = 0;
  for (; k + 32 <= cols; k += 32) {
    prefetch_ahead(w + k, 32 * int64_t(sizeof(*w)));
    for (int i = 0; i < vectors; ++i)
      a[i] = S::fma(load_values<M, F>(w + k + i * width), S::load(x + k + i * width), a[i]);
  }
  if (k < cols)
    for (int i = 0; i < vectors; ++i) {
      const int64_t at = k + i * width, left = clamp_to<width>(cols - at);
      a[i] = S::fma(load_values_n<M, F>(w + at, left), S::load_n(x + at, left), a[i]);
    }
  return sum_lanes<S>(a);
}

// Adds values [0, cols) of R rows and T tokens to their lanes. w: [R][w_stride] values, x: [T][x_stride] floats, lanes:
// [32/width][R][T][width] floats, which `first` starts at zero. Only the last call for a row may have cols % 32 != 0.
template <class M, class F, int R, int T>
void add_tile(float* lanes, bool first, const typename F::Block* w, int64_t w_stride, const float* x, int64_t x_stride,
              int64_t cols) {
  using S = typename M::Simd;
  constexpr int width = S::width;
  const int64_t whole = cols / 32 * 32;
  for (int i = 0; i < 32 / width; ++i, lanes += R * T * width) {
    typename S::F a[R][T];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) a[r][t] = first ? S::set(0) : S::load(lanes + (r * T + t) * width);
    for (int64_t k = i * width; k < whole; k += 32) {
      typename S::F v[T];
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) v[t] = S::load(x + t * x_stride + k);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const typename S::F weight = load_values<M, F>(w + r * w_stride + k);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) a[r][t] = S::fma(weight, v[t], a[r][t]);
      }
    }
    if (whole < cols) {
      const int64_t at = whole + i * width, left = clamp_to<width>(cols - at);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        const typename S::F weight = load_values_n<M, F>(w + r * w_stride + at, left);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) a[r][t] = S::fma(weight, S::load_n(x + t * x_stride + at, left), a[r][t]);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) S::store(lanes + (r * T + t) * width, a[r][t]);
  }
}

// y[t*stride + r] from the lanes of a tile.
template <class M, int R, int T>
LINNET_INLINE void finish_tile(float* y, int64_t stride, const float* lanes) {
  using S = typename M::Simd;
  constexpr int width = S::width, vectors = 32 / width;
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) {
      typename S::F a[vectors];
      for (int i = 0; i < vectors; ++i) a[i] = S::load(lanes + ((i * R + r) * T + t) * width);
      y[t * stride + r] = sum_lanes<S>(a);
    }
}

// Calls tile.operator()<T>(t) for tiles of float_tokens tokens, then for the rest one by one.
template <class M, class Tile>
LINNET_INLINE void for_token_tiles(int64_t n, const Tile& tile) {
  constexpr int T = M::float_tokens;
  int64_t t = 0;
  for (; t + T <= n; t += T) tile.template operator()<T>(t);
  for (; t < n; ++t) tile.template operator()<1>(t);
}

// Few tokens: the rows are used where they lie.
template <class M, class F, int R>
LINNET_INLINE void few_tokens(float* y, int64_t stride, const typename F::Block* w, const float* x, int64_t n,
                              int64_t cols) {
  for_token_tiles<M>(n, [&]<int T>(int64_t t) {
    alignas(64) float lanes[R * T * 32];
    add_tile<M, F, R, T>(lanes, true, w, cols, x + t * cols, cols, cols);
    finish_tile<M, R, T>(y + t * stride, stride, lanes);
  });
}

// Many tokens: in blocks whose activations stay in the second-level cache while all rows pass by. Rows are converted to
// float in chunks of columns that stay in the first-level cache together with the activations of a tile; the lanes of a
// block wait in memory between chunks.
inline constexpr int64_t kChunk = 512;      // columns
inline constexpr int64_t kMostTokens = 96;  // of a block, a multiple of every float_tokens
inline constexpr int64_t kBlockBytes = 1 << 20;
inline constexpr int64_t kManyTokens = 9;  // from here on conversion pays

LINNET_INLINE int64_t token_block(int64_t cols) {
  const int64_t fitting = kBlockBytes / (cols * int64_t(sizeof(float))) / 4 * 4;
  return fitting < 8 ? 8 : fitting > kMostTokens ? kMostTokens : fitting;
}

template <class M>
constexpr int64_t float_scratch(int64_t cols) {
  return M::float_rows * int64_t(sizeof(float)) * ((cols + kChunk - 1) / kChunk * kChunk + kMostTokens * 32);
}

// n <= kMostTokens
template <class M, class F, int R>
LINNET_INLINE void many_tokens(float* y, int64_t stride, const typename F::Block* w, const float* x, int64_t n,
                               int64_t cols, std::byte* scratch) {
  using S = typename M::Simd;
  float* const converted = reinterpret_cast<float*>(scratch);  // [chunks][R][kChunk], zeros behind the last column
  float* to = converted;
  for (int64_t c = 0; c < cols; c += kChunk)
    for (int r = 0; r < R; ++r, to += kChunk)
      for (int64_t k = 0; k < kChunk && c + k < cols; k += S::width)
        S::store(to + k, load_values_n<M, F>(w + r * cols + c + k, clamp_to<S::width>(cols - c - k)));
  float* const lanes = converted + (cols + kChunk - 1) / kChunk * kChunk * R;
  for (int64_t c = 0; c < cols; c += kChunk) {
    const auto* chunk = reinterpret_cast<const F32::Block*>(converted + c * R);
    for_token_tiles<M>(n, [&]<int T>(int64_t t) {
      add_tile<M, F32, R, T>(lanes + t * R * 32, c == 0, chunk, kChunk, x + t * cols + c, cols,
                             cols - c < kChunk ? cols - c : kChunk);
    });
  }
  for_token_tiles<M>(n, [&]<int T>(int64_t t) { finish_tile<M, R, T>(y + t * stride, stride, lanes + t * R * 32); });
}

template <class M, class F>
void float_rows(float* y, int64_t stride, const Weight& w, const float* x, int64_t n, int64_t r0, int64_t r1,
                std::byte* scratch) {
  constexpr int R = M::float_rows;
  const typename F::Block* rows = static_cast<const typename F::Block*>(w.data);
  const int64_t cols = w.cols, block = n < kManyTokens ? n : token_block(cols);
  const int64_t tiled = n == 1 ? r0 : r0 + (r1 - r0) / R * R;
  for (int64_t t = 0; t < n; t += block) {
    const int64_t tokens = n - t < block ? n - t : block;
    for (int64_t r = r0; r < tiled; r += R) {
      float* to = y + t * stride + r;
      if (n < kManyTokens)
        few_tokens<M, F, R>(to, stride, rows + r * cols, x, n, cols);
      else
        many_tokens<M, F, R>(to, stride, rows + r * cols, x + t * cols, tokens, cols, scratch);
    }
  }
  for (int64_t r = tiled; r < r1; ++r)
    for (int64_t t = 0; t < n; ++t) y[t * stride + r] = dot_row<M, F>(rows + r * cols, x + t * cols, cols);
}

}  // namespace
}  // namespace linnet
