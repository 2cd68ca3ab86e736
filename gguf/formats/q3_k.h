// Q3_K: 256 values in 16 sub-blocks of 16, each with a 6-bit sub-scale with offset 32; 3-bit codes with offset 4:
//   value = (d * (sub_code - 32)) * (code - 4)
// Two halves of 128 values; in a half, value 32k + l (k in 0..3) has its low two bits in bits 2k, 2k + 1 of qs[l], of
// 32 bytes per half. The third bit of value i is bit i / 32 of hmask[i % 32]. Sub-scale codes: low four bits in the
// nibbles of scales[0..7] (low: 0-7, high: 8-15), upper two bits of code j in bits 2 (j / 4), 2 (j / 4) + 1 of scales[8
// + j % 4].
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct Q3_K {
  static constexpr Type type = Type::q3_k;
  static constexpr int values = 256;
  static constexpr int unit = 256;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    Half d;
  };

  static constexpr int sub = 16;  // values per sub-scale

  // -32..31; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) {
    const int low = b.scales[j & 7] >> (j & 8 ? 4 : 0) & 15;
    return (low | (b.scales[8 + (j & 3)] >> ((j >> 2) * 2) & 3) << 4) - 32;
  }
  // 0..7.
  LINNET_INLINE static int32_t code(const Block& b, int i) {
    const int low = b.qs[(i >> 7) * 32 + (i & 31)] >> ((i >> 5 & 3) * 2) & 3;
    return low | (b.hmask[i & 31] >> (i >> 5) & 1) << 2;
  }
  LINNET_INLINE static float value(const Block& b, int i) {
    return to_float(b.d) * float(sub_scale(b, i / sub)) * float(code(b, i) - 4);
  }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return sub_scale(b, i / sub) * (code(b, i) - 4); }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q3_K::Block) == 110);

}  // namespace linnet
