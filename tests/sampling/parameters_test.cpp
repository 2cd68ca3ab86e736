// Bad parameters, ids, chains and logits: each refused with a sentence that names what is wrong.
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>

#include <gtest/gtest.h>

#include "sampling/chain.h"
#include "sampling/steps.h"
#include "tests/sampling/letter_vocabulary.h"

namespace linnet {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kHuge = std::numeric_limits<double>::max();

const PlainVocabulary& ten() {
  static const PlainVocabulary vocabulary(10);
  return vocabulary;
}

Result<Chain> create(const SamplingParams& params) { return Chain::create(params, {ten(), 100}); }

struct Real {
  const char* name;
  double SamplingParams::*value;
  std::vector<std::string> steps;  // that have it
  double low, high;                // taken from here to there
};

const std::vector<Real>& reals() {
  using P = SamplingParams;
  constexpr double kLeast = std::numeric_limits<float>::denorm_min();
  static const std::vector<Real> rows = {
      {"temperature", &P::temperature, {"temperature", "dynatemp"}, 0, 1000},
      {"dynatemp_range", &P::dynatemp_range, {"dynatemp"}, 0, 1000},
      {"dynatemp_exponent", &P::dynatemp_exponent, {"dynatemp"}, 0, 1000},
      {"top_p", &P::top_p, {"top_p"}, 0, 1},
      {"min_p", &P::min_p, {"min_p"}, 0, 1},
      {"typical_p", &P::typical_p, {"typical_p"}, 0, 1},
      {"tfs_z", &P::tfs_z, {"tfs_z"}, 0, 1},
      {"top_n_sigma", &P::top_n_sigma, {"top_n_sigma"}, -1, 1000},
      {"xtc_probability", &P::xtc_probability, {"xtc"}, 0, 1},
      {"xtc_threshold", &P::xtc_threshold, {"xtc"}, 0, 1},
      {"repeat_penalty", &P::repeat_penalty, {"penalties"}, kLeast, 1000},
      {"presence_penalty", &P::presence_penalty, {"penalties"}, -1000, 1000},
      {"frequency_penalty", &P::frequency_penalty, {"penalties"}, -1000, 1000},
      {"dry_multiplier", &P::dry_multiplier, {"dry"}, 0, 1000},
      {"dry_base", &P::dry_base, {"dry"}, 0, 1000},
      {"mirostat_tau", &P::mirostat_tau, {"mirostat1", "mirostat2"}, 0, 1000},
      {"mirostat_eta", &P::mirostat_eta, {"mirostat1", "mirostat2"}, 0, 1000},
      {"adaptive_target", &P::adaptive_target, {"adaptive_p"}, -1, 1},
      {"adaptive_decay", &P::adaptive_decay, {"adaptive_p"}, 0, 0.99},
  };
  return rows;
}

struct Whole {
  const char* name;
  int32_t SamplingParams::*value;
  std::vector<std::string> steps;
  int32_t low;
};

const std::vector<Whole>& wholes() {
  using P = SamplingParams;
  constexpr int32_t kAny = std::numeric_limits<int32_t>::min();
  static const std::vector<Whole> rows = {
      {"top_k", &P::top_k, {"top_k"}, kAny},
      {"penalty_last_n", &P::penalty_last_n, {"penalties"}, -1},
      {"dry_penalty_last_n", &P::dry_penalty_last_n, {"dry"}, -1},
      {"dry_allowed_length", &P::dry_allowed_length, {"dry"}, 0},
      {"min_keep", &P::min_keep, {"top_p", "min_p", "typical_p", "tfs_z", "xtc"}, 1},
  };
  return rows;
}

// A chain with all logits there works: no parameter that is taken breaks it.
void expect_works(Chain& chain, const std::string& what) {
  for (int round = 0; round < 3; ++round) {
    std::vector<float> row = {0, 1, 2, -3, 4, 4, 1e30f, -1e30f, 3, -std::numeric_limits<float>::infinity()};
    if (round == 1) row.assign(10, -1.0f);
    const Result<int32_t> token = chain.sample(row.data(), 0);
    ASSERT_TRUE(token) << what << ": " << token.error().message;
    ASSERT_LT(*token, 10) << what;
    chain.accept(*token >= 0 ? *token : 1);
  }
}

struct Tally {
  int refused = 0, taken = 0;
  void expect(const SamplingParams& params, bool good, const std::string& name, const std::string& what) {
    Result<Chain> chain = create(params);
    if (good) {
      ASSERT_TRUE(chain) << what << ": " << chain.error().message;
      expect_works(*chain, what);
      ++taken;
      return;
    }
    ASSERT_FALSE(chain) << what;
    EXPECT_EQ(chain.error().code, Code::option_range) << what;
    EXPECT_TRUE(chain.error().message.starts_with(name + " is ")) << chain.error().message;
    EXPECT_NE(chain.error().message.find("expected"), std::string::npos) << chain.error().message;
    ++refused;
  }
};

TEST(Parameters, EveryNumberInEveryChain) {
  Tally tally;
  for (const Real& real : reals()) {
    for (const double v : {kNan,
                           kInfinity,
                           -kInfinity,
                           -kHuge,
                           kHuge,
                           -1e-300,
                           1e-300,
                           -1.0,
                           -2.0,
                           0.0,
                           -0.0,
                           0.5,
                           1.0,
                           real.low,
                           real.high,
                           std::nextafter(real.low, -kInfinity),
                           std::nextafter(real.high, kInfinity),
                           real.low - 1,
                           real.high + 1,
                           1e39}) {
      const bool good = v >= real.low && v <= real.high;
      SamplingParams params{.seed = 1};
      params.*real.value = v;
      tally.expect(params, good, real.name, fmt::format("{} = {}", real.name, v));
      if (real.value == &SamplingParams::temperature) {
        params.mirostat = 2;
        tally.expect(params, good, real.name, fmt::format("{} = {} with mirostat", real.name, v));
        continue;  // below: 0 with a range
      }
      params.temperature = 0;  // steps that do not run are checked as well
      if (real.value != &SamplingParams::dynatemp_range || !good)
        tally.expect(params, good, real.name, fmt::format("{} = {} at temperature 0", real.name, v));
      for (const std::string& step : real.steps) {
        StepSpec spec{step};
        spec.params.*real.value = v;
        tally.expect({.seed = 1, .chain = {spec}}, good, real.name, fmt::format("{} = {} in {}", real.name, v, step));
      }
    }
  }
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max(), kLeast = std::numeric_limits<int32_t>::min();
  for (const Whole& whole : wholes()) {
    for (const int32_t v : {kLeast, -1000, -2, -1, 0, 1, 2, 1000, kMost}) {
      const bool good = v >= whole.low;
      SamplingParams params{.seed = 1};
      params.*whole.value = v;
      tally.expect(params, good, whole.name, fmt::format("{} = {}", whole.name, v));
      for (const std::string& step : whole.steps) {
        StepSpec spec{step};
        spec.params.*whole.value = v;
        tally.expect({.seed = 1, .chain = {spec}}, good, whole.name, fmt::format("{} = {} in {}", whole.name, v, step));
      }
    }
  }
  for (const int32_t v : {kLeast, -1, 0, 1, 2, 3, kMost})
    tally.expect({.mirostat = v, .seed = 1}, v >= 0 && v <= 2, "mirostat", "mirostat");
  for (const int64_t v : {std::numeric_limits<int64_t>::min(), int64_t{-2}, int64_t{-1}, int64_t{0},
                          std::numeric_limits<int64_t>::max()}) {
    tally.expect({.seed = v}, v >= -1, "seed", "seed");
    tally.expect({.seed = v, .chain = {{"dist"}}}, v >= -1, "seed", "seed");
  }
  std::printf("%d values refused, %d taken\n", tally.refused, tally.taken);
}

void expect_refused(const SamplingParams& params, Code code, const std::vector<std::string>& parts) {
  const Result<Chain> chain = create(params);
  ASSERT_FALSE(chain) << parts[0];
  EXPECT_EQ(chain.error().code, code) << chain.error().message;
  for (const std::string& part : parts) {
    EXPECT_NE(chain.error().message.find(part), std::string::npos) << part << " in: " << chain.error().message;
  }
}

TEST(Parameters, Biases) {
  for (const bool in_chain : {false, true}) {
    const auto with = [in_chain](const LogitBias& bias) {
      SamplingParams own{.seed = 1, .logit_bias = {{.token = 1, .bias = 1}, bias}};
      return in_chain ? SamplingParams{.seed = 1, .chain = {{"logit_bias", own}}} : own;
    };
    for (const int32_t id : {-1, -2, 10, 1 << 30, std::numeric_limits<int32_t>::min()})
      expect_refused(with({.token = id, .bias = 1}), Code::token_range, {"logit_bias", std::to_string(id), "0 to 9"});
    for (const double v : {kNan, kInfinity, 1e39, kHuge}) {
      expect_refused(with({.token = 2, .bias = v}), Code::option_range, {"logit_bias", "token 2"});
      expect_refused(with({.text = "word", .bias = v}), Code::option_range, {"logit_bias", "word"});
    }
    for (const double v : {-kInfinity, -kHuge, -100.0, -99.0, 0.0, 1e-300, 100.0, 3e38}) {
      Result<Chain> chain = create(with({.token = 2, .bias = v}));
      ASSERT_TRUE(chain) << v;
      expect_works(*chain, fmt::format("bias {}", v));
    }
  }
  // A ban is a ban, however large the logit; sums of large ones stay finite.
  SamplingParams params{.temperature = 0,
                        .seed = 1,
                        .logit_bias = {{.token = 0, .bias = -100},
                                       {.token = 0, .bias = 3e38},
                                       {.token = 1, .bias = 3e38},
                                       {.token = 1, .bias = 3e38}}};
  std::vector<float> row(10, 1.0f);
  row[0] = row[1] = 3e38f;
  EXPECT_EQ(*create(params)->sample(row.data(), 0), 1);
  // All banned: no token is invented, and the chain goes on with other steps next time.
  params.logit_bias.clear();
  for (int32_t id = 0; id < 9; ++id) params.logit_bias.push_back({.token = id, .bias = -kInfinity});
  Chain chain = *create(params);
  row.assign(10, 0.0f);
  row[9] = -std::numeric_limits<float>::infinity();
  const Result<int32_t> none = chain.sample(row.data(), 7);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::grammar_dead_end);
  EXPECT_NE(none.error().message.find("logit_bias"), std::string::npos) << none.error().message;
  row.assign(10, 0.0f);
  EXPECT_EQ(*chain.sample(row.data(), 7), 9);
}

