// What must hold for sampler steps whatever the numbers: names do not matter, a wider parameter keeps more, draws have
// the frequencies of their distribution.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include <gtest/gtest.h>

#include "sampling/chain.h"
#include "tests/sampling/definitions.h"
#include "tests/sampling/letter_vocabulary.h"
#include "tests/support.h"

namespace linnet {
namespace {

using definition::Left;
using definition::Tokens;

// No two logits alike.
std::vector<float> distinct_row(Random& random, int64_t n, double spread) {
  std::vector<float> row;
  std::set<float> seen;
  while (int64_t(row.size()) < n) {
    const auto l = float(random.normal() * spread);
    if (seen.insert(l).second) row.push_back(l);
  }
  return row;
}

std::vector<Candidate> left_by(const std::vector<StepSpec>& steps, std::vector<float> row,
                               const SamplingVocabulary& vocabulary, const std::vector<int32_t>& history = {},
                               uint64_t position = 0) {
  Result<Chain> chain = Chain::create({.seed = 9, .chain = steps}, {vocabulary, 1000});
  EXPECT_TRUE(chain) << chain.error().message;
  for (const int32_t token : history) chain->accept(token);
  std::vector<Candidate> left;
  EXPECT_TRUE(chain->sample(row.data(), position, [&](std::string_view, const Candidates& c) { left = c.copy(); }));
  return left;
}

std::vector<Candidate> left_by(const std::vector<StepSpec>& steps, const std::vector<float>& row) {
  return left_by(steps, row, PlainVocabulary(int32_t(row.size())));
}

std::set<int32_t> ids_of(const std::vector<Candidate>& candidates) {
  std::set<int32_t> ids;
  for (const Candidate& c : candidates) ids.insert(c.id);
  return ids;
}

// All steps that are no selectors, each at work.
std::vector<StepSpec> working_steps() {
  return {{"logit_bias", {.logit_bias = {{.token = 3, .bias = 1}}}},
          {"penalties", {.repeat_penalty = 1.2, .presence_penalty = 0.3, .frequency_penalty = 0.1}},
          {"dry", {.dry_multiplier = 0.8, .dry_allowed_length = 1, .dry_sequence_breakers = {"."}}},
          {"top_n_sigma", {.top_n_sigma = 1.5}},
          {"top_k", {.top_k = 20}},
          {"tfs_z", {.tfs_z = 0.9}},
          {"typical_p", {.typical_p = 0.7}},
          {"top_p", {.top_p = 0.8}},
          {"min_p", {.min_p = 0.02}},
          {"xtc", {.xtc_probability = 1, .xtc_threshold = 0.05}},
          {"temperature", {.temperature = 0.6}},
          {"dynatemp", {.temperature = 0.8, .dynatemp_range = 0.4}},
          {"infill", {}}};
}

TEST(Properties, NamesDoNotMatter) {
  Random random(1);
  int64_t compared = 0;
  for (StepSpec step : working_steps()) {
    for (int round = 0; round < test_count(100); ++round) {
      const int64_t n = 10 + random.below(step.type == "infill" ? 60 : 800);
      const std::vector<float> row = distinct_row(random, n, 0.5 + 3 * random.uniform());
      std::vector<int32_t> name(static_cast<size_t>(n));  // new id of an old one
      std::iota(name.begin(), name.end(), 0);
      for (size_t i = name.size(); i-- > 1;) std::swap(name[i], name[size_t(random.below(int64_t(i) + 1))]);
      const LetterVocabulary vocabulary(random, n);
      std::vector<std::string> texts(row.size());
      std::vector<bool> ends(row.size());
      std::vector<float> renamed(row.size());
      for (size_t i = 0; i < row.size(); ++i) {
        texts[size_t(name[i])] = vocabulary.bytes(int32_t(i));
        ends[size_t(name[i])] = vocabulary.is_eog(int32_t(i));
        renamed[size_t(name[i])] = row[i];
      }
      std::vector<int32_t> history, new_history;
      for (int i = 0; i < 60; ++i) {
        history.push_back(int32_t(random.below(6)));
        new_history.push_back(name[size_t(history.back())]);
      }
      StepSpec other = step;
      for (LogitBias& b : other.params.logit_bias) b.token = name[size_t(b.token)];
      std::map<int32_t, float> expected;
      for (const Candidate& c : left_by({step}, row, vocabulary, history)) expected[name[size_t(c.id)]] = c.logit;
      const std::vector<Candidate> actual = left_by({other}, renamed, LetterVocabulary(texts, ends), new_history);
      ASSERT_EQ(actual.size(), expected.size()) << step.type;
      for (const Candidate& c : actual) {
        ASSERT_TRUE(expected.contains(c.id)) << step.type;
        ASSERT_NEAR(c.logit, expected[c.id], 1e-5) << step.type;
      }
      ++compared;
    }
  }
  std::printf("%ld rows renamed\n", long(compared));
}

// Idempotent are top_k, min_p, a temperature of 0 and bans.
TEST(Properties, TwiceIsOnce) {
  Random random(2);
  const auto check = [](const StepSpec& step, const std::vector<float>& row) {
    const std::vector<Candidate> once = left_by({step}, row), twice = left_by({step, step}, row);
    ASSERT_EQ(ids_of(once), ids_of(twice)) << step.type;
    for (size_t i = 0; i < once.size(); ++i) ASSERT_EQ(once[i].logit, twice[i].logit);
  };
  for (int round = 0; round < test_count(300); ++round) {
    const int64_t n = 1 + random.below(900);
    std::vector<float> row;
    for (int64_t i = 0; i < n; ++i) row.push_back(std::round(random.normal() * 8) / 4);
    const auto min_keep = int32_t(1 + random.below(4));
    check({"top_k", {.top_k = int32_t(1 + random.below(n))}}, row);
    check({"min_p", {.min_p = random.uniform(), .min_keep = min_keep}}, row);
    check({"temperature", {.temperature = 0}}, row);
    if (n > 1) check({"logit_bias", {.logit_bias = {{.token = 0, .bias = -INFINITY}}}}, row);
  }
  // The others are not: what is left is normalized anew.
  const auto size = [](const std::vector<double>& p, const std::vector<StepSpec>& steps) {
    std::vector<float> row;
    for (const double x : p) row.push_back(float(std::log(x)));
    return left_by(steps, row).size();
  };
  const StepSpec top_p{"top_p", {.top_p = .65}};
  EXPECT_EQ(size({.6, .3, .1}, {top_p}), 2u);
  EXPECT_EQ(size({.6, .3, .1}, {top_p, top_p}), 1u);
  const StepSpec sigma{"top_n_sigma", {.top_n_sigma = 1}};
  EXPECT_GT(size({.4, .3, .2, .05, .05}, {sigma}), size({.4, .3, .2, .05, .05}, {sigma, sigma, sigma}));
}

TEST(Properties, WiderKeepsMore) {
  struct Case {
    const char* type;
    std::function<void(SamplingParams&, double)> set;  // 0 to 1, keeping ever more
  };
  const Case cases[] = {
      {"top_k", [](SamplingParams& p, double x) { p.top_k = int32_t(1 + 300 * x); }},
      {"top_p", [](SamplingParams& p, double x) { p.top_p = x; }},
      {"min_p", [](SamplingParams& p, double x) { p.min_p = std::pow(1 - x, 4); }},
      {"typical_p", [](SamplingParams& p, double x) { p.typical_p = x; }},
      {"tfs_z", [](SamplingParams& p, double x) { p.tfs_z = x; }},
      {"top_n_sigma", [](SamplingParams& p, double x) { p.top_n_sigma = 0.001 + 6 * x; }},
      {"top_p", [](SamplingParams& p, double x) { p.top_p = 0.3, p.min_keep = int32_t(1 + 50 * x); }},
      {"min_p", [](SamplingParams& p, double x) { p.min_p = 0.3, p.min_keep = int32_t(1 + 50 * x); }},
      {"typical_p", [](SamplingParams& p, double x) { p.typical_p = 0.3, p.min_keep = int32_t(1 + 50 * x); }},
      {"tfs_z", [](SamplingParams& p, double x) { p.tfs_z = 0.3, p.min_keep = int32_t(1 + 50 * x); }},
  };
  Random random(3);
  for (const Case& c : cases) {
    int grown = 0;
    for (int round = 0; round < test_count(60); ++round) {
      const int64_t n = 2 + random.below(900);
      std::vector<float> row;
      for (int64_t i = 0; i < n; ++i)
        row.push_back(random.below(2) ? random.normal() * 2 : std::round(random.normal()));
      std::set<int32_t> before;
      for (int i = 0; i <= 20; ++i) {
        StepSpec step{c.type};
        c.set(step.params, i / 20.0);
        const std::set<int32_t> now = ids_of(left_by({step}, row));
        ASSERT_TRUE(std::includes(now.begin(), now.end(), before.begin(), before.end()))
            << c.type << " at " << i << " of 20, " << n << " tokens";
        grown += now.size() > before.size();
        before = now;
      }
    }
    EXPECT_GT(grown, test_count(60)) << c.type;
  }
}

TEST(Properties, WarmerIsFlatter) {
  Random random(4);
  for (int round = 0; round < test_count(100); ++round) {
    const std::vector<float> row = distinct_row(random, 2 + random.below(500), 2);
    const auto entropy_after = [&](const StepSpec& step) {
      Tokens tokens;
      for (const Candidate& c : left_by({step}, row)) tokens.push_back({c.id, double(c.logit)});
      return definition::entropy(tokens);
    };
    double before = -1;
    for (double t = 0; t < 4; t += 0.25) {
      const double now = entropy_after({"temperature", {.temperature = t}});
      ASSERT_GE(now, before - 1e-6) << t;
      before = now;
    }
    // dynatemp stays between its ends.
    const double dynamic = entropy_after({"dynatemp", {.temperature = 1, .dynatemp_range = 0.5}});
    EXPECT_GE(dynamic, entropy_after({"temperature", {.temperature = 0.5}}) - 1e-6);
    EXPECT_LE(dynamic, entropy_after({"temperature", {.temperature = 1.5}}) + 1e-6);
  }
}

TEST(Properties, MorePenaltyIsLess) {
  Random random(5);
  for (int round = 0; round < test_count(100); ++round) {
    const std::vector<float> row = distinct_row(random, 20, 2);
    const std::vector<int32_t> history = {1, 2, 3, 1, 2};
    const auto logit = [&](const StepSpec& step, size_t token) {
      return left_by({step}, row, PlainVocabulary(20), history)[token].logit;
    };
    for (double x = 0.125; x < 3; x *= 2) {
      EXPECT_LT(logit({"penalties", {.repeat_penalty = 1, .presence_penalty = 2 * x}}, 1),
                logit({"penalties", {.repeat_penalty = 1, .presence_penalty = x}}, 1));
      EXPECT_LT(logit({"penalties", {.repeat_penalty = 1, .frequency_penalty = 2 * x}}, 2),
                logit({"penalties", {.repeat_penalty = 1, .frequency_penalty = x}}, 2));
      EXPECT_LT(logit({"penalties", {.repeat_penalty = 1 + 2 * x}}, 3),
                logit({"penalties", {.repeat_penalty = 1 + x}}, 3));
      EXPECT_LT(logit({"dry", {.dry_multiplier = 2 * x}}, 3), logit({"dry", {.dry_multiplier = x}}, 3));
      EXPECT_EQ(logit({"penalties", {.presence_penalty = x}}, 4), row[4]);
      EXPECT_EQ(logit({"dry", {.dry_multiplier = x}}, 4), row[4]);
    }
  }
}

// --- frequencies ---

// Whether counts are those of p, up to what one draw in about 100,000 such tests exceeds. Bins below 5 go together.
void expect_frequencies(const std::map<int32_t, int64_t>& counts, const std::map<int32_t, double>& p, int64_t draws) {
  double chi_square = 0, rest_expected = 0;
  int64_t bins = 0, rest = draws;
  for (const auto& [id, count] : counts) ASSERT_TRUE(p.contains(id)) << "token " << id << " was drawn";
  for (const auto& [id, q] : p) {
    const double expected = q * double(draws);
    if (expected < 5) {
      rest_expected += expected;
      continue;
    }
    const auto found = counts.find(id);
    const auto count = double(found == counts.end() ? 0 : found->second);
    rest -= int64_t(count);
    chi_square += (count - expected) * (count - expected) / expected;
    ++bins;
  }
  if (rest_expected >= 5) {
    chi_square += (double(rest) - rest_expected) * (double(rest) - rest_expected) / rest_expected;
    ++bins;
  }
  ASSERT_GT(bins, 1);
  // Wilson and Hilferty 1931: the cube root of chi-square over its degrees is about normal.
  const double degrees = double(bins - 1), spread = 2 / (9 * degrees);
  const double deviation = (std::cbrt(chi_square / degrees) - (1 - spread)) / std::sqrt(spread);
  std::printf("chi-square %.1f with %.0f degrees of freedom: %+.2f standard deviations\n", chi_square, degrees,
              deviation);
  EXPECT_LE(std::abs(deviation), 4.3);
}

std::map<int32_t, double> by_id(const Tokens& tokens) {
  const std::vector<double> p = definition::softmax(tokens);
  std::map<int32_t, double> result;
  for (size_t i = 0; i < p.size(); ++i) result[tokens[i].id] = p[i];
  return result;
}

void check_draws(const std::vector<StepSpec>& steps, const std::vector<float>& row,
                 const std::map<int32_t, double>& p) {
  Result<Chain> chain = Chain::create({.seed = 4242, .chain = steps}, {PlainVocabulary(int32_t(row.size())), 100});
  ASSERT_TRUE(chain);
  const int64_t draws = test_count(30000);
  std::map<int32_t, int64_t> counts;
  std::vector<float> copy;
  for (int64_t i = 0; i < draws; ++i) {
    copy = row;
    ++counts[*chain->sample(copy.data(), uint64_t(i))];
  }
  expect_frequencies(counts, p, draws);
}

Tokens tokens_of(const std::vector<float>& row) {
  Tokens tokens;
  for (size_t i = 0; i < row.size(); ++i) tokens.push_back({int32_t(i), double(row[i])});
  return tokens;
}

TEST(Draws, OfDist) {
  Random random(6);
  const std::vector<float> row = distinct_row(random, 700, 1.5);  // three blocks, as a row
  check_draws({{"dist"}}, row, by_id(tokens_of(row)));
  const StepSpec top_p{"top_p", {.top_p = 0.8}};
  const SamplingVocabulary& none = PlainVocabulary(700);
  check_draws({top_p, {"dist"}}, row, by_id(definition::apply(top_p, tokens_of(row), {none, {}, 100}).tokens));
}

TEST(Draws, OfMirostat) {
  Random random(7);
  std::vector<float> row = distinct_row(random, 400, 0.1);
  for (size_t i = 0; i < row.size(); ++i) row[i] -= float(1.3 * std::log(double((i * 37) % row.size() + 1)));  // Zipf
  const StepSpec one{"mirostat1", {.mirostat_tau = 3}}, two{"mirostat2", {.mirostat_tau = 3}};
  const Left left_one = definition::mirostat1(tokens_of(row), 6, 400),
             left_two = definition::mirostat2(tokens_of(row), 6);
  for (const Left* left : {&left_one, &left_two}) {
    ASSERT_TRUE(left->undecided.empty());
    ASSERT_GT(left->tokens.size(), 5u);
    ASSERT_LT(left->tokens.size(), 200u);
  }
  check_draws({one}, row, by_id(left_one.tokens));
  check_draws({two}, row, by_id(left_two.tokens));
}

TEST(Draws, OfAdaptiveP) {
  Random random(8);
  const std::vector<float> row = distinct_row(random, 60, 2);
  // At the start W / K is the target, and so is the aim.
  check_draws({{"adaptive_p", {.adaptive_target = 0.2}}}, row, by_id(definition::adaptive_p(tokens_of(row), 0.2)));
  check_draws({{"adaptive_p", {.adaptive_target = -1}}}, row, by_id(tokens_of(row)));
}

// Two of them act independently, and each as often as asked for.
TEST(Draws, XtcActs) {
  const std::vector<float> row = {3, 2.9f, 2.8f, 2.7f};
  for (const double q : {0.05, 0.5, 0.9}) {
    const StepSpec xtc{"xtc", {.xtc_probability = q, .xtc_threshold = 0.26}};  // at first the best two reach it
    Result<Chain> chain = Chain::create({.seed = 1, .chain = {xtc, xtc}}, {PlainVocabulary(4), 100});
    ASSERT_TRUE(chain);
    const int64_t draws = test_count(100000);
    std::map<int32_t, int64_t> counts;  // bit 0: the first acted, bit 1: the second
    for (int64_t i = 0; i < draws; ++i) {
      std::vector<float> copy = row;
      std::vector<size_t> sizes;
      ASSERT_TRUE(chain->sample(copy.data(), uint64_t(i),
                                [&](std::string_view, const Candidates& c) { sizes.push_back(c.copy().size()); }));
      ASSERT_EQ(sizes.size(), 3u);
      ++counts[(sizes[1] < sizes[0] ? 1 : 0) | (sizes[2] < sizes[1] ? 2 : 0)];
    }
    expect_frequencies(counts, {{0, (1 - q) * (1 - q)}, {1, q * (1 - q)}, {2, q * (1 - q)}, {3, q * q}}, draws);
  }
}

// The target is what it says: mirostat's surprise settles at tau, adaptive_p's probability at its target.
TEST(Draws, SettleAtTheirTargets) {
  Random random(9);
  const std::vector<float> row = distinct_row(random, 500, 2);
  const std::map<int32_t, double> p = by_id(tokens_of(row));
  const auto average = [&](const StepSpec& step, const std::function<double(double)>& of) {
    Result<Chain> chain = Chain::create({.seed = 3, .chain = {step}}, {PlainVocabulary(500), 100});
    EXPECT_TRUE(chain);
    double sum = 0;
    const int count = 20000;
    for (int i = 0; i < count; ++i) {
      std::vector<float> copy = row;
      const int32_t token = *chain->sample(copy.data(), uint64_t(i));
      chain->accept(token);
      sum += of(p.at(token)) / count;
    }
    return sum;
  };
  const auto identity = [](double x) { return x; };
  EXPECT_NEAR(average({"adaptive_p", {.adaptive_target = 0.01}}, identity), 0.01, 0.01);
  const auto mu_settles = [&](const char* type) {
    Result<Chain> chain =
        Chain::create({.seed = 3, .chain = {{type, {.mirostat_tau = 3}}}}, {PlainVocabulary(500), 100});
    double before = 6, sum = 0;
    const int count = 5000;
    for (int i = 0; i < count; ++i) {
      std::vector<float> copy = row;
      chain->accept(*chain->sample(copy.data(), uint64_t(i)));
      const std::string text = chain->describe()[0];
      const double mu = std::stod(text.substr(text.find("mu ") + 3));
      sum += ((before - mu) / 0.1 + 3) / count;  // S
      before = mu;
    }
    EXPECT_NEAR(sum, 3, 0.02) << type;
  };
  mu_settles("mirostat1");
  mu_settles("mirostat2");
}

}  // namespace
}  // namespace linnet
