// How AVX2 reads quantized blocks: bytes of a unit as registers in natural order, sub-scales and sub-minimums as int16
// words. Formats of whole signed bytes stay signed (vpmaddubsw would saturate with an unsigned byte; see dot_avx2.h).
// No load leaves the block it is for: weights are mapped files, and the page after the last block may not exist.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/grid_words.h"

namespace linnet {
namespace {

LINNET_INLINE void store256(void* p, __m256i x) { _mm256_store_si256(static_cast<__m256i*>(p), x); }  // aligned
LINNET_INLINE __m256i twice128(const void* p) { return _mm256_broadcastsi128_si256(load128(p)); }
LINNET_INLINE __m256i halves128(int64_t low, int64_t high) { return _mm256_set_epi64x(high, high, low, low); }
LINNET_INLINE __m256i masked(__m256i x, int mask) { return _mm256_and_si256(x, _mm256_set1_epi8(char(mask))); }
// Bytes shifted so that bit `from` comes to bit `to`; what crosses between bytes is for a mask to drop.
template <int from, int to>
LINNET_INLINE __m256i moved_bit(__m256i x) {
  if constexpr (from > to)
    return _mm256_srli_epi16(x, from - to);
  else if constexpr (from < to)
    return _mm256_slli_epi16(x, to - from);
  else
    return x;
}

// --- Units of 32. ---

// What codes 0..15 stand for.
template <class F>
LINNET_INLINE __m256i levels_of(__m256i codes) {
  if constexpr (!TableFormat<F>)
    return codes;
  else if constexpr (Codes<F>::wide)
    return _mm256_shuffle_epi8(twice128(F::table()), codes);
  else
    return _mm256_shuffle_epi8(_mm256_add_epi8(twice128(F::table()), _mm256_set1_epi8(Codes<F>::offset)), codes);
}
template <class F>
LINNET_INLINE __m256i nibbles32(const uint8_t* qs) {
  return levels_of<F>(masked(_mm256_srlv_epi64(twice128(qs), halves128(0, 4)), 15));
}
// All ones in the bytes whose bit is set.
LINNET_INLINE __m256i spread_bits(uint32_t bits) {
  const __m256i byte_of = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  const __m256i bit_of = _mm256_set1_epi64x(int64_t(0x8040201008040201));
  const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(int32_t(bits)), byte_of), bit_of);
  return _mm256_cmpeq_epi8(spread, bit_of);
}
LINNET_INLINE uint32_t four_bytes(const uint8_t* p) {
  uint32_t bits;
  std::memcpy(&bits, p, 4);
  return bits;
}
LINNET_INLINE __m128i eight_bytes(const uint8_t* p) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)); }
template <class F>
LINNET_INLINE __m256i bytes32(const typename F::Block& b) {
  if constexpr (Codes<F>::one_by_one) {
    alignas(32) uint8_t buffer[32];
    for (int i = 0; i < 32; ++i) buffer[i] = uint8_t(F::weight(b, i));
    return load256(buffer);
  } else if constexpr (Codes<F>::wide && sizeof(b.qs) == 32) {
    return load256(b.qs);
  } else if constexpr (Codes<F>::halves) {  // a half's nibbles are in eight bytes
    const __m256i bytes = _mm256_permute4x64_epi64(_mm256_castsi128_si256(load128(b.qs)), _MM_SHUFFLE(1, 1, 0, 0));
    return levels_of<F>(masked(_mm256_srlv_epi64(bytes, _mm256_setr_epi64x(0, 4, 0, 4)), 15));
  } else if constexpr (sizeof(b.qs) == 8) {  // two bits, four values to a byte
    const __m256i bytes = _mm256_cvtepu8_epi32(eight_bytes(b.qs));
    const __m256i pairs = _mm256_or_si256(bytes, _mm256_slli_epi32(bytes, 12));
    return masked(_mm256_or_si256(pairs, _mm256_slli_epi32(pairs, 6)), 3);
  } else if constexpr (sizeof(b.qs) == 4) {  // a bit, weighing 2
    return masked(spread_bits(four_bytes(b.qs)), 2);
  } else {
    const __m256i nibbles = nibbles32<F>(b.qs);
    if constexpr (requires { b.qh; })
      return _mm256_or_si256(nibbles, masked(spread_bits(four_bytes(b.qh)), 16));
    else
      return nibbles;
  }
}

