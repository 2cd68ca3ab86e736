// Q8_1: 32 values, one scale, signed 8-bit codes, and s = d * (sum of the codes) for products with offset formats:
//   value = q * d
// An activation format of the field; as a weight s is redundant and not read.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct Q8_1 {
  static constexpr Type type = Type::q8_1;
  static constexpr int values = 32;
  static constexpr int unit = 32;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    Half d;
    Half s;
    int8_t qs[32];
  };

  LINNET_INLINE static float value(const Block& b, int i) { return float(b.qs[i]) * to_float(b.d); }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return b.qs[i]; }

  static void encode(const float* x /*[32]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q8_1::Block) == 36);

}  // namespace linnet
