#include "gguf/base/math.h"

namespace linnet::math {
namespace {

constexpr double kRound64 = 0x1.8p52;  // x + kRound64 - kRound64 rounds |x| < 2^51 to the nearest even integer
constexpr double kInfinity = __builtin_inf();

int64_t bits64(double x) { return __builtin_bit_cast(int64_t, x); }
double from_bits64(int64_t x) { return __builtin_bit_cast(double, x); }

struct Angle {
  double r;          // |r| <= pi/4
  int32_t quadrant;  // of 4
};

// Cody and Waite's reduction with fma: pi/2 as three doubles, the products of n < 2^30 with the first two are folded in
// exactly up to the rounding of r itself.
Angle reduce(double x) {
  const double shifted = __builtin_fma(x, 0x1.45f306dc9c883p-1, kRound64);
  const double n = shifted - kRound64;
  double r = __builtin_fma(n, -0x1.921fb54442d18p+0, x);
  r = __builtin_fma(n, -0x1.1a62633145c07p-54, r);
  return {r, static_cast<int32_t>(bits64(shifted) & 3)};
}

// Taylor on |r| <= pi/4: the first term left out is below 1e-17.
double sin_taylor(double r) {
  const double y = r * r;
  double p = 1.0 / 355687428096000;  // 17!
  p = __builtin_fma(p, y, -1.0 / 1307674368000);
  p = __builtin_fma(p, y, 1.0 / 6227020800);
  p = __builtin_fma(p, y, -1.0 / 39916800);
  p = __builtin_fma(p, y, 1.0 / 362880);
  p = __builtin_fma(p, y, -1.0 / 5040);
  p = __builtin_fma(p, y, 1.0 / 120);
  p = __builtin_fma(p, y, -1.0 / 6);
  return __builtin_fma(r * y, p, r);
}

double cos_taylor(double r) {
  const double y = r * r;
  double p = 1.0 / 20922789888000;  // 16!
  p = __builtin_fma(p, y, -1.0 / 87178291200);
  p = __builtin_fma(p, y, 1.0 / 479001600);
  p = __builtin_fma(p, y, -1.0 / 3628800);
  p = __builtin_fma(p, y, 1.0 / 40320);
  p = __builtin_fma(p, y, -1.0 / 720);
  p = __builtin_fma(p, y, 1.0 / 24);
  p = __builtin_fma(p, y, -0.5);
  return __builtin_fma(y, p, 1.0);
}

float sin_at(double x, int32_t quarter_turns) {
  if (!(x <= 0x1p30 && x >= -0x1p30)) return __builtin_nanf("");
  if (x == 0 && quarter_turns == 0) return static_cast<float>(x);  // keeps the sign of zero
  const Angle a = reduce(x);
  const int32_t quadrant = (a.quadrant + quarter_turns) & 3;
  const double v = quadrant & 1 ? cos_taylor(a.r) : sin_taylor(a.r);
  return static_cast<float>(quadrant & 2 ? -v : v);
}

bool is_integer(double y) {
  if (!(y < 0x1p52 && y > -0x1p52)) return y == y;  // all doubles this large are (infinity counts as even)
  const double magnitude = y < 0 ? -y : y;
  return (magnitude + 0x1p52) - 0x1p52 == magnitude;
}

bool is_odd(double y) { return y < 0x1p53 && y > -0x1p53 && is_integer(y) && !is_integer(y * 0.5); }

// log(x) of a positive finite x as high + low, e ln 2 + 2 atanh(s), s = f/(2+f). The low part holds what rounding of
// the sum loses, so that pow may multiply it by a large y.
struct Log {
  double high, low;
};

Log log_parts(double x) {
  int64_t e = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    e = -54;
  }
  const int64_t moved = bits64(x) - 0x3fe6a09e667f3bcd;  // bits of sqrt(1/2)
  e += moved >> 52;
  const double m = from_bits64((moved & 0xfffffffffffff) + 0x3fe6a09e667f3bcd);
  const double f = m - 1.0;
  const double s = f / (2.0 + f);
  const double y = s * s;
  double p = 1.0 / 25;
  for (int k = 23; k >= 3; k -= 2) p = __builtin_fma(p, y, 1.0 / k);
  // log(1+f) = f - s (f - 2 y p): f is exact and large, the rest small.
  const double tail = s * __builtin_fma(2.0 * y, p, -f);
  const double n = static_cast<double>(e);
  const double big = n * 0x1.62e42fefa38p-1;  // ln 2 to 43 bits: exact product
  const double high = big + f;
  const double lost = e == 0 ? 0.0 : (big - high) + f;  // |big| > |f| whenever e is not 0
  const double low = lost + __builtin_fma(n, 0x1.ef35793c7673p-45, tail);
  const double sum = high + low;
  return {sum, (high - sum) + low};
}

// exp(high + low) for |low| much smaller than high.
double exp_parts(double high, double low) {
  if (!(high > -750.0)) return high != high ? high : 0.0;
  if (high > 710.0) return kInfinity;
  const double shifted = __builtin_fma(high, 0x1.71547652b82fep+0, kRound64);
  const double n = shifted - kRound64;
  double r = __builtin_fma(n, -0x1.62e42fefa38p-1, high);
  r = __builtin_fma(n, -0x1.ef35793c7673p-45, r) + low;
  double p = 1.0 / 6227020800;  // 13!
  p = __builtin_fma(p, r, 1.0 / 479001600);
  p = __builtin_fma(p, r, 1.0 / 39916800);
  p = __builtin_fma(p, r, 1.0 / 3628800);
  p = __builtin_fma(p, r, 1.0 / 362880);
  p = __builtin_fma(p, r, 1.0 / 40320);
  p = __builtin_fma(p, r, 1.0 / 5040);
  p = __builtin_fma(p, r, 1.0 / 720);
  p = __builtin_fma(p, r, 1.0 / 120);
  p = __builtin_fma(p, r, 1.0 / 24);
  p = __builtin_fma(p, r, 1.0 / 6);
  p = __builtin_fma(p, r, 0.5);
  const double e = __builtin_fma(r * r, p, r) + 1.0;
  const int64_t i = static_cast<int64_t>(n);
  const int64_t half = i >> 1;
  return e * from_bits64((half + 1023) << 52) * from_bits64((i - half + 1023) << 52);
}

}  // namespace

