// Our own exp, log, tanh, sin, cos and pow: the same bits on every machine and every instruction set, which libm does
// not promise. Only + - * /, fma and integer operations on the bits are used (docs/canonical-arithmetic.md).
//
// The float functions exp_of, log_of and tanh_of are templates over a vocabulary S (kernels/cpu/simd_*.h; ScalarMath
// here is the smallest one), so that a vector computes what one float computes, operation by operation:
//   F, I, M             floats, int32s and a mask of the same number of lanes
//   set, iset           all lanes the same
//   add sub mul div fma min max      min(a,b) = a < b ? a : b and max(a,b) = a > b ? a : b: the second one when a NaN
//   is met bits, from_bits     reinterpretation iadd isub iand ior shl<k> sar<k> integer operations, wrapping; sar
//   shifts the sign in to_float            int32 to float (exact for what is used here) lt, unordered       masks: a <
//   b; a is NaN select(m, a, b)     m ? a : b
// Errors, measured against long double (tests/kernels/math_test.cpp): exp, log, tanh and pow below 1.5 ulp, sin and cos
// below 0.51 ulp.
#pragma once

#include <cstdint>

#include "gguf/base/inline.h"

namespace linnet::math {

struct ScalarMath {
  using F = float;
  using I = int32_t;
  using M = bool;
  LINNET_INLINE static F set(float x) { return x; }
  LINNET_INLINE static I iset(int32_t x) { return x; }
  LINNET_INLINE static F add(F a, F b) { return a + b; }
  LINNET_INLINE static F sub(F a, F b) { return a - b; }
  LINNET_INLINE static F mul(F a, F b) { return a * b; }
  LINNET_INLINE static F div(F a, F b) { return a / b; }
  LINNET_INLINE static F fma(F a, F b, F c) { return __builtin_fmaf(a, b, c); }
  LINNET_INLINE static F min(F a, F b) { return a < b ? a : b; }
  LINNET_INLINE static F max(F a, F b) { return a > b ? a : b; }
  LINNET_INLINE static I bits(F a) { return __builtin_bit_cast(int32_t, a); }
  LINNET_INLINE static F from_bits(I a) { return __builtin_bit_cast(float, a); }
  LINNET_INLINE static I iadd(I a, I b) { return I(uint32_t(a) + uint32_t(b)); }
  LINNET_INLINE static I isub(I a, I b) { return I(uint32_t(a) - uint32_t(b)); }
  LINNET_INLINE static I iand(I a, I b) { return a & b; }
  LINNET_INLINE static I ior(I a, I b) { return a | b; }
  template <int k>
  LINNET_INLINE static I shl(I a) {
    return I(uint32_t(a) << k);
  }
  template <int k>
  LINNET_INLINE static I sar(I a) {
    return a >> k;
  }
  LINNET_INLINE static F to_float(I a) { return float(a); }
  LINNET_INLINE static M lt(F a, F b) { return a < b; }
  LINNET_INLINE static M unordered(F a) { return a != a; }
  LINNET_INLINE static F select(M m, F a, F b) { return m ? a : b; }
};

inline constexpr float kRound = 0x1.8p23f;  // x + kRound - kRound rounds |x| < 2^22 to the nearest even integer
inline constexpr int32_t kRoundBits = 0x4b400000;

// exp(x) = 2^n exp(r), |r| <= ln(2)/2; 0 below -104, infinity above 88.73, subnormal results rounded twice.
// exp(0) is 1 exactly. Coefficients: Remez on (exp(r)-1-r)/r^2.
template <class S>
LINNET_INLINE typename S::F exp_of(typename S::F x) {
  x = S::min(S::set(89.0f), S::max(S::set(-105.0f), x));
  const auto shifted = S::fma(x, S::set(0x1.715476p+0f), S::set(kRound));
  const auto n = S::sub(shifted, S::set(kRound));
  auto r = S::fma(n, S::set(-0x1.62e400p-1f), x);  // ln 2 = 0x1.62e4p-1 + 0x1.7f7d1cp-20: the first product is exact
  r = S::fma(n, S::set(-0x1.7f7d1cp-20f), r);
  auto p = S::set(1.3950587045e-3f);
  p = S::fma(p, r, S::set(8.3689467215e-3f));
  p = S::fma(p, r, S::set(4.1666204446e-2f));
  p = S::fma(p, r, S::set(0.16666518379f));
  p = S::fma(p, r, S::set(0.50000000956f));
  const auto e = S::add(S::fma(S::mul(r, r), p, r), S::set(1.0f));
  // 2^n as two factors, since n reaches from -152 to 128.
  const auto i = S::isub(S::bits(shifted), S::iset(kRoundBits));
  const auto half = S::template sar<1>(i);
  const auto scale1 = S::from_bits(S::template shl<23>(S::iadd(half, S::iset(127))));
  const auto scale2 = S::from_bits(S::template shl<23>(S::iadd(S::isub(i, half), S::iset(127))));
  return S::mul(S::mul(e, scale1), scale2);
}

// log(x) = e ln 2 + log(m), sqrt(1/2) <= m < sqrt(2). NaN below 0, -infinity at 0.
// Coefficients: Remez on (log(1+f) - f + f^2/2) / f^3.
template <class S>
LINNET_INLINE typename S::F log_of(typename S::F x) {
  const auto tiny = S::lt(x, S::set(0x1p-126f));
  const auto normal = S::select(tiny, S::mul(x, S::set(0x1p24f)), x);
  const auto moved = S::isub(S::bits(normal), S::iset(0x3f3504f3));  // bits of sqrt(1/2)
  const auto exponent = S::template sar<23>(moved);
  const auto m = S::from_bits(S::iadd(S::iand(moved, S::iset(0x7fffff)), S::iset(0x3f3504f3)));
  const auto e = S::sub(S::to_float(exponent), S::select(tiny, S::set(24.0f), S::set(0.0f)));
  const auto f = S::sub(m, S::set(1.0f));
  const auto f2 = S::mul(f, f);
  auto p = S::set(0.069160928f);
  p = S::fma(p, f, S::set(-0.11788943f));
  p = S::fma(p, f, S::set(0.11872141f));
  p = S::fma(p, f, S::set(-0.12384458f));
  p = S::fma(p, f, S::set(0.14218801f));
  p = S::fma(p, f, S::set(-0.16669248f));
  p = S::fma(p, f, S::set(0.20002218f));
  p = S::fma(p, f, S::set(-0.24999987f));
  p = S::fma(p, f, S::set(0.33333311f));
  auto r = S::fma(S::mul(f, f2), p, S::mul(e, S::set(0x1.7f7d1cp-20f)));
  r = S::fma(S::set(-0.5f), f2, r);
  r = S::add(r, f);
  r = S::fma(e, S::set(0x1.62e400p-1f), r);
  const auto infinity = S::set(__builtin_inff());
  r = S::select(S::lt(x, infinity), r, x);  // infinity and NaN stay
  r = S::select(S::lt(S::set(0.0f), x), r,
                S::select(S::lt(x, S::set(0.0f)), S::set(__builtin_nanf("")), S::sub(x, infinity)));
  return S::select(S::unordered(x), x, r);
}

// tanh(x): an odd polynomial below 0.625 (Remez on (tanh(x)-x)/x^3 in x^2), else 1 - 2/(exp(2|x|)+1) with x's sign.
template <class S>
LINNET_INLINE typename S::F tanh_of(typename S::F x) {
  const auto sign = S::iand(S::bits(x), S::iset(INT32_MIN));
  const auto a = S::from_bits(S::iand(S::bits(x), S::iset(INT32_MAX)));
  const auto y = S::mul(x, x);
  auto p = S::set(-5.7175040178e-3f);
  p = S::fma(p, y, S::set(2.0651051163e-2f));
  p = S::fma(p, y, S::set(-5.3743663134e-2f));
  p = S::fma(p, y, S::set(0.13331493684f));
  p = S::fma(p, y, S::set(-0.33333284041f));
  const auto small = S::fma(S::mul(x, y), p, x);
  const auto e = exp_of<S>(S::add(a, a));
  const auto large = S::sub(S::set(1.0f), S::div(S::set(2.0f), S::add(e, S::set(1.0f))));
  const auto signed_large = S::from_bits(S::ior(S::bits(large), sign));
  return S::select(S::lt(a, S::set(0.625f)), small, signed_large);  // NaN: exp keeps it
}

// One number at a time; the same bits as the templates.
float exp(float x);
float log(float x);
float tanh(float x);

// Angles in radians. The argument is double because rope multiplies positions up to a million by a frequency; beyond
// 2^30 (and for NaN) the result is NaN.
float sin(double x);
float cos(double x);

// About 1e-15 relative. log of a negative number is NaN, of 0 -infinity.
double exp(double x);
double log(double x);

// x^y as C's pow defines it, special cases included. The double form is good to 1e-13 relative for |y log x| < 700.
double pow(double x, double y);
float pow(float x, float y);

}  // namespace linnet::math
