// Q8_0: 32 values, one scale, signed 8-bit codes:  value = q * d
// A code of -128 is legal in a file; our encoder writes -127..127.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct Q8_0 {
  static constexpr Type type = Type::q8_0;
  static constexpr int values = 32;
  static constexpr int unit = 32;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    Half d;
    int8_t qs[32];
  };

  LINNET_INLINE static float value(const Block& b, int i) { return float(b.qs[i]) * to_float(b.d); }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return b.qs[i]; }

  static void encode(const float* x /*[32]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q8_0::Block) == 34);

}  // namespace linnet