float exp(float x) { return exp_of<ScalarMath>(x); }
float log(float x) { return log_of<ScalarMath>(x); }
float tanh(float x) { return tanh_of<ScalarMath>(x); }
float sin(double x) { return sin_at(x, 0); }
float cos(double x) { return sin_at(x, 1); }
double exp(double x) { return exp_parts(x, 0); }

double log(double x) {
  if (x != x || x == kInfinity) return x;
  if (x == 0) return -kInfinity;
  if (x < 0) return __builtin_nan("");
  return log_parts(x).high;
}

double pow(double x, double y) {
  if (y == 0 || x == 1) return 1;
  if (x != x || y != y) return x + y;
  const double magnitude = x < 0 ? -x : x;
  const bool odd = is_odd(y);
  if (y == kInfinity || y == -kInfinity) {
    if (magnitude == 1) return 1;
    return (magnitude > 1) == (y > 0) ? kInfinity : 0;
  }
  const bool negative = bits64(x) < 0 && odd;
  if (magnitude == 0 || magnitude == kInfinity) {
    const double r = (magnitude == 0) == (y > 0) ? 0 : kInfinity;
    return negative ? -r : r;
  }
  if (x < 0 && !is_integer(y)) return __builtin_nan("");
  const Log l = log_parts(magnitude);
  const double high = y * l.high;
  const double low = __builtin_fma(y, l.high, -high) + y * l.low;
  const double r = exp_parts(high, low);
  return negative ? -r : r;
}

float pow(float x, float y) { return static_cast<float>(pow(static_cast<double>(x), static_cast<double>(y))); }

}  // namespace linnet::math
