// IEEE binary16 and bfloat16 to and from binary32, exactly, without any instruction-set requirement.
#pragma once

#include <bit>
#include <cstdint>

#include "gguf/base/inline.h"

namespace linnet {

struct Half {
  uint16_t bits;
};  // IEEE 754 binary16
struct BFloat16 {
  uint16_t bits;
};  // the upper half of a binary32

LINNET_INLINE float to_float(BFloat16 h) { return __builtin_bit_cast(float, uint32_t(h.bits) << 16); }

LINNET_INLINE float to_float(Half h) {
  const uint32_t sign = uint32_t(h.bits & 0x8000u) << 16;
  const uint32_t magnitude = h.bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return __builtin_bit_cast(float, sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  // Shifting the exponent into place leaves it 112 too small; a multiplication by 2^112 is exact, subnormals included.
  const float scaled = __builtin_bit_cast(float, magnitude << 13) * 0x1p112f;
  return __builtin_bit_cast(float, __builtin_bit_cast(uint32_t, scaled) | sign);
}

// Round to nearest even; overflow gives infinity, NaN stays NaN (quiet).
LINNET_INLINE Half to_half(float f) {
  const uint32_t x = __builtin_bit_cast(uint32_t, f);
  const uint32_t sign = (x >> 16) & 0x8000u;
  const uint32_t a = x & 0x7fffffffu;
  if (a > 0x7f800000u) return {uint16_t(sign | 0x7e00u | ((a >> 13) & 0x3ffu))};
  if (a >= 0x477ff000u) return {uint16_t(sign | 0x7c00u)};  // rounds beyond 65504
  if (a < 0x38800000u) {                                    // subnormal half: let the adder do the rounding
    const float r = __builtin_bit_cast(float, a) + 0.5f;    // 0.5 has an ulp of 2^-24, the spacing wanted
    return {uint16_t(sign | (__builtin_bit_cast(uint32_t, r) - 0x3f000000u))};
  }
  const uint32_t rounded = a + 0xfffu + ((a >> 13) & 1u);
  return {uint16_t(sign | ((rounded - 0x38000000u) >> 13))};
}

LINNET_INLINE BFloat16 to_bfloat16(float f) {
  const uint32_t x = __builtin_bit_cast(uint32_t, f);
  if ((x & 0x7fffffffu) > 0x7f800000u) return {uint16_t((x >> 16) | 0x40u)};
  return {uint16_t((x + 0x7fffu + ((x >> 16) & 1u)) >> 16)};
}

}  // namespace linnet
