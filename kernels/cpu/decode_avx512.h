// How AVX-512 (VNNI, VBMI) reads quantized blocks: bytes of a unit as registers in natural order, sub-scales and
// sub-minimums as int16 words. No load leaves the block it is for: weights are mapped files, and the page after the last
// block may not exist.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/cpu/grid_words.h"

namespace linnet {
namespace {

template <class T, int n>
struct alignas(64) Lanes512 {
  T v[n];
};
template <class T, int n>
LINNET_INLINE __m512i load_lanes(const Lanes512<T, n>& t) {
  static_assert(sizeof(T) * n == 64);
  return _mm512_load_si512(t.v);
}
LINNET_INLINE __m512i twice256(const void* p) { return _mm512_broadcast_i64x4(load256(p)); }
LINNET_INLINE __m512i both256(__m256i low, __m256i high) {
  return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}
// Four times 16 bytes.
LINNET_INLINE __m512i gather128(const void* a, const void* b, const void* c, const void* d) {
  const __m256i ab = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(a)), load128(b), 1);
  const __m256i cd = _mm256_inserti128_si256(_mm256_castsi128_si256(load128(c)), load128(d), 1);
  return _mm512_inserti64x4(_mm512_castsi256_si512(ab), cd, 1);
}
// a | (b & c)
LINNET_INLINE __m512i or_masked(__m512i a, __m512i b, __m512i c) { return _mm512_ternarylogic_epi64(a, b, c, 0xf8); }
LINNET_INLINE __m512i halves64(int64_t low, int64_t high) {
  return _mm512_set_epi64(high, high, high, high, low, low, low, low);
}

// --- Units of 32: pair(a, b) is the 32 bytes of a, then those of b. ---

// 16 bytes of a, twice, then those of b.
LINNET_INLINE __m512i twice_each(const uint8_t* a, const uint8_t* b) {
  return _mm512_mask_broadcast_i32x4(_mm512_broadcast_i32x4(load128(a)), 0xff00, load128(b));
}
// What codes 0..15, in the low nibbles, stand for.
template <class F>
LINNET_INLINE __m512i levels_of(__m512i nibbles) {
  const __m512i codes = _mm512_and_si512(nibbles, _mm512_set1_epi8(15));
  if constexpr (TableFormat<F>) {
    const __m128i bytes = _mm_add_epi8(load128(F::table()), _mm_set1_epi8(char(Codes<F>::offset)));
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(bytes), codes);
  } else {
    return codes;
  }
}
// Nibbles: 16 bytes of qs hold values 0-15 low, 16-31 high.
template <class F>
LINNET_INLINE __m512i nibble_pair(const uint8_t* a, const uint8_t* b) {
  return levels_of<F>(_mm512_srlv_epi64(twice_each(a, b), _mm512_set_epi64(4, 4, 0, 0, 4, 4, 0, 0)));
}
LINNET_INLINE __mmask64 bit_pair(const uint8_t* a, const uint8_t* b) {
  uint32_t low, high;
  std::memcpy(&low, a, 4);
  std::memcpy(&high, b, 4);
  return _cvtu64_mask64(uint64_t(high) << 32 | low);
}
LINNET_INLINE __m512i to_unsigned(__m512i x) { return _mm512_xor_si512(x, _mm512_set1_epi8(-128)); }

