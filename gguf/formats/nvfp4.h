// NVFP4: 64 values in runs of 16, each with a UE4M3 float (no sign, 4 bits of exponent, 3 of mantissa) as scale; 4-bit
// codes of E2M1 floats:
//   value = UE4M3[d] * E2M1[code] = UE4M3[d] / 2 * kFp4Table[code]
// A run has 8 bytes of qs: the low nibbles its values 0-7, the high ones 8-15. d = 127 is NaN. (Files of this type carry
// one more factor per matrix, a tensor of its own.)
#pragma once

#include <cstring>

#include "gguf/formats/mxfp4.h"

namespace linnet {

// Half of a UE4M3 float: 2^(e - 8) * (1 + m / 8), or m / 1024 where e is 0.
LINNET_INLINE float half_ue4m3(uint8_t x) {
  const uint32_t e = x >> 3 & 15, m = x & 7;
  if (e == 0) return float(m) * 0x1p-10f;
  return (x & 127) == 127 ? 0 : __builtin_bit_cast(float, (e + 119) << 23 | m << 20);
}

// Half a block. Activations share a scale by 32 values, so that a unit has two scales: the second run takes the place of
// the minimums in the integer view.
struct NVFP4Unit {
  static constexpr Type type = Type::nvfp4;
  static constexpr int values = 32;
  static constexpr int unit = 32;
  static constexpr bool has_min = true;

  struct __attribute__((packed)) Block {
    uint8_t d[2];
    uint8_t qs[16];
  };

  // 0..15.
  LINNET_INLINE static int32_t code(const Block& b, int i) {
    return b.qs[(i >> 4) * 8 + (i & 7)] >> (i & 8 ? 4 : 0) & 15;
  }
  LINNET_INLINE static const int8_t* table() { return kFp4Table; }
  LINNET_INLINE static int32_t level(const Block& b, int i) { return table()[code(b, i)]; }
  LINNET_INLINE static float value(const Block& b, int i) { return half_ue4m3(b.d[i >> 4]) * float(level(b, i)); }
  LINNET_INLINE static float scale(const Block& b) { return half_ue4m3(b.d[0]); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return i < 16 ? level(b, i) : 0; }
  LINNET_INLINE static float minimum(const Block& b) { return -half_ue4m3(b.d[1]); }
  LINNET_INLINE static int32_t min_weight(const Block& b, int i) { return i < 16 ? 0 : level(b, i); }
};

struct NVFP4 {
  static constexpr Type type = Type::nvfp4;
  static constexpr int values = 64;
  static constexpr int unit = 32;
  using Unit = NVFP4Unit;

  struct __attribute__((packed)) Block {
    uint8_t d[4];
    uint8_t qs[32];
  };

  // Values 32j..32j+31.
  LINNET_INLINE static Unit::Block unit_block(const Block& b, int j) {
    Unit::Block u;
    std::memcpy(u.d, b.d + 2 * j, sizeof(u.d));
    std::memcpy(u.qs, b.qs + 16 * j, sizeof(u.qs));
    return u;
  }
  LINNET_INLINE static float value(const Block& b, int i) { return Unit::value(unit_block(b, i >> 5), i & 31); }

  static void encode(const float* x /*[64]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(NVFP4::Block) == 36);

}  // namespace linnet