TEST(Parameters, Breakers) {
  for (const bool on : {false, true}) {
    const double multiplier = on ? 1 : 0;
    const auto with = [&](std::vector<std::string> breakers) {
      return SamplingParams{.dry_multiplier = multiplier, .dry_sequence_breakers = std::move(breakers), .seed = 1};
    };
    expect_refused(with({"a", ""}), Code::option_range, {"text 2 of dry_sequence_breakers has 0 bytes"});
    expect_refused(with({std::string(41, 'x')}), Code::option_range, {"text 1 of dry_sequence_breakers has 41 bytes"});
    expect_refused(with(std::vector<std::string>(65, "x")), Code::option_range, {"dry_sequence_breakers has 65 texts"});
    EXPECT_TRUE(create(with(std::vector<std::string>(64, std::string(40, 'x')))));
    EXPECT_TRUE(create(with({})));
  }
}

TEST(Parameters, Chains) {
  const auto chain_of = [](std::vector<StepSpec> steps) {
    return SamplingParams{.seed = 1, .chain = std::move(steps)};
  };
  for (const char* name : {"", "Top_K", "top-k", "top_k ", "sing", "typ_p"})
    expect_refused(chain_of({{"top_k"}, {name}}), Code::sampler_unknown,
                   {fmt::format("\"{}\"", name), "top_k", "adaptive_p"});
  for (const char* selector : {"greedy", "dist", "mirostat1", "mirostat2", "adaptive_p"}) {
    expect_refused(chain_of({{selector}, {"top_k"}}), Code::option_range, {selector, "top_k", "last"});
    expect_refused(chain_of({{selector}, {"dist"}}), Code::option_range, {selector, "dist", "last"});
    EXPECT_TRUE(create(chain_of({{"top_k"}, {selector}}))->selects());
  }
  EXPECT_FALSE(create(chain_of({{"top_k"}}))->selects());
  EXPECT_TRUE(create(chain_of(std::vector<StepSpec>(64, {"top_k"}))));
  expect_refused(chain_of(std::vector<StepSpec>(65, {"top_k"})), Code::option_range, {"65 steps", "64"});
}