template <class F>
LINNET_INLINE __m512i pair_bytes(const typename F::Block& a, const typename F::Block& b) {
  if constexpr (Codes<F>::one_by_one) {
    alignas(64) uint8_t buffer[64];
    Codes<F>::bytes(a, buffer);
    Codes<F>::bytes(b, buffer + 32);
    return _mm512_load_si512(buffer);
  } else if constexpr (Codes<F>::wide && sizeof(a.qs) == 32) {
    return to_unsigned(both256(load256(a.qs), load256(b.qs)));
  } else if constexpr (Codes<F>::halves) {  // a half's nibbles are in eight bytes
    const __m512i bytes = _mm512_permutexvar_epi64(_mm512_set_epi64(5, 5, 4, 4, 1, 1, 0, 0), twice_each(a.qs, b.qs));
    return levels_of<F>(_mm512_srlv_epi64(bytes, _mm512_set_epi64(4, 0, 4, 0, 4, 0, 4, 0)));
  } else if constexpr (sizeof(a.qs) == 8) {  // two bits, four values to a byte
    uint64_t low, high;
    std::memcpy(&low, a.qs, 8);
    std::memcpy(&high, b.qs, 8);
    const __m512i bytes = _mm512_cvtepu8_epi32(_mm_set_epi64x(int64_t(high), int64_t(low)));
    const __m512i pairs = _mm512_or_si512(bytes, _mm512_slli_epi32(bytes, 12));
    return _mm512_and_si512(_mm512_or_si512(pairs, _mm512_slli_epi32(pairs, 6)), _mm512_set1_epi8(3));
  } else if constexpr (sizeof(a.qs) == 4) {  // a bit, weighing 2
    return _mm512_maskz_set1_epi8(bit_pair(a.qs, b.qs), 2);
  } else {
    const __m512i nibbles = nibble_pair<F>(a.qs, b.qs);
    if constexpr (requires { a.qh; })
      return _mm512_mask_add_epi8(nibbles, bit_pair(a.qh, b.qh), nibbles, _mm512_set1_epi8(16));
    else
      return nibbles;
  }
}

// --- Units of 256: bytes(b, w) gives w[k] = bytes 64k..64k+63. words(four, scale, minimum) gives, for values 16i..16i+15
// of block j, the sub-scale in word 16j + i and likewise the sub-minimum: scale[0] holds blocks 0, 1, scale[1] 2, 3. ---

// The slow way, for formats without one of their own.
template <class F>
struct Unit512 {
  LINNET_INLINE static void bytes(const typename F::Block& b, __m512i (&w)[4]) {
    alignas(64) uint8_t buffer[256];
    Codes<F>::bytes(b, buffer);
    for (int k = 0; k < 4; ++k) w[k] = _mm512_load_si512(buffer + 64 * k);
  }
  LINNET_INLINE static void words(const Four<F>& b, __m512i (&scale)[2], __m512i (&minimum)[2]) {
    alignas(64) int16_t s[64], m[64];
    for (int j = 0; j < 4; ++j) {
      for (int i = 0; i < 16; ++i) {
        s[16 * j + i] = Codes<F>::sub_scale(b[j], i * 16 / Codes<F>::sub);
        m[16 * j + i] = Codes<F>::sub_min(b[j], i * 16 / Codes<F>::sub);
      }
    }
    for (int h = 0; h < 2; ++h) scale[h] = _mm512_load_si512(s + 32 * h), minimum[h] = _mm512_load_si512(m + 32 * h);
  }
};

LINNET_INLINE void widen_signed(__m512i bytes, __m512i (&words)[2]) {
  words[0] = _mm512_cvtepi8_epi16(_mm512_castsi512_si256(bytes));
  words[1] = _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(bytes, 1));
}
LINNET_INLINE void widen_unsigned(__m512i bytes, __m512i (&words)[2]) {
  words[0] = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(bytes));
  words[1] = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(bytes, 1));
}

