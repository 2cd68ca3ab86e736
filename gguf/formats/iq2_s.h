// IQ2_S: 256 values in 16 sub-blocks of 16, each with a 4-bit sub-scale; groups of eight magnitudes from a grid of 1024,
// with any signs:
//   value = (d / 8) * (2 * sub_code + 1) * (+- magnitude)
// The code of group k: low eight bits qs[k], upper two bits 2 (k % 4) and up of qh[k / 4]. A sign is a bit of signs.
// Sub-scale codes: nibbles of scales, low first.
#pragma once

#include <cstring>

#include "gguf/formats/grids.h"
#include "gguf/types.h"

namespace linnet {

struct IQ2_S : SignedGrid<IQ2_S> {
  static constexpr Type type = Type::iq2_s;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[32];
    uint8_t signs[32];
    uint8_t qh[8];
    uint8_t scales[8];
  };

  static constexpr float step = 0.125f;
  static constexpr int sub = 16;  // values per sub-scale

  // 1, 3, ..., 31; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) {
    return (b.scales[j >> 1] >> (j & 1 ? 4 : 0) & 15) << 1 | 1;
  }
  LINNET_INLINE static uint64_t magnitudes(const Block& b, int k) {
    return kIq2SGrid.at[b.qs[k] | (b.qh[k >> 2] >> (k & 3) * 2 & 3) << 8];
  }
  LINNET_INLINE static uint32_t signs(const Block& b, int k) {
    uint32_t bits;
    std::memcpy(&bits, b.signs + 4 * k, 4);
    return bits;
  }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(IQ2_S::Block) == 82);

}  // namespace linnet
