// The AVX2 vocabulary (with FMA and F16C): eight lanes. What the members mean is written in simd_scalar.h.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "gguf/base/half.h"
#include "gguf/base/inline.h"

namespace linnet {
namespace {

struct Avx2 {
  static constexpr int width = 8;
  using F = __m256;
  using I = __m256i;
  using M = __m256;  // all bits of a lane, or none

  LINNET_INLINE static F set(float x) { return _mm256_set1_ps(x); }
  LINNET_INLINE static I iset(int32_t x) { return _mm256_set1_epi32(x); }
  LINNET_INLINE static F add(F a, F b) { return _mm256_add_ps(a, b); }
  LINNET_INLINE static F sub(F a, F b) { return _mm256_sub_ps(a, b); }
  LINNET_INLINE static F mul(F a, F b) { return _mm256_mul_ps(a, b); }
  LINNET_INLINE static F div(F a, F b) { return _mm256_div_ps(a, b); }
  LINNET_INLINE static F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  LINNET_INLINE static F min(F a, F b) { return _mm256_min_ps(a, b); }
  LINNET_INLINE static F max(F a, F b) { return _mm256_max_ps(a, b); }
  LINNET_INLINE static I bits(F a) { return _mm256_castps_si256(a); }
  LINNET_INLINE static F from_bits(I a) { return _mm256_castsi256_ps(a); }
  LINNET_INLINE static I iadd(I a, I b) { return _mm256_add_epi32(a, b); }
  LINNET_INLINE static I isub(I a, I b) { return _mm256_sub_epi32(a, b); }
  LINNET_INLINE static I iand(I a, I b) { return _mm256_and_si256(a, b); }
  LINNET_INLINE static I ior(I a, I b) { return _mm256_or_si256(a, b); }
  template <int k>
  LINNET_INLINE static I shl(I a) {
    return _mm256_slli_epi32(a, k);
  }
  template <int k>
  LINNET_INLINE static I sar(I a) {
    return _mm256_srai_epi32(a, k);
  }
  LINNET_INLINE static F to_float(I a) { return _mm256_cvtepi32_ps(a); }
  LINNET_INLINE static M lt(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
  LINNET_INLINE static M le(F a, F b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
  LINNET_INLINE static M unordered(F a) { return _mm256_cmp_ps(a, a, _CMP_UNORD_Q); }
  LINNET_INLINE static F select(M m, F a, F b) { return _mm256_blendv_ps(b, a, m); }

  LINNET_INLINE static F load(const float* p) { return _mm256_loadu_ps(p); }
  LINNET_INLINE static void store(float* p, F x) { _mm256_storeu_ps(p, x); }
  LINNET_INLINE static I lanes() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
  LINNET_INLINE static I below(int64_t n) { return _mm256_cmpgt_epi32(iset(static_cast<int32_t>(n)), lanes()); }
  LINNET_INLINE static F load_n(const float* p, int64_t n) { return _mm256_maskload_ps(p, below(n)); }
  LINNET_INLINE static void store_n(float* p, F x, int64_t n) { _mm256_maskstore_ps(p, below(n), x); }
  LINNET_INLINE static F load_half(const Half* p) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  LINNET_INLINE static F load_half_n(const Half* p, int64_t n) {
    Half padded[width] = {};
    for (int64_t i = 0; i < n; ++i) padded[i] = p[i];
    return load_half(padded);
  }
  LINNET_INLINE static void store_half(Half* p, F x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  LINNET_INLINE static void store_half_n(Half* p, F x, int64_t n) {
    Half padded[width];
    store_half(padded, x);
    for (int64_t i = 0; i < n; ++i) p[i] = padded[i];
  }
  LINNET_INLINE static I load_i8(const int8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  LINNET_INLINE static I load_i8_n(const int8_t* p, int64_t n) {
    int8_t padded[width] = {};
    for (int64_t i = 0; i < n; ++i) padded[i] = p[i];
    return load_i8(padded);
  }
  LINNET_INLINE static void store_i8(int8_t* p, I x) {
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packs_epi16(words, words));
  }
  LINNET_INLINE static M range(int64_t lo, int64_t hi) {
    const I i = lanes();
    const I from = _mm256_cmpgt_epi32(i, iset(static_cast<int32_t>(lo - 1)));
    return _mm256_castsi256_ps(_mm256_and_si256(from, below(hi)));
  }
  LINNET_INLINE static bool any(M m) { return _mm256_movemask_ps(m) != 0; }
  LINNET_INLINE static uint32_t mask_bits(M m) { return static_cast<uint32_t>(_mm256_movemask_ps(m)); }
  LINNET_INLINE static M mask_or(M a, M b) { return _mm256_or_ps(a, b); }
  LINNET_INLINE static float sum_tree(F x) {
    __m128 a = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
  }
  LINNET_INLINE static float max_tree(F x) {
    __m128 a = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)));
  }
  LINNET_INLINE static int32_t sum_int(I x) {
    __m128i a = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    a = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(a, _mm_shuffle_epi32(a, 0xb1)));
  }
  // Four int8 multiply-adds a lane from registers: the unit of the measured peak (peak.h).
  LINNET_INLINE static I int8_step(I acc, I a, I b) {
    return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)));
  }
  LINNET_INLINE static I dot4_start(int32_t) { return _mm256_setzero_si256(); }
  // |k| <= 128 and |q| <= 127, so that a pair of products stays below 2^15.
  LINNET_INLINE static I dot4(I acc, const int8_t* k, const int8_t* q) {
    int32_t quad;
    std::memcpy(&quad, q, 4);
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(k));
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(a), _mm256_sign_epi8(iset(quad), a));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
  }
};

}  // namespace
}  // namespace linnet