// Q4_K and Q5_K (gguf/formats/k_scales.h). The first 16 bytes of a block are d, dmin and the 12 packed bytes, so that
// four blocks' heads fill one register: a lane per block, dwords [d dmin][bytes 0-3][4-7][8-11].
constexpr Lanes512<uint8_t, 64> k_word_order(int minimums, int first_block) {
  // After unpacking, a lane's bytes are sub-scales 0-3, sub-minimums 0-3, sub-scales 4-7, sub-minimums 4-7.
  Lanes512<uint8_t, 64> t{};
  for (int w = 0; w < 32; ++w) {
    const int block = first_block + w / 16, j = w % 16 / 2;
    t.v[2 * w] = uint8_t(16 * block + (j < 4 ? j : 8 + j - 4) + 4 * minimums);
  }
  return t;
}
template <class F>
LINNET_INLINE void k_words(const Four<F>& b, __m512i (&scale)[2], __m512i (&minimum)[2]) {
  static constexpr Lanes512<uint8_t, 64> order[4] = {k_word_order(0, 0), k_word_order(0, 2), k_word_order(1, 0),
                                                     k_word_order(1, 2)};
  const __m512i heads = gather128(&b[0], &b[1], &b[2], &b[3]);
  // Dwords [0-3][4-7][8-11][8-11 >> 4], masked to the low bits; [.][.][0-3 >> 2][4-7 >> 2] masked to bits 4, 5.
  const __m512i low =
      _mm512_and_si512(_mm512_srlv_epi32(_mm512_shuffle_epi32(heads, _MM_PERM_ENUM(_MM_SHUFFLE(3, 3, 2, 1))),
                                         _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, 4))),
                       _mm512_broadcast_i32x4(_mm_setr_epi32(0x3f3f3f3f, 0x3f3f3f3f, 0x0f0f0f0f, 0x0f0f0f0f)));
  const __m512i high = _mm512_srli_epi32(_mm512_shuffle_epi32(heads, _MM_PERM_ENUM(_MM_SHUFFLE(2, 1, 0, 0))), 2);
  const __m512i six = or_masked(low, high, _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0x30303030, 0x30303030)));
  constexpr __mmask64 even = 0x5555555555555555;
  for (int h = 0; h < 2; ++h) {
    scale[h] = _mm512_maskz_permutexvar_epi8(even, load_lanes(order[h]), six);
    minimum[h] = _mm512_maskz_permutexvar_epi8(even, load_lanes(order[2 + h]), six);
  }
}
LINNET_INLINE __m512i k_nibbles(const uint8_t* qs) {
  return _mm512_and_si512(_mm512_srlv_epi64(twice256(qs), halves64(0, 4)), _mm512_set1_epi8(15));
}

template <>
struct Unit512<Q4_K> {
  LINNET_INLINE static void bytes(const Q4_K::Block& b, __m512i (&w)[4]) {
    for (int k = 0; k < 4; ++k) w[k] = k_nibbles(b.qs + 32 * k);
  }
  LINNET_INLINE static void words(const Four<Q4_K>& b, __m512i (&scale)[2], __m512i (&minimum)[2]) {
    k_words(b, scale, minimum);
  }
};

template <>
struct Unit512<Q5_K> {
  LINNET_INLINE static void bytes(const Q5_K::Block& b, __m512i (&w)[4]) {
    const __m512i high = twice256(b.qh), bit = _mm512_set1_epi8(16);
    // Bit 2k of qh belongs to the first 32 values of w[k], bit 2k + 1 to the others: rotated to bit 4. What a rotation
    // brings in from neighbours, the mask drops.
    w[0] = or_masked(k_nibbles(b.qs), _mm512_rolv_epi64(high, halves64(4, 3)), bit);
    w[1] = or_masked(k_nibbles(b.qs + 32), _mm512_rolv_epi64(high, halves64(2, 1)), bit);
    w[2] = or_masked(k_nibbles(b.qs + 64), _mm512_rolv_epi64(high, halves64(0, 63)), bit);
    w[3] = or_masked(k_nibbles(b.qs + 96), _mm512_rolv_epi64(high, halves64(62, 61)), bit);
  }
  LINNET_INLINE static void words(const Four<Q5_K>& b, __m512i (&scale)[2], __m512i (&minimum)[2]) {
    k_words(b, scale, minimum);
  }
};

