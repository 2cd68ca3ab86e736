// Q8_K: 256 values, one float32 scale, signed 8-bit codes, and the sums of each 16 codes:  value = q * d
// An activation format of the field; as a weight the sums are redundant and not read.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct Q8_K {
  static constexpr Type type = Type::q8_k;
  static constexpr int values = 256;
  static constexpr int unit = 256;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    float d;
    int8_t qs[256];
    int16_t sums[16];
  };

  LINNET_INLINE static float value(const Block& b, int i) { return b.d * float(b.qs[i]); }
  LINNET_INLINE static float scale(const Block& b) { return b.d; }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return b.qs[i]; }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q8_K::Block) == 292);

}  // namespace linnet
