// The steps against their definitions in double precision, computed the obvious way: sort everything, normalize.
#include "sampling/candidates.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "gguf/base/math.h"
#include "sampling/steps.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Rows of many shapes: peaked, flat, with ties, with masks; sizes around the blocks' borders.
std::vector<float> make_row(Random& random, int64_t n) {
  const double spread = std::pow(2.0, double(random.below(7)) - 2);
  const int64_t style = random.below(4);
  std::vector<float> row;
  for (int64_t i = 0; i < n; ++i) {
    auto l = float(random.normal() * spread);
    if (style == 1) l = std::round(l);
    if (style == 2 && random.below(3) == 0) l = -kInfinity;
    if (style == 3) l = std::round(l * 4) / 4 - 50;
    row.push_back(l);
  }
  row[size_t(random.below(n))] = float(spread);
  return row;
}

int64_t make_size(Random& random) {
  constexpr int64_t sizes[] = {1, 2, 3, 17, 40, 41, 255, 256, 257, 511, 513, 1000, 5000};
  return sizes[random.below(std::size(sizes))];
}

struct Row {
  std::vector<float> logits;
  Candidates candidates{Scans::scalar()};
  explicit Row(const std::vector<float>& row, uint64_t seed = 1, uint64_t position = 0) : logits(row) {
    EXPECT_TRUE(candidates.begin(logits, seed, position));
  }
};

// All unmasked tokens, best first; double precision.
std::vector<int32_t> sorted(const std::vector<float>& row) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < row.size(); ++i) {
    if (row[i] > -kInfinity) ids.push_back(int32_t(i));
  }
  std::sort(ids.begin(), ids.end(), [&row](int32_t a, int32_t b) {
    return row[size_t(a)] != row[size_t(b)] ? row[size_t(a)] > row[size_t(b)] : a < b;
  });
  return ids;
}

std::vector<double> softmax(const std::vector<float>& row, const std::vector<int32_t>& ids) {
  std::vector<double> p;
  for (const int32_t id : ids) p.push_back(std::exp(double(row[size_t(id)]) - double(row[size_t(ids[0])])));
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= sum;
  return p;
}

// The tokens left, whether they are still a row or already a list.
std::vector<int32_t> left(const Row& r) {
  std::vector<int32_t> ids;
  if (r.candidates.is_row()) {
    for (size_t i = 0; i < r.logits.size(); ++i) {
      if (r.logits[i] > -kInfinity) ids.push_back(int32_t(i));
    }
  }
  for (const Candidate& c : r.candidates.list()) {
    EXPECT_EQ(c.logit, r.logits[size_t(c.id)]);
    ids.push_back(c.id);
  }
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  return ids;
}

std::vector<int32_t> first(std::vector<int32_t> ids, size_t count) {
  ids.resize(std::min(count, ids.size()));
  std::sort(ids.begin(), ids.end());
  return ids;
}

TEST(Candidates, TopKIsThePrefixOfTheSort) {
  Random random(2);
  const int rounds = test_count(3000);
  for (int round = 0; round < rounds; ++round) {
    const std::vector<float> row = make_row(random, make_size(random));
    const std::vector<int32_t> order = sorted(row);
    Row r(row);
    const int64_t k = 1 + random.below(random.below(2) ? 50 : 6000);
    r.candidates.keep_best(k);
    ASSERT_EQ(left(r), first(order, size_t(k))) << "round " << round << ", n " << row.size() << ", k " << k;
    const int64_t fewer = 1 + random.below(k);
    r.candidates.keep_best(fewer);
    ASSERT_EQ(left(r), first(order, size_t(fewer)));
    ASSERT_EQ(r.candidates.best(), order[0]);
    ASSERT_EQ(r.candidates.max(), row[size_t(order[0])]);
  }
}

// `from` tokens were left before; the fewest of them with the share were to stay.
void check_share(const std::vector<float>& row, const std::vector<int32_t>& order, const Row& r, size_t from, float p,
                 size_t min_keep) {
  const std::vector<int32_t> before(order.begin(), order.begin() + int64_t(from));
  const std::vector<int32_t> kept = left(r);
  ASSERT_EQ(kept, first(before, kept.size()));
  ASSERT_GE(kept.size(), std::min(min_keep, from));
  const std::vector<double> q = softmax(row, before);
  double sum = std::accumulate(q.begin(), q.begin() + int64_t(kept.size()), 0.0);
  // Weights are cut to 2^-40 of the best one's; block sums are floats of 256 terms.
  const double tolerance = 1e-5;
  EXPECT_TRUE(sum >= double(p) - tolerance) << sum << " " << p;
  sum -= q[kept.size() - 1];
  if (kept.size() > std::max<size_t>(min_keep, 1)) { EXPECT_TRUE(sum <= double(p) + tolerance) << sum << " " << p; }
}

