#include <gtest/gtest.h>

#include "tests/kernels/kernels_support.h"

namespace linnet {
namespace {

struct Case {
  Norm kind;
  int64_t n, cols;
  bool weight, bias;
  bool add = false;
};

class Norms : public testing::TestWithParam<Case> {};

TEST_P(Norms, AreTheDefinitionOnEveryBackend) {
  const Case c = GetParam();
  Random random(static_cast<uint64_t>(c.cols));
  const Array<float> x = random_floats(random, c.n * c.cols, 3), weight = random_floats(random, c.cols),
                     bias = random_floats(random, c.cols), before = random_floats(random, c.n * c.cols);
  const float eps = 1e-5f, add_scale = 0.7f;
  const auto all = everywhere({c.n, c.cols, 1, 1, 1, 1, 1}, [&](const Kernels& k, Exec& exec) {
    Held out(c.n, c.cols), in_place(c.n, c.cols);
    Array<float> sum = before;
    NormArgs args{c.n,
                  c.kind,
                  eps,
                  x.data(),
                  c.weight ? weight.data() : nullptr,
                  c.bias ? bias.data() : nullptr,
                  out.forms,
                  out.a,
                  c.add ? sum.data() : nullptr,
                  add_scale};
    k.norm(exec, args);
    out.expect_forms();
    std::copy(x.begin(), x.end(), in_place.f32.begin());
    args.x = in_place.a.f32;
    args.out = in_place.a;
    args.add_to = nullptr;
    k.norm(exec, args);
    Array<float> values, again;
    out.append_to(values);
    in_place.append_to(again);
    expect_same(values, again, "in place");
    values.insert(values.end(), sum.begin(), sum.end());
    return values;
  });
  expect_all_same(all);
  for (int64_t t = 0; t < c.n; ++t) {
    const float* row = x.data() + t * c.cols;
    double mean = 0, square = 0;
    for (int64_t k = 0; k < c.cols && c.kind == Norm::layer; ++k) mean += row[k] / static_cast<double>(c.cols);
    for (int64_t k = 0; k < c.cols; ++k) square += (row[k] - mean) * (row[k] - mean) / static_cast<double>(c.cols);
    const double r = c.kind == Norm::none ? 1 : 1 / std::sqrt(square + static_cast<double>(eps));
    for (int64_t k = 0; k < c.cols; ++k) {
      const auto i = static_cast<size_t>(k);
      const double centred = (row[k] - mean) * r, w = c.weight ? weight[i] : 1.0, b = c.bias ? bias[i] : 0.0;
      const double error = std::fabs(all[0].values[static_cast<size_t>(t * c.cols + k)] - (centred * w + b));
      // Roundings of the sums' lanes, of the mean, and of the last operations.
      const double bound = (static_cast<double>(c.cols) / 32 + 16) * 0x1p-24 *
                           ((std::fabs(centred) + std::fabs(mean) * r + 1) * std::fabs(w) + std::fabs(b));
      if (!(error <= bound)) FAIL() << "row " << t << " column " << k << ": off by " << error << " > " << bound;
      const auto at = static_cast<size_t>(t * c.cols + k);
      const float out = all[0].values[at], sum = all[0].values[all[0].values.size() - before.size() + at];
      ASSERT_EQ(sum, c.add ? before[at] + add_scale * out : before[at]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Norms,
                         testing::Values(Case{Norm::rms, 1, 256, true, false}, Case{Norm::rms, 3, 172, true, false},
                                         Case{Norm::rms, 1, 1, true, false}, Case{Norm::rms, 7, 31, false, false},
                                         Case{Norm::rms, 5, 4096, true, false}, Case{Norm::rms, 2, 64, true, true},
                                         Case{Norm::layer, 1, 768, true, true}, Case{Norm::layer, 4, 33, true, true},
                                         Case{Norm::layer, 6, 512, false, false},
                                         Case{Norm::layer, 2, 172, true, false},
                                         Case{Norm::rms, 6, 256, true, false, true},
                                         Case{Norm::layer, 3, 37, true, true, true},
                                         Case{Norm::none, 3, 288, false, false, true},
                                         Case{Norm::none, 1, 43, false, false}, Case{Norm::none, 2, 64, false, true}));

TEST(Norm, ARowAloneIsTheRowInTheBatch) {
  Random random(3);
  const int64_t n = 9, cols = 288;
  const Array<float> x = random_floats(random, n * cols), weight = random_floats(random, cols);
  for (const Kernels* k : backends()) {
    Bench bench(*k, 2, {n, cols, 1, 1, 1, 1, 1});
    Held all(n, cols);
    k->norm(bench.exec(), {n, Norm::rms, 1e-6f, x.data(), weight.data(), nullptr, all.forms, all.a});
    for (int64_t t = 0; t < n; ++t) {
      Held one(1, cols);
      k->norm(bench.exec(), {1, Norm::rms, 1e-6f, x.data() + t * cols, weight.data(), nullptr, one.forms, one.a});
      expect_same(one.f32, Array<float>(all.f32.begin() + t * cols, all.f32.begin() + (t + 1) * cols), k->name);
    }
  }
}

// NaN, infinities and subnormals quantize to something defined, the same everywhere, and never crash.
TEST(Norm, QuantizesNonFiniteAndTinyValuesAsDefined) {
  const int64_t cols = 256;
  const float special[] = {NAN, INFINITY, -INFINITY, 1e-42f, -1e-45f, 3e38f, 0.0f, -0.0f};
  Random random(4);
  for (int round = 0; round < test_count(200); ++round) {
    Array<float> x = random_floats(random, cols, round % 3 ? 1e-41f : 1.0f);
    for (int i = 0; i < 1 + round % 5; ++i) x[static_cast<size_t>(random.below(cols))] = special[random.below(8)];
    expect_all_same(everywhere({1, cols, 1, 1, 1, 1, 1}, [&](const Kernels& k, Exec& exec) {
      Held out(1, cols);
      // eps so large that the norm scales by about one and keeps what is special.
      k.norm(exec, {1, Norm::rms, 1.0f, x.data(), nullptr, nullptr, out.forms, out.a});
      out.expect_forms();
      Array<float> values;
      out.append_to(values);
      return values;
    }));
  }
}

}  // namespace
}  // namespace linnet
