// Q2_K: 256 values in 16 sub-blocks of 16, each with a 4-bit sub-scale and sub-minimum; 2-bit codes:
//   value = (d * sub_scale) * code - dmin * sub_min
// Two halves of 128 values; in a half, value 32k + l (k in 0..3) is in bits 2k, 2k + 1 of qs[l], of 32 bytes per half.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct Q2_K {
  static constexpr Type type = Type::q2_k;
  static constexpr int values = 256;
  static constexpr int unit = 256;
  static constexpr bool has_min = true;

  struct __attribute__((packed)) Block {
    uint8_t scales[16];  // sub-scale in the low nibble, sub-minimum in the high one
    uint8_t qs[64];
    Half d;
    Half dmin;
  };

  static constexpr int sub = 16;  // values per sub-scale and sub-minimum

  // 0..15; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) { return b.scales[j] & 15; }
  LINNET_INLINE static int32_t sub_min(const Block& b, int j) { return b.scales[j] >> 4; }
  // 0..3.
  LINNET_INLINE static int32_t code(const Block& b, int i) {
    return b.qs[(i >> 7) * 32 + (i & 31)] >> ((i >> 5 & 3) * 2) & 3;
  }
  LINNET_INLINE static float value(const Block& b, int i) {
    const float step = to_float(b.d) * float(sub_scale(b, i / sub));
    const float low = to_float(b.dmin) * float(sub_min(b, i / sub));
    return step * float(code(b, i)) - low;
  }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return sub_scale(b, i / sub) * code(b, i); }
  LINNET_INLINE static float minimum(const Block& b) { return to_float(b.dmin); }
  LINNET_INLINE static int32_t min_weight(const Block& b, int i) { return sub_min(b, i / sub); }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q2_K::Block) == 84);

}  // namespace linnet
