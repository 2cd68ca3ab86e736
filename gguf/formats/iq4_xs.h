// IQ4_XS: 256 values in 8 sub-blocks of 32, each with a 6-bit sub-scale with offset 32; 4-bit codes into IQ4_NL's
// table:
//   value = (d * (sub_code - 32)) * kIq4Table[code]
// A sub-block has 16 bytes of qs: the low nibbles its values 0-15, the high ones 16-31. Sub-scale codes: low four bits
// in the nibbles of scales_l (even j low, odd j high), upper two bits of code j in bits 2j, 2j + 1 of scales_h.
#pragma once

#include "gguf/base/half.h"
#include "gguf/formats/iq4_nl.h"
#include "gguf/types.h"

namespace linnet {

struct IQ4_XS {
  static constexpr Type type = Type::iq4_xs;
  static constexpr int values = 256;
  static constexpr int unit = 256;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    Half d;
    uint16_t scales_h;
    uint8_t scales_l[4];
    uint8_t qs[128];
  };

  static constexpr int sub = 32;  // values per sub-scale

  // -32..31; j = i / sub.
  LINNET_INLINE static int32_t sub_scale(const Block& b, int j) {
    return ((b.scales_l[j >> 1] >> (j & 1 ? 4 : 0) & 15) | (b.scales_h >> (2 * j) & 3) << 4) - 32;
  }
  // 0..15.
  LINNET_INLINE static int32_t code(const Block& b, int i) {
    return b.qs[(i >> 5) * 16 + (i & 15)] >> (i & 16 ? 4 : 0) & 15;
  }
  LINNET_INLINE static const int8_t* table() { return kIq4Table; }
  LINNET_INLINE static int32_t level(const Block& b, int i) { return table()[code(b, i)]; }
  LINNET_INLINE static float value(const Block& b, int i) {
    return to_float(b.d) * float(sub_scale(b, i / sub)) * float(level(b, i));
  }
  LINNET_INLINE static float scale(const Block& b) { return to_float(b.d); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return sub_scale(b, i / sub) * level(b, i); }

  static void encode(const float* x /*[256]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(IQ4_XS::Block) == 136);

}  // namespace linnet
