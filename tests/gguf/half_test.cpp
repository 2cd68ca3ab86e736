// binary16 and bfloat16 against their definitions in double precision: every value, and every rounding boundary.
#include "gguf/base/half.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace linnet {
namespace {

// sign * 2^(exponent - bias) * 1.mantissa, for any format of 16 bits.
double definition(uint16_t bits, int mantissa_bits, int bias) {
  const int exponent = (bits & 0x7fff) >> mantissa_bits;
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const double one = exponent > 0 ? 1 << mantissa_bits : 0;
  const double magnitude = std::ldexp(one + mantissa, std::max(exponent, 1) - bias - mantissa_bits);
  return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

double exact(Half h) { return definition(h.bits, 10, 15); }
double exact(BFloat16 h) { return definition(h.bits, 7, 127); }
template <class H>
H round_to(float f);
template <>
Half round_to<Half>(float f) {
  return to_half(f);
}
template <>
BFloat16 round_to<BFloat16>(float f) {
  return to_bfloat16(f);
}

template <class H>
void every_value(uint16_t infinity) {
  int finite = 0, nans = 0;
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const H h = {uint16_t(bits)};
    const float f = to_float(h);
    const uint16_t magnitude = h.bits & 0x7fff;
    EXPECT_EQ(std::signbit(f), (bits & 0x8000) != 0) << bits;
    if (magnitude > infinity) {
      ASSERT_TRUE(std::isnan(f)) << bits;
      const H back = round_to<H>(f);
      ASSERT_GT(back.bits & 0x7fff, infinity) << bits;  // NaN stays NaN, and keeps its sign
      ASSERT_EQ(back.bits & 0x8000, bits & 0x8000);
      ++nans;
      continue;
    }
    if (magnitude == infinity) {
      ASSERT_TRUE(std::isinf(f));
    } else {
      ASSERT_EQ(double(f), exact(h)) << bits;
      ++finite;
    }
    ASSERT_EQ(round_to<H>(f).bits, bits);
  }
  std::printf("%d finite values, %d NaNs, 2 infinities\n", finite, nans);
}

TEST(Half, EveryValue) { every_value<Half>(0x7c00); }
TEST(BFloat16, EveryValue) { every_value<BFloat16>(0x7f80); }

// Between two neighbours: the tie goes to the even one, anything beside the tie to the nearer one. Beyond the largest
// value the next step of the same spacing takes the place of the upper neighbour, and is infinity.
template <class H>
void every_boundary(uint16_t infinity) {
  int ties = 0;
  for (const uint16_t sign : {0, 0x8000}) {
    for (uint16_t low = 0; low < infinity; ++low) {
      const H below = {uint16_t(low | sign)}, above = {uint16_t((low + 1) | sign)};
      const double step = exact(H{uint16_t(low)}) - (low > 0 ? exact(H{uint16_t(low - 1)}) : 0);
      const double upper = low + 1 < infinity ? exact(above) : exact(below) + (sign != 0 ? -step : step);
      const float tie = float((exact(below) + upper) / 2);
      if (double(tie) != (exact(below) + upper) / 2) continue;  // a tie below the smallest float
      const float outward = std::copysign(std::numeric_limits<float>::infinity(), sign != 0 ? -1.0f : 1.0f);
      ASSERT_EQ(round_to<H>(tie).bits, low % 2 == 0 ? below.bits : above.bits) << tie;
      ASSERT_EQ(round_to<H>(std::nextafter(tie, outward)).bits, above.bits) << tie;
      ASSERT_EQ(round_to<H>(std::nextafter(tie, 0.0f)).bits, below.bits) << tie;
      ++ties;
    }
  }
  std::printf("%d ties\n", ties);
}

TEST(Half, EveryRoundingBoundary) { every_boundary<Half>(0x7c00); }
TEST(BFloat16, EveryRoundingBoundary) { every_boundary<BFloat16>(0x7f80); }

TEST(Half, Overflow) {
  EXPECT_EQ(to_half(65504.0f).bits, 0x7bff);
  EXPECT_EQ(to_half(65519.996f).bits, 0x7bff);
  EXPECT_EQ(to_half(65520.0f).bits, 0x7c00);
  EXPECT_EQ(to_half(-1e30f).bits, 0xfc00);
  EXPECT_EQ(to_half(std::numeric_limits<float>::denorm_min()).bits, 0);
  EXPECT_EQ(to_half(-0.0f).bits, 0x8000);
}

}  // namespace
}  // namespace linnet
