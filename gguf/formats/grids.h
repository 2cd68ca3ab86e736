// The grids of the IQ formats: a code names a group of eight values (IQ3: four) from a list of good ones. Which groups
// are in a list was found by measurement on models and is part of the formats (source: ggml-common.h of
// github.com/ggml-org/ggml).
//
// A group is a number in base 3 (IQ1, IQ2) or 8 (IQ3), its first value the lowest digit; the lists ascend.
#pragma once

#include <cstdint>

#include "gguf/base/half.h"
#include "gguf/base/inline.h"

namespace linnet {

template <class T, int n>
struct Grid {
  using Group = T;
  static constexpr int count = n;
  T at[n];
};

// Magnitudes, a byte each, the first value in the lowest byte. IQ2: 8, 25, 43. IQ3_XXS: 4, 12, 20, 28, 36, 44, 52, 62.
// IQ3_S: 1, 3, ..., 15.
extern const Grid<uint64_t, 256> kIq2XxsGrid;
extern const Grid<uint64_t, 512> kIq2XsGrid;
extern const Grid<uint64_t, 1024> kIq2SGrid;
extern const Grid<uint32_t, 256> kIq3XxsGrid;
extern const Grid<uint32_t, 512> kIq3SGrid;
// Signed values -1, 0, 1 as bytes 8 v + 15: adding 0 or 2 gives 16 + 8 (v +- 1/8).
extern const Grid<uint64_t, 2048> kIq1Grid;

inline constexpr int kIq2Levels[3] = {8, 25, 43};
inline constexpr int kIq3XxsLevels[8] = {4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr int kIq3SLevels[8] = {1, 3, 5, 7, 9, 11, 13, 15};
inline constexpr int kIq1Levels[3] = {7, 15, 23};

// Four times seven signs to four times eight: the eighth makes the number of negative values of a group even.
LINNET_INLINE uint32_t parity_signs(uint32_t sevens) {
  const uint32_t s = (sevens & 0x7f) | (sevens & 0x3f80) << 1 | (sevens & 0x1fc000) << 2 | (sevens & 0xfe00000) << 3;
  uint32_t parity = s ^ s >> 4;  // of each byte, in its lowest bit
  parity ^= parity >> 2;
  parity ^= parity >> 1;
  return s | (parity & 0x01010101) << 7;
}

// What they all share:  value = (d * step) * sub_scale(i / sub) * level(i),  exactly: 11 bits of d, 5 of the sub-scale, 6 of
// the level.
template <class F>
struct GridFormat {
  static constexpr int values = 256;
  static constexpr int unit = 256;
  static constexpr bool has_min = false;

  template <class Block>
  LINNET_INLINE static float scale(const Block& b) {
    if constexpr (requires { b.d; })
      return to_float(b.d) * F::step;
    else
      return to_float(F::d(b)) * F::step;
  }
  template <class Block>
  LINNET_INLINE static int32_t weight(const Block& b, int i) {
    return F::sub_scale(b, i / F::sub) * F::level(b, i);
  }
  template <class Block>
  LINNET_INLINE static float value(const Block& b, int i) {
    return scale(b) * float(weight(b, i));
  }
};

// IQ2 and IQ3: magnitudes(b, k) of values 8k..8k+7, a byte each; signs(b, k) of values 32k..32k+31, a bit each, set when
// negative.
template <class F>
struct SignedGrid : GridFormat<F> {
  template <class Block>
  LINNET_INLINE static int32_t level(const Block& b, int i) {
    const int32_t magnitude = int32_t(F::magnitudes(b, i >> 3) >> ((i & 7) * 8) & 255);
    return F::signs(b, i >> 5) >> (i & 31) & 1 ? -magnitude : magnitude;
  }
};

// IQ1: group(b, k) of values 8k..8k+7, 16 + level as a byte each. Levels are 8 v +- 1: -9, -7, -1, 1, 7, 9.
template <class F>
struct ShiftedGrid : GridFormat<F> {
  static constexpr float step = 0.125f;

  template <class Block>
  LINNET_INLINE static int32_t level(const Block& b, int i) {
    return int32_t(F::group(b, i >> 3) >> ((i & 7) * 8) & 255) - 16;
  }
};

}  // namespace linnet
