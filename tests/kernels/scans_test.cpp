#include <gtest/gtest.h>

#include "gguf/base/math.h"
#include "tests/kernels/kernels_support.h"

namespace linnet {
namespace {

TEST(Scans, AreTheDefinitionOnEveryBackend) {
  Random random(7);
  int64_t values = 0;
  for (int64_t n : {1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 1000, 32001}) {
    const Array<float> x = random_floats(random, n, 5);
    float best = x[0];
    std::vector<int32_t> ids;
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) {
      const float v = x[static_cast<size_t>(i)];
      best = v > best ? v : best;
      if (v >= 2.5f) ids.push_back(static_cast<int32_t>(i));
    }
    for (float v : x) sum += std::exp(static_cast<double>(v) - static_cast<double>(best));
    const float first = scalar().sum_exp(x.data(), n, best);
    EXPECT_LE(std::fabs(first - sum), sum * 0x1p-24 * (static_cast<double>(n) / 32 + 16));
    for (const Kernels* k : backends()) {
      EXPECT_EQ(k->max(x.data(), n), best) << k->name << " " << n;
      EXPECT_EQ(k->sum_exp(x.data(), n, best), first) << k->name << " " << n;
      Array<float> y(static_cast<size_t>(n) + 1, -1.0f);
      k->exp(x.data(), n, best, y.data());
      for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], math::exp(x[i] - best)) << k->name << " " << n;
      EXPECT_EQ(y.back(), -1.0f) << k->name << " " << n;
      y = x;
      k->exp(y.data(), n, best, y.data());
      for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i], math::exp(x[i] - best)) << k->name << " " << n;
      std::vector<int32_t> got(static_cast<size_t>(n) + 1, -1);
      ASSERT_EQ(k->above(x.data(), n, 2.5f, got.data(), n), static_cast<int64_t>(ids.size())) << k->name << " " << n;
      EXPECT_TRUE(std::equal(ids.begin(), ids.end(), got.begin()));
      // A full list stops the writing, not the counting.
      std::vector<int32_t> few(3, -1);
      EXPECT_EQ(k->above(x.data(), n, 2.5f, few.data(), 2), static_cast<int64_t>(ids.size()));
      EXPECT_EQ(few[2], -1);
      values += n;
    }
  }
  std::printf("%lld values\n", static_cast<long long>(values));
}

TEST(Scans, NanWinsTheMaximumAndIsAboveNothing) {
  Random random(8);
  for (int64_t n : {1, 5, 32, 77})
    for (int64_t at = 0; at < n; ++at) {
      Array<float> x = random_floats(random, n);
      x[static_cast<size_t>(at)] = NAN;
      int32_t id;
      for (const Kernels* k : backends()) {
        EXPECT_TRUE(std::isnan(k->max(x.data(), n))) << k->name;
        EXPECT_EQ(k->above(x.data(), n, -1e30f, &id, 1), n - 1) << k->name;
      }
    }
}

TEST(Scans, MasksOfMinusInfinity) {
  const Array<float> x(40, -INFINITY);
  for (const Kernels* k : backends()) {
    EXPECT_EQ(k->max(x.data(), 40), -INFINITY);
    EXPECT_EQ(k->sum_exp(x.data(), 40, 0.0f), 0.0f);
    Array<float> y(40, -1.0f);
    k->exp(x.data(), 40, 0.0f, y.data());
    EXPECT_EQ(y, Array<float>(40, 0.0f));
  }
}

TEST(Backends, AreFoundByNameBestFirst) {
  const KernelList list = all_kernels();
  ASSERT_GE(list.count, 1);
  EXPECT_STREQ(list.items[list.count - 1]->name, "scalar");
  EXPECT_TRUE(list.items[list.count - 1]->supported());
  EXPECT_EQ(find_kernels("no such backend"), nullptr);
  const Kernels* best = nullptr;
  for (int32_t i = list.count - 1; i >= 0; --i) {
    const Kernels* k = list.items[i];
    // The forced one is the one that runs, not another of the same results.
    EXPECT_EQ(find_kernels(k->name), k->supported() ? k : nullptr) << k->name;
    if (k->supported()) best = k;
    for (int32_t j = 0; j < i; ++j) EXPECT_NE(list.items[j]->linear, k->linear);
    std::printf("%s: %s\n", k->name, k->supported() ? "runs here" : "not on this machine");
  }
  EXPECT_EQ(find_kernels(""), best);
}

}  // namespace
}  // namespace linnet
