// TQ2_0: 256 values, one scale, 2-bit codes:  value = (code - 1) * d
// Two halves of 128 values; in a half, value 32k + l (k in 0..3) is in bits 2k, 2k + 1 of qs[l], of 32 bytes per half.
// Meant for ternary models (codes 0, 1, 2).
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct TQ2_0 {
  static constexpr Type type = Type::tq2_0;
  static constexpr int values = 256;
  static constexpr int unit = 256;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    uint8_t qs[64];
    Half d;
  };

  // 0..3.
  LINNET_INLINE static int32_t code(const Block& b, int i) {
    return b.qs[(i >> 7) * 32 + (i & 31)] >> ((i >> 5 & 3) * 2) & 3;
  }
  LINNET_INLINE static float value(const Block& b, int i) { return float(code(b, i) - 1) * to_float(b.d); }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return code(b, i) - 1; }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(TQ2_0::Block) == 66);

}  // namespace linnet
