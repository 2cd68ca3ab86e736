// IQ1_M: 256 values in 16 sub-blocks of 16, each with a 3-bit sub-scale; groups of eight values -1, 0, 1 from a grid of
// 2048, each with a shift:
//   value = d * (2 * sub_code + 1) * (grid value +- 1/8)  =  (d / 8) * (2 * sub_code + 1) * (8 * grid value +- 1)
// The code of group k: low eight bits qs[k], upper three in the low bits of nibble k of qh (low nibble first), whose top
// bit makes the shift negative. The four 16-bit words of scales have, from the lowest bit, four sub-scale codes each,
// then four bits of d, the first word its lowest.
#pragma once

#include "gguf/formats/grids.h"
#include "gguf/types.h"

namespace linnet {

struct IQ1_M : ShiftedGrid<IQ1_M> {
  static constexpr Type type = Type::iq1_m;

  struct __attribute__((packed)) Block {
    uint8_t qs[32];
    uint8_t qh[16];
    uint16_t scales[4];
  };

  static constexpr int sub = 16;  // values per sub-scale

  LINNET_INLINE static Half d(const Block& b) {
    return {
        uint16_t(b.scales[0] >> 12 | (b.scales[1] >> 12) << 4 | (b.scales[2] >> 12) << 8 | (b.scales[3] >> 12) << 12)};
  }
  // 1, 3, ..., 15; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) {
    return (b.scales[j >> 2] >> (j & 3) * 3 & 7) << 1 | 1;
  }
  // 16 + level of values 8k..8k+7, a byte each.
  LINNET_INLINE static uint64_t group(const Block& b, int k) {
    const uint32_t high = b.qh[k >> 1] >> (k & 1 ? 4 : 0) & 15;
    const uint64_t shift = high >> 3 ? 0 : 0x0202020202020202;
    return kIq1Grid.at[b.qs[k] | (high & 7) << 8] + shift;
  }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(IQ1_M::Block) == 56);

}  // namespace linnet
