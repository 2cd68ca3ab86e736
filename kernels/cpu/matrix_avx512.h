// Matrix products on AVX-512 (VNNI, VBMI): the instruction-set part of gemv.h, slab.h and float_dot.h.
#pragma once

#include "kernels/cpu/dot_avx512.h"
#include "kernels/cpu/simd_avx512.h"
#include "kernels/cpu/vector_matrix.h"

namespace linnet {
namespace {

struct Avx512Matrix : VectorMatrix<Avx512Matrix> {
  using Simd = Avx512;

  // Slabs of 2 x 16 rows, tiles of 6 tokens: 24 sums, two weight registers and an activation in 32 registers; a tile step
  // is 12 products on 8 loads, which leaves the load ports slack.
  static constexpr int lanes = 16, vectors = 2, tokens = 6;
  static constexpr bool start_sums = true;     // offsets are put right by where a sum starts
  static constexpr bool signed_bytes = false;  // vpdpbusd has an unsigned side
  template <class F>
  static constexpr int64_t slab_from = F::unit == 32 ? 4 : 9;  // tokens, measured
  static constexpr int float_rows = 6, float_tokens = 4;

  LINNET_INLINE static Simd::F load_bfloat16(const void* p) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load256(p)), 16));
  }

  template <class F, int N>
  LINNET_INLINE static void group(const typename F::Block* b, const QuantRows& x, GroupSums<F, N>& out) {
    if constexpr (F::unit == 32)
      group32<F, N>(b, x, out);
    else
      group256<F, N>(b, x, out);
  }

  // --- slab.h: unpacking ---

  template <class F>
  LINNET_INLINE static void unit_bytes(const typename F::Block& b, uint8_t* out) {
    if constexpr (F::unit == 32) {
      _mm256_store_si256(reinterpret_cast<__m256i*>(out), _mm512_castsi512_si256(pair_bytes<F>(b, b)));
    } else {
      __m512i w[4];
      Unit512<F>::bytes(b, w);
      for (int k = 0; k < 4; ++k) _mm512_store_si512(out + 64 * k, w[k]);
    }
  }
  // Sub-scales and sub-minimums of four rows, [4][16].
  template <class F>
  LINNET_INLINE static void unit_words(const Four<F>& b, int16_t* scale, int16_t* minimum) {
    __m512i s[2], m[2];
    Unit512<F>::words(b, s, m);
    for (int h = 0; h < 2; ++h) {
      _mm512_store_si512(scale + 32 * h, s[h]);
      if constexpr (F::has_min) _mm512_store_si512(minimum + 32 * h, m[h]);
    }
  }
  // 16 bytes of each of 16 rows, `stride` apart, to four lines of 16 lanes.
  LINNET_INLINE static void transpose4(const void* rows, int64_t stride, std::byte* out, int64_t line) {
    const std::byte* p = static_cast<const std::byte*>(rows);
    __m512i a[4];
    for (int i = 0; i < 4; ++i)
      a[i] = gather128(p + i * stride, p + (4 + i) * stride, p + (8 + i) * stride, p + (12 + i) * stride);
    const __m512i t0 = _mm512_unpacklo_epi32(a[0], a[1]), t1 = _mm512_unpackhi_epi32(a[0], a[1]);
    const __m512i u0 = _mm512_unpacklo_epi32(a[2], a[3]), u1 = _mm512_unpackhi_epi32(a[2], a[3]);
    _mm512_store_si512(out, _mm512_unpacklo_epi64(t0, u0));
    _mm512_store_si512(out + line, _mm512_unpackhi_epi64(t0, u0));
    _mm512_store_si512(out + 2 * line, _mm512_unpacklo_epi64(t1, u1));
    _mm512_store_si512(out + 3 * line, _mm512_unpackhi_epi64(t1, u1));
  }

  // Sixteen products' sum within an int16: then a fold is one vpdpwssd with the sub-scale in the lower word (the upper
  // word of the sum meets zero), else vpmulld and vpaddd.
  template <class F>
  static constexpr bool narrow = 16 * Codes<F>::max * 127 <= 32767;

  LINNET_INLINE static __m512i lower_word(__m512i pair, bool zero_extend) {
    return zero_extend ? _mm512_and_si512(pair, _mm512_set1_epi32(0xffff))
                       : _mm512_srai_epi32(_mm512_slli_epi32(pair, 16), 16);
  }
  LINNET_INLINE static __m512i upper_word(__m512i pair, bool zero_extend) {
    return zero_extend ? _mm512_srli_epi32(pair, 16) : _mm512_srai_epi32(pair, 16);
  }
  // From eight lines of word pairs (values 32i..32i+15, 32i+16..32i+31) to a line per sub-block.
  template <class F>
  LINNET_INLINE static void put_scales(const std::byte* pairs, std::byte* out, int64_t line) {
    for (int i = 0; i < 8; ++i) {
      const __m512i pair = _mm512_load_si512(pairs + 64 * i);
      if constexpr (Codes<F>::sub == 32) {
        _mm512_store_si512(out + i * line, lower_word(pair, narrow<F>));
      } else {
        _mm512_store_si512(out + 2 * i * line, lower_word(pair, narrow<F>));
        _mm512_store_si512(out + (2 * i + 1) * line, upper_word(pair, narrow<F>));
      }
    }
  }
  template <class F>
  LINNET_INLINE static void put_min_pairs(const std::byte* pairs, std::byte* out, int64_t line) {
    for (int i = 0; i < Codes<F>::subs / 2; ++i) {
      if constexpr (Codes<F>::sub == 32) {
        const __m512i even = _mm512_load_si512(pairs + 128 * i), odd = _mm512_load_si512(pairs + 128 * i + 64);
        _mm512_store_si512(out + i * line, _mm512_mask_blend_epi16(0xaaaaaaaa, even, odd));
      } else {
        _mm512_store_si512(out + i * line, _mm512_load_si512(pairs + 64 * i));
      }
    }
  }

  // --- slab.h: products ---

  LINNET_INLINE static __m512i four_values(const void* p) {
    int32_t v;
    std::memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
  }

  // Over values [from, to) of the unit.
  template <class F, int from, int to, int T>
  LINNET_INLINE static void sum_values(const std::byte* unit, const TileTokens& x, int64_t b,
                                       __m512i (&sum)[vectors][T]) {
    using C = Codes<F>;
    using U = SlabUnit<Avx512Matrix, F>;
    constexpr int run = C::scaled && narrow<F> ? 16 : C::sub == 256 ? 32 : C::sub;  // values per fold
    static_assert(!U::starts || !C::scaled || run == C::sub);
    const int8_t* q = x.q + b * C::unit;
    const int32_t* starts = x.starts + b * C::subs + from / C::sub;
    __m512i acc[vectors][T];
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t)
        sum[v][t] = !C::scaled && U::starts ? _mm512_set1_epi32(starts[t * x.starts_stride]) : _mm512_setzero_si512();
