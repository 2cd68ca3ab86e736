// IQ3_XXS: 256 values in 8 sub-blocks of 32, each with a 4-bit sub-scale; groups of four magnitudes from a grid of 256,
// an even number of each two groups' eight values negative:
//   value = (d / 4) * (2 * sub_code + 1) * (+- magnitude)
// qs has the codes of the 64 groups; `signs` 32 bits per sub-block, from the lowest: four times seven signs (grids.h),
// the sub-scale code.
#pragma once

#include <cstring>

#include "gguf/formats/grids.h"
#include "gguf/types.h"

namespace linnet {

struct IQ3_XXS : SignedGrid<IQ3_XXS> {
  static constexpr Type type = Type::iq3_xxs;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[64];
    uint8_t signs[32];
  };

  static constexpr float step = 0.25f;
  static constexpr int sub = 32;  // values per sub-scale

  // 1, 3, ..., 31; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) { return b.signs[4 * j + 3] >> 4 << 1 | 1; }
  LINNET_INLINE static uint64_t magnitudes(const Block& b, int k) {
    return kIq3XxsGrid.at[b.qs[2 * k]] | uint64_t(kIq3XxsGrid.at[b.qs[2 * k + 1]]) << 32;
  }
  LINNET_INLINE static uint32_t signs(const Block& b, int k) {
    uint32_t sevens;
    std::memcpy(&sevens, b.signs + 4 * k, 4);
    return parity_signs(sevens);
  }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(IQ3_XXS::Block) == 98);

}  // namespace linnet