TEST(Candidates, TopPIsTheSmallestPrefixWithTheShare) {
  Random random(3);
  const int rounds = test_count(3000);
  for (int round = 0; round < rounds; ++round) {
    const std::vector<float> row = make_row(random, make_size(random));
    const std::vector<int32_t> order = sorted(row);
    const float shares[] = {0, 0.1f, 0.5f, 0.9f, 0.95f, 0.9999f, float(random.uniform())};
    const float p = shares[random.below(std::size(shares))];
    const int64_t min_keep = random.below(4) ? 1 : 1 + random.below(20);
    Row r(row);
    size_t from = order.size();
    if (random.below(2)) {
      const int64_t k = 1 + random.below(60);
      r.candidates.keep_best(k);
      from = std::min(from, size_t(k));
    }
    r.candidates.keep_share(p, min_keep);
    check_share(row, order, r, from, p, size_t(min_keep));
    if (HasFailure()) FAIL() << "round " << round << ", n " << row.size() << ", p " << p << ", min_keep " << min_keep;
  }
}

TEST(Candidates, MinPIsTheRatioToTheBest) {
  Random random(4);
  const int rounds = test_count(3000);
  for (int round = 0; round < rounds; ++round) {
    const std::vector<float> row = make_row(random, make_size(random));
    const std::vector<int32_t> order = sorted(row);
    const float ratios[] = {1, 0.5f, 0.05f, 1e-3f, float(random.uniform()) + 1e-6f};
    const float p = ratios[random.below(std::size(ratios))];
    const auto min_keep = int32_t(random.below(4) ? 1 : 1 + random.below(20));
    Row r(row);
    size_t from = order.size();
    if (random.below(2)) {
      const int64_t k = 1 + random.below(60);
      r.candidates.keep_best(k);
      from = std::min(from, size_t(k));
    }
    MinP{p, min_keep}.apply(r.candidates);
    const std::vector<int32_t> kept = left(r);
    ASSERT_EQ(kept, first(order, kept.size()));
    const auto ratio = [&](size_t i) {
      return std::exp(double(row[size_t(order[i])]) - double(row[size_t(order[0])]));
    };
    // The threshold is a float sum: its rounding is relative to the logits' size.
    const double tolerance = double(p) * std::abs(double(row[size_t(order[0])])) * 3e-7 + 1e-7;
    if (kept.size() > size_t(min_keep)) { ASSERT_TRUE(ratio(kept.size() - 1) >= double(p) - tolerance); }
    if (kept.size() < from) { ASSERT_TRUE(ratio(kept.size()) <= double(p) + tolerance); }
    ASSERT_GE(kept.size(), std::min(size_t(min_keep), from));
  }
}

TEST(Candidates, DivideKeepsProbabilities) {
  Random random(5);
  const int rounds = test_count(500);
  for (int round = 0; round < rounds; ++round) {
    const std::vector<float> row = make_row(random, make_size(random));
    const float temperatures[] = {1e-38f, 0.1f, 0.7f, 1.5f, 1000.0f};
    const float t = temperatures[random.below(std::size(temperatures))];
    Row r(row);
    if (random.below(2)) r.candidates.keep_best(40);
    const int32_t best = r.candidates.best();
    r.candidates.divide(t);
    ASSERT_EQ(r.candidates.max(), 0.0f);
    const float max = row[size_t(best)];
    const auto check = [&](float l, int32_t id) {
      const double expected = (double(row[size_t(id)]) - double(max)) / double(t);
      ASSERT_TRUE(l == expected || (expected < -3e38 && l == std::numeric_limits<float>::lowest()) ||
                  std::abs(l - expected) <= 2e-7 * std::abs(expected) + 2e-7 * std::abs(double(max) / double(t)))
          << l << " " << expected;
    };
    if (r.candidates.is_row()) {
      for (size_t i = 0; i < r.logits.size(); ++i) check(r.logits[i], int32_t(i));
    }
    for (const Candidate& c : r.candidates.list()) check(c.logit, c.id);
  }
}

TEST(Candidates, SetKeepsTheMaxima) {
  Random random(6);
  for (int round = 0; round < test_count(200); ++round) {
    Row r(make_row(random, make_size(random)));
    for (int i = 0; i < 50; ++i) {
      const auto id = int32_t(random.below(int64_t(r.logits.size())));
      r.candidates.set(id, random.below(5) ? float(random.normal() * 5) : r.candidates.max());
      const std::vector<int32_t> order = sorted(r.logits);
      ASSERT_EQ(r.candidates.best(), order[0]);
      ASSERT_EQ(r.candidates.max(), r.logits[size_t(order[0])]);
    }
  }
}

