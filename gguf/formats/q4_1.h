// Q4_1: 32 values, scale and offset, 4-bit codes:  value = code * d + m
// Low nibbles of qs hold values 0-15, high nibbles 16-31.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct Q4_1 {
  static constexpr Type type = Type::q4_1;
  static constexpr int values = 32;
  static constexpr int unit = 32;
  static constexpr bool has_min = true;

  struct __attribute__((packed)) Block {
    Half d;
    Half m;
    uint8_t qs[16];
  };

  // 0..15.
  LINNET_INLINE static int32_t code(const Block& b, int i) { return b.qs[i & 15] >> (i & 16 ? 4 : 0) & 15; }
  LINNET_INLINE static float value(const Block& b, int i) { return float(code(b, i)) * to_float(b.d) + to_float(b.m); }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return code(b, i); }
  LINNET_INLINE static float minimum(const Block& b) { return -to_float(b.m); }
  LINNET_INLINE static int32_t min_weight(const Block&, int) { return 1; }

  static void encode(const float* x /*[32]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q4_1::Block) == 20);

}  // namespace linnet
