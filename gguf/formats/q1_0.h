// Q1_0: 128 values, one scale, a bit each:  value = d where the bit is set, else -d
// Value i is bit i % 8 of qs[i / 8].
#pragma once

#include <cstring>

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

// A quarter of a block: activations share a scale by 32 values.
struct Q1_0Unit {
  static constexpr Type type = Type::q1_0;
  static constexpr int values = 32;
  static constexpr int unit = 32;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[4];
  };

  // 0..1.
  LINNET_INLINE static int32_t code(const Block& b, int i) { return b.qs[i >> 3] >> (i & 7) & 1; }
  LINNET_INLINE static float value(const Block& b, int i) { return to_float(b.d) * float(weight(b, i)); }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return 2 * code(b, i) - 1; }
};

struct Q1_0 {
  static constexpr Type type = Type::q1_0;
  static constexpr int values = 128;
  static constexpr int unit = 32;
  using Unit = Q1_0Unit;

  struct __attribute__((packed)) Block {
    Half d;
    uint8_t qs[16];
  };

  // Values 32j..32j+31.
  LINNET_INLINE static Unit::Block unit_block(const Block& b, int j) {
    Unit::Block u;
    u.d = b.d;
    std::memcpy(u.qs, b.qs + 4 * j, sizeof(u.qs));
    return u;
  }
  LINNET_INLINE static float value(const Block& b, int i) { return Unit::value(unit_block(b, i >> 5), i & 31); }

  static void encode(const float* x /*[128]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q1_0::Block) == 18);

}  // namespace linnet
