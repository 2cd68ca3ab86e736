// IQ2_XXS: 256 values in 8 sub-blocks of 32, each with a 4-bit sub-scale; groups of eight magnitudes from a grid of 256,
// an even number of them negative:
//   value = (d / 8) * (2 * sub_code + 1) * (+- magnitude)
// A sub-block has 8 bytes of qs: the codes of its four groups, then 32 bits, from the lowest: four times seven signs
// (grids.h), the sub-scale code.
#pragma once

#include <cstring>

#include "gguf/formats/grids.h"
#include "gguf/types.h"

namespace linnet {

struct IQ2_XXS : SignedGrid<IQ2_XXS> {
  static constexpr Type type = Type::iq2_xxs;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[64];
  };

  static constexpr float step = 0.125f;
  static constexpr int sub = 32;  // values per sub-scale

  // 1, 3, ..., 31; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) { return b.qs[8 * j + 7] >> 4 << 1 | 1; }
  LINNET_INLINE static uint64_t magnitudes(const Block& b, int k) {
    return kIq2XxsGrid.at[b.qs[(k >> 2) * 8 + (k & 3)]];
  }
  LINNET_INLINE static uint32_t signs(const Block& b, int k) {
    uint32_t sevens;
    std::memcpy(&sevens, b.qs + 8 * k + 4, 4);
    return parity_signs(sevens);
  }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(IQ2_XXS::Block) == 66);

}  // namespace linnet
