// Q2_0: 64 values, one scale, 2-bit codes with offset 1:  value = (code - 1) * d
// Value i is in bits 2 (i % 4), 2 (i % 4) + 1 of qs[i / 4].
#pragma once

#include <cstring>

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

// Half a block: activations share a scale by 32 values.
struct Q2_0Unit {
  static constexpr Type type = Type::q2_0;
  static constexpr int values = 32;
  static constexpr int unit = 32;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[8];
  };

  // 0..3.
  LINNET_INLINE static int32_t code(const Block& b, int i) { return b.qs[i >> 2] >> ((i & 3) * 2) & 3; }
  LINNET_INLINE static float value(const Block& b, int i) { return float(code(b, i) - 1) * to_float(b.d); }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return code(b, i) - 1; }
};

struct Q2_0 {
  static constexpr Type type = Type::q2_0;
  static constexpr int values = 64;
  static constexpr int unit = 32;
  using Unit = Q2_0Unit;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[16];
  };

  // Values 32j..32j+31.
  LINNET_INLINE static Unit::Block unit_block(const Block& b, int j) {
    Unit::Block u;
    u.d = b.d;
    std::memcpy(u.qs, b.qs + 8 * j, sizeof(u.qs));
    return u;
  }
  LINNET_INLINE static float value(const Block& b, int i) { return Unit::value(unit_block(b, i >> 5), i & 31); }

  static void encode(const float* x /*[64]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q2_0::Block) == 18);

}  // namespace linnet
