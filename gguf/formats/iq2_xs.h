// IQ2_XS: 256 values in 16 sub-blocks of 16, each with a 4-bit sub-scale; groups of eight magnitudes from a grid of 512,
// an even number of them negative:
//   value = (d / 8) * (2 * sub_code + 1) * (+- magnitude)
// A group has 16 bits of qs: 9 of its code, then seven signs (grids.h). Sub-scale codes: nibbles of scales, low first.
#pragma once

#include "gguf/formats/grids.h"
#include "gguf/types.h"

namespace linnet {

struct IQ2_XS : SignedGrid<IQ2_XS> {
  static constexpr Type type = Type::iq2_xs;

  struct __attribute__((packed)) Block {
    Half d;
    uint16_t qs[32];
    uint8_t scales[8];
  };

  static constexpr float step = 0.125f;
  static constexpr int sub = 16;  // values per sub-scale

  // 1, 3, ..., 31; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) {
    return (b.scales[j >> 1] >> (j & 1 ? 4 : 0) & 15) << 1 | 1;
  }
  LINNET_INLINE static uint64_t magnitudes(const Block& b, int k) { return kIq2XsGrid.at[b.qs[k] & 511]; }
  LINNET_INLINE static uint32_t signs(const Block& b, int k) {
    uint32_t sevens = 0;
    for (int g = 0; g < 4; ++g) sevens |= uint32_t(b.qs[4 * k + g] >> 9) << (7 * g);
    return parity_signs(sevens);
  }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(IQ2_XS::Block) == 74);

}  // namespace linnet
