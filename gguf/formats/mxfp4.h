// MXFP4 (OCP Microscaling formats 1.0): 32 values, a power of two as scale, 4-bit codes of E2M1 floats:
//   value = 2^(e - 127) * E2M1[code] = 2^(e - 128) * kFp4Table[code]
// Low nibbles of qs hold values 0-15, high nibbles 16-31. e = 255 is NaN.
#pragma once

#include <cstdint>

#include "gguf/base/inline.h"
#include "gguf/types.h"

namespace linnet {

// Twice the values of E2M1, shared with NVFP4.
constexpr int8_t kFp4Table[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

struct MXFP4 {
  static constexpr Type type = Type::mxfp4;
  static constexpr int values = 32;
  static constexpr int unit = 32;
  static constexpr bool has_min = false;

  struct __attribute__((packed)) Block {
    uint8_t e;
    uint8_t qs[16];
  };

  // 0..15.
  LINNET_INLINE static int32_t code(const Block& b, int i) { return b.qs[i & 15] >> (i & 16 ? 4 : 0) & 15; }
  LINNET_INLINE static const int8_t* table() { return kFp4Table; }
  LINNET_INLINE static int32_t level(const Block& b, int i) { return table()[code(b, i)]; }
  // 2^(e - 128); the two smallest are subnormal.
  LINNET_INLINE static float scale(const Block& b) {
    return __builtin_bit_cast(float, b.e < 2 ? uint32_t{0x00200000} << b.e : uint32_t(b.e - 1) << 23);
  }
  LINNET_INLINE static float value(const Block& b, int i) { return scale(b) * float(level(b, i)); }
  LINNET_INLINE static int32_t weight(const Block& b, int i) { return level(b, i); }

  static void encode(const float* x /*[32]*/, Block& b, const float* importance = nullptr);
};
static_assert(sizeof(MXFP4::Block) == 17);

}  // namespace linnet
