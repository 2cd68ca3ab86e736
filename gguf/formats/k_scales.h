// The 12 bytes in which Q4_K and Q5_K keep eight pairs of 6-bit sub-scale and sub-minimum:
//   bytes 0-3   sub-scales 0-3 in the low six bits, above them the upper two bits of sub-scales 4-7
//   bytes 4-7   sub-minimums 0-3 in the low six bits, above them the upper two bits of sub-minimums 4-7
//   bytes 8-11  the low four bits of sub-scales 4-7 in the low nibbles, those of sub-minimums 4-7 in the high nibbles
#pragma once

#include <cstdint>

#include "gguf/base/inline.h"

namespace linnet {

// 0..63; j in 0..7.
LINNET_INLINE int32_t k_sub_scale(const uint8_t* packed, int j) {
  return j < 4 ? packed[j] & 63 : (packed[j + 4] & 15) | packed[j - 4] >> 6 << 4;
}
LINNET_INLINE int32_t k_sub_min(const uint8_t* packed, int j) {
  return j < 4 ? packed[j + 4] & 63 : packed[j + 4] >> 4 | packed[j] >> 6 << 4;
}

// The encoder's side: eight pairs in 0..63 into 12 bytes.
LINNET_INLINE void k_pack_scales(const int* scale, const int* min, uint8_t* packed) {
  for (int j = 0; j < 4; ++j) {
    packed[j] = uint8_t(scale[j] | scale[j + 4] >> 4 << 6);
    packed[j + 4] = uint8_t(min[j] | min[j + 4] >> 4 << 6);
    packed[j + 8] = uint8_t((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
  }
}

}  // namespace linnet