template <>
struct Unit512<Q6_K> {
  LINNET_INLINE static void bytes(const Q6_K::Block& b, __m512i (&w)[4]) {
    const __m512i nibble = _mm512_set1_epi8(15), two = _mm512_set1_epi8(0x30);
    for (int h = 0; h < 2; ++h) {
      const __m512i low = _mm512_loadu_si512(b.ql + 64 * h), high = twice256(b.qh + 32 * h);
      w[2 * h] = or_masked(_mm512_and_si512(low, nibble), _mm512_rolv_epi64(high, halves64(4, 2)), two);
      w[2 * h + 1] =
          or_masked(_mm512_and_si512(_mm512_srli_epi16(low, 4), nibble), _mm512_rolv_epi64(high, halves64(0, 62)), two);
    }
  }
  LINNET_INLINE static void words(const Four<Q6_K>& b, __m512i (&scale)[2], __m512i (&)[2]) {
    widen_signed(gather128(b[0].scales, b[1].scales, b[2].scales, b[3].scales), scale);
  }
};

// Two bits of values 128h + 32j + l in bits 2j, 2j + 1 of qs[32h + l]; k = 2h + j/2.
LINNET_INLINE __m512i two_bits(__m512i qs, int k) {
  const int shift = 4 * (k & 1);
  return _mm512_and_si512(_mm512_srlv_epi64(qs, halves64(shift, shift + 2)), _mm512_set1_epi8(3));
}

template <>
struct Unit512<Q2_K> {
  LINNET_INLINE static void bytes(const Q2_K::Block& b, __m512i (&w)[4]) {
    for (int k = 0; k < 4; ++k) w[k] = two_bits(twice256(b.qs + 32 * (k / 2)), k);
  }
  LINNET_INLINE static void words(const Four<Q2_K>& b, __m512i (&scale)[2], __m512i (&minimum)[2]) {
    const __m512i both = gather128(b[0].scales, b[1].scales, b[2].scales, b[3].scales), low = _mm512_set1_epi8(15);
    widen_unsigned(_mm512_and_si512(both, low), scale);
    widen_unsigned(_mm512_and_si512(_mm512_srli_epi16(both, 4), low), minimum);
  }
};

template <>
struct Unit512<Q3_K> {
  LINNET_INLINE static void bytes(const Q3_K::Block& b, __m512i (&w)[4]) {
    const __m512i high = twice256(b.hmask), bit = _mm512_set1_epi8(4);
    // Bits 2k and 2k + 1 of hmask, rotated to bit 2.
    w[0] = or_masked(two_bits(twice256(b.qs), 0), _mm512_rolv_epi64(high, halves64(2, 1)), bit);
    w[1] = or_masked(two_bits(twice256(b.qs), 1), _mm512_rolv_epi64(high, halves64(0, 63)), bit);
    w[2] = or_masked(two_bits(twice256(b.qs + 32), 2), _mm512_rolv_epi64(high, halves64(62, 61)), bit);
    w[3] = or_masked(two_bits(twice256(b.qs + 32), 3), _mm512_rolv_epi64(high, halves64(60, 59)), bit);
  }
  LINNET_INLINE static void words(const Four<Q3_K>& b, __m512i (&scale)[2], __m512i (&)[2]) {
    // The last 16 bytes of a block: two of qs, the 12 packed bytes, d.
    const __m512i tail = gather128(b[0].qs + 62, b[1].qs + 62, b[2].qs + 62, b[3].qs + 62);
    const __m512i low = _mm512_and_si512(
        _mm512_srlv_epi64(_mm512_shuffle_epi8(tail, _mm512_broadcast_i32x4(
                                                        _mm_setr_epi8(2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5, 6, 7, 8, 9))),
                          _mm512_broadcast_i32x4(_mm_set_epi64x(4, 0))),
        _mm512_set1_epi8(15));
    const __m512i high = _mm512_rolv_epi32(
        _mm512_shuffle_epi8(tail, _mm512_broadcast_i32x4(
                                      _mm_setr_epi8(10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13, 10, 11, 12, 13))),
        _mm512_broadcast_i32x4(_mm_setr_epi32(4, 2, 0, 30)));
    const __m512i six = or_masked(low, high, _mm512_set1_epi8(0x30));
    widen_signed(_mm512_sub_epi8(six, _mm512_set1_epi8(32)), scale);
  }
};