TEST(Parameters, Together) {
  expect_refused({.mirostat = 1, .adaptive_target = 0.5, .seed = 1}, Code::option_range,
                 {"mirostat is 1", "adaptive_target is 0.5"});
  expect_refused({.mirostat = 2, .adaptive_target = 0, .seed = 1}, Code::option_range,
                 {"mirostat is 2", "adaptive_target is 0"});
  EXPECT_TRUE(create({.mirostat = 2, .adaptive_target = -0.1, .seed = 1}));
  expect_refused({.temperature = 0, .dynatemp_range = 0.5, .seed = 1}, Code::option_range,
                 {"dynatemp_range is 0.5", "temperature 0"});
  expect_refused({.seed = 1, .chain = {{"dynatemp", {.temperature = 0, .dynatemp_range = 0.5}}}}, Code::option_range,
                 {"dynatemp_range"});
  // Valid, but without effect: one remark each.
  const auto notes = [](const SamplingParams& params) { return create(params)->notes(); };
  const std::pair<SamplingParams, const char*> remarks[] = {
      {{.mirostat = 1, .seed = 1}, "mirostat 1"},
      {{.mirostat = 2, .seed = 1}, "mirostat 2"},
      {{.xtc_probability = 0.5, .xtc_threshold = 0.6, .seed = 1}, "xtc"},
      {{.dry_base = 0.5, .seed = 1}, "dry_base 0.5 is replaced by 1.75"},
      {{.dry_multiplier = 1, .dry_sequence_breakers = {}, .seed = 1}, "breakers"},
      {{.temperature = 0, .seed = 1}, "seed 1"},
      {{.top_k = 3, .min_keep = 4, .seed = 1}, "min_keep 4"},
      {{.seed = 1, .chain = {{"xtc", {.xtc_probability = 0.5, .xtc_threshold = 0.6}}}}, "xtc"},
      {{.seed = 1, .chain = {{"dry", {.dry_base = 0.5}}}}, "dry_base"},
  };
  for (const auto& [params, part] : remarks) {
    ASSERT_EQ(notes(params).size(), 1u) << part;
    EXPECT_NE(notes(params)[0].find(part), std::string::npos) << notes(params)[0];
  }
  EXPECT_TRUE(notes({.seed = 1}).empty());
  // With mirostat by key, exactly these run.
  const std::vector<std::string> rows =
      create({.dry_multiplier = 1, .mirostat = 2, .seed = 1, .logit_bias = {{.token = 1, .bias = 1}}})->describe();
  ASSERT_EQ(rows.size(), 5u);
  const char* expected[] = {"logit_bias(", "penalties(", "dry(", "temperature(", "mirostat2("};
  for (size_t i = 0; i < rows.size(); ++i) EXPECT_TRUE(rows[i].starts_with(expected[i])) << rows[i];
}

