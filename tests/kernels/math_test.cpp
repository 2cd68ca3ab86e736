#include "gguf/base/math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "tests/kernels/kernels_support.h"

namespace linnet {
namespace {

// Distance from the true value in units of the last place of the float nearest to it.
double ulps(float got, long double want) {
  const auto nearest = static_cast<float>(want);
  if (std::isnan(want)) return std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(nearest)) return got == nearest ? 0 : INFINITY;
  if (!std::isfinite(got)) return INFINITY;
  const float magnitude = std::fabs(nearest);
  return static_cast<double>(std::fabs(got - want) /
                             (std::nextafter(magnitude, INFINITY) - static_cast<long double>(magnitude)));
}

struct Worst {
  double error = 0;
  double at = 0;
  void note(double e, double x) {
    if (!(e <= error)) error = e, at = x;
  }
};

float from_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }

// Every 257th float, so that all exponents, subnormals, infinities and NaNs are met.
uint32_t stride() { return static_cast<uint32_t>(2570 / test_count(10)); }

TEST(Math, FloatFunctionsAgainstLongDouble) {
  Worst e, l, t;
  int64_t count = 0;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += stride(), ++count) {
    const float x = from_bits(static_cast<uint32_t>(bits));
    e.note(ulps(math::exp(x), expl(x)), x);
    t.note(ulps(math::tanh(x), tanhl(x)), x);
    l.note(ulps(math::log(x), logl(x)), x);
  }
  std::printf("%lld floats: exp %.2f ulp (at %g), log %.2f (%g), tanh %.2f (%g)\n", static_cast<long long>(count),
              e.error, e.at, l.error, l.at, t.error, t.at);
  EXPECT_LT(e.error, 1.5);
  EXPECT_LT(l.error, 1.5);
  EXPECT_LT(t.error, 1.5);
}

TEST(Math, AnglesUpToAMillion) {
  Random random(1);
  Worst s, c;
  const int count = test_count(2000000);
  for (int i = 0; i < count; ++i) {
    const double x = (random.uniform() - 0.5) * (i % 2 ? 2e6 : 8);
    s.note(ulps(math::sin(x), sinl(x)), x);
    c.note(ulps(math::cos(x), cosl(x)), x);
  }
  std::printf("%d angles: sin %.3f ulp, cos %.3f\n", count, s.error, c.error);
  EXPECT_LT(s.error, 0.51);
  EXPECT_LT(c.error, 0.51);
  for (double x : {double{INFINITY}, double{NAN}, 1e10})
    EXPECT_TRUE(std::isnan(math::sin(x)) && std::isnan(math::cos(x)));
  EXPECT_TRUE(std::signbit(math::sin(-0.0)));
}

TEST(Math, DoubleFunctions) {
  Random random(2);
  Worst e, l, p, f;
  const int count = test_count(1000000);
  for (int i = 0; i < count; ++i) {
    const double x = (random.uniform() - 0.5) * 1400, y = random.uniform() * 100, z = (random.uniform() - 0.5) * 200;
    e.note(static_cast<double>(std::fabs(math::exp(x) - expl(x)) / expl(x)), x);
    l.note(static_cast<double>(std::fabs(math::log(y) - logl(y)) / std::fabs(logl(y))), y);
    const long double power = powl(y, z);
    if (power > 1e-300L && power < 1e300L) p.note(static_cast<double>(std::fabs(math::pow(y, z) - power) / power), y);
    const auto a = static_cast<float>(y), b = static_cast<float>(z / 10);
    f.note(ulps(math::pow(a, b), powl(a, b)), y);
  }
  std::printf("%d doubles: exp %.2g, log %.2g, pow %.2g relative; float pow %.3f ulp\n", count, e.error, l.error,
              p.error, f.error);
  EXPECT_LT(e.error, 1e-15);
  EXPECT_LT(l.error, 1e-15);
  EXPECT_LT(p.error, 1e-13);
  EXPECT_LT(f.error, 0.51);
}

TEST(Math, PowOfSpecialValuesIsThatOfC) {
  const double values[] = {0,    -0.0, 1,   -1,       2,         -2,   0.5,   -0.5,   3,       -3,
                           1e-3, NAN,  1e9, INFINITY, -INFINITY, 1e30, -1e30, 1e-310, -1e-310, 4503599627370497.0};
  for (double x : values)
    for (double y : values) {
      const double want = std::pow(x, y), got = math::pow(x, y);
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(got)) << x << "^" << y << " is " << got;
      } else if (std::isinf(want) || want == 0) {
        EXPECT_EQ(got, want) << x << "^" << y;
        EXPECT_EQ(std::signbit(got), std::signbit(want)) << x << "^" << y;
      } else {
        EXPECT_LE(std::fabs(got - want), 1e-12 * std::fabs(want)) << x << "^" << y;
      }
    }
}

TEST(Math, VectorsOfExpAreTheScalarBits) {
  int64_t count = 0;
  for (const Kernels* k : backends())
    for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += stride() * 3, ++count) {
      const float x = from_bits(static_cast<uint32_t>(bits));
      const float got = k->sum_exp(&x, 1, 0.0f), want = math::exp(x) + 0.0f;
      if (std::isnan(want) && std::isnan(got)) continue;
      ASSERT_EQ(std::memcmp(&got, &want, 4), 0) << k->name << ": exp(" << x << ") " << got << " != " << want;
    }
  std::printf("%lld floats\n", static_cast<long long>(count));
}

// The activation functions run through the verb: an identity matrix hands finite values over unchanged.
TEST(Math, VectorsOfSiluAndGeluAreTheScalarBits) {
  constexpr int64_t kCols = 43, kRows = 2000;
  Array<float> identity(kCols * kCols);
  for (size_t i = 0; i < kCols; ++i) identity[i * kCols + i] = 1;
  Linear gate, up;
  gate.w = {identity.data(), Type::f32, 0, kCols, kCols};
  Array<float> zeros(kCols * kCols), ones(kCols, 1.0f);
  up.w = {zeros.data(), Type::f32, 0, kCols, kCols};
  up.bias = ones.data();
  int64_t count = 0;
  uint64_t bits = 1;
  for (int round = 0; round < test_count(20); ++round) {
    Held x(kRows, kCols);
    for (float& v : x.f32) {
      bits += 10007;
      v = from_bits(static_cast<uint32_t>(bits));
      if (!(std::fabs(v) < 1e30f)) v = static_cast<float>(bits % 200) - 100.0f;
    }
    for (Glu kind : {Glu::silu, Glu::gelu_tanh}) {
      for (const Kernels* k : backends()) {
        Bench bench(*k, 1, {kRows, kCols, 2 * kCols, 1, 1, 1, 1});
        Held out(kRows, kCols);
        k->glu(bench.exec(), {kRows, x.a, gate, up, kind, 0, out.a});
        for (size_t i = 0; i < x.f32.size(); ++i, ++count) {
          const float v = x.f32[i] + 0.0f;
          const float want = kind == Glu::silu
                                 ? v / (1.0f + math::exp(0.0f - v))
                                 : 0.5f * v * (1.0f + math::tanh(0.7978845608f * std::fmaf(v * v * 0.044715f, v, v)));
          ASSERT_EQ(out.f32[i], want) << k->name << " at " << v;
        }
      }
    }
  }
  std::printf("%lld values\n", static_cast<long long>(count));
}

}  // namespace
}  // namespace linnet