// --- Units of 256: bytes<k>(b) gives values 32k..32k+31. words(b, scale, minimum) gives, for values 16i..16i+15, the
// sub-scale and the sub-minimum in word i. ---

// The slow way, for formats without one of their own.
template <class F>
struct Unit256 {
  template <int k>
  LINNET_INLINE static __m256i bytes(const typename F::Block& b) {
    alignas(32) uint8_t buffer[32];
    for (int i = 0; i < 32; ++i) buffer[i] = uint8_t(Codes<F>::byte(b, 32 * k + i) - (Codes<F>::wide ? 128 : 0));
    return load256(buffer);
  }
  LINNET_INLINE static void words(const typename F::Block& b, __m256i& scale, __m256i& minimum) {
    alignas(32) int16_t s[16], m[16];
    for (int i = 0; i < 16; ++i) {
      s[i] = Codes<F>::sub_scale(b, i * 16 / Codes<F>::sub);
      m[i] = Codes<F>::sub_min(b, i * 16 / Codes<F>::sub);
    }
    scale = load256(s), minimum = load256(m);
  }
};

// Q4_K and Q5_K (gguf/formats/k_scales.h). The first 16 bytes of a block are d, dmin and the 12 packed bytes, dwords
// [d dmin][bytes 0-3][4-7][8-11].
LINNET_INLINE void k_words(const void* block, __m256i& scale, __m256i& minimum) {
  const __m128i head = load128(block);
  // Dwords [0-3][4-7][8-11][8-11 >> 4], masked to the low bits; [.][.][0-3 >> 2][4-7 >> 2] masked to bits 4, 5. The
  // result's bytes are sub-scales 0-3, sub-minimums 0-3, sub-scales 4-7, sub-minimums 4-7.
  const __m128i low =
      _mm_and_si128(_mm_srlv_epi32(_mm_shuffle_epi32(head, _MM_SHUFFLE(3, 3, 2, 1)), _mm_setr_epi32(0, 0, 0, 4)),
                    _mm_setr_epi32(0x3f3f3f3f, 0x3f3f3f3f, 0x0f0f0f0f, 0x0f0f0f0f));
  const __m128i high = _mm_and_si128(_mm_srli_epi32(_mm_shuffle_epi32(head, _MM_SHUFFLE(2, 1, 0, 0)), 2),
                                     _mm_setr_epi32(0, 0, 0x30303030, 0x30303030));
  const __m256i six = _mm256_broadcastsi128_si256(_mm_or_si128(low, high));
  const __m256i order = _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1,  //
                                         8, -1, 8, -1, 9, -1, 9, -1, 10, -1, 10, -1, 11, -1, 11, -1);
  scale = _mm256_shuffle_epi8(six, order);
  minimum = _mm256_shuffle_epi8(_mm256_srli_epi64(six, 32), order);
}
template <int k>
LINNET_INLINE __m256i k_nibbles(const uint8_t* qs) {
  const __m256i both = load256(qs + 32 * (k / 2));
  return masked(k % 2 ? _mm256_srli_epi16(both, 4) : both, 15);
}

template <>
struct Unit256<Q4_K> {
  template <int k>
  LINNET_INLINE static __m256i bytes(const Q4_K::Block& b) {
    return k_nibbles<k>(b.qs);
  }
  LINNET_INLINE static void words(const Q4_K::Block& b, __m256i& scale, __m256i& minimum) {
    k_words(&b, scale, minimum);
  }
};

template <>
struct Unit256<Q5_K> {
  template <int k>
  LINNET_INLINE static __m256i bytes(const Q5_K::Block& b) {
    return _mm256_or_si256(k_nibbles<k>(b.qs), masked(moved_bit<k, 4>(load256(b.qh)), 16));
  }
  LINNET_INLINE static void words(const Q5_K::Block& b, __m256i& scale, __m256i& minimum) {
    k_words(&b, scale, minimum);
  }
};

template <>
struct Unit256<Q6_K> {
  template <int k>
  LINNET_INLINE static __m256i bytes(const Q6_K::Block& b) {
    constexpr int half = k / 4, j = k % 4;
    const __m256i low = load256(b.ql + 64 * half + 32 * (j % 2));
    return _mm256_or_si256(masked(j < 2 ? low : _mm256_srli_epi16(low, 4), 15),
                           masked(moved_bit<2 * j, 4>(load256(b.qh + 32 * half)), 0x30));
  }
  LINNET_INLINE static void words(const Q6_K::Block& b, __m256i& scale, __m256i&) {
    scale = _mm256_cvtepi8_epi16(load128(b.scales));
  }
};

