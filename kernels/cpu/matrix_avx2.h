// Matrix products on AVX2 (with FMA and F16C, without VNNI): the instruction-set part of gemv.h, slab.h and float_dot.h.
#pragma once

#include "kernels/cpu/dot_avx2.h"
#include "kernels/cpu/simd_avx2.h"
#include "kernels/cpu/vector_matrix.h"

namespace linnet {
namespace {

struct Avx2Matrix : VectorMatrix<Avx2Matrix> {
  using Simd = Avx2;

  // Slabs of 8 rows, tiles of 4 tokens: 4 sums in words, 4 in dwords, a weight register and two for work, of 16.
  static constexpr int lanes = 8, vectors = 1, tokens = 4;
  static constexpr bool start_sums = false;   // sums in 16 bits have no room for the offsets
  static constexpr bool signed_bytes = true;  // whole bytes are multiplied as |w| and x with w's sign
  template <class F>
  static constexpr int64_t slab_from = F::unit == 32 ? 5 : 9;  // tokens, measured
  static constexpr int float_rows = 4, float_tokens = 2;

  LINNET_INLINE static Simd::F load_bfloat16(const void* p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(p)), 16));
  }

  template <class F, int N>
  LINNET_INLINE static void group(const typename F::Block* b, const QuantRows& x, GroupSums<F, N>& out) {
    if constexpr (F::unit == 32)
      group32<F, N>(b, x, out);
    else
      group256<F, N>(b, x, out);
  }

  // --- slab.h: unpacking ---

  LINNET_INLINE static __m256i load(const void* p) { return _mm256_load_si256(static_cast<const __m256i*>(p)); }
  LINNET_INLINE static void store(void* p, __m256i x) { store256(p, x); }

  template <class F, int k, class Open>
  LINNET_INLINE static void store_bytes(const Open& b, uint8_t* out) {
    store(out + 32 * k, Unit256<F>::template bytes<k>(b));
    if constexpr (k < 7) store_bytes<F, k + 1>(b, out);
  }
  template <class F>
  LINNET_INLINE static void unit_bytes(const typename F::Block& b, uint8_t* out) {
    if constexpr (F::unit == 32)
      store(out, bytes32<F>(b));
    else
      store_bytes<F, 0>(open_unit<F>(b), out);
  }
  // Sub-scales and sub-minimums of four rows, [4][16].
  template <class F>
  LINNET_INLINE static void unit_words(const Four<F>& b, int16_t* scale, int16_t* minimum) {
    for (int i = 0; i < 4; ++i) {
      __m256i s, m;
      Unit256<F>::words(b[i], s, m);
      store(scale + 16 * i, s);
      if constexpr (F::has_min) store(minimum + 16 * i, m);
    }
  }
  // 16 bytes of each of 8 rows, `stride` apart, to four lines of 8 lanes.
  LINNET_INLINE static void transpose4(const void* rows, int64_t stride, std::byte* out, int64_t line) {
    const std::byte* p = static_cast<const std::byte*>(rows);
    __m256i a[4];
    for (int i = 0; i < 4; ++i)
      a[i] = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(p + i * stride)), load128(p + (4 + i) * stride), 1);
    const __m256i t0 = _mm256_unpacklo_epi32(a[0], a[1]), t1 = _mm256_unpackhi_epi32(a[0], a[1]);
    const __m256i u0 = _mm256_unpacklo_epi32(a[2], a[3]), u1 = _mm256_unpackhi_epi32(a[2], a[3]);
    store(out, _mm256_unpacklo_epi64(t0, u0));
    store(out + line, _mm256_unpackhi_epi64(t0, u0));
    store(out + 2 * line, _mm256_unpacklo_epi64(t1, u1));
    store(out + 3 * line, _mm256_unpackhi_epi64(t1, u1));
  }
  // From eight lines of word pairs (values 32i..32i+15, 32i+16..32i+31) to a line per sub-block, its sub-scale twice.
  template <class F>
  LINNET_INLINE static void put_scales(const std::byte* pairs, std::byte* out, int64_t line) {
    for (int i = 0; i < 8; ++i) {
      const __m256i pair = load(pairs + 32 * i);
      if constexpr (Codes<F>::sub == 32) {
        store(out + i * line, pair);
      } else {
        store(out + 2 * i * line, _mm256_blend_epi16(pair, _mm256_slli_epi32(pair, 16), 0xaa));
        store(out + (2 * i + 1) * line, _mm256_blend_epi16(_mm256_srli_epi32(pair, 16), pair, 0xaa));
      }
    }
  }
  // From the same lines: the words of sub-blocks 2i and 2i + 1.
  template <class F>
  LINNET_INLINE static __m256i sub_pair(const std::byte* pairs, int i) {
    if constexpr (Codes<F>::sub == 32)
      return _mm256_blend_epi16(load(pairs + 64 * i), load(pairs + 64 * i + 32), 0xaa);
    else
      return load(pairs + 32 * i);
  }
  template <class F>
  LINNET_INLINE static void put_offset_pairs(const std::byte* pairs, std::byte* out, int64_t line) {
    for (int i = 0; i < Codes<F>::subs / 2; ++i)
      store(out + i * line, _mm256_mullo_epi16(sub_pair<F>(pairs, i), _mm256_set1_epi16(-Codes<F>::offset)));
  }
  template <class F>
  LINNET_INLINE static void put_min_pairs(const std::byte* pairs, std::byte* out, int64_t line) {
    for (int i = 0; i < Codes<F>::subs / 2; ++i) store(out + i * line, sub_pair<F>(pairs, i));
  }

  // --- slab.h: products ---

  LINNET_INLINE static __m256i four_values(const void* p) {
    int32_t v;
    std::memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
  }

  // sum[t] += pairs of words times pairs of the tokens' sums.
  template <class F, int T>
  LINNET_INLINE static void add_pairs(const std::byte* unit, const TileTokens& x, int64_t b,
                                      __m256i (&sum)[vectors][T]) {
    using U = SlabUnit<Avx2Matrix, F>;
    const int16_t* sums = x.sums + b * Codes<F>::subs;
#pragma GCC unroll 1
    for (int i = 0; i < U::pairs; ++i) {
      const __m256i w = load(unit + U::pairs_at + i * U::line);
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t)
        sum[0][t] = _mm256_add_epi32(sum[0][t], _mm256_madd_epi16(w, four_values(sums + t * x.sums_stride + 2 * i)));
    }
  }

  // Over values [from, to) of the unit.
  template <class F, int from, int to, int T>
  LINNET_INLINE static void sum_values(const std::byte* unit, const TileTokens& x, int64_t b,
                                       __m256i (&sum)[vectors][T]) {
    using C = Codes<F>;
    using U = SlabUnit<Avx2Matrix, F>;
    // Values whose products a 16-bit lane can add up: two at a time, each |x| <= 127 times at most `max`.
    constexpr int room = C::wide ? 4 : 32767 / (2 * C::max * 127) * 4;
    constexpr int step = C::sub < 32 ? C::sub : 32;
    constexpr int run = room < step ? (room >= 16 ? 16 : room >= 8 ? 8 : 4) : step;  // values per fold
    const int8_t* q = x.q + b * C::unit;
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t)
      sum[0][t] = U::starts ? _mm256_set1_epi32(x.starts[t * x.starts_stride + b]) : _mm256_setzero_si256();