#pragma GCC unroll 1
    for (int k = from; k < to; k += run) {
      auto& into = *(C::scaled ? &acc : &sum);
      if constexpr (C::scaled) {
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
          const __m512i start =
              U::starts ? _mm512_set1_epi32(starts[t * x.starts_stride + k / run]) : _mm512_setzero_si512();
#pragma GCC unroll 2
          for (int v = 0; v < vectors; ++v) acc[v][t] = start;
        }
      }
#pragma GCC unroll 8
      for (int i = 0; i < run; i += 4) {
        __m512i w[vectors];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) w[v] = _mm512_load_si512(unit + (k + i) / 4 * U::line + v * 64);
#pragma GCC unroll 8
        for (int t = 0; t < T; ++t) {
          const __m512i values = four_values(q + t * x.q_stride + k + i);
#pragma GCC unroll 2
          for (int v = 0; v < vectors; ++v) into[v][t] = _mm512_dpbusd_epi32(into[v][t], w[v], values);
        }
      }
      if constexpr (C::scaled) {
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) {
          const __m512i scale = _mm512_load_si512(unit + U::scales_at + k / C::sub * U::line + v * 64);
#pragma GCC unroll 8
          for (int t = 0; t < T; ++t) {
            if constexpr (narrow<F>)
              sum[v][t] = _mm512_dpwssd_epi32(sum[v][t], acc[v][t], scale);
            else
              sum[v][t] = _mm512_add_epi32(sum[v][t], _mm512_mullo_epi32(acc[v][t], scale));
          }
        }
      }
    }
  }

  template <class F, int T>
  LINNET_INLINE static void unit_sums(const std::byte* unit, const TileTokens& x, int64_t b,
                                      __m512i (&sum)[vectors][T]) {
    sum_values<F, 0, Codes<F>::halves ? Codes<F>::sub : F::unit>(unit, x, b, sum);
  }
  template <class F, int T>
  LINNET_INLINE static void unit_min_sums(const std::byte* unit, const TileTokens& x, int64_t b,
                                          __m512i (&sum)[vectors][T]) {
    if constexpr (Codes<F>::halves) return sum_values<F, Codes<F>::sub, F::unit>(unit, x, b, sum);
    using C = Codes<F>;
    using U = SlabUnit<Avx512Matrix, F>;
    const int16_t* sums = x.sums + b * C::subs;
#pragma GCC unroll 2
    for (int v = 0; v < vectors; ++v)
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t)
        sum[v][t] = C::scaled ? _mm512_setzero_si512() : _mm512_set1_epi32(sums[t * x.sums_stride]);
#pragma GCC unroll 1
    for (int i = 0; i < U::pairs; ++i) {
      __m512i w[vectors];
#pragma GCC unroll 2
      for (int v = 0; v < vectors; ++v) w[v] = _mm512_load_si512(unit + U::pairs_at + i * U::line + v * 64);
#pragma GCC unroll 8
      for (int t = 0; t < T; ++t) {
        const __m512i pair = four_values(sums + t * x.sums_stride + 2 * i);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) sum[v][t] = _mm512_dpwssd_epi32(sum[v][t], w[v], pair);
      }
    }
  }
};

template <>
struct MatrixOf<Avx512> {
  using type = Avx512Matrix;
};

}  // namespace
}  // namespace linnet
