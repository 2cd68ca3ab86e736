// The rope table against the formulas in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/runtime/rope_reference.h"
#include "tests/support.h"

namespace linnet {
namespace {

using Scaling = RopeFacts::Scaling;

constexpr double kTolerance = 1.5e-7;  // one rounding of a float near 1, and of the angle before it

struct Case {
  std::string name;
  RopeFacts facts;
  std::vector<float> factors;
};

std::vector<Case> all_cases() {
  std::vector<Case> cases = {
      {"no rope", {.dims = 0}, {}},
      {"plain 128", {.dims = 128}, {}},
      {"one pair", {.dims = 2}, {}},
      {"partial 20", {.dims = 20, .base = 500000}, {}},
      {"base 1e12", {.dims = 64, .base = 1e12}, {}},
      {"base 1.0001", {.dims = 64, .base = 1.0001}, {}},
      {"linear 4", {.dims = 64, .scaling = Scaling::linear, .factor = 4}, {}},
      {"linear 0.37", {.dims = 64, .scaling = Scaling::linear, .factor = 0.37}, {}},
      {"linear 8, magnitude", {.dims = 64, .scaling = Scaling::linear, .factor = 8, .attention_factor = 0.9}, {}},
  };
  for (const double factor : {0.5, 1.0, 1.5, 4.0, 16.0, 40.0, 1000.0})
    for (const int64_t context : {1, 8, 128, 4096, 32768})
      for (const double beta_fast : {2.0, 32.0, 64.0})
        for (const double beta_slow : {0.5, 1.0, 32.0})
          for (const double extrapolation : {1.0, 0.0, 0.3}) {
            const RopeFacts f = {.dims = 64,
                                 .base = factor > 8 ? 500000.0 : 10000.0,
                                 .scaling = Scaling::yarn,
                                 .factor = factor,
                                 .original_context = context,
                                 .beta_fast = beta_fast,
                                 .beta_slow = beta_slow,
                                 .extrapolation = extrapolation,
                                 .attention_factor = beta_fast > 32 ? 1.25 : 1.0};
            cases.push_back({"yarn", f, {}});
          }
  // Llama 3's shape: fast pairs as they are, slow ones divided by 8, a few between; and with yarn on top.
  std::vector<float> factors(32);
  for (size_t i = 0; i < factors.size(); ++i)
    factors[i] = i < 14 ? 1.0f : i > 18 ? 8.0f : 1.0f + 1.4f * static_cast<float>(i - 13);
  cases.push_back({"factors", {.dims = 64, .base = 500000}, factors});
  cases.push_back({"factors, linear", {.dims = 64, .scaling = Scaling::linear, .factor = 2}, factors});
  cases.push_back(
      {"factors, yarn", {.dims = 64, .scaling = Scaling::yarn, .factor = 4, .original_context = 512}, factors});
  return cases;
}

std::vector<int64_t> positions() {
  std::vector<int64_t> all = {0, 1, 2, 63, 64, 511, 512, 8191, 131072, 999999, 1000000};
  Random random(5);
  for (int i = 0; i < test_count(60); ++i) all.push_back(random.below(1000001));
  return all;
}

TEST(Rope, TableIsTheFormula) {
  double worst = 0;
  int64_t checked = 0;
  for (const Case& c : all_cases()) {
    const RopeTable table(c.facts, c.factors);
    const RopeReference reference(c.facts, c.factors);
    const size_t pairs = reference.frequencies.size();
    ASSERT_EQ(static_cast<size_t>(table.pairs()), pairs) << c.name;
    std::vector<float> cos(pairs), sin(pairs);
    for (const int64_t position : positions()) {
      table.fill(static_cast<double>(position), cos.data(), sin.data());
      for (size_t i = 0; i < pairs; ++i) {
        const double angle = static_cast<double>(position) * reference.frequencies[i];
        const double error =
            std::hypot(cos[i] - reference.magnitude * std::cos(angle), sin[i] - reference.magnitude * std::sin(angle)) /
            reference.magnitude;
        ASSERT_TRUE(error <= kTolerance) << c.name << ", factor " << c.facts.factor << ", position " << position
                                         << ", pair " << i << ": " << error;
        worst = error > worst ? error : worst;
        ++checked;
      }
    }
  }
  std::printf("%zu tables, %lld angles, worst error %.1e\n", all_cases().size(), static_cast<long long>(checked),
              worst);
}

// Turning by p and then by delta is turning by p + delta; the magnitude comes in once.
TEST(Rope, DeltasCompose) {
  double worst = 0;
  int64_t checked = 0;
  Random random(6);
  for (const Case& c : all_cases()) {
    const RopeTable table(c.facts, c.factors);
    const RopeReference reference(c.facts, c.factors);
    const size_t pairs = reference.frequencies.size();
    std::vector<float> cos(pairs), sin(pairs), turn_cos(pairs), turn_sin(pairs), sum_cos(pairs), sum_sin(pairs);
    for (int i = 0; i < test_count(20); ++i) {
      const int64_t position = random.below(500001);
      const int64_t delta = i % 2 ? random.below(500001) : -random.below(position + 1);
      table.fill(static_cast<double>(position), cos.data(), sin.data());
      table.fill_delta(static_cast<double>(delta), turn_cos.data(), turn_sin.data());
      table.fill(static_cast<double>(position + delta), sum_cos.data(), sum_sin.data());
      for (size_t p = 0; p < pairs; ++p) {
        const double turned_cos = double(cos[p]) * turn_cos[p] - double(sin[p]) * turn_sin[p];
        const double turned_sin = double(cos[p]) * turn_sin[p] + double(sin[p]) * turn_cos[p];
        const double error = std::hypot(turned_cos - sum_cos[p], turned_sin - sum_sin[p]) / reference.magnitude;
        ASSERT_TRUE(error <= 3 * kTolerance) << c.name << ": " << position << " and " << delta << ": " << error;
        worst = error > worst ? error : worst;
        ++checked;
      }
    }
  }
  std::printf("%lld rotations, worst error %.1e\n", static_cast<long long>(checked), worst);
}

}  // namespace
}  // namespace linnet
