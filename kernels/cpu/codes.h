// The byte view of quantized formats that the vector paths multiply with (of their units, gguf/formats/formats.h):
//
//   weight(i) = sub_scale(i / sub) * (byte(i) - offset),  0 <= byte(i) <= max
//
// `byte` is unsigned because vpdpbusd and vpmaddubsw want one unsigned operand; the offset is put right with the sums of
// the activations. Every bound below follows from `max`, |q| <= 127 for activations, and sub-scales in -128..127.
#pragma once

#include <cstdint>

#include "gguf/base/inline.h"
#include "gguf/formats/formats.h"

namespace linnet {

// Formats whose code() is the byte already.
template <class F, int Offset, int Max>
struct PlainCodes {
  static constexpr int offset = Offset, max = Max;
  LINNET_INLINE static int byte(const typename F::Block& b, int i) { return F::code(b, i); }
};

// Formats of signed bytes without sub-scales.
template <class F>
struct SignedCodes {
  static constexpr int offset = 128, max = 255;
  LINNET_INLINE static int byte(const typename F::Block& b, int i) { return F::weight(b, i) + 128; }
};

// Formats whose code stands for a signed level: by a table, or by a group in a grid.
template <class F, int Offset, int Max>
struct LevelCodes {
  static constexpr int offset = Offset, max = Max;
  LINNET_INLINE static int byte(const typename F::Block& b, int i) { return F::level(b, i) + Offset; }
};

// A format without a row below: weight(), which must fit an int8, one value at a time. Its row lets the vector paths read
// the codes by the register (decode_*.h).
template <class F>
struct CodesOf : SignedCodes<F> {
  static constexpr bool one_by_one = true;
};
template <>
struct CodesOf<Q4_0> : PlainCodes<Q4_0, 8, 15> {};
template <>
struct CodesOf<Q4_1> : PlainCodes<Q4_1, 0, 15> {};
template <>
struct CodesOf<Q5_0> : PlainCodes<Q5_0, 16, 31> {};
template <>
struct CodesOf<Q5_1> : PlainCodes<Q5_1, 0, 31> {};
template <>
struct CodesOf<Q8_0> : SignedCodes<Q8_0> {};
template <>
struct CodesOf<Q8_1> : SignedCodes<Q8_1> {};
template <>
struct CodesOf<Q8_K> : SignedCodes<Q8_K> {};
template <>
struct CodesOf<Q2_K> : PlainCodes<Q2_K, 0, 3> {};
template <>
struct CodesOf<Q3_K> : PlainCodes<Q3_K, 4, 7> {};
template <>
struct CodesOf<Q4_K> : PlainCodes<Q4_K, 0, 15> {};
template <>
struct CodesOf<Q5_K> : PlainCodes<Q5_K, 0, 31> {};
template <>
struct CodesOf<Q6_K> : PlainCodes<Q6_K, 32, 63> {};
template <>
struct CodesOf<IQ4_NL> : LevelCodes<IQ4_NL, 128, 255> {};
template <>
struct CodesOf<IQ4_XS> : LevelCodes<IQ4_XS, 128, 255> {};
template <>
struct CodesOf<MXFP4> : LevelCodes<MXFP4, 16, 28> {};
template <>
struct CodesOf<NVFP4Unit> : LevelCodes<NVFP4Unit, 128, 255> {
  // The two halves of a unit have scales of their own; the second one goes where minimums do. (As signed bytes, since
  // there are no sums of 16 activations to put an offset right with.)
  static constexpr bool halves = true;
};
template <>
struct CodesOf<Q1_0Unit> {  // the weights are odd: bytes 0 and 2
  static constexpr int offset = 1, max = 2;
  LINNET_INLINE static int byte(const Q1_0Unit::Block& b, int i) { return 2 * Q1_0Unit::code(b, i); }
};
template <>
struct CodesOf<Q2_0Unit> : PlainCodes<Q2_0Unit, 1, 3> {};
template <>
struct CodesOf<TQ1_0> : PlainCodes<TQ1_0, 1, 2> {};
template <>
struct CodesOf<TQ2_0> : PlainCodes<TQ2_0, 1, 3> {};
template <>
struct CodesOf<IQ1_S> : LevelCodes<IQ1_S, 16, 25> {};
template <>
struct CodesOf<IQ1_M> : LevelCodes<IQ1_M, 16, 25> {};
template <>
struct CodesOf<IQ2_XXS> : LevelCodes<IQ2_XXS, 64, 107> {};
template <>
struct CodesOf<IQ2_XS> : LevelCodes<IQ2_XS, 64, 107> {};
template <>
struct CodesOf<IQ2_S> : LevelCodes<IQ2_S, 64, 107> {};
template <>
struct CodesOf<IQ3_XXS> : LevelCodes<IQ3_XXS, 64, 126> {};
template <>
struct CodesOf<IQ3_S> : LevelCodes<IQ3_S, 16, 31> {};

// How formats with levels give them to vector paths: a table of 16, or groups (gguf/formats/grids.h).
template <class F>
concept TableFormat = requires {
  F::table();
};
template <class F>
concept SignedGridFormat = requires(const typename F::Block& b) {
  F::magnitudes(b, 0);
  F::signs(b, 0);
};
template <class F>
concept ShiftedGridFormat = requires(const typename F::Block& b) {
  F::group(b, 0);
};

template <class F>
struct Codes : CodesOf<F> {
  using Block = typename F::Block;
  static constexpr int unit = F::unit;
  static constexpr bool has_min = F::has_min;
  static constexpr bool scaled = requires(const Block& b) { F::sub_scale(b, 0); };
  static constexpr bool halves = requires { CodesOf<F>::halves; };
  static constexpr int sub = [] {
    if constexpr (scaled)
      return F::sub;
    else
      return halves ? F::unit / 2 : F::unit;
  }();
  static constexpr int subs = unit / sub;  // sub-blocks of a unit
  // Bytes that use the sign bit of an int8 need care where two products are added in 16 bits.
  static constexpr bool wide = CodesOf<F>::max > 127;
  static constexpr bool one_by_one = requires { CodesOf<F>::one_by_one; };
  static_assert(!one_by_one || !(scaled || has_min), "a format with sub-scales or minimums needs a row of CodesOf");
  static constexpr int group = unit == 32 ? 8 : 4;  // units that decode takes at once, a multiple of the accumulators
  static_assert(F::values == F::unit && (unit == 32 || unit == 256));
  // A unit's sum of bytes, offset not yet taken off, is an int32 whatever the file holds.
  static_assert(int64_t{unit} * CodesOf<F>::max * 127 * (scaled ? 128 : 1) <= INT32_MAX);

