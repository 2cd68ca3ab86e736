// IQ1_S: 256 values in 8 sub-blocks of 32, each with a 3-bit sub-scale and a shift; groups of eight values -1, 0, 1 from
// a grid of 2048:
//   value = d * (2 * sub_code + 1) * (grid value +- 1/8)  =  (d / 8) * (2 * sub_code + 1) * (8 * grid value +- 1)
// The code of group k: low eight bits qs[k], upper three bits 3 (k % 4) and up of the sub-block's 16 bits of qh. Its
// bits 12-14 are the sub-scale code, bit 15 makes the shift negative.
#pragma once

#include "gguf/formats/grids.h"
#include "gguf/types.h"

namespace linnet {

struct IQ1_S : ShiftedGrid<IQ1_S> {
  static constexpr Type type = Type::iq1_s;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[32];
    uint16_t qh[8];
  };

  static constexpr int sub = 32;  // values per sub-scale

  // 1, 3, ..., 15; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) { return (b.qh[j] >> 12 & 7) << 1 | 1; }
  // 16 + level of values 8k..8k+7, a byte each.
  LINNET_INLINE static uint64_t group(const Block& b, int k) {
    const uint32_t high = b.qh[k >> 2];
    const uint64_t shift = high >> 15 ? 0 : 0x0202020202020202;
    return kIq1Grid.at[b.qs[k] | (high >> (k & 3) * 3 & 7) << 8] + shift;
  }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(IQ1_S::Block) == 50);

}  // namespace linnet
