// F16: IEEE binary16, one value per block.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct F16 {
  static constexpr Type type = Type::f16;
  static constexpr int values = 1;
  static constexpr int unit = 1;  // no shared scale: a float format, multiplied as float
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    Half x;
  };

  LINNET_INLINE static float value(const Block& b, int) { return to_float(b.x); }
  static void encode(const float* x, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(F16::Block) == 2);

}  // namespace linnet