  LINNET_INLINE static void bytes(const Block& b, uint8_t* out /*[unit]*/) {
    for (int i = 0; i < unit; ++i) out[i] = uint8_t(CodesOf<F>::byte(b, i));
  }
  LINNET_INLINE static int16_t sub_scale(const Block& b, int j) {
    if constexpr (scaled)
      return int16_t(F::sub_scale(b, j));
    else
      return 1;
  }
  LINNET_INLINE static int16_t sub_min(const Block& b, int j) {
    if constexpr (has_min && scaled)
      return int16_t(F::sub_min(b, j));
    else
      return has_min;
  }
  LINNET_INLINE static float minimum(const Block& b) {
    if constexpr (has_min)
      return F::minimum(b);
    else
      return 0;
  }
};

// IQ4_XS's eight 6-bit sub-scale codes (0..63, offset 32), a byte each: nibbles and pairs of bits spread to bytes.
LINNET_INLINE uint64_t spread_codes(const IQ4_XS::Block& b) {
  uint64_t low = uint64_t(b.scales_l[0]) | uint64_t(b.scales_l[1]) << 16 | uint64_t(b.scales_l[2]) << 32 |
                 uint64_t(b.scales_l[3]) << 48;
  low = (low | low << 4) & 0x0f0f0f0f0f0f0f0f;
  uint64_t high = b.scales_h;
  high = (high | high << 24) & 0x000000ff000000ff;
  high = (high | high << 12) & 0x000f000f000f000f;
  high = (high | high << 6) & 0x0303030303030303;
  return low | high << 4;
}

// The 8-bit activations of n rows in the form that a format wants.
struct QuantRows {
  const int8_t* q;                          // [n][cols]
  const int16_t* sums;                      // [n][cols/32] of 32 values, or [n][cols/16] of 16 for unit 256
  const float* d;                           // [n][cols/unit]
  int64_t q_stride, sums_stride, d_stride;  // elements from one row to the next
};

}  // namespace linnet
