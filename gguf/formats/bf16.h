// BF16: bfloat16, the upper half of a binary32, one value per block.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct BF16 {
  static constexpr Type type = Type::bf16;
  static constexpr int values = 1;
  static constexpr int unit = 1;  // no shared scale: a float format, multiplied as float
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    BFloat16 x;
  };

  LINNET_INLINE static float value(const Block& b, int) { return to_float(b.x); }
  static void encode(const float* x, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(BF16::Block) == 2);

}  // namespace linnet
