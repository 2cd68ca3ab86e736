// Q5_K: 256 values in 8 sub-blocks of 32, each with a 6-bit sub-scale and sub-minimum; 5-bit codes:
//   value = (d * sub_scale) * code - dmin * sub_min
// Each 32 bytes of qs hold two sub-blocks: the low nibbles the even one, the high nibbles the odd one. The fifth bit of
// value l of sub-block j is bit j of qh[l].
#pragma once

#include "gguf/base/half.h"
#include "gguf/formats/k_scales.h"
#include "gguf/types.h"

namespace linnet {

struct Q5_K {
  static constexpr Type type = Type::q5_k;
  static constexpr int values = 256;
  static constexpr int unit = 256;
  static constexpr bool has_min = true;

  struct __attribute__((packed)) Block {
    Half d;
    Half dmin;
    uint8_t scales[12];  // k_scales.h
    uint8_t qh[32];
    uint8_t qs[128];
  };

  static constexpr int sub = 32;  // values per sub-scale and sub-minimum

  // 0..63; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) { return k_sub_scale(b.scales, j); }
  LINNET_INLINE static int32_t sub_min(const Block& b, int j) { return k_sub_min(b.scales, j); }
  // 0..31.
  LINNET_INLINE static int32_t code(const Block& b, int i) {
    return (b.qs[(i >> 6) * 32 + (i & 31)] >> (i & 32 ? 4 : 0) & 15) | (b.qh[i & 31] >> (i >> 5) & 1) << 4;
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
static_assert(sizeof(Q5_K::Block) == 176);

}  // namespace linnet