template <>
struct Unit256<Q2_K> {
  template <int k>
  LINNET_INLINE static __m256i bytes(const Q2_K::Block& b) {
    return masked(_mm256_srli_epi16(load256(b.qs + 32 * (k / 4)), 2 * (k % 4)), 3);
  }
  LINNET_INLINE static void words(const Q2_K::Block& b, __m256i& scale, __m256i& minimum) {
    const __m256i both = _mm256_cvtepu8_epi16(load128(b.scales));
    scale = masked(both, 15);
    minimum = _mm256_srli_epi16(both, 4);
  }
};

template <>
struct Unit256<Q3_K> {
  template <int k>
  LINNET_INLINE static __m256i bytes(const Q3_K::Block& b) {
    return _mm256_or_si256(masked(_mm256_srli_epi16(load256(b.qs + 32 * (k / 4)), 2 * (k % 4)), 3),
                           masked(moved_bit<k, 2>(load256(b.hmask)), 4));
  }
  LINNET_INLINE static void words(const Q3_K::Block& b, __m256i& scale, __m256i&) {
    // The last 16 bytes of a block: two of qs, the 12 packed bytes, d.
    const __m128i tail = load128(b.qs + 62);
    const __m128i nibbles = _mm_shuffle_epi8(tail, _mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9));
    const __m128i low = _mm_and_si128(_mm_srlv_epi64(nibbles, _mm_set_epi64x(4, 0)), _mm_set1_epi8(15));
    // Upper bits of sub-scales 4j..4j+3 are bits 2j, 2j + 1 of bytes 8-11: moved to bits 4, 5 by 4 - 2j.
    const __m128i upper =
        _mm_shuffle_epi8(tail, _mm_setr_epi8(10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13));
    const __m128i moved = _mm_srlv_epi32(_mm_sllv_epi32(upper, _mm_setr_epi32(4, 2, 0, 0)), _mm_setr_epi32(0, 0, 0, 2));
    const __m128i six = _mm_or_si128(low, _mm_and_si128(moved, _mm_set1_epi8(0x30)));
    scale = _mm256_cvtepi8_epi16(_mm_sub_epi8(six, _mm_set1_epi8(32)));
  }
};

template <>
struct Unit256<Q8_K> {
  template <int k>
  LINNET_INLINE static __m256i bytes(const Q8_K::Block& b) {
    return load256(b.qs + 32 * k);
  }
  LINNET_INLINE static void words(const Q8_K::Block&, __m256i& scale, __m256i&) { scale = _mm256_set1_epi16(1); }
};

template <>
struct Unit256<IQ4_XS> {
  template <int k>
  LINNET_INLINE static __m256i bytes(const IQ4_XS::Block& b) {
    return nibbles32<IQ4_XS>(b.qs + 16 * k);
  }
  LINNET_INLINE static void words(const IQ4_XS::Block& b, __m256i& scale, __m256i&) {
    const __m128i codes = _mm_cvtsi64_si128(int64_t(spread_codes(b)));
    const __m128i words = _mm_cvtepi8_epi16(_mm_sub_epi8(codes, _mm_set1_epi8(32)));
    scale = _mm256_setr_m128i(_mm_unpacklo_epi16(words, words), _mm_unpackhi_epi16(words, words));
  }
};

// Two bits, as in Q2_K.
template <>
struct Unit256<TQ2_0> {
  template <int k>
  LINNET_INLINE static __m256i bytes(const TQ2_0::Block& b) {
    return masked(_mm256_srli_epi16(load256(b.qs + 32 * (k / 4)), 2 * (k % 4)), 3);
  }
  LINNET_INLINE static void words(const TQ2_0::Block&, __m256i& scale, __m256i&) { scale = _mm256_set1_epi16(1); }
};

