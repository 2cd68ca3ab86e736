// The AVX-512 vocabulary (F, BW, VL, DQ, VNNI, VBMI): sixteen lanes. What the members mean is written in simd_scalar.h.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "gguf/base/half.h"
#include "gguf/base/inline.h"

namespace linnet {
namespace {

struct Avx512 {
  static constexpr int width = 16;
  using F = __m512;
  using I = __m512i;
  using M = __mmask16;

  LINNET_INLINE static F set(float x) { return _mm512_set1_ps(x); }
  LINNET_INLINE static I iset(int32_t x) { return _mm512_set1_epi32(x); }
  LINNET_INLINE static F add(F a, F b) { return _mm512_add_ps(a, b); }
  LINNET_INLINE static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  LINNET_INLINE static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  LINNET_INLINE static F div(F a, F b) { return _mm512_div_ps(a, b); }
  LINNET_INLINE static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  LINNET_INLINE static F min(F a, F b) { return _mm512_min_ps(a, b); }
  LINNET_INLINE static F max(F a, F b) { return _mm512_max_ps(a, b); }
  LINNET_INLINE static I bits(F a) { return _mm512_castps_si512(a); }
  LINNET_INLINE static F from_bits(I a) { return _mm512_castsi512_ps(a); }
  LINNET_INLINE static I iadd(I a, I b) { return _mm512_add_epi32(a, b); }
  LINNET_INLINE static I isub(I a, I b) { return _mm512_sub_epi32(a, b); }
  LINNET_INLINE static I iand(I a, I b) { return _mm512_and_si512(a, b); }
  LINNET_INLINE static I ior(I a, I b) { return _mm512_or_si512(a, b); }
  template <int k>
  LINNET_INLINE static I shl(I a) {
    return _mm512_slli_epi32(a, k);
  }
  template <int k>
  LINNET_INLINE static I sar(I a) {
    return _mm512_srai_epi32(a, k);
  }
  LINNET_INLINE static F to_float(I a) { return _mm512_cvtepi32_ps(a); }
  LINNET_INLINE static M lt(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  LINNET_INLINE static M le(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
  LINNET_INLINE static M unordered(F a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
  LINNET_INLINE static F select(M m, F a, F b) { return _mm512_mask_blend_ps(m, b, a); }

  LINNET_INLINE static M below(int64_t n) { return static_cast<M>((1u << n) - 1); }
  LINNET_INLINE static F load(const float* p) { return _mm512_loadu_ps(p); }
  LINNET_INLINE static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  LINNET_INLINE static F load_n(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(below(n), p); }
  LINNET_INLINE static void store_n(float* p, F x, int64_t n) { _mm512_mask_storeu_ps(p, below(n), x); }
  LINNET_INLINE static F load_half(const Half* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  LINNET_INLINE static F load_half_n(const Half* p, int64_t n) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(below(n), p));
  }
  LINNET_INLINE static void store_half(Half* p, F x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  LINNET_INLINE static void store_half_n(Half* p, F x, int64_t n) {
    _mm256_mask_storeu_epi16(p, below(n), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  LINNET_INLINE static I load_i8(const int8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  LINNET_INLINE static I load_i8_n(const int8_t* p, int64_t n) {
    return _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(below(n), p));
  }
  LINNET_INLINE static void store_i8(int8_t* p, I x) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(x));
  }
  LINNET_INLINE static M range(int64_t lo, int64_t hi) {
    const uint32_t up_to_hi = hi >= width ? 0xffffu : hi <= 0 ? 0u : (1u << hi) - 1;
    const uint32_t up_to_lo = lo >= width ? 0xffffu : lo <= 0 ? 0u : (1u << lo) - 1;
    return static_cast<M>(up_to_hi & ~up_to_lo);
  }
  LINNET_INLINE static bool any(M m) { return m != 0; }
  LINNET_INLINE static uint32_t mask_bits(M m) { return m; }
  LINNET_INLINE static M mask_or(M a, M b) { return static_cast<M>(a | b); }
  LINNET_INLINE static float sum_tree(F x) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 a = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    a = _mm_add_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
  }
  LINNET_INLINE static float max_tree(F x) {
    const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 a = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    a = _mm_max_ps(a, _mm_movehl_ps(a, a));
    return _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)));
  }
  LINNET_INLINE static int32_t sum_int(I x) {
    const __m256i h = _mm256_add_epi32(_mm512_castsi512_si256(x), _mm512_extracti64x4_epi64(x, 1));
    __m128i a = _mm_add_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
    a = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(a, _mm_shuffle_epi32(a, 0xb1)));
  }
  // Four int8 multiply-adds a lane from registers: the unit of the measured peak (peak.h).
  LINNET_INLINE static I int8_step(I acc, I a, I b) { return _mm512_dpbusd_epi32(acc, a, b); }
  // vpdpbusd multiplies unsigned by signed: k + 128 takes the unsigned side, 128 * sum(q) is taken off beforehand.
  LINNET_INLINE static I dot4_start(int32_t sum_q) { return iset(-128 * sum_q); }
  LINNET_INLINE static I dot4(I acc, const int8_t* k, const int8_t* q) {
    int32_t quad;
    std::memcpy(&quad, q, 4);
    return _mm512_dpbusd_epi32(acc, _mm512_xor_si512(_mm512_loadu_si512(k), _mm512_set1_epi8(-128)), iset(quad));
  }
};

}  // namespace
}  // namespace linnet
