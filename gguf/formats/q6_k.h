// Q6_K: 256 values in 16 sub-blocks of 16, each with a signed 8-bit sub-scale; 6-bit codes with offset 32:
//   value = (d * sub_scale) * (code - 32)
// Two halves of 128 values. In a half, value 32k + l (k in 0..3) has its low four bits in ql[32 (k % 2) + l], low
// nibble for k < 2, and its upper two bits in bits 2k, 2k + 1 of qh[l]; a half has 64 bytes of ql and 32 of qh.
#pragma once

#include "gguf/base/half.h"
#include "gguf/types.h"

namespace linnet {

struct Q6_K {
  static constexpr Type type = Type::q6_k;
  static constexpr int values = 256;
  static constexpr int unit = 256;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    Half d;
  };

  static constexpr int sub = 16;  // values per sub-scale

  // -128..127; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) { return b.scales[j]; }
  // 0..63.
  LINNET_INLINE static int32_t code(const Block& b, int i) {
    const int half = i >> 7, l = i & 31;
    const int low = b.ql[half * 64 + (i & 32) + l] >> (i & 64 ? 4 : 0) & 15;
    return low | (b.qh[half * 32 + l] >> ((i >> 5 & 3) * 2) & 3) << 4;
  }
  LINNET_INLINE static float value(const Block& b, int i) {
    return to_float(b.d) * float(sub_scale(b, i / sub)) * float(code(b, i) - 32);
  }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return sub_scale(b, i / sub) * (code(b, i) - 32); }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(Q6_K::Block) == 210);

}  // namespace linnet