template <>
struct Unit512<Q8_K> {
  LINNET_INLINE static void bytes(const Q8_K::Block& b, __m512i (&w)[4]) {
    for (int k = 0; k < 4; ++k) w[k] = to_unsigned(_mm512_loadu_si512(b.qs + 64 * k));
  }
  LINNET_INLINE static void words(const Four<Q8_K>&, __m512i (&scale)[2], __m512i (&)[2]) {
    scale[0] = scale[1] = _mm512_set1_epi16(1);
  }
};

// Words first, first, first + 1, first + 1, ...
constexpr Lanes512<uint16_t, 32> doubled(int first) {
  Lanes512<uint16_t, 32> t{};
  for (int w = 0; w < 32; ++w) t.v[w] = uint16_t(first + w / 2);
  return t;
}

template <>
struct Unit512<IQ4_XS> {
  LINNET_INLINE static void bytes(const IQ4_XS::Block& b, __m512i (&w)[4]) {
    for (int k = 0; k < 4; ++k) w[k] = nibble_pair<IQ4_XS>(b.qs + 32 * k, b.qs + 32 * k + 16);
  }
  LINNET_INLINE static void words(const Four<IQ4_XS>& b, __m512i (&scale)[2], __m512i (&)[2]) {
    const __m256i codes = _mm256_setr_epi64x(int64_t(spread_codes(b[0])), int64_t(spread_codes(b[1])),
                                             int64_t(spread_codes(b[2])), int64_t(spread_codes(b[3])));
    const __m512i words = _mm512_cvtepi8_epi16(_mm256_sub_epi8(codes, _mm256_set1_epi8(32)));
    static constexpr Lanes512<uint16_t, 32> order[2] = {doubled(0), doubled(16)};
    for (int h = 0; h < 2; ++h) scale[h] = _mm512_permutexvar_epi16(load_lanes(order[h]), words);
  }
};

// Two bits, as in Q2_K.
template <>
struct Unit512<TQ2_0> {
  LINNET_INLINE static void bytes(const TQ2_0::Block& b, __m512i (&w)[4]) {
    for (int k = 0; k < 4; ++k) w[k] = two_bits(twice256(b.qs + 32 * (k / 2)), k);
  }
  LINNET_INLINE static void words(const Four<TQ2_0>&, __m512i (&scale)[2], __m512i (&)[2]) {
    scale[0] = scale[1] = _mm512_set1_epi16(1);
  }
};

// Words of 3^n, with an n for each 16 bytes.
constexpr Lanes512<uint16_t, 32> powers_of_3(int n0, int n1, int n2, int n3) {
  const int n[4] = {n0, n1, n2, n3};
  Lanes512<uint16_t, 32> t{};
  for (int w = 0; w < 32; ++w) {
    t.v[w] = 1;
    for (int i = 0; i < n[w / 8]; ++i) t.v[w] = uint16_t(3 * t.v[w]);
  }
  return t;
}
// Digits in base 3 of bytes that are fractions of 256: each byte times its word of `powers`, modulo 256, is below 1/3,
// below 2/3, or above.
LINNET_INLINE __m512i base3_digits(__m512i bytes, const Lanes512<uint16_t, 32>& powers) {
  constexpr __mmask64 odd = 0xaaaaaaaaaaaaaaaa;
  const __m512i power = load_lanes(powers), even = _mm512_mullo_epi16(bytes, power);
  const __m512i x = _mm512_mask_mov_epi8(even, odd, _mm512_mullo_epi16(_mm512_maskz_mov_epi8(odd, bytes), power));
  const __m512i one = _mm512_maskz_set1_epi8(_mm512_cmpge_epu8_mask(x, _mm512_set1_epi8(86)), 1);
  return _mm512_mask_add_epi8(one, _mm512_cmpge_epu8_mask(x, _mm512_set1_epi8(char(171))), one, _mm512_set1_epi8(1));
}

