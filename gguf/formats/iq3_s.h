// IQ3_S: 256 values in 8 sub-blocks of 32, each with a 4-bit sub-scale; groups of four magnitudes from a grid of 512,
// with any signs:
//   value = d * (2 * sub_code + 1) * (+- magnitude)
// The code of group k: low eight bits qs[k], the ninth bit k of qh. A sign is a bit of signs. Sub-scale codes: nibbles
// of scales, low first.
#pragma once

#include <cstring>

#include "gguf/formats/grids.h"
#include "gguf/types.h"

namespace linnet {

struct IQ3_S : SignedGrid<IQ3_S> {
  static constexpr Type type = Type::iq3_s;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[64];
    uint8_t qh[8];
    uint8_t signs[32];
    uint8_t scales[4];
  };

  static constexpr float step = 1;
  static constexpr int sub = 32;  // values per sub-scale

  // 1, 3, ..., 31; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) {
    return (b.scales[j >> 1] >> (j & 1 ? 4 : 0) & 15) << 1 | 1;
  }
  LINNET_INLINE static uint64_t magnitudes(const Block& b, int k) {
    const int ninths = b.qh[k >> 2] >> (k & 3) * 2;
    return kIq3SGrid.at[b.qs[2 * k] | (ninths & 1) << 8] | uint64_t(kIq3SGrid.at[b.qs[2 * k + 1] | (ninths & 2) << 7])
                                                               << 32;
  }
  LINNET_INLINE static uint32_t signs(const Block& b, int k) {
    uint32_t bits;
    std::memcpy(&bits, b.signs + 4 * k, 4);
    return bits;
  }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(IQ3_S::Block) == 110);

}  // namespace linnet
