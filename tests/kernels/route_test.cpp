// The choice of experts.
#include <gtest/gtest.h>

#include "gguf/base/math.h"
#include "tests/kernels/experts_support.h"

namespace linnet {
namespace {

// By insertion: std::stable_sort of libstdc++ 12 warns with clang.
template <class T, class Before>
void sort_stably(std::vector<T>& items, Before before) {
  for (auto i = items.begin(); i != items.end(); ++i)
    std::rotate(std::upper_bound(items.begin(), i, *i, before), i, i + 1);
}

struct Case {
  Gating gating;
  int32_t experts, used;
  int32_t groups = 1, groups_used = 1;
  bool bias = false, normalize = false;
  float scale = 1;
};

// Logits are multiples of `step`: many are equal when it is large.
Array<float> stepped_logits(Random& random, int64_t n, float step) {
  Array<float> x = random_floats(random, n, 2);
  for (float& v : x) v = std::round(v / step) * step;
  return x;
}

RouteArgs arguments(const Case& c, int64_t n, const float* logits, const Array<float>& bias, Routed& out) {
  return {n,
          logits,
          c.bias ? bias.data() : nullptr,
          c.experts,
          c.used,
          c.groups,
          c.groups_used,
          c.gating,
          c.normalize,
          c.scale,
          out.routes};
}

void softmax(Array<float>& x) {
  const float most = *std::max_element(x.begin(), x.end());
  float sum = 0;
  for (float& v : x) sum += v = math::exp(v - most);
  for (float& v : x) v /= sum;
}

// docs/canonical-arithmetic.md, with stable sorts for the choices.
void define_row(const Case& c, const float* logits, const Array<float>& bias, std::vector<int32_t>& chosen,
                Array<float>& weight) {
  Array<float> p(logits, logits + c.experts);
  if (c.gating == Gating::softmax) softmax(p);
  for (float& v : p)
    if (c.gating == Gating::sigmoid) v = 1 / (1 + math::exp(-v));
  const auto seen = [&](int32_t e) {
    return c.bias ? p[static_cast<size_t>(e)] + bias[static_cast<size_t>(e)] : p[static_cast<size_t>(e)];
  };
  const auto better = [&](int32_t a, int32_t b) { return seen(a) > seen(b); };
  const int32_t size = c.experts / c.groups;
  std::vector<std::pair<float, std::vector<int32_t>>> groups;  // sum of the two best, and all experts, best first
  for (int32_t g = 0; g < c.groups; ++g) {
    std::vector<int32_t> members;
    for (int32_t e = g * size; e < (g + 1) * size; ++e) members.push_back(e);
    sort_stably(members, better);
    groups.emplace_back(seen(members[0]) + (size > 1 ? seen(members[1]) : 0), members);
  }
  sort_stably(groups, [](const auto& a, const auto& b) { return a.first > b.first; });
  chosen.clear();
  for (int32_t g = 0; g < c.groups_used; ++g)
    for (int32_t e : groups[static_cast<size_t>(g)].second) chosen.push_back(e);
  std::sort(chosen.begin(), chosen.end());
  sort_stably(chosen, better);
  chosen.resize(static_cast<size_t>(c.used));
  weight.clear();
  for (int32_t e : chosen) weight.push_back(p[static_cast<size_t>(e)]);
  if (c.gating == Gating::softmax_of_chosen) softmax(weight);
  float sum = 0;
  for (float w : weight) sum += w;
  for (float& w : weight) w = (c.normalize ? w / sum : w) * c.scale;
}

// The weights of chosen experts in double.
void expect_weights(const Case& c, const float* logits, const std::vector<int32_t>& chosen, const float* weight) {
  double all = 0, few = 0, sum = 0;
  for (int32_t e = 0; e < c.experts; ++e) all += std::exp(double{logits[e]});
  for (int32_t e : chosen) few += std::exp(double{logits[e]});
  std::vector<double> want;
  for (int32_t e : chosen) {
    const double x = std::exp(double{logits[e]});
    want.push_back(c.gating == Gating::softmax ? x / all : c.gating == Gating::sigmoid ? x / (1 + x) : x / few);
    sum += want.back();
  }
  const double bound = (c.experts + 16) * 0x1p-23;
  for (size_t j = 0; j < want.size(); ++j) {
    const double w = want[j] * c.scale / (c.normalize ? sum : 1);
    if (!(std::fabs(weight[j] - w) <= bound * std::fabs(w))) FAIL() << weight[j] << " is not " << w;
  }
}

class Route : public testing::TestWithParam<Case> {};

TEST_P(Route, IsTheDefinitionOnEveryBackend) {
  const Case c = GetParam();
  const int64_t n = 37;
  Random random(static_cast<uint64_t>(c.experts));
  for (float step : {1e-3f, 0.5f, 4.0f}) {
    const Array<float> logits = stepped_logits(random, n * c.experts, step);
    const Array<float> bias = stepped_logits(random, c.experts, 0.25f);
    const auto all = everywhere({n, 1, 1, 1, 1, 1, 1}, [&](const Kernels& k, Exec& exec) {
      Routed out(n, c.experts, c.used);
      k.route(exec, arguments(c, n, logits.data(), bias, out));
      out.expect_consistent();
      Array<float> values = out.weight;
      for (const auto* part : {&out.first, &out.row, &out.slot})
        values.insert(values.end(), part->begin(), part->end());
      return values;
    });
    expect_all_same(all);
    Bench bench(scalar(), 1, {n, 1, 1, 1, 1, 1, 1});
    Routed out(n, c.experts, c.used);
    scalar().route(bench.exec(), arguments(c, n, logits.data(), bias, out));
    for (int64_t t = 0; t < n; ++t) {
      const float* row = logits.data() + t * c.experts;
      std::vector<int32_t> chosen;
      Array<float> weight;
      define_row(c, row, bias, chosen, weight);
      for (int32_t j = 0; j < c.used; ++j) ASSERT_EQ(out.expert(t, j), chosen[static_cast<size_t>(j)]) << "row " << t;
      const Array<float> got(out.weight.begin() + t * c.used, out.weight.begin() + (t + 1) * c.used);
      expect_same(weight, got, "weights");
      expect_weights(c, row, chosen, got.data());
      Routed alone(1, c.experts, c.used);
      scalar().route(bench.exec(), arguments(c, 1, row, bias, alone));
      expect_same(got, alone.weight, "alone");
      for (int32_t j = 0; j < c.used; ++j) ASSERT_EQ(out.expert(t, j), alone.expert(0, j));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Route,
    testing::Values(Case{Gating::softmax, 8, 2}, Case{Gating::softmax, 64, 6, 1, 1, false, true, 2.5f},
                    Case{Gating::softmax, 60, 4, 1, 1, true}, Case{Gating::softmax, 160, 6, 8, 3, false, false, 16},
                    Case{Gating::sigmoid, 256, 8, 8, 4, true, true, 2.5f}, Case{Gating::sigmoid, 16, 1},
                    Case{Gating::sigmoid, 12, 3, 12, 5, true}, Case{Gating::sigmoid, 5, 5, 1, 1, true, true},
                    Case{Gating::softmax_of_chosen, 32, 4}, Case{Gating::softmax_of_chosen, 1, 1},
                    Case{Gating::softmax_of_chosen, 16, 4, 4, 2, true, false, 0.5f}));

// NaN and infinities anywhere: any indices, but valid ones, the same everywhere.
TEST(RouteRange, AnyLogitsGiveValidChoices) {
  const float special[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f, -0.0f};
  Random random(41);
  int64_t rows = 0;
  for (Gating gating : {Gating::softmax, Gating::sigmoid, Gating::softmax_of_chosen})
    for (int round = 0; round < test_count(60); ++round) {
      const int32_t groups = round % 2 ? 4 : 1, groups_used = groups > 1 ? 2 : 1;
      const Case c{gating, 16, 8, groups, groups_used, round % 3 == 0, round % 5 == 0, 2};
      const int64_t n = 11;
      rows += n;
      Array<float> logits = random_floats(random, n * c.experts), bias = random_floats(random, c.experts);
      for (float& v : logits)
        if (random.below(16) < round % 17) v = special[random.below(8)];
      if (round % 6 == 0) bias[static_cast<size_t>(random.below(c.experts))] = special[random.below(8)];
      const auto all = everywhere({n, 1, 1, 1, 1, 1, 1}, [&](const Kernels& k, Exec& exec) {
        Routed out(n, c.experts, c.used);
        k.route(exec, arguments(c, n, logits.data(), bias, out));
        out.expect_consistent();
        Array<float> values = out.weight;
        values.insert(values.end(), out.slot.begin(), out.slot.end());
        return values;
      });
      expect_all_same(all);
    }
  std::printf("%lld rows with NaN and infinities\n", static_cast<long long>(rows));
}

// What the group's first expert is worth says nothing about the group: here it is the least of all.
TEST(RouteRange, AnInfiniteLogitLosesAlone) {
  const float low = -INFINITY;
  const float logits[] = {low, 5, 5, 5, low, 4, 4, 4, 1, 2, 2, 1, low, low, low, low};
  Bench bench(scalar(), 1, {1, 1, 1, 1, 1, 1, 1});
  for (const auto& [groups_used, want] :
       {std::pair(1, std::vector{1, 2, 3, 0}), {2, {1, 2, 3, 5}}, {4, {1, 2, 3, 5}}}) {
    const Case c{Gating::softmax_of_chosen, 16, 4, 4, groups_used};
    Routed out(1, 16, 4);
    scalar().route(bench.exec(), arguments(c, 1, logits, {}, out));
    for (int32_t j = 0; j < 4; ++j) EXPECT_EQ(out.expert(0, j), want[static_cast<size_t>(j)]) << groups_used;
  }
}

// Where all are equal the first experts of the first groups win, in order.
TEST(RouteRange, TiesGoToTheLowerIndex) {
  const Array<float> logits(24, 0.25f);
  Bench bench(scalar(), 1, {1, 1, 1, 1, 1, 1, 1});
  for (Gating gating : {Gating::softmax, Gating::sigmoid, Gating::softmax_of_chosen})
    for (int32_t groups : {1, 3, 6}) {
      Routed out(1, 24, 8);
      scalar().route(bench.exec(), arguments({gating, 24, 8, groups, (groups + 1) / 2}, 1, logits.data(), {}, out));
      for (int32_t j = 0; j < 8; ++j) EXPECT_EQ(out.expert(0, j), j);
    }
}

}  // namespace
}  // namespace linnet