TEST(Parameters, LogitsThatAreNotFinite) {
  const auto nan = float(kNan), infinity = float(kInfinity);
  for (const std::string_view name : step_names()) {
    if (name == "custom") continue;  // needs a sampler
    StepSpec spec{std::string(name)};
    Chain chain = *create({.seed = 1, .chain = {spec}});
    for (const float bad : {nan, -nan, infinity}) {
      for (const size_t at : {0, 5, 9}) {
        std::vector<float> row(10, 1.0f);
        row[at] = bad;
        const Result<int32_t> token = chain.sample(row.data(), 3);
        ASSERT_FALSE(token) << name;
        EXPECT_EQ(token.error().code, Code::logits_not_finite);
        EXPECT_NE(token.error().message.find(fmt::format("logit {} of 10 for position 3", at)), std::string::npos)
            << token.error().message;
      }
    }
    std::vector<float> row(10, -infinity);
    EXPECT_EQ(chain.sample(row.data(), 3).error().code, Code::logits_not_finite);
    // It goes on as if nothing had been.
    Chain fresh = *create({.seed = 1, .chain = {spec}});
    std::vector<float> one = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, other = one;
    EXPECT_EQ(*chain.sample(one.data(), 4), *fresh.sample(other.data(), 4)) << name;
    EXPECT_EQ(one, other);
  }
}

TEST(Parameters, TokensOutsideTheVocabulary) {
  Chain chain = *create({.dry_multiplier = 1, .seed = 1});
  chain.accept(3);
  for (const int32_t id : {-1, 10, 1 << 30, std::numeric_limits<int32_t>::min()}) {
    chain.accept(id);
    chain.accept_prompt(id);
  }
  EXPECT_EQ(chain.history().size(), 1u);
  chain.rewind(-1);
  EXPECT_EQ(chain.history().size(), 1u);
  chain.rewind(std::numeric_limits<int64_t>::max());
  EXPECT_TRUE(chain.history().empty());
  expect_works(chain, "after ids outside");
}

}  // namespace
}  // namespace linnet
