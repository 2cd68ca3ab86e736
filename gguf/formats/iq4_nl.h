// IQ4_NL: 32 values, one scale, 4-bit codes into a table of unequal steps:  value = d * kIq4Table[code]
// Low nibbles of qs hold values 0-15, high nibbles 16-31.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

// Part of the format, shared with IQ4_XS.
constexpr int8_t kIq4Table[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

struct IQ4_NL {
  static constexpr Type type = Type::iq4_nl;
  static constexpr int values = 32;
  static constexpr int unit = 32;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[16];
  };

  // 0..15.
  LINNET_INLINE static int32_t code(const Block& b, int i) { return b.qs[i & 15] >> (i & 16 ? 4 : 0) & 15; }
  LINNET_INLINE static const int8_t* table() { return kIq4Table; }
  LINNET_INLINE static int32_t level(const Block& b, int i) { return table()[code(b, i)]; }
  LINNET_INLINE static float value(const Block& b, int i) { return to_float(b.d) * float(level(b, i)); }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return level(b, i); }

  static void encode(const float* x /*[32]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(IQ4_NL::Block) == 18);

}  // namespace linnet
