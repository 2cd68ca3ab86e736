// Matrices of floats (F32, F16, BF16). A product has 32 accumulator lanes, lane = k mod 32, in order of k, and one
// halving tree at the end. The lanes of a vector are independent chains, so a register tile may visit k with stride 32
// for one vector of lanes after another and still give the same bits: that is what lets many rows and tokens share loads.
#pragma once

#include <cstddef>
#include <cstring>

#include "gguf/formats/formats.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

template <class M, class F>
LINNET_INLINE typename M::Simd::F load_values(const typename F::Block* p) {
  const void* at = p;  // blocks may lie at any address
  if constexpr (F::type == Type::f32) return M::Simd::load(static_cast<const float*>(at));
  else if constexpr (F::type == Type::f16) return M::Simd::load_half(static_cast<const Half*>(at));
  else return M::load_bfloat16(at);
}
template <int width>
LINNET_INLINE int64_t clamp_to(int64_t n) { return n < 0 ? 0 : n > width ? width : n; }

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
  for (; k + 32 <= cols; k += 32)
    for (int i = 0; i < vectors; ++i)
      a[i] = S::fma(load_values<M, F>(w + k + i * width), S::load(x + k + i * width), a[i]);
  if (k < cols)
    for (int i = 0; i < vectors; ++i) {
      const int64_t at = k + i * width, left = clamp_to<width>(cols - at);
      a[i] = S::fma(load_values_n<M, F>(w + at, left), S::load_n(x + at, left), a[i]);
    }
  return sum_lanes<S>(a);
}

// R rows with T tokens. w: [R][w_stride] values, x: [T][x_stride] floats.
template <class M, class F, int R, int T>
void dot_tile(float* y, int64_t stride, const typename F::Block* w, int64_t w_stride, const float* x, int64_t x_stride,
              int64_t cols) {
  using S = typename M::Simd;
  constexpr int width = S::width, vectors = 32 / width;
  typename S::F lanes[R][T][vectors];
  for (int i = 0; i < vectors; ++i) {
    typename S::F a[R][T];
    for (int r = 0; r < R; ++r)
      for (int t = 0; t < T; ++t) a[r][t] = S::set(0);
    const int64_t whole = cols / 32 * 32;
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
      for (int r = 0; r < R; ++r) {
        const typename S::F weight = load_values_n<M, F>(w + r * w_stride + at, left);
        for (int t = 0; t < T; ++t) a[r][t] = S::fma(weight, S::load_n(x + t * x_stride + at, left), a[r][t]);
      }
    }
    for (int r = 0; r < R; ++r)
      for (int t = 0; t < T; ++t) lanes[r][t][i] = a[r][t];
  }
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) y[t * stride + r] = sum_lanes<S>(lanes[r][t]);
}

template <class M, class F, int R>
LINNET_INLINE void dot_rows(float* y, int64_t stride, const typename F::Block* w, int64_t w_stride, const float* x,
                            int64_t n, int64_t cols) {
  constexpr int T = M::float_tokens;
  static_assert(T == 2 || T == 4);
  int64_t t = 0;
  for (; t + T <= n; t += T) dot_tile<M, F, R, T>(y + t * stride, stride, w, w_stride, x + t * cols, cols, cols);
  if constexpr (T == 4) {
    if (t + 2 <= n) {
      dot_tile<M, F, R, 2>(y + t * stride, stride, w, w_stride, x + t * cols, cols, cols);
      t += 2;
    }
  }
  if (t < n) dot_tile<M, F, R, 1>(y + t * stride, stride, w, w_stride, x + t * cols, cols, cols);
}

// Rows converted to float once for all tokens; where weights are read for few tokens, conversion is cheaper than memory.
inline constexpr int64_t kConvertFrom = 9;

template <class M, class F>
void float_rows(float* y, int64_t stride, const Weight& w, const float* x, int64_t n, int64_t r0, int64_t r1,
                std::byte* scratch) {
  using Block = typename F::Block;
  using S = typename M::Simd;
  constexpr int R = M::float_rows;
  const Block* rows = static_cast<const Block*>(w.data);
  int64_t r = r0;
  if (n > 1) {
    for (; r + R <= r1; r += R) {
      const Block* at = rows + r * w.cols;
      if (n < kConvertFrom || sizeof(Block) == 4) {
        dot_rows<M, F, R>(y + r, stride, at, w.cols, x, n, w.cols);
        continue;
      }
      float* converted = reinterpret_cast<float*>(scratch);  // [R][cols]
      const int64_t values = R * w.cols;
      int64_t k = 0;
      for (; k + S::width <= values; k += S::width) S::store(converted + k, load_values<M, F>(at + k));
      for (; k < values; ++k) converted[k] = F::value(at[k], 0);
      dot_rows<M, F32, R>(y + r, stride, reinterpret_cast<const F32::Block*>(converted), w.cols, x, n, w.cols);
    }
  }
  for (; r < r1; ++r)
    for (int64_t t = 0; t < n; ++t) y[t * stride + r] = dot_row<M, F>(rows + r * w.cols, x + t * w.cols, w.cols);
}

}  // namespace
}  // namespace linnet
