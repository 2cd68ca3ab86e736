// The sub-scales of IQ formats on AVX2 and AVX-512: grid_words(b) has, for values 16i..16i+15, that of word i.
#pragma once

#include <cstring>

#include "kernels/cpu/quads.h"

namespace linnet {
namespace {

// 2 c + 1
LINNET_INLINE __m256i odd_words(__m256i codes) {
  return _mm256_add_epi16(_mm256_add_epi16(codes, codes), _mm256_set1_epi16(1));
}
// Words 0, 0, 1, 1, ...
LINNET_INLINE __m256i each_twice(__m128i words) {
  return _mm256_setr_m128i(_mm_unpacklo_epi16(words, words), _mm_unpackhi_epi16(words, words));
}
// Eight bytes of nibbles, the low one first, to bytes.
LINNET_INLINE __m128i nibble_bytes(__m128i bytes) {
  const __m128i low = _mm_set1_epi8(15);
  return _mm_unpacklo_epi8(_mm_and_si128(bytes, low), _mm_and_si128(_mm_srli_epi16(bytes, 4), low));
}
template <class T>
LINNET_INLINE __m128i low_bytes(const T& bytes) {
  uint64_t x = 0;
  std::memcpy(&x, &bytes, sizeof bytes);
  return _mm_cvtsi64_si128(int64_t(x));
}

LINNET_INLINE __m256i grid_words(const IQ1_S::Block& b) {
  const __m128i codes = _mm_and_si128(_mm_srli_epi16(load128(b.qs + 32), 12), _mm_set1_epi16(7));
  return odd_words(each_twice(codes));
}
LINNET_INLINE __m256i grid_words(const IQ1_M::Block& b) {
  const __m256i four = _mm256_permute4x64_epi64(_mm256_castsi128_si256(low_bytes(b.scales)), 0);
  const __m256i order = _mm256_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3, 2, 3, 2, 3,  //
                                         4, 5, 4, 5, 4, 5, 4, 5, 6, 7, 6, 7, 6, 7, 6, 7);
  // Bits 3j and up to the top of a word, and down again.
  const __m256i top = _mm256_mullo_epi16(_mm256_shuffle_epi8(four, order), _mm256_set1_epi64x(0x0010008004002000));
  return odd_words(_mm256_srli_epi16(top, 13));
}
LINNET_INLINE __m256i grid_words(const IQ2_XXS::Block& b) {
  // The upper dword of every eight bytes has the code in its top bits: both words of its sub-block.
  const __m256i low = load256(b.qs), high = load256(b.qs + 32);
  const __m256i upper = _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), _MM_SHUFFLE(3, 1, 3, 1)));
  const __m256i codes = _mm256_srli_epi32(_mm256_permute4x64_epi64(upper, _MM_SHUFFLE(3, 1, 2, 0)), 28);
  return odd_words(_mm256_or_si256(codes, _mm256_slli_epi32(codes, 16)));
}
LINNET_INLINE __m256i grid_words(const IQ2_XS::Block& b) {
  return odd_words(_mm256_cvtepu8_epi16(nibble_bytes(low_bytes(b.scales))));
}
LINNET_INLINE __m256i grid_words(const IQ2_S::Block& b) {
  return odd_words(_mm256_cvtepu8_epi16(nibble_bytes(low_bytes(b.scales))));
}
LINNET_INLINE __m256i grid_words(const IQ3_XXS::Block& b) {
  const __m256i codes = _mm256_srli_epi32(load256(b.signs), 28);
  return odd_words(_mm256_or_si256(codes, _mm256_slli_epi32(codes, 16)));
}
LINNET_INLINE __m256i grid_words(const IQ3_S::Block& b) {
  return odd_words(each_twice(_mm_cvtepu8_epi16(nibble_bytes(low_bytes(b.scales)))));
}

}  // namespace
}  // namespace linnet
