// Decode on AVX-512: the integer sums of a group of consecutive units of one row with N tokens, unpacked once.
#pragma once

#include "kernels/cpu/decode_avx512.h"

namespace linnet {
namespace {

// A pair of units is a register of 16 partial sums: eight of the even unit, eight of the odd one. Two pairs become the
// sums of units 0, 1, 2, 3.
LINNET_INLINE __m128i sum_pairs(__m512i p01, __m512i p23) {
  __m512i t = _mm512_add_epi32(_mm512_unpacklo_epi32(p01, p23), _mm512_unpackhi_epi32(p01, p23));
  t = _mm512_add_epi32(t, _mm512_shuffle_epi32(t, _MM_PERM_ENUM(_MM_SHUFFLE(1, 0, 3, 2))));
  const __m256i u = _mm256_unpacklo_epi32(_mm512_castsi512_si256(t), _mm512_extracti64x4_epi64(t, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(u), _mm256_extracti128_si256(u, 1));
}
// The same for two sets of pairs at once: first the sums of 128 bits, then of 256.
LINNET_INLINE __m512i sum_lanes(__m512i p01, __m512i p23, __m512i q01, __m512i q23) {
  const __m512i t = _mm512_add_epi32(_mm512_unpacklo_epi32(p01, p23), _mm512_unpackhi_epi32(p01, p23));
  const __m512i u = _mm512_add_epi32(_mm512_unpacklo_epi32(q01, q23), _mm512_unpackhi_epi32(q01, q23));
  return _mm512_add_epi32(_mm512_unpacklo_epi64(t, u), _mm512_unpackhi_epi64(t, u));
}
LINNET_INLINE void sum_pairs(__m512i p01, __m512i p23, __m512i q01, __m512i q23, __m128i& p, __m128i& q) {
  __m512i x = sum_lanes(p01, p23, q01, q23);
  x = _mm512_add_epi32(x, _mm512_shuffle_i32x4(x, x, _MM_SHUFFLE(2, 3, 0, 1)));
  const __m128i even = _mm512_castsi512_si128(x), odd = _mm512_extracti32x4_epi32(x, 2);
  p = _mm_unpacklo_epi32(even, odd);
  q = _mm_unpackhi_epi32(even, odd);
}
// Sums of the first and of the second halves of eight units.
LINNET_INLINE void sum_eight_halves(const __m512i (&p)[4], __m128i (&first)[2], __m128i (&second)[2]) {
  const __m512i x = sum_lanes(p[0], p[1], p[2], p[3]);
  const __m128i even[2] = {_mm512_castsi512_si128(x), _mm512_extracti32x4_epi32(x, 1)};
  const __m128i odd[2] = {_mm512_extracti32x4_epi32(x, 2), _mm512_extracti32x4_epi32(x, 3)};
  first[0] = _mm_unpacklo_epi32(even[0], odd[0]), first[1] = _mm_unpackhi_epi32(even[0], odd[0]);
  second[0] = _mm_unpacklo_epi32(even[1], odd[1]), second[1] = _mm_unpackhi_epi32(even[1], odd[1]);
}

// Units of 32: eight at once.
template <class F, int N>
LINNET_INLINE void group32(const typename F::Block* b, const QuantRows& x, GroupSums<F, N>& out) {
  using C = Codes<F>;
  __m512i p[N][4];
#pragma GCC unroll 4
  for (int h = 0; h < 4; ++h) {
    const __m512i w = pair_bytes<F>(b[2 * h], b[2 * h + 1]);
#pragma GCC unroll 4
    for (int t = 0; t < N; ++t) {
      const __m512i q = _mm512_loadu_si512(x.q + t * x.q_stride + 64 * h), zero = _mm512_setzero_si512();
      p[t][h] = _mm512_dpbusd_epi32(zero, w, q);
      if constexpr (C::halves)  // no sum of activations is as short: the offset is put right here
        p[t][h] = _mm512_sub_epi32(p[t][h], _mm512_dpbusd_epi32(zero, _mm512_set1_epi8(char(C::offset)), q));
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < N; ++t) {
    if constexpr (C::halves)
      sum_eight_halves(p[t], out.isum[t], out.msum[t]);
    else
      sum_pairs(p[t][0], p[t][1], p[t][2], p[t][3], out.isum[t][0], out.isum[t][1]);
    if constexpr (!C::halves && (C::offset != 0 || C::has_min)) {
      const __m256i sums = _mm256_cvtepi16_epi32(load128(x.sums + t * x.sums_stride));
      const __m128i sum[2] = {_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1)};
      for (int h = 0; h < 2; ++h) {
        if constexpr (C::offset != 0) {
          constexpr int shift = __builtin_ctz(C::offset);
          static_assert(C::offset == 1 << shift);
          out.isum[t][h] = _mm_sub_epi32(out.isum[t][h], _mm_slli_epi32(sum[h], shift));
        }
        out.msum[t][h] = sum[h];
      }
    }
  }
  for (int h = 0; h < 2; ++h) {
    const Four<F> four = {{b + 4 * h, b + 4 * h + 1, b + 4 * h + 2, b + 4 * h + 3}};
    out.d[h] = four_scales(four);
    out.minimum[h] = four_minimums(four);
  }
}

// A lane of a product is four values. Packed to words beside the lanes 64 values on, a 128-bit lane i holds four sums of
// values 16i.. and four of values 64 + 16i..: their sub-scales in that order, for the first or the second 128 values.
constexpr Lanes512<uint16_t, 32> pack_order(int unit, int half) {
  Lanes512<uint16_t, 32> t{};
  for (int w = 0; w < 32; ++w) t.v[w] = uint16_t(16 * unit + 8 * half + w / 8 + (w % 8 < 4 ? 0 : 4));
  return t;
}
// The sub-scale of lane i of 64 values from 64k on, in the upper word of a dword.
constexpr Lanes512<uint16_t, 32> upper_word_order(int unit, int k) {
  Lanes512<uint16_t, 32> t{};
  for (int w = 0; w < 32; ++w) t.v[w] = uint16_t(16 * unit + 4 * k + w / 8);
  return t;
}

// Sixteen partial sums of a unit with sub-scales. `words` holds those of two units; this is unit 0 or 1 of them.
template <class F, int which>
struct UnitDot512 {
  // A lane's four products stay within an int16, so that two registers can be packed to one and be multiplied by
  // sub-scales and added in one instruction.
  static constexpr bool packs = 4 * Codes<F>::max * 127 <= 32767;
  static constexpr int scales = !Codes<F>::scaled ? 0 : packs ? 2 : 4;
  __m512i w[4];
  __m512i scale[scales > 0 ? scales : 1];

  LINNET_INLINE UnitDot512(const typename F::Block& b, __m512i words) {
    Unit512<F>::bytes(b, w);
    if constexpr (scales == 2) {
      static constexpr Lanes512<uint16_t, 32> order[2] = {pack_order(which, 0), pack_order(which, 1)};
      for (int i = 0; i < 2; ++i) scale[i] = _mm512_permutexvar_epi16(load_lanes(order[i]), words);
    } else if constexpr (scales == 4) {
      static constexpr Lanes512<uint16_t, 32> order[4] = {upper_word_order(which, 0), upper_word_order(which, 1),
                                                          upper_word_order(which, 2), upper_word_order(which, 3)};
      for (int i = 0; i < 4; ++i)
        scale[i] = _mm512_srai_epi32(_mm512_permutexvar_epi16(load_lanes(order[i]), words), 16);
    }
  }
  LINNET_INLINE __m512i operator()(const int8_t* x) const {
    const __m512i zero = _mm512_setzero_si512();
    __m512i a[4];
    for (int k = 0; k < 4; ++k) {
      const __m512i start = scales == 0 && k > 0 ? a[k - 1] : zero;
      a[k] = _mm512_dpbusd_epi32(start, w[k], _mm512_loadu_si512(x + 64 * k));
    }
    if constexpr (scales == 0) {
      return a[3];
    } else if constexpr (scales == 2) {
      const __m512i low = _mm512_dpwssd_epi32(zero, _mm512_packs_epi32(a[0], a[1]), scale[0]);
      return _mm512_dpwssd_epi32(low, _mm512_packs_epi32(a[2], a[3]), scale[1]);
    } else {
      for (int k = 0; k < 4; ++k) a[k] = _mm512_mullo_epi32(a[k], scale[k]);
      return _mm512_add_epi32(_mm512_add_epi32(a[0], a[1]), _mm512_add_epi32(a[2], a[3]));
    }
  }
};

// Units of 256: four at once.
template <class F, int N>
LINNET_INLINE void group256(const typename F::Block* b, const QuantRows& x, GroupSums<F, N>& out) {
  using C = Codes<F>;
  const Four<F> four = {{b, b + 1, b + 2, b + 3}};
  __m512i scale[2], minimum[2];
  Unit512<F>::words(four, scale, minimum);
  __m512i p[N][2], m[N][2];
#pragma GCC unroll 2
  for (int h = 0; h < 2; ++h) {
    __m512i even[N];
    {
      const UnitDot512<F, 0> dot(b[2 * h], scale[h]);
#pragma GCC unroll 4
      for (int t = 0; t < N; ++t) even[t] = dot(x.q + t * x.q_stride + 512 * h);
    }
    const UnitDot512<F, 1> dot(b[2 * h + 1], scale[h]);
#pragma GCC unroll 4
    for (int t = 0; t < N; ++t) {
      const __m512i odd = dot(x.q + t * x.q_stride + 512 * h + 256);
      p[t][h] = _mm512_add_epi32(_mm512_shuffle_i64x2(even[t], odd, _MM_SHUFFLE(1, 0, 1, 0)),
                                 _mm512_shuffle_i64x2(even[t], odd, _MM_SHUFFLE(3, 2, 3, 2)));
    }
    if constexpr (C::offset != 0 || C::has_min) {
      const __m512i factor = C::has_min ? minimum[h] : _mm512_mullo_epi16(scale[h], _mm512_set1_epi16(-C::offset));
#pragma GCC unroll 4
      for (int t = 0; t < N; ++t) {
        const __m512i sums = _mm512_loadu_si512(x.sums + t * x.sums_stride + 32 * h);
        if constexpr (C::has_min)
          m[t][h] = _mm512_madd_epi16(factor, sums);
        else
          p[t][h] = _mm512_dpwssd_epi32(p[t][h], factor, sums);
      }
    }
  }
#pragma GCC unroll 4
  for (int t = 0; t < N; ++t) {
    if constexpr (C::has_min)
      sum_pairs(p[t][0], p[t][1], m[t][0], m[t][1], out.isum[t][0], out.msum[t][0]);
    else
      out.isum[t][0] = sum_pairs(p[t][0], p[t][1]);
  }
  out.d[0] = four_scales(four);
  out.minimum[0] = four_minimums(four);
}

}  // namespace
}  // namespace linnet