#pragma GCC unroll 1
    for (int k = from; k < to; k += step) {
      const __m256i scale = C::scaled ? load(unit + U::scales_at + k / C::sub * U::line) : _mm256_set1_epi16(1);
#pragma GCC unroll 8
      for (int i = 0; i < step; i += run) {
        __m256i acc[T];
#pragma GCC unroll 8
        for (int j = 0; j < run; j += 4) {
          const __m256i w = load(unit + (k + i + j) / 4 * U::line);
          const __m256i magnitude = C::wide ? _mm256_abs_epi8(w) : w;
#pragma GCC unroll 4
          for (int t = 0; t < T; ++t) {
            const __m256i values = four_values(q + t * x.q_stride + k + i + j);
            const __m256i two = _mm256_maddubs_epi16(magnitude, C::wide ? _mm256_sign_epi8(values, w) : values);
            acc[t] = j == 0 ? two : _mm256_add_epi16(acc[t], two);
          }
        }
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) sum[0][t] = _mm256_add_epi32(sum[0][t], _mm256_madd_epi16(acc[t], scale));
      }
    }
    if constexpr (U::offset_pairs) add_pairs<F, T>(unit, x, b, sum);
  }

  template <class F, int T>
  LINNET_INLINE static void unit_sums(const std::byte* unit, const TileTokens& x, int64_t b,
                                      __m256i (&sum)[vectors][T]) {
    sum_values<F, 0, Codes<F>::halves ? Codes<F>::sub : F::unit>(unit, x, b, sum);
  }
  template <class F, int T>
  LINNET_INLINE static void unit_min_sums(const std::byte* unit, const TileTokens& x, int64_t b,
                                          __m256i (&sum)[vectors][T]) {
    if constexpr (Codes<F>::halves) return sum_values<F, Codes<F>::sub, F::unit>(unit, x, b, sum);
    const int16_t* sums = x.sums + b * Codes<F>::subs;
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t)
      sum[0][t] = Codes<F>::scaled ? _mm256_setzero_si256() : _mm256_set1_epi32(sums[t * x.sums_stride]);
    if constexpr (Codes<F>::scaled) add_pairs<F, T>(unit, x, b, sum);
  }
};

template <>
struct MatrixOf<Avx2> {
  using type = Avx2Matrix;
};

}  // namespace
}  // namespace linnet
