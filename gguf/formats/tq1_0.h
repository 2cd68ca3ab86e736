// TQ1_0: 256 values -1, 0, 1, one scale, five values to a byte:  value = (digit - 1) * d
// A byte is a fraction of 256 in base 3: its digit n is what carries over when 3^n times it (modulo 256) is tripled.
// Digit n of qs[m] is value 32n + m for m < 32 and value 160 + 16n + m - 32 for the others (n < 5); digit n of qh[m] is
// value 240 + 4n + m (n < 4).
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct TQ1_0 {
  static constexpr Type type = Type::tq1_0;
  static constexpr int values = 256;
  static constexpr int unit = 256;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    uint8_t qs[48];
    uint8_t qh[4];
    Half d;
  };

  // Digit n of a byte.
  LINNET_INLINE static int32_t digit(uint8_t byte, int n) {
    constexpr uint8_t power[5] = {1, 3, 9, 27, 81};
    return uint8_t(byte * power[n]) * 3 >> 8;
  }
  // 0..2.
  LINNET_INLINE static int32_t code(const Block& b, int i) {
    if (i < 160) return digit(b.qs[i & 31], i >> 5);
    if (i < 240) return digit(b.qs[32 + (i & 15)], (i - 160) >> 4);
    return digit(b.qh[i & 3], (i - 240) >> 2);
  }
  LINNET_INLINE static float value(const Block& b, int i) { return float(code(b, i) - 1) * to_float(b.d); }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return code(b, i) - 1; }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(TQ1_0::Block) == 54);

}  // namespace linnet
