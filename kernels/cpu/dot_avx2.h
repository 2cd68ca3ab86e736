// Decode on AVX2: the integer sums of a group of consecutive units of one row with N tokens, unpacked once.
//
// vpmaddubsw adds two products of an unsigned and a signed byte in 16 bits and saturates: codes up to 127 are safe with
// |x| <= 127 (2 * 127 * 127 < 32768); for signed bytes w it gets |w| <= 128 and x with the sign of w (2 * 128 * 127 <
// 32768; x is never -128, whose negative is no int8).
#pragma once

#include "kernels/cpu/decode_avx2.h"

namespace linnet {
namespace {

// Sums of two products, as words.
template <class F>
LINNET_INLINE __m256i products(__m256i w, __m256i x) {
  if constexpr (Codes<F>::wide)
    return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
  else
    return _mm256_maddubs_epi16(w, x);
}

// Four registers of eight partial sums to the four sums of their lower and the four of their upper halves.
LINNET_INLINE __m256i sum_halves(const __m256i (&v)[4]) {
  const __m256i t = _mm256_add_epi32(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
  const __m256i u = _mm256_add_epi32(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
  return _mm256_add_epi32(_mm256_unpacklo_epi64(t, u), _mm256_unpackhi_epi64(t, u));
}
// To the four sums.
LINNET_INLINE __m128i sum_quad(const __m256i (&v)[4]) {
  const __m256i s = sum_halves(v);
  return _mm_add_epi32(_mm256_castsi256_si128(s), _mm256_extracti128_si256(s, 1));
}

// Units of 32: two quads.
template <class F, int N>
LINNET_INLINE void group32(const typename F::Block* b, const QuantRows& x, GroupSums<F, N>& out) {
  using C = Codes<F>;
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    __m256i v[N][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const __m256i w = bytes32<F>(b[4 * h + j]);
#pragma GCC unroll 4
      for (int t = 0; t < N; ++t)
        v[t][j] =
            _mm256_madd_epi16(products<F>(w, load256(x.q + t * x.q_stride + 128 * h + 32 * j)), _mm256_set1_epi16(1));
    }
#pragma GCC unroll 4
    for (int t = 0; t < N; ++t) {
      if constexpr (C::halves) {
        const __m256i sums = sum_halves(v[t]);
        out.isum[t][h] = _mm256_castsi256_si128(sums);
        out.msum[t][h] = _mm256_extracti128_si256(sums, 1);
      } else {
        out.isum[t][h] = sum_quad(v[t]);
      }
      if constexpr (!C::wide && (C::offset != 0 || C::has_min)) {
        const __m128i sum =
            _mm_cvtepi16_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(x.sums + t * x.sums_stride + 4 * h)));
        if constexpr (C::offset != 0) {
          constexpr int shift = __builtin_ctz(C::offset);
          static_assert(C::offset == 1 << shift);
          out.isum[t][h] = _mm_sub_epi32(out.isum[t][h], _mm_slli_epi32(sum, shift));
        }
        out.msum[t][h] = sum;
      }
    }
    const Four<F> four = {{b + 4 * h, b + 4 * h + 1, b + 4 * h + 2, b + 4 * h + 3}};
    out.d[h] = four_scales(four);
    out.minimum[h] = four_minimums(four);
  }
}

// Sub-scales of 16 words to an order in which a shuffle within 128 bits makes the factors of 32 values: even words to
// the lower half, odd words to the upper.
LINNET_INLINE __m256i even_odd(__m256i words) {
  const __m256i within = _mm256_shuffle_epi8(
      words, _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15)));
  return _mm256_permute4x64_epi64(within, _MM_SHUFFLE(3, 1, 2, 0));
}

// sum[t] += the products of values 32k.. of unit b (open_unit), k..7.
template <class F, int N, int k = 0, class Open>
LINNET_INLINE void add_unit(const Open& b, const QuantRows& x, int64_t at, __m256i scales, __m256i (&sum)[N]) {
  const __m256i w = Unit256<F>::template bytes<k>(b);
  const __m256i scale = Codes<F>::scaled ? _mm256_shuffle_epi8(scales, _mm256_set1_epi16(int16_t(0x0100 + 0x0202 * k)))
                                         : _mm256_set1_epi16(1);
#pragma GCC unroll 4
  for (int t = 0; t < N; ++t) {
    const __m256i words = products<F>(w, load256(x.q + t * x.q_stride + at + 32 * k));
    sum[t] = _mm256_add_epi32(sum[t], _mm256_madd_epi16(words, scale));
  }
  if constexpr (k < 7) add_unit<F, N, k + 1>(b, x, at, scales, sum);
}

// Units of 256: one quad.
template <class F, int N>
LINNET_INLINE void group256(const typename F::Block* b, const QuantRows& x, GroupSums<F, N>& out) {
  using C = Codes<F>;
  __m256i sum[N][4], minimums[N][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    __m256i scale, minimum;
    Unit256<F>::words(b[j], scale, minimum);
    __m256i s[N];
    for (int t = 0; t < N; ++t) s[t] = _mm256_setzero_si256();
    add_unit<F, N>(open_unit<F>(b[j]), x, 256 * j, C::scaled ? even_odd(scale) : scale, s);
#pragma GCC unroll 4
    for (int t = 0; t < N; ++t) {
      const int16_t* sums = x.sums + t * x.sums_stride + 16 * j;
      if constexpr (C::offset != 0 && !C::wide) {
        const __m256i factor = _mm256_mullo_epi16(scale, _mm256_set1_epi16(-C::offset));
        s[t] = _mm256_add_epi32(s[t], _mm256_madd_epi16(factor, load256(sums)));
      }
      if constexpr (C::has_min) minimums[t][j] = _mm256_madd_epi16(minimum, load256(sums));
      sum[t][j] = s[t];
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < N; ++t) {
    out.isum[t][0] = sum_quad(sum[t]);
    if constexpr (C::has_min) out.msum[t][0] = sum_quad(minimums[t]);
  }
  const Four<F> four = {{b, b + 1, b + 2, b + 3}};
  out.d[0] = four_scales(four);
  out.minimum[0] = four_minimums(four);
}

}  // namespace
}  // namespace linnet