// Pearson's statistic over thousands of draws against probabilities in double precision. The seeds are fixed, so this
// passes or fails for good; the bound is five standard deviations above the mean.
void check_distribution(const std::vector<float>& row, int64_t top_k, uint64_t seed) {
  std::vector<int32_t> order = sorted(row);
  order.resize(std::min(order.size(), size_t(top_k)));
  const std::vector<double> p = softmax(row, order);
  const int draws = test_count(20000);
  std::map<int32_t, int64_t> seen;
  for (int i = 0; i < draws; ++i) {
    Row r(row, seed, uint64_t(i));
    r.candidates.keep_best(top_k);
    Dist{}.apply(r.candidates);
    ++seen[r.candidates.picked()];
  }
  double chi2 = 0, rest_expected = 0, rest_seen = draws;
  int64_t cells = 0;
  for (size_t i = 0; i < order.size(); ++i) {
    const double expected = p[i] * draws;
    if (expected < 8) {
      rest_expected += expected;
      continue;
    }
    const double count = double(seen[order[i]]);
    chi2 += (count - expected) * (count - expected) / expected;
    rest_seen -= count;
    ++cells;
  }
  if (rest_expected >= 8) {
    chi2 += (rest_seen - rest_expected) * (rest_seen - rest_expected) / rest_expected;
    ++cells;
  } else {
    EXPECT_LE(rest_seen, 40) << rest_expected;
  }
  const double freedom = double(std::max<int64_t>(cells - 1, 1));
  EXPECT_TRUE(chi2 <= freedom + 5 * std::sqrt(2 * freedom)) << "chi2 " << chi2 << " for " << freedom;
  std::printf("n %zu, top_k %ld: chi2 %.1f at %.0f degrees of freedom\n", row.size(), long(top_k), chi2, freedom);
  const std::set<int32_t> allowed(order.begin(), order.end());
  for (const auto& [id, count] : seen) EXPECT_TRUE(allowed.contains(id)) << id;
}

TEST(Candidates, DrawsFollowTheDistribution) {
  Random random(7);
  for (const int64_t n : {2, 30, 700, 3000}) {
    for (const double spread : {0.3, 2.0}) {
      std::vector<float> row;
      for (int64_t i = 0; i < n; ++i) row.push_back(float(random.normal() * spread));
      check_distribution(row, n, random.next());                         // the row
      check_distribution(row, std::min<int64_t>(n, 20), random.next());  // the list
    }
  }
}

// A block that weighs little must still give every one of its tokens its share.
TEST(Candidates, DrawsInsideUnlikelyBlocks) {
  std::vector<float> row(512, -kInfinity);
  row[0] = 0;
  row[300] = -25;
  row[301] = -25;
  Row r(row);
  std::set<int32_t> seen;
  for (uint64_t i = 0; i < 64; ++i) {
    Row again(row);
    seen.insert(again.candidates.draw({~uint64_t{0}, i << 58}));
  }
  EXPECT_EQ(seen, (std::set<int32_t>{300, 301}));
}

TEST(Candidates, RefusesWhatIsNotFinite) {
  const auto begin = [](std::vector<float> row) { return Candidates(Scans::scalar()).begin(row, 1, 17); };
  std::vector<float> row(1000, 1.0f);
  EXPECT_TRUE(begin(row));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), kInfinity}) {
    for (const size_t at : {0, 255, 256, 999}) {
      row[at] = bad;
      const Status status = begin(row);
      ASSERT_FALSE(status);
      EXPECT_EQ(status.error().code, Code::logits_not_finite);
      EXPECT_NE(status.error().message.find("logit " + std::to_string(at) + " "), std::string::npos)
          << status.error().message;
      EXPECT_NE(status.error().message.find("position 17"), std::string::npos);
      row[at] = 1;
    }
  }
  EXPECT_EQ(begin(std::vector<float>(300, -kInfinity)).error().code, Code::logits_not_finite);
  EXPECT_EQ(begin({std::numeric_limits<float>::quiet_NaN()}).error().code, Code::logits_not_finite);
  EXPECT_TRUE(begin({-3e38f, 3e38f}));
}

TEST(Scans, ScalarIsTheDefinition) {
  Random random(8);
  const Scans scans = Scans::scalar();
  for (int round = 0; round < test_count(1000); ++round) {
    std::vector<float> x = make_row(random, 1 + random.below(300));
    const auto n = int64_t(x.size());
    const float max = *std::max_element(x.begin(), x.end());
    ASSERT_EQ(scans.max(x.data(), n), max);
    double sum = 0;
    for (const float v : x) sum += std::exp(double(v) - double(max));
    ASSERT_TRUE(std::abs(scans.sum_exp(x.data(), n, max) - sum) <= 1e-6 * sum);
    const float threshold = x[size_t(random.below(n))];
    std::vector<int32_t> ids(size_t(n), -1), naive;
    for (int64_t i = 0; i < n; ++i) {
      if (x[size_t(i)] >= threshold) naive.push_back(int32_t(i));
    }
    const int64_t capacity = random.below(n + 1);
    ASSERT_EQ(scans.above(x.data(), n, threshold, ids.data(), capacity), int64_t(naive.size()));
    for (int64_t i = 0; i < n; ++i) {
      const bool written = i < std::min(capacity, int64_t(naive.size()));
      ASSERT_EQ(ids[size_t(i)], written ? naive[size_t(i)] : -1);
    }
    x[size_t(random.below(n))] = std::numeric_limits<float>::quiet_NaN();
    ASSERT_TRUE(std::isnan(scans.max(x.data(), n)));
  }
}

}  // namespace
}  // namespace linnet