// Digits in base 3 of bytes that are fractions of 256: each byte times its word of `powers`, modulo 256, is below 1/3,
// below 2/3, or above.
LINNET_INLINE __m256i base3_digits(__m256i bytes, __m256i powers) {
  const __m256i low = _mm256_set1_epi16(0xff);
  const __m256i even = _mm256_and_si256(_mm256_mullo_epi16(bytes, powers), low);
  const __m256i odd = _mm256_mullo_epi16(_mm256_andnot_si256(low, bytes), powers);
  const __m256i x = _mm256_or_si256(even, odd);
  const __m256i above1 = _mm256_cmpeq_epi8(_mm256_max_epu8(x, _mm256_set1_epi8(86)), x);
  const __m256i above2 = _mm256_cmpeq_epi8(_mm256_max_epu8(x, _mm256_set1_epi8(char(171))), x);
  return _mm256_sub_epi8(_mm256_setzero_si256(), _mm256_add_epi8(above1, above2));
}

template <>
struct Unit256<TQ1_0> {
  template <int k>
  LINNET_INLINE static __m256i bytes(const TQ1_0::Block& b) {
    constexpr int16_t power[8] = {1, 3, 9, 27, 81, 1, 9, 81};
    if constexpr (k < 5) return base3_digits(load256(b.qs), _mm256_set1_epi16(power[k]));
    const __m256i rest = twice128(b.qs + 32);
    if constexpr (k < 7)
      return base3_digits(rest, _mm256_setr_m128i(_mm_set1_epi16(power[k]), _mm_set1_epi16(3 * power[k])));
    const __m128i last = _mm_set1_epi32(int32_t(four_bytes(b.qh))), powers = _mm_setr_epi16(1, 1, 3, 3, 9, 9, 27, 27);
    return base3_digits(_mm256_inserti128_si256(rest, last, 1), _mm256_setr_m128i(_mm_set1_epi16(power[k]), powers));
  }
  LINNET_INLINE static void words(const TQ1_0::Block&, __m256i& scale, __m256i&) { scale = _mm256_set1_epi16(1); }
};

// Formats of groups from a grid are unpacked by a function, not in line: it is long, and its loads are what takes time.
struct OpenUnit256 {
  alignas(32) uint8_t bytes[256];
};

template <class F>
requires SignedGridFormat<F>
struct Unit256<F> {
  [[gnu::noinline]] static OpenUnit256 open(const typename F::Block& b) {
    OpenUnit256 unit;
    for (int k = 0; k < 8; ++k) {
      const __m256i magnitudes =
          _mm256_setr_epi64x(int64_t(F::magnitudes(b, 4 * k)), int64_t(F::magnitudes(b, 4 * k + 1)),
                             int64_t(F::magnitudes(b, 4 * k + 2)), int64_t(F::magnitudes(b, 4 * k + 3)));
      const __m256i negative = spread_bits(F::signs(b, k));  // -m is (m xor -1) - -1
      const __m256i levels = _mm256_sub_epi8(_mm256_xor_si256(magnitudes, negative), negative);
      store256(unit.bytes + 32 * k, _mm256_add_epi8(levels, _mm256_set1_epi8(Codes<F>::offset)));
    }
    return unit;
  }
  template <int k>
  LINNET_INLINE static __m256i bytes(const OpenUnit256& unit) {
    return load256(unit.bytes + 32 * k);
  }
  LINNET_INLINE static void words(const typename F::Block& b, __m256i& scale, __m256i&) { scale = grid_words(b); }
};

template <class F>
requires ShiftedGridFormat<F>
struct Unit256<F> {
  [[gnu::noinline]] static OpenUnit256 open(const typename F::Block& b) {
    OpenUnit256 unit;
    for (int k = 0; k < 32; ++k) {
      const uint64_t group = F::group(b, k);
      std::memcpy(unit.bytes + 8 * k, &group, 8);
    }
    return unit;
  }
  template <int k>
  LINNET_INLINE static __m256i bytes(const OpenUnit256& unit) {
    return load256(unit.bytes + 32 * k);
  }
  LINNET_INLINE static void words(const typename F::Block& b, __m256i& scale, __m256i&) { scale = grid_words(b); }
};

// What bytes<k> is asked of: the block, or what it was unpacked to.
template <class F>
LINNET_INLINE decltype(auto) open_unit(const typename F::Block& b) {
  if constexpr (requires { Unit256<F>::open(b); })
    return Unit256<F>::open(b);
  else
    return (b);
}

}  // namespace
}  // namespace linnet
