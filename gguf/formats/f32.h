// F32: IEEE binary32, one value per block.
#pragma once

#include "gguf/base/inline.h"
#include "gguf/types.h"

namespace linnet {

struct F32 {
  static constexpr Type type = Type::f32;
  static constexpr int values = 1;
  static constexpr int unit = 1;  // no shared scale: a float format, multiplied as float
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    float x;
  };

  LINNET_INLINE static float value(const Block& b, int) { return b.x; }
  static void encode(const float* x, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(F32::Block) == 4);

}  // namespace linnet