template <>
struct Unit512<TQ1_0> {
  LINNET_INLINE static void bytes(const TQ1_0::Block& b, __m512i (&w)[4]) {
    static constexpr Lanes512<uint16_t, 32> powers[4] = {
        powers_of_3(0, 0, 1, 1), powers_of_3(2, 2, 3, 3), powers_of_3(4, 4, 0, 1), [] {
          Lanes512<uint16_t, 32> t = powers_of_3(2, 3, 4, 0);  // four bytes for each n at last
          for (int n = 0, power = 1; n < 4; ++n, power *= 3) t.v[24 + 2 * n] = t.v[25 + 2 * n] = uint16_t(power);
          return t;
        }()};
    uint32_t four;
    std::memcpy(&four, b.qh, 4);
    const __m512i first = twice256(b.qs), rest = _mm512_broadcast_i32x4(load128(b.qs + 32));
    w[0] = base3_digits(first, powers[0]);
    w[1] = base3_digits(first, powers[1]);
    w[2] = base3_digits(_mm512_mask_blend_epi32(0xff00, first, rest), powers[2]);
    w[3] = base3_digits(_mm512_mask_set1_epi32(rest, 0xf000, int32_t(four)), powers[3]);
  }
  LINNET_INLINE static void words(const Four<TQ1_0>&, __m512i (&scale)[2], __m512i (&)[2]) {
    scale[0] = scale[1] = _mm512_set1_epi16(1);
  }
};

// Formats of groups from a grid are unpacked by a function, not in line: it is long, and its loads are what takes time.
template <class F>
requires SignedGridFormat<F>
struct Unit512<F> {
  [[gnu::noinline]] static void bytes(const typename F::Block& b, __m512i (&w)[4]) {
    const __m512i offset = _mm512_set1_epi8(Codes<F>::offset);
    for (int k = 0; k < 4; ++k) {
      alignas(64) uint64_t groups[8];
      for (int g = 0; g < 8; ++g) groups[g] = F::magnitudes(b, 8 * k + g);
      const __m512i magnitudes = _mm512_load_si512(groups);
      const __mmask64 negative = _cvtu64_mask64(uint64_t(F::signs(b, 2 * k + 1)) << 32 | F::signs(b, 2 * k));
      w[k] = _mm512_mask_sub_epi8(_mm512_add_epi8(offset, magnitudes), negative, offset, magnitudes);
    }
  }
  LINNET_INLINE static void words(const Four<F>& b, __m512i (&scale)[2], __m512i (&)[2]) {
    for (int h = 0; h < 2; ++h) scale[h] = both256(grid_words(b[2 * h]), grid_words(b[2 * h + 1]));
  }
};

template <class F>
requires ShiftedGridFormat<F>
struct Unit512<F> {
  [[gnu::noinline]] static void bytes(const typename F::Block& b, __m512i (&w)[4]) {
    for (int k = 0; k < 4; ++k) {
      alignas(64) uint64_t groups[8];
      for (int g = 0; g < 8; ++g) groups[g] = F::group(b, 8 * k + g);
      w[k] = _mm512_load_si512(groups);
    }
  }
  LINNET_INLINE static void words(const Four<F>& b, __m512i (&scale)[2], __m512i (&)[2]) {
    for (int h = 0; h < 2; ++h) scale[h] = both256(grid_words(b[2 * h]), grid_words(b[2 * h + 1]));
  }
};

}  // namespace
}  // namespace linnet
