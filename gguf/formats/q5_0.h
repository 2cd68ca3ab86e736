// Q5_0: 32 values, one scale, 5-bit codes with offset 16:  value = (code - 16) * d
// Low nibbles of qs hold values 0-15, high nibbles 16-31; the fifth bit of value i is bit i of qh, a little-endian u32.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct Q5_0 {
  static constexpr Type type = Type::q5_0;
  static constexpr int values = 32;
  static constexpr int unit = 32;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qh[4];
    uint8_t qs[16];
  };

  // 0..31.
  LINNET_INLINE static int32_t code(const Block& b, int i) {
    return (b.qs[i & 15] >> (i & 16 ? 4 : 0) & 15) | (b.qh[i >> 3] >> (i & 7) & 1) << 4;
  }
  LINNET_INLINE static float value(const Block& b, int i) { return float(code(b, i) - 16) * to_float(b.d); }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return code(b, i) - 16; }

  static void encode(const float* x /*[32]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q5_0::Block) == 22);

}  // namespace linnet
