// Every step of the chain against its definition (tests/sampling/definitions.h), step by step through explicit chains.
#include "tests/sampling/definitions.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <map>
#include <numeric>

#include <gtest/gtest.h>

#include "sampling/chain.h"
#include "sampling/philox.h"
#include "sampling/selectors.h"
#include "sampling/steps.h"
#include "sampling/truncation.h"
#include "tests/sampling/letter_vocabulary.h"
#include "tests/support.h"

namespace linnet {
namespace {

using definition::Left;
using definition::Tokens;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// --- random distributions ---

std::vector<float> make_row(Random& random, int64_t n) {
  std::vector<float> row;
  const int64_t style = random.below(10);
  const double spread = std::pow(2.0, double(random.below(7)) - 3);
  for (int64_t i = 0; i < n; ++i) {
    auto l = float(random.normal() * spread);
    if (style == 1) l = std::round(l);                                             // ties
    if (style == 2) l = -2.5f;                                                     // all equal
    if (style == 3 && random.below(3) > 0) l = -kInfinity;                         // masked
    if (style == 4) l = float(-1.1 * std::log(double(1 + random.below(n))) - 10);  // a long tail
    if (style == 5) l = float(random.normal() * 3e37);                             // huge
    if (style == 6) l = float(random.normal() * 1e-30);                            // tiny
    if (style == 7) l = random.below(20) ? -8 : float(random.below(2));            // two levels
    if (style == 8) l = i == n / 2 ? 30 : l;                                       // one stands out
    if (style == 9) l = float(1000 + random.normal());                             // far from 0
    row.push_back(l);
  }
  if (style == 3) row[size_t(random.below(n))] = float(spread);
  return row;
}

int64_t make_size(Random& random) {
  constexpr int64_t sizes[] = {1, 2, 3, 4, 7, 20, 63, 64, 65, 255, 256, 257, 300, 512, 513, 1000, 2500};
  return sizes[random.below(std::size(sizes))];
}

std::vector<int32_t> make_history(Random& random, int64_t n) {
  std::vector<int32_t> history;
  const int64_t kinds = std::min<int64_t>(n, 2 + random.below(12)), length = random.below(120);
  for (int64_t i = 0; i < length; ++i) {
    // Now and then a part of what was there comes again.
    if (history.size() > 10 && random.below(12) == 0) {
      const auto from = size_t(random.below(int64_t(history.size()) - 8));
      for (size_t j = 0; j < 8; ++j) history.push_back(history[from + j]);
    }
    history.push_back(int32_t(random.below(kinds)));
  }
  return history;
}

constexpr std::string_view kNoSelectors[] = {"logit_bias",  "penalties", "dry",   "top_n_sigma", "top_k",
                                             "tfs_z",       "typical_p", "top_p", "min_p",       "xtc",
                                             "temperature", "dynatemp",  "infill"};

// Parameters over the whole range, the usual and the extreme ones.
StepSpec make_step(Random& random, std::string_view type, int64_t n) {
  const auto share = [&] {
    const int64_t kind = random.below(8);
    return kind == 0 ? 0.0 : kind == 1 ? 1.0 : kind == 2 ? 1e-6 : kind == 3 ? 0.999 : random.uniform();
  };
  const auto last_n = [&] { return int32_t(random.below(4) ? random.below(100) : -1); };
  SamplingParams p;
  p.min_keep = random.below(3) ? 1 : int32_t(1 + random.below(2 * n));
  p.temperature = random.below(10) ? std::pow(10, 4 * random.uniform() - 2) : 0;
  p.dynatemp_range = random.below(5) ? 2 * random.uniform() : 0;
  p.dynatemp_exponent = random.below(5) ? 3 * random.uniform() : 0;
  if (type == "dynatemp") p.temperature = std::max(p.temperature, 0.01);
  p.top_k = int32_t(random.below(4) ? random.below(n + 5) : random.below(10));
  p.top_p = share();
  p.min_p = random.below(2) ? share() : std::pow(10, -10 * random.uniform());
  p.typical_p = share();
  p.tfs_z = share();
  p.top_n_sigma = random.below(8) ? 4 * random.uniform() : random.below(2) ? 0 : 1000;
  p.xtc_probability = random.below(4) ? 0.7 : double(random.below(2));
  p.xtc_threshold = random.below(2) ? 0.5 * random.uniform() : share() / double(n);
  p.repeat_penalty = random.below(6) ? 0.5 + random.uniform() : 1;
  p.presence_penalty = random.below(2) ? 4 * random.uniform() - 2 : 0;
  p.frequency_penalty = random.below(2) ? 4 * random.uniform() - 2 : 0;
  p.penalty_last_n = last_n();
  p.dry_multiplier = random.below(8) ? 2 * random.uniform() : 0;
  p.dry_base = random.below(5) ? 1 + random.uniform() : double(random.below(4)) / 2;
  p.dry_allowed_length = int32_t(random.below(5));
  p.dry_penalty_last_n = last_n();
  if (random.below(2)) p.dry_sequence_breakers = {"ab", "ba.", "..", "cab"};
  if (random.below(8) == 0) p.dry_sequence_breakers.clear();
  for (int64_t i = random.below(6); i > 0 && type == "logit_bias"; --i) {
    // Not all may be banned.
    const double bias = random.below(6) || n < 4 ? 10 * random.uniform() - 5 : random.below(2) ? -INFINITY : -100;
    if (random.below(3) == 0 && bias > -100)
      p.logit_bias.push_back({.text = "ab.c", .bias = bias});
    else
      p.logit_bias.push_back({.token = int32_t(random.below(n)), .bias = bias});
  }
  return {std::string(type), p};
}

// --- one comparison ---

struct Counts {
  int64_t steps = 0, undecided = 0, open = 0, picks = 0, undecided_picks = 0;  // open: rounding may decide all of it
};

struct Seen {
  std::string step;
  std::vector<Candidate> candidates;
  bool is_row;
};

std::vector<Seen> observe(Chain& chain, std::vector<float> row, uint64_t position, Result<int32_t>* picked = nullptr) {
  std::vector<Seen> seen;
  Result<int32_t> token = chain.sample(row.data(), position, [&](std::string_view step, const Candidates& c) {
    seen.push_back({std::string(step), c.copy(), c.is_row()});
  });
  if (picked) {
    *picked = std::move(token);
  } else {
    EXPECT_TRUE(token) << token.error().message;
  }
  return seen;
}

Tokens tokens_of(const std::vector<Candidate>& candidates) {
  Tokens tokens;
  for (const Candidate& c : candidates) tokens.push_back({c.id, double(c.logit)});
  return tokens;
}

std::array<uint64_t, 2> philox(uint64_t seed, uint64_t position, uint32_t stream) {
  const PhiloxCounter w =
      philox4x32_10({uint32_t(position), uint32_t(position >> 32), stream, 0}, {uint32_t(seed), uint32_t(seed >> 32)});
  return {uint64_t{w[1]} << 32 | w[0], uint64_t{w[3]} << 32 | w[2]};
}
double unit(uint64_t bits) { return double(bits >> 11) * 0x1p-53; }

// Kept sets agree but for undecided tokens, and p within 1e-5 (logits being floats: more where they are large).
void compare(const Left& expected, const std::vector<Candidate>& actual, Counts& counts) {
  std::set<int32_t> wanted, left;
  for (const auto& t : expected.tokens) wanted.insert(t.id);
  for (const Candidate& c : actual) left.insert(c.id);
  ++counts.steps;
  counts.open += expected.undecided.size() > actual.size();
  if (wanted != left) {
    ++counts.undecided;
    std::vector<int32_t> different;
    std::set_symmetric_difference(wanted.begin(), wanted.end(), left.begin(), left.end(),
                                  std::back_inserter(different));
    for (const int32_t id : different) {
      ASSERT_TRUE(expected.undecided.contains(id))
          << "token " << id << (wanted.contains(id) ? " was to stay" : " was to go") << "; " << left.size() << " left, "
          << wanted.size() << " expected";
    }
    return;
  }
  const Tokens tokens = tokens_of(actual);
  const std::vector<double> p = definition::softmax(tokens), q = definition::softmax(expected.tokens);
  double best = 0;
  for (const auto& t : tokens) best = std::max(best, std::abs(t.logit));
  double reach = 0;  // how large the logits are that count
  for (size_t i = 0; i < q.size(); ++i)
    reach = q[i] > 1e-9 ? std::max(reach, std::abs(expected.tokens[i].logit)) : reach;
  for (size_t i = 0; i < p.size(); ++i)
    ASSERT_LE(std::abs(p[i] - q[i]), 1e-5 + reach * 0x1p-22) << "of token " << tokens[i].id;
}

// Each step against its definition, from the candidates that the step before it left.
void check_steps(const std::vector<StepSpec>& steps, const std::vector<Seen>& seen,
                 const definition::Surroundings& around, uint64_t seed, uint64_t position, Counts& counts) {
  ASSERT_EQ(seen.size(), steps.size() + 1);
  uint32_t repetition = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    ASSERT_EQ(seen[i + 1].step, steps[i].type);
    definition::Surroundings own = around;
    if (steps[i].type == "xtc")
      own.xtc_acts = unit(philox(seed, position, 1 | repetition++ << 8)[0]) < steps[i].params.xtc_probability;
    SCOPED_TRACE(fmt::format("step {} ({}) of {}, min_keep {}, {} candidates", i, steps[i].type, steps.size(),
                             steps[i].params.min_keep, seen[i].candidates.size()));
    compare(definition::apply(steps[i], tokens_of(seen[i].candidates), own), seen[i + 1].candidates, counts);
    if (testing::Test::HasFatalFailure()) return;
  }
}

Chain make(const SamplingParams& params, const SamplingVocabulary& vocabulary, int64_t context = 4096) {
  Result<Chain> chain = Chain::create(params, {vocabulary, context});
  EXPECT_TRUE(chain) << chain.error().message;
  return *std::move(chain);
}

// --- every step ---

class EveryStep : public testing::TestWithParam<std::string_view> {};

TEST_P(EveryStep, EqualsItsDefinition) {
  Random random(uint64_t(GetParam().front()) << 8 | uint64_t(GetParam().size()));
  Counts counts;
  int64_t kept = 0, given = 0;
  const int rounds = test_count(600);
  for (int round = 0; round < rounds; ++round) {
    const int64_t n = GetParam() == "infill" && random.below(4) ? 2 + random.below(60) : make_size(random);
    const LetterVocabulary vocabulary(random, n);
    const std::vector<float> row = make_row(random, n);
    const std::vector<int32_t> history = make_history(random, n);
    // On the row, after a truncation, after a changed logit, and twice.
    std::vector<StepSpec> steps;
    const int64_t before = random.below(4);
    if (before == 1) steps.push_back(make_step(random, "top_k", n));
    if (before == 2) steps.push_back(make_step(random, "min_p", n));
    if (before == 3) steps.push_back(make_step(random, "penalties", n));
    steps.push_back(make_step(random, GetParam(), n));
    if (random.below(2)) steps.push_back(make_step(random, GetParam(), n));
    const uint64_t seed = random.next() >> 1, position = random.next();
    const int64_t context = 40 + random.below(200);
    Chain chain = make({.seed = int64_t(seed), .chain = steps}, vocabulary, context);
    for (const int32_t token : history) chain.accept_prompt(token);
    SCOPED_TRACE(fmt::format("round {}, {} tokens", round, n));
    Result<int32_t> picked = -1;
    const std::vector<Seen> seen = observe(chain, row, position, &picked);
    if (!picked) {
      // Only bans can leave nothing.
      ASSERT_EQ(GetParam(), "logit_bias") << picked.error().message;
      ASSERT_EQ(picked.error().code, Code::grammar_dead_end);
      continue;
    }
    ASSERT_EQ(*picked, -1) << "no selector, no token";
    check_steps(steps, seen, {vocabulary, history, context}, seed, position, counts);
    if (HasFatalFailure()) return;
    given += int64_t(seen[0].candidates.size());
    kept += int64_t(seen.back().candidates.size());
  }
  std::printf("%ld steps, %ld decided by rounding, %ld may be; %.1f%% of the tokens left\n", long(counts.steps),
              long(counts.undecided), long(counts.open), 100.0 * double(kept) / double(given));
  EXPECT_LE(counts.undecided, counts.steps / 50);
  EXPECT_LE(counts.open, counts.steps / 5);
}

INSTANTIATE_TEST_SUITE_P(Definitions, EveryStep, testing::ValuesIn(kNoSelectors),
                         [](const auto& step) { return std::string(step.param); });

// A list of steps that misses one would pass unnoticed.
TEST(Definitions, CoverEveryStep) {
  std::set<std::string_view> covered(std::begin(kNoSelectors), std::end(kNoSelectors));
  covered.insert({"greedy", "dist", "mirostat1", "mirostat2", "adaptive_p"});
  covered.insert({"grammar", "custom"});  // they have tests of their own
  for (const std::string_view name : step_names()) EXPECT_EQ(covered.erase(name), 1u) << name;
  EXPECT_TRUE(covered.empty());
}

// Any steps in any order, some of them several times.
TEST(Definitions, RandomChains) {
  Random random(77);
  Counts counts;
  const int rounds = test_count(1500);
  for (int round = 0; round < rounds; ++round) {
    const int64_t n = make_size(random);
    const LetterVocabulary vocabulary(random, n);
    const std::vector<float> row = make_row(random, n);
    const std::vector<int32_t> history = make_history(random, n);
    std::vector<StepSpec> steps;
    for (int64_t i = random.below(12); i >= 0; --i) {
      const std::string_view type = kNoSelectors[1 + random.below(std::size(kNoSelectors) - 1)];
      if (type != "infill" || n <= 300) steps.push_back(make_step(random, type, n));
    }
    if (steps.empty()) continue;
    const uint64_t seed = random.next() >> 1, position = random.next();
    Chain chain = make({.seed = int64_t(seed), .chain = steps}, vocabulary, 100);
    for (const int32_t token : history) chain.accept(token);
    SCOPED_TRACE(fmt::format("round {}, {} tokens", round, n));
    check_steps(steps, observe(chain, row, position), {vocabulary, history, 100}, seed, position, counts);
    if (HasFatalFailure()) return;
  }
  std::printf("%ld steps, %ld decided by rounding\n", long(counts.steps), long(counts.undecided));
  EXPECT_LE(counts.undecided, counts.steps / 50);
}

// The default chain in double from the logits to the pick, without looking at what ours left in between.
TEST(Definitions, DefaultChainFromEndToEnd) {
  Random random(78);
  Counts counts;
  int64_t same = 0;
  const int rounds = test_count(2000);
  for (int round = 0; round < rounds; ++round) {
    const int64_t n = 50 + random.below(3000);
    const LetterVocabulary vocabulary(random, n);
    std::vector<float> row;
    for (int64_t i = 0; i < n; ++i) row.push_back(random.normal() * 3);
    const std::vector<int32_t> history = make_history(random, n);
    SamplingParams params{.temperature = 0.3 + random.uniform(),
                          .typical_p = 0.9,
                          .tfs_z = 0.97,
                          .top_n_sigma = 3,
                          .xtc_probability = 0.5,
                          .presence_penalty = 0.3,
                          .dry_multiplier = 0.8,
                          .seed = int64_t(random.next() >> 1)};
    const uint64_t position = history.size();
    Chain chain = make(params, vocabulary, 100);
    for (const int32_t token : history) chain.accept(token);
    Tokens tokens;
    for (int64_t i = 0; i < n; ++i) tokens.push_back({int32_t(i), double(row[size_t(i)])});
    definition::Surroundings around{vocabulary, history, 100};
    around.xtc_acts = unit(philox(chain.seed(), position, 1)[0]) < 0.5;
    bool decided = true;
    for (const char* type :
         {"penalties", "dry", "top_n_sigma", "top_k", "tfs_z", "typical_p", "top_p", "min_p", "xtc", "temperature"}) {
      const Left left = definition::apply({type, params}, tokens, around);
      decided = decided && left.undecided.empty();
      tokens = left.tokens;
    }
    const std::vector<double> p = definition::softmax(tokens);
    const double u = unit(philox(chain.seed(), position, 0)[0]);
    double sum = 0;
    int32_t expected = -1;
    for (size_t i = 0; i < p.size() && expected < 0; ++i) {
      sum += p[i];
      decided = decided && std::abs(u - sum) > 1e-5;
      if (u < sum) expected = tokens[i].id;
    }
    Result<int32_t> picked = -1;
    const std::vector<Seen> seen = observe(chain, row, position, &picked);
    ASSERT_TRUE(picked);
    ++counts.steps;
    if (!decided) {
      ++counts.undecided;
      continue;
    }
    ASSERT_EQ(*picked, expected) << "round " << round;
    compare({tokens}, seen.back().candidates, counts);
    same += 1;
    if (HasFatalFailure()) return;
  }
  std::printf("%ld of %d picks the same, %ld decided by rounding\n", long(same), rounds, long(counts.undecided));
  EXPECT_LE(counts.undecided, rounds / 20);
}

// What is equal but for rounding counts as equal: the exact cases that people write down.
TEST(Definitions, Borders) {
  const auto left = [](const std::vector<double>& p, const StepSpec& step) {
    std::vector<float> row;
    for (const double x : p) row.push_back(float(std::log(x)));
    Chain chain = make({.seed = 1, .chain = {step}}, PlainVocabulary(int32_t(p.size())));
    std::vector<int32_t> ids;
    const std::vector<Seen> seen = observe(chain, row, 0);
    for (const Candidate& c : seen.back().candidates) ids.push_back(c.id);
    return ids;
  };
  using Ids = std::vector<int32_t>;
  EXPECT_EQ(left({.5, .3, .2}, {"top_p", {.top_p = .8}}), (Ids{0, 1}));
  EXPECT_EQ(left({.1, .2, .3, .4}, {"top_p", {.top_p = .7}}), (Ids{2, 3}));
  EXPECT_EQ(left({.1, .2, .3, .4}, {"top_p", {.top_p = .9}}), (Ids{1, 2, 3}));
  EXPECT_EQ(left(std::vector<double>(10, .1), {"top_p", {.top_p = .5}}), (Ids{0, 1, 2, 3, 4}));
  EXPECT_EQ(left(std::vector<double>(10, .1), {"top_p", {.top_p = 0}}), (Ids{0}));
  EXPECT_EQ(left({.4, .2, .1, .3}, {"min_p", {.min_p = .5}}), (Ids{0, 1, 3}));
  EXPECT_EQ(left({.4, .2, .1, .3}, {"min_p", {.min_p = .75}}), (Ids{0, 3}));
  EXPECT_EQ(left({.4, .2, .1, .3}, {"min_p", {.min_p = 1}}), (Ids{0}));
  EXPECT_EQ(left({.4, .2, .1, .3}, {"xtc", {.xtc_probability = 1, .xtc_threshold = .2}}), (Ids{1, 2}));
  EXPECT_EQ(left({.5, .5}, {"xtc", {.xtc_probability = 1, .xtc_threshold = .5}}), (Ids{1}));
  EXPECT_EQ(left({.4, .2, .1, .3}, {"xtc", {.xtc_probability = 1, .xtc_threshold = 0}}), (Ids{2}));
  EXPECT_EQ(left({.4, .2, .1, .3}, {"xtc", {.xtc_probability = 1, .xtc_threshold = .2, .min_keep = 3}}),
            (Ids{0, 1, 2, 3}));
  // More than, not at least: of equal ones the next is needed too.
  EXPECT_EQ(left(std::vector<double>(10, .1), {"typical_p", {.typical_p = .5}}), (Ids{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(left(std::vector<double>(10, .1), {"typical_p", {.typical_p = 0}}), (Ids{0}));
  // Equal ones have a deviation of 0 and are all as good as the best.
  EXPECT_EQ(left(std::vector<double>(4, .25), {"top_n_sigma", {.top_n_sigma = 1}}), (Ids{0, 1, 2, 3}));
  // A flat curve is cut as if it bent alike everywhere: 8 of 10 places, half of them passed at the fifth.
  EXPECT_EQ(left(std::vector<double>(10, .1), {"tfs_z", {.tfs_z = .5}}), (Ids{0, 1, 2, 3}));
  EXPECT_EQ(left({.9, .05, .05}, {"tfs_z", {.tfs_z = .5}}), (Ids{0, 1, 2}));
  EXPECT_EQ(left({.9, .06, .03, .01}, {"tfs_z", {.tfs_z = 0}}), (Ids{0}));
}

// Worked by hand: what DRY finds and what a breaker hides.
TEST(Definitions, DryByHand) {
  const LetterVocabulary v({"a", "b", "c", ".", "b.", "x"}, {});
  const auto penalty = [&](const std::vector<int32_t>& history, int32_t token, SamplingParams params) {
    params.dry_multiplier = 1;
    params.dry_base = 2;
    Chain chain = make({.seed = 1, .chain = {{"dry", params}}}, v);
    for (const int32_t t : history) chain.accept(t);
    return -observe(chain, std::vector<float>(6, 0), 0).back().candidates[size_t(token)].logit;
  };
  const SamplingParams none{.dry_sequence_breakers = {}};
  EXPECT_EQ(penalty({0, 1, 2, 0, 1}, 2, none), 1);  // a b c a b: c at 1 * 2^(2 - 2)
  EXPECT_EQ(penalty({0, 1, 2, 0, 1}, 0, none), 0);
  EXPECT_EQ(penalty({5, 0, 1, 2, 5, 0, 1}, 2, none), 2);  // one longer
  EXPECT_EQ(penalty({0, 0, 0, 0, 0}, 0, none), 4);        // overlapping itself: length 4
  EXPECT_EQ(penalty({0, 1, 2, 0, 1}, 2, {.dry_allowed_length = 3, .dry_sequence_breakers = {}}), 0);
  EXPECT_EQ(penalty({0, 1, 2, 0, 1}, 2, {.dry_allowed_length = 0, .dry_sequence_breakers = {}}), 4);
  EXPECT_EQ(penalty({0, 1, 2, 0, 1}, 2, {.dry_penalty_last_n = 4, .dry_sequence_breakers = {}}), 0);  // b c a b
  // A breaker inside the repetition limits its length; as a token of its own it is never penalized.
  EXPECT_EQ(penalty({0, 3, 1, 2, 5, 0, 3, 1, 2}, 5, {.dry_sequence_breakers = {"."}}), 1);
  EXPECT_EQ(penalty({0, 3, 1, 2, 5, 0, 3, 1, 2}, 5, none), 4);
  EXPECT_EQ(penalty({0, 1, 3, 0, 1}, 3, {.dry_sequence_breakers = {"."}}), 0);
  EXPECT_EQ(penalty({0, 1, 3, 0, 1}, 3, none), 1);
  // "b.c" is spelled by the token "b." and the token "c".
  EXPECT_EQ(penalty({4, 2, 0, 1, 5, 4, 2, 0, 1}, 5, {.dry_sequence_breakers = {"b.c"}}), 1);
}

// --- selectors ---

// The token at u of the running sum of p, in the order of ids; -1 where rounding decides.
int32_t inverse(const Tokens& tokens, double u) {
  const std::vector<double> p = definition::softmax(tokens);
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    sum += p[i];
    if (std::abs(u - sum) <= 1e-5) return -1;
    if (u < sum) return tokens[i].id;
  }
  return -1;
}

TEST(Definitions, GreedyAndDist) {
  Random random(80);
  Counts counts;
  const int rounds = test_count(3000);
  for (int round = 0; round < rounds; ++round) {
    const int64_t n = make_size(random);
    const std::vector<float> row = make_row(random, n);
    const uint64_t seed = random.next() >> 1, position = random.next();
    const bool greedy = random.below(4) == 0;
    std::vector<StepSpec> steps;
    if (random.below(2)) steps.push_back(make_step(random, "top_k", n));
    steps.push_back({greedy ? "greedy" : "dist"});
    Chain chain = make({.seed = int64_t(seed), .chain = steps}, PlainVocabulary(int32_t(n)));
    Result<int32_t> picked = -1;
    const std::vector<Seen> seen = observe(chain, row, position, &picked);
    ASSERT_TRUE(picked);
    Tokens tokens = tokens_of(seen.back().candidates);
    ++counts.picks;
    if (greedy) {
      ASSERT_EQ(*picked, tokens[definition::best_first(tokens)[0]].id);
      continue;
    }
    const std::array<uint64_t, 2> bits = philox(seed, position, 0);
    double u = unit(bits[0]);
    if (seen.back().is_row) {
      // The first number finds the block of 256, the second the token in it.
      const std::vector<double> p = definition::softmax(tokens);
      std::map<int32_t, double> blocks;
      for (size_t i = 0; i < p.size(); ++i) blocks[tokens[i].id / 256] += p[i];
      double sum = 0;
      int32_t block = -1;
      for (const auto& [b, mass] : blocks) {
        sum += mass;
        if (std::abs(u - sum) <= 1e-5) break;
        if (u < sum) {
          block = b;
          break;
        }
      }
      std::erase_if(tokens, [&](const auto& t) { return t.id / 256 != block; });
      u = unit(bits[1]);
    }
    const int32_t expected = tokens.empty() ? -1 : inverse(tokens, u);
    if (expected < 0) {
      ++counts.undecided_picks;
    } else {
      ASSERT_EQ(*picked, expected) << "round " << round << ", n " << n;
    }
  }
  std::printf("%ld picks, %ld decided by rounding\n", long(counts.picks), long(counts.undecided_picks));
  EXPECT_LE(counts.undecided_picks, counts.picks / 20);
}

double mu_of(const Chain& chain) {
  const std::string row = chain.describe().back();
  return std::stod(row.substr(row.find("mu ") + 3));
}

// Picks, and mu over many tokens; some of them are not the drawn ones and must change nothing.
TEST(Definitions, Mirostat) {
  Random random(81);
  Counts counts;
  for (const int version : {1, 2}) {
    for (int run = 0; run < test_count(30); ++run) {
      const int64_t n = 2 + random.below(600);
      SamplingParams params{.mirostat_tau = 0.5 + 6 * random.uniform(), .mirostat_eta = random.uniform()};
      const uint64_t seed = random.next() >> 1;
      std::vector<StepSpec> steps;
      if (random.below(2)) steps.push_back({"temperature", {.temperature = 0.8}});
      if (random.below(3) == 0) steps.push_back({"top_k", {.top_k = 30}});
      steps.push_back({version == 1 ? "mirostat1" : "mirostat2", params});
      Chain chain = make({.seed = int64_t(seed), .chain = steps}, PlainVocabulary(int32_t(n)));
      double mu = 2 * params.mirostat_tau;
      for (uint64_t position = 0; position < 60; ++position) {
        const std::vector<float> row = make_row(random, n);
        Result<int32_t> picked = -1;
        const std::vector<Seen> seen = observe(chain, row, position, &picked);
        ASSERT_TRUE(picked);
        const Tokens tokens = tokens_of(seen.back().candidates);
        const Left left =
            version == 1 ? definition::mirostat1(tokens, mu, int32_t(n)) : definition::mirostat2(tokens, mu);
        const bool decided = left.undecided.empty();
        const int32_t expected =
            decided ? inverse(left.tokens, unit(philox(seed, position, version == 1 ? 2 : 3)[0])) : -1;
        ++counts.picks;
        if (expected < 0) {
          ++counts.undecided_picks;
        } else {
          ASSERT_EQ(*picked, expected) << "mirostat " << version << ", run " << run << ", position " << position
                                       << ", mu " << mu << ", " << left.tokens.size() << " of " << tokens.size();
        }
        if (random.below(4) == 0) {
          chain.accept(int32_t((*picked + 1) % n));
          ASSERT_EQ(mu_of(chain), mu);
          chain.accept(*picked);  // too late: something else came first
          ASSERT_EQ(mu_of(chain), mu);
          continue;
        }
        chain.accept(*picked);
        if (decided) {
          const std::vector<double> p = definition::softmax(left.tokens);
          for (size_t i = 0; i < p.size(); ++i) {
            if (left.tokens[i].id == *picked) mu -= params.mirostat_eta * (-std::log2(p[i]) - params.mirostat_tau);
          }
          double reach = 1;
          for (size_t i = 0; i < p.size(); ++i)
            reach = std::max(reach, std::abs(left.tokens[i].logit) < 1e6 ? std::abs(left.tokens[i].logit) : 1);
          ASSERT_NEAR(mu_of(chain), mu, 1e-5 * (1 + std::abs(mu))) << "mirostat " << version << ", run " << run;
        }
        mu = mu_of(chain);
      }
    }
  }
  std::printf("%ld picks, %ld decided by rounding\n", long(counts.picks), long(counts.undecided_picks));
  EXPECT_LE(counts.undecided_picks, counts.picks / 20);
}

TEST(Definitions, AdaptiveP) {
  Random random(82);
  Counts counts;
  for (int run = 0; run < test_count(40); ++run) {
    const int64_t n = 2 + random.below(400);
    const double target = random.below(8) ? random.uniform() : -0.5, decay = 0.99 * random.uniform();
    const uint64_t seed = random.next() >> 1;
    std::vector<StepSpec> steps = {{"adaptive_p", {.adaptive_target = target, .adaptive_decay = decay}}};
    if (random.below(2)) steps.insert(steps.begin(), {"top_k", {.top_k = 10}});
    Chain chain = make({.seed = int64_t(seed), .chain = steps}, PlainVocabulary(int32_t(n)));
    double w = target / (1 - decay), k = 1 / (1 - decay);
    for (uint64_t position = 0; position < 60; ++position) {
      const std::vector<float> row = make_row(random, n);
      Result<int32_t> picked = -1;
      const std::vector<Seen> seen = observe(chain, row, position, &picked);
      ASSERT_TRUE(picked);
      const Tokens tokens = tokens_of(seen.back().candidates);
      const double aim = std::clamp(2 * target - w / k, 0.0, 1.0);
      const int32_t expected =
          inverse(target < 0 ? tokens : definition::adaptive_p(tokens, aim), unit(philox(seed, position, 4)[0]));
      ++counts.picks;
      if (expected < 0) {
        ++counts.undecided_picks;
      } else {
        ASSERT_EQ(*picked, expected) << "run " << run << ", position " << position << ", aim " << aim;
      }
      if (random.below(4) == 0) {  // not the drawn one: nothing is learned
        chain.accept(int32_t((*picked + 1) % n));
        continue;
      }
      chain.accept(*picked);
      const std::vector<double> p = definition::softmax(tokens);
      for (size_t i = 0; i < p.size(); ++i) {
        if (tokens[i].id == *picked) w = p[i] + decay * w;
      }
      k = 1 + decay * k;
    }
  }
  std::printf("%ld picks, %ld decided by rounding\n", long(counts.picks), long(counts.undecided_picks));
  EXPECT_LE(counts.undecided_picks, counts.picks / 20);
}

// --- taking back ---

StepSpec usual_step(Random& random, std::string_view type, int64_t n) {
  StepSpec step = make_step(random, type, n);
  step.params.logit_bias = {{.token = 1, .bias = 0.5}};
  return step;
}

// Accept k tokens and rewind them: the same candidates and picks as a copy that never saw them.
TEST(Definitions, RewindIsNeverAccepted) {
  Random random(83);
  int64_t compared = 0;
  for (const std::string_view type : step_names()) {
    if (type == "custom") continue;  // custom_sampler_test.cpp
    for (int run = 0; run < test_count(20); ++run) {
      const int64_t n = 5 + random.below(300);
      const LetterVocabulary vocabulary(random, n);
      std::vector<StepSpec> steps = {usual_step(random, type, n)};
      steps[0].params.adaptive_target = 0.3;
      const bool selects = type == "greedy" || type == "dist" || type.starts_with("mirostat") || type == "adaptive_p";
      if (!selects) steps.push_back({"dist"});
      Chain chain = make({.seed = 5, .chain = steps}, vocabulary, 30);
      for (const int32_t token : make_history(random, n)) chain.accept_prompt(token);
      uint64_t position = chain.history().size();
      const auto advance = [&](Chain& c, Random& own, uint64_t at, int64_t tokens) {
        for (int64_t i = 0; i < tokens; ++i) {
          const int32_t picked = *c.sample(make_row(own, n).data(), at + uint64_t(i));
          c.accept(own.below(3) ? picked : int32_t(own.below(std::min<int64_t>(n, 6))));
        }
      };
      for (int part = 0; part < 6; ++part) {
        Chain copy = chain.clone();
        const int64_t away = random.below(70), back = random.below(away + 1);
        // The copy goes as far as the chain is rewound to.
        const uint64_t path = random.next();
        Random a(path), b(path);
        advance(chain, a, position, away);
        chain.rewind(back);
        advance(copy, b, position, away - back);
        position += uint64_t(away - back);
        ASSERT_TRUE(
            std::equal(chain.history().begin(), chain.history().end(), copy.history().begin(), copy.history().end()));
        ASSERT_EQ(chain.describe(), copy.describe()) << type;
        for (int i = 0; i < 5; ++i) {
          const std::vector<float> row = make_row(random, n);
          Result<int32_t> one = -1, other = -1;
          const std::vector<Seen> x = observe(chain, row, position, &one), y = observe(copy, row, position, &other);
          ASSERT_TRUE(one && other);
          ASSERT_EQ(*one, *other) << type;
          ASSERT_EQ(x.size(), y.size());
          for (size_t s = 0; s < x.size(); ++s) {
            ASSERT_EQ(x[s].candidates.size(), y[s].candidates.size());
            for (size_t j = 0; j < x[s].candidates.size(); ++j) {
              ASSERT_EQ(x[s].candidates[j].id, y[s].candidates[j].id);
              ASSERT_EQ(x[s].candidates[j].logit, y[s].candidates[j].logit);
            }
          }
          chain.accept(*one);
          copy.accept(*one);
          ++position;
          ++compared;
        }
      }
      chain.rewind(1 << 20);
      EXPECT_TRUE(chain.history().empty());
      const Chain fresh = make({.seed = 5, .chain = steps}, vocabulary, 30);
      EXPECT_EQ(chain.describe(), fresh.describe());
    }
  }
  std::printf("%ld picks after a rewind\n", long(compared));
}

}  // namespace
}  // namespace linnet
