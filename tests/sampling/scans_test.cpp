// The scans of every backend give the bits of the scalar definition, and so the same text.
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>

#include <gtest/gtest.h>

#include "kernels/kernels.h"
#include "sampling/chain.h"
#include "sampling/vocabulary.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::vector<Scans> backends() {
  std::vector<Scans> result;
  const KernelList list = all_kernels();
  for (int32_t i = 0; i < list.count; ++i) {
    const Kernels& k = *list.items[i];
    if (k.supported()) result.push_back({k.max, k.above, k.sum_exp, k.exp});
  }
  return result;
}

TEST(Scans, BackendsEqualTheDefinition) {
  Random random(1);
  const Scans scalar = Scans::scalar();
  int64_t compared = 0;
  for (const Scans& scans : backends()) {
    for (int round = 0; round < test_count(2000); ++round) {
      const int64_t n = 1 + random.below(300);
      std::vector<float> x;
      for (int64_t i = 0; i < n; ++i) {
        x.push_back(random.below(10) ? random.normal() * 20 : -std::numeric_limits<float>::infinity());
      }
      const float shift = random.below(4) ? 20.0f : x[size_t(random.below(n))];
      if (std::isfinite(shift)) {
        ASSERT_EQ(std::bit_cast<uint32_t>(scans.sum_exp(x.data(), n, shift)),
                  std::bit_cast<uint32_t>(scalar.sum_exp(x.data(), n, shift)));
      }
      std::vector<float> exps(size_t(n), -1), expected_exps(size_t(n), -1);
      scans.exp(x.data(), n, shift, exps.data());
      scalar.exp(x.data(), n, shift, expected_exps.data());
      if (std::isfinite(shift)) { ASSERT_EQ(exps, expected_exps); }
      ASSERT_EQ(scans.max(x.data(), n), scalar.max(x.data(), n));
      const float threshold = x[size_t(random.below(n))];
      std::vector<int32_t> ids(size_t(n), -1), expected(size_t(n), -1);
      const int64_t capacity = random.below(n + 1);
      ASSERT_EQ(scans.above(x.data(), n, threshold, ids.data(), capacity),
                scalar.above(x.data(), n, threshold, expected.data(), capacity));
      ASSERT_EQ(ids, expected);
      x[size_t(random.below(n))] = std::numeric_limits<float>::quiet_NaN();
      ASSERT_TRUE(std::isnan(scans.max(x.data(), n)));
      ++compared;
    }
  }
  std::printf("%ld rows compared\n", long(compared));
}

TEST(Scans, BackendsGiveTheSameText) {
  Random random(2);
  const int32_t n = 10007;
  const PlainVocabulary vocabulary(n);
  std::vector<float> logits;
  for (int32_t i = 0; i < n; ++i) logits.push_back(random.normal() * 1.5f);
  const SamplingParams each[] = {
      {.seed = 5},
      {.temperature = 1.1f, .top_k = 0, .top_p = 0.9f, .seed = 5},
      {.temperature = 0.9f, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 5},
      {.temperature = 0.9f, .top_k = 0, .top_p = 1, .min_p = 0, .typical_p = 0.9, .seed = 5},
      {.temperature = 0.9f, .dynatemp_range = 0.3, .top_k = 0, .top_p = 1, .min_p = 0, .tfs_z = 0.9, .seed = 5},
      {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0, .adaptive_target = 0.2, .seed = 5},
  };
  for (const SamplingParams& params : each) {
    Result<Chain> expected = Chain::create(params, {vocabulary, 4096});
    ASSERT_TRUE(expected);
    std::vector<Chain> chains;
    for (const Scans& scans : backends()) {
      Result<Chain> chain = Chain::create(params, {vocabulary, 4096, scans});
      ASSERT_TRUE(chain);
      chains.push_back(*std::move(chain));
    }
    for (uint64_t i = 0; i < 100; ++i) {
      std::vector<float> row = logits;
      const Result<int32_t> token = expected->sample(row.data(), i);
      ASSERT_TRUE(token);
      expected->accept(*token);
      for (Chain& chain : chains) {
        std::vector<float> own = logits;
        const Result<int32_t> same = chain.sample(own.data(), i);
        ASSERT_TRUE(same);
        ASSERT_EQ(*same, *token);
        ASSERT_EQ(own, row);
        chain.accept(*same);
      }
    }
  }
}

}  // namespace
}  // namespace linnet
