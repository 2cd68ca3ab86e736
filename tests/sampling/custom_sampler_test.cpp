#include "sampling/custom_sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <new>
#include <set>
#include <stdexcept>

#include "sampling/chain.h"
#include "sampling/steps.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A sampler made of functions. Its state is a hash of the text, which apply() adds to a logit: whoever counts a token
// twice, forgets one, or takes a prompt's for a generated one gets another result.
struct Behaviour {
  std::function<Status(CustomCandidates&)> apply = [](CustomCandidates&) { return Status(); };
  std::function<Status(int32_t, bool)> accept = [](int32_t, bool) { return Status(); };
  std::function<void()> reset = [] {};
  std::function<Status()> clone = [] { return Status(); };
  bool selects = false;
};

class Plain : public CustomSampler {
 public:
  explicit Plain(Behaviour behaviour) : does_(std::move(behaviour)) {}
  Status apply(CustomCandidates& c) override {
    c.logits[hash_ % c.logits.size()] += 1;
    return does_.apply(c);
  }
  Status accept(int32_t token, bool generated) override {
    hash_ = hash_ * 1000003 + uint64_t(token) * 2 + generated + 1;
    return does_.accept(token, generated);
  }
  void reset() override {
    hash_ = 0;
    does_.reset();
  }
  Result<std::unique_ptr<CustomSampler>> clone() const override {
    LINNET_CHECK(does_.clone());
    return Result<std::unique_ptr<CustomSampler>>(std::make_unique<Plain>(*this));
  }
  bool selects() const override { return does_.selects; }
  std::string describe() const override { return fmt::format("hash {}", hash_); }

 private:
  Behaviour does_;
  uint64_t hash_ = 0;
};

CustomFactory factory(Behaviour behaviour) {
  return [behaviour](const Json&, const CustomInput&) {
    return Result<std::unique_ptr<CustomSampler>>(std::make_unique<Plain>(behaviour));
  };
}

CustomSamplers one(Behaviour behaviour = {}) {
  CustomSamplers samplers;
  EXPECT_TRUE(samplers.add("mine", factory(std::move(behaviour))));
  return samplers;
}

SamplingParams chain_of(std::vector<StepSpec> steps, int64_t seed = 1) {
  return {.seed = seed, .chain = std::move(steps)};
}

Result<Chain> create(const SamplingParams& params, const CustomSamplers& samplers, int32_t size = 100) {
  const PlainVocabulary vocabulary(size);
  return Chain::create(params, {.vocabulary = vocabulary, .context = 4096, .custom = &samplers});
}

Chain make(const SamplingParams& params, const CustomSamplers& samplers, int32_t size = 100) {
  Result<Chain> chain = create(params, samplers, size);
  EXPECT_TRUE(chain) << (chain ? "" : chain.error().message);
  return *std::move(chain);
}

std::vector<float> random_row(uint64_t seed, int64_t n = 100) {
  Random random(seed);
  std::vector<float> row;
  for (int64_t i = 0; i < n; ++i) row.push_back(random.normal() * 2);
  return row;
}

Result<int32_t> sample(Chain& chain, std::vector<float> row, uint64_t position = 0) {
  return chain.sample(row.data(), position);
}

TEST(CustomSamplers, NamesAreChecked) {
  CustomSamplers samplers;
  const std::string longest(64, 'a');
  for (const std::string& name : {std::string("p_less"), std::string("Top-H.2"), std::string("x"), longest})
    EXPECT_TRUE(samplers.add(name, factory({}))) << name;
  int refused = 0;
  for (const std::string& name : {std::string(), std::string("a b"), std::string("a\0b", 3), std::string("\xff"),
                                  longest + "a", std::string("p_less"), std::string("/x")}) {
    const Status status = samplers.add(name, factory({}));
    ASSERT_FALSE(status) << name;
    EXPECT_EQ(status.error().code, Code::invalid_argument);
    ++refused;
  }
  for (const std::string_view step : step_names()) EXPECT_FALSE(samplers.add(std::string(step), factory({}))) << step;
  EXPECT_FALSE(samplers.add("empty", nullptr));
  EXPECT_EQ(samplers.names(), (std::vector<std::string_view>{"Top-H.2", longest, "p_less", "x"}));
  EXPECT_EQ(samplers.find("empty"), nullptr);
  EXPECT_NE(samplers.find("p_less"), nullptr);
  std::printf("%d names and those of %zu steps refused\n", refused, step_names().size());
}

TEST(CustomStep, SaysWhatIsWrongWithItsParameters) {
  CustomSamplers samplers = one();
  const auto throwing = [](const Json&, const CustomInput&) -> Result<std::unique_ptr<CustomSampler>> {
    throw std::runtime_error("boom");
  };
  const auto failing = [](const Json&, const CustomInput&) -> Result<std::unique_ptr<CustomSampler>> {
    return fail(Code::option_range, "alpha is 7");
  };
  const auto null = [](const Json&, const CustomInput&) -> Result<std::unique_ptr<CustomSampler>> {
    return std::unique_ptr<CustomSampler>();
  };
  ASSERT_TRUE(samplers.add("throwing", throwing) && samplers.add("failing", failing) && samplers.add("null", null));
  const struct {
    SamplingParams params;
    Code code;
    const char* says;
  } cases[] = {
      {{.custom_sampler = "other"}, Code::sampler_unknown, "failing, mine, null, throwing"},
      {chain_of({{"custom", {.custom_sampler = "other"}}}), Code::sampler_unknown, "'other'"},
      {chain_of({{"other"}}), Code::sampler_unknown, "adaptive_p, failing, mine"},
      {chain_of({{"custom"}}), Code::option_range, "without \"custom_sampler\""},
      {{.custom_parameters = "{\"a\":1}"}, Code::option_range, "no custom_sampler"},
      {{.custom_sampler = "mine", .custom_parameters = "[]"}, Code::option_type, "array"},
      {{.custom_sampler = "mine", .custom_parameters = "{"}, Code::json_syntax, ""},
      {{.custom_sampler = "throwing"}, Code::sampler_failed, "throwing threw an exception in create: 'boom'"},
      {{.custom_sampler = "failing"}, Code::sampler_failed, "failing failed in create: alpha is 7"},
      {{.custom_sampler = "null"}, Code::sampler_failed, "made none"},
  };
  for (const auto& [params, code, says] : cases) {
    const Result<Chain> chain = create(params, samplers);
    ASSERT_FALSE(chain) << says;
    EXPECT_EQ(chain.error().code, code) << chain.error().message;
    EXPECT_NE(chain.error().message.find(says), std::string::npos) << chain.error().message;
  }
  const PlainVocabulary vocabulary(10);
  const Result<Chain> none = Chain::create({.custom_sampler = "mine"}, {vocabulary, 10});
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("no sampler library is loaded"), std::string::npos) << none.error().message;
}

TEST(CustomStep, GivesParametersAndFacts) {
  std::string parameters;
  int64_t context = 0;
  int32_t vocabulary = 0;
  CustomSamplers samplers;
  const auto note = [&](const Json& json, const CustomInput& in) {
    parameters = JsonWriter().value(json).text();
    context = in.context;
    vocabulary = in.vocabulary.size();
    return Result<std::unique_ptr<CustomSampler>>(std::make_unique<Plain>(Behaviour()));
  };
  ASSERT_TRUE(samplers.add("mine", note));
  EXPECT_TRUE(create(chain_of({{"mine", {.custom_parameters = R"({"alpha":0.5,"list":[1]})"}}}), samplers, 77));
  EXPECT_EQ(parameters, R"({"alpha":0.5,"list":[1]})");
  EXPECT_EQ(context, 4096);
  EXPECT_EQ(vocabulary, 77);
}

TEST(CustomStep, SeesWhatEarlierStepsLeft) {
  std::vector<int32_t> ids, history;
  double sum = 0;
  uint64_t position = 0;
  int32_t vocabulary = 0;
  std::vector<float> row = random_row(3);
  row[5] = -kInfinity;
  const auto look = [&](CustomCandidates& c) -> Status {
    ids.assign(c.ids.begin(), c.ids.end());
    history.assign(c.history.begin(), c.history.end());
    position = c.position;
    vocabulary = c.vocabulary_size;
    double z = 0;
    for (const int32_t id : c.ids) z += std::exp(double(row[size_t(id)]));
    sum = 0;
    for (size_t i = 0; i < c.ids.size(); ++i) {
      const double l = double(row[size_t(c.ids[i])]);
      EXPECT_EQ(c.keep[i], 1);
      sum += c.p[i];
      // exp is a float's, of a difference of floats below 16: 2^-24 of both.
      const double off = std::abs(c.p[i] * z / std::exp(l) - 1);
      if (!(off <= 20 * 0x1p-24)) ADD_FAILURE() << "p of " << c.ids[i] << " is " << c.p[i] << ", off by " << off;
    }
    EXPECT_EQ(c.picked, -1);
    return {};
  };
  const CustomSamplers samplers = one({.apply = look});
  Chain whole = make(chain_of({{"mine"}}), samplers);
  whole.accept_prompt(7);
  whole.accept(9);
  ASSERT_TRUE(sample(whole, row, 1234567890123));
  EXPECT_EQ(ids.size(), 99u);
  EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  EXPECT_EQ(std::set<int32_t>(ids.begin(), ids.end()).count(5), 0u);
  EXPECT_EQ(history, (std::vector<int32_t>{7, 9}));
  EXPECT_EQ(position, 1234567890123u);
  EXPECT_EQ(vocabulary, 100);
  EXPECT_NEAR(sum, 1, 1e-12);

  Chain after = make(chain_of({{"top_k", {.top_k = 4}}, {"mine"}}), samplers);
  ASSERT_TRUE(sample(after, row));
  EXPECT_EQ(ids.size(), 4u);
  EXPECT_NEAR(sum, 1, 1e-12);
}

// Its place in a chain decides what it sees and who sees what it did.
TEST(CustomStep, StandsAnywhere) {
  size_t seen = 0;
  const auto drop_worst = [&seen](CustomCandidates& c) -> Status {
    seen = c.ids.size();
    const auto worst = std::min_element(c.logits.begin(), c.logits.end()) - c.logits.begin();
    if (seen % 2) {  // both ways to drop
      c.keep[size_t(worst)] = 0;
    } else {
      c.logits[size_t(worst)] = -kInfinity;
    }
    return {};
  };
  const CustomSamplers samplers = one({.apply = drop_worst});
  const auto left = [&](const SamplingParams& params) {
    Chain chain = make(params, samplers);
    std::vector<float> row = random_row(4);
    std::vector<std::string> names;
    int64_t count = 0;
    EXPECT_TRUE(chain.sample(row.data(), 0, [&](std::string_view name, const Candidates& c) {
      names.emplace_back(name);
      count = c.count();
    }));
    EXPECT_EQ(
        std::count(names.begin(), names.end(), "mine"),
        std::count_if(params.chain.begin(), params.chain.end(), [](const StepSpec& s) { return s.type != "top_k"; }));
    return count;
  };
  const StepSpec top_k = {"top_k", {.top_k = 10}}, mine = {"custom", {.custom_sampler = "mine"}}, named = {"mine"};
  EXPECT_EQ(left(chain_of({mine, top_k})), 10);
  EXPECT_EQ(seen, 100u);
  EXPECT_EQ(left(chain_of({top_k, mine})), 9);
  EXPECT_EQ(seen, 10u);
  EXPECT_EQ(left(chain_of({top_k, mine, named, mine})), 7);
  EXPECT_EQ(seen, 8u);
}

TEST(CustomStep, RunsInDefaultChainsAfterTheTemperature) {
  CustomSamplers samplers = one();
  ASSERT_TRUE(samplers.add("chooser", factory({.apply = [](CustomCandidates& c) -> Status {
                                                 c.picked = c.ids.back();
                                                 return {};
                                               },
                                               .selects = true})));
  const auto rows = [&](SamplingParams params, std::string name) {
    params.custom_sampler = std::move(name);
    params.repeat_penalty = 1;
    params.top_k = 0;
    params.min_p = 0;
    return make(params, samplers).describe();
  };
  using Rows = std::vector<std::string>;
  EXPECT_EQ(rows({}, "mine"), (Rows{"top_p(0.95, min_keep 1)", "temperature(0.7)", "mine(hash 0)", "dist()"}));
  EXPECT_EQ(rows({}, "chooser"), (Rows{"top_p(0.95, min_keep 1)", "temperature(0.7)", "chooser(hash 0)"}));
  EXPECT_EQ(rows({.temperature = 0}, "mine"), (Rows{"mine(hash 0)", "greedy()"}));
  EXPECT_EQ(rows({.temperature = 0}, "chooser"), (Rows{"chooser(hash 0)"}));
  EXPECT_EQ(rows({.mirostat = 2}, "mine"),
            (Rows{"temperature(0.7)", "mine(hash 0)", "mirostat2(tau 5, eta 0.1, mu 10)"}));
  for (const SamplingParams& both : {SamplingParams{.mirostat = 1}, SamplingParams{.adaptive_target = 0.5}}) {
    SamplingParams params = both;
    params.custom_sampler = "chooser";
    const Result<Chain> chain = create(params, samplers);
    ASSERT_FALSE(chain);
    EXPECT_EQ(chain.error().code, Code::option_range);
    EXPECT_NE(chain.error().message.find("chooser picks"), std::string::npos) << chain.error().message;
  }
  // In an explicit chain a sampler that selects is the last.
  const Result<Chain> more = create(chain_of({{"chooser"}, {"dist"}}), samplers);
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().message.find("after \"chooser\""), std::string::npos) << more.error().message;
  Chain chain = make(chain_of({{"top_k", {.top_k = 3}}, {"chooser"}}), samplers);
  EXPECT_TRUE(chain.selects());
  std::vector<float> row = {0, 1, 2, 3, 4, -1};
  row.resize(100, -kInfinity);
  const Result<int32_t> token = sample(chain, row);
  ASSERT_TRUE(token) << token.error().message;
  EXPECT_EQ(*token, 4);
  EXPECT_FALSE(make(chain_of({{"mine"}}), samplers).selects());
}

TEST(CustomStep, RandomNumbersFollowSeedPositionAndIndexOnly) {
  std::vector<double> drawn;
  const CustomSamplers samplers = one({.apply = [&drawn](CustomCandidates& c) -> Status {
    for (uint32_t i = 0; i < 100; ++i) drawn.push_back(c.random(i));
    return {};
  }});
  const auto numbers = [&](std::vector<StepSpec> steps, int64_t seed, uint64_t position) {
    drawn.clear();
    Chain chain = make(chain_of(std::move(steps), seed), samplers);
    EXPECT_TRUE(sample(chain, random_row(uint64_t(seed) + position), position));
    return drawn;
  };
  const std::vector<double> once = numbers({{"mine"}}, 1, 5);
  EXPECT_EQ(once, numbers({{"top_k", {.top_k = 5}}, {"mine"}, {"dist"}}, 1, 5));
  EXPECT_EQ(once, numbers({{"custom", {.custom_sampler = "mine"}}}, 1, 5));
  std::set<double> all(once.begin(), once.end());
  for (const auto& others : {numbers({{"mine"}}, 2, 5), numbers({{"mine"}}, 1, 6)})
    all.insert(others.begin(), others.end());
  EXPECT_EQ(all.size(), 300u);
  // Two steps of a chain draw different numbers, whichever way they are named.
  const std::vector<double> twice = numbers({{"mine"}, {"custom", {.custom_sampler = "mine"}}}, 1, 5);
  EXPECT_EQ(std::set<double>(twice.begin(), twice.end()).size(), 200u);
  // Chi-square over 16 bins, 10^5 numbers: 15 degrees of freedom exceed 44.3 once in 10^4.
  std::vector<int> bins(16);
  for (uint64_t position = 0; position < 1000; ++position)
    for (const double u : numbers({{"mine"}}, 3, position)) {
      ASSERT_TRUE(u >= 0 && u < 1);
      ++bins[size_t(u * 16)];
    }
  double chi = 0;
  for (const int n : bins) chi += (n - 6250.0) * (n - 6250.0) / 6250;
  EXPECT_LT(chi, 44.3);
}

// Whatever was cloned, taken back and accepted again: the state is that of the text.
TEST(CustomStep, CloneAndRewindKeepTheState) {
  int resets = 0;
  const CustomSamplers samplers = one({.reset = [&resets] { ++resets; }});
  const SamplingParams params = chain_of({{"mine"}, {"top_k", {.top_k = 20}}, {"mine"}, {"dist"}});
  Random random(7);
  Chain chain = make(params, samplers);
  std::vector<std::pair<int32_t, bool>> text;
  int compared = 0;
  for (int i = 0; i < test_count(2000); ++i) {
    const int64_t action = random.below(5);
    if (action <= 1) {
      text.emplace_back(int32_t(random.below(100)), random.below(2) != 0);
      text.back().second ? chain.accept(text.back().first) : chain.accept_prompt(text.back().first);
    } else if (action == 2) {
      const int64_t n = std::min<int64_t>(random.below(8), int64_t(text.size()));
      chain.rewind(n);
      text.resize(text.size() - size_t(n));
    } else if (action == 3) {
      chain = chain.clone();
    } else {
      Chain fresh = make(params, samplers);
      for (const auto& [token, generated] : text) generated ? fresh.accept(token) : fresh.accept_prompt(token);
      Chain copy = chain.clone();
      copy.accept(3);  // must not touch the original
      std::vector<float> row = random_row(uint64_t(i)), same = row;
      const auto a = chain.sample(row.data(), text.size()), b = fresh.sample(same.data(), text.size());
      ASSERT_TRUE(a && b);
      ASSERT_EQ(*a, *b);
      ASSERT_EQ(row, same);
      ASSERT_EQ(chain.describe(), fresh.describe());
      ++compared;
    }
  }
  EXPECT_GT(compared, test_count(2000) / 10);
  // Taking many tokens back replays the text once for each step, when it is needed.
  Chain chain2 = make(params, samplers);
  for (int i = 0; i < 1000; ++i) chain2.accept(i % 100);
  resets = 0;
  chain2.rewind(900);
  EXPECT_EQ(resets, 0);
  ASSERT_TRUE(sample(chain2, random_row(1)));
  EXPECT_EQ(resets, 2);
  ASSERT_TRUE(sample(chain2, random_row(1)));
  EXPECT_EQ(resets, 2);
  std::printf("%d states compared\n", compared);
}

TEST(CustomStep, WhatItDoesWrongIsAnErrorThatNamesIt) {
  bool bad = true;
  using Misdeed = std::function<Status(CustomCandidates&)>;
  const struct {
    const char* says;
    bool selects;
    Misdeed apply;
  } cases[] = {
      {"logit nan", false, [](auto& c) { return c.logits[3] = std::nanf(""), Status(); }},
      {"logit inf", false, [](auto& c) { return c.logits[3] = kInfinity, Status(); }},
      {"dropped all", false, [](auto& c) { return std::fill(c.keep.begin(), c.keep.end(), uint8_t{0}), Status(); }},
      {"dropped all", false, [](auto& c) { return std::fill(c.logits.begin(), c.logits.end(), -kInfinity), Status(); }},
      {"picked the token 3", false, [](auto& c) { return c.picked = 3, Status(); }},
      {"picked -1", true, [](auto&) { return Status(); }},
      {"picked 100", true, [](auto& c) { return c.picked = 100, Status(); }},
      {"picked the token 4, which it dropped", true, [](auto& c) { return c.keep[4] = 0, c.picked = 4, Status(); }},
      {"picked the token 4, which it dropped", true,
       [](auto& c) { return c.logits[4] = -kInfinity, c.picked = 4, Status(); }},
      {"failed in apply: no luck", false, [](auto&) -> Status { return fail(Code::internal, "no luck"); }},
      {"threw an exception in apply: 'boom'", false, [](auto&) -> Status { throw std::runtime_error("boom"); }},
      {"unknown type in apply", false, [](auto&) -> Status { throw 3; }},
      {"no memory is left", false, [](auto&) -> Status { throw std::bad_alloc(); }},
  };
  for (const auto& [says, selects, apply] : cases) {
    const bool picks = selects;
    const CustomSamplers samplers = one({.apply = [&bad, &misdeed = apply, picks](CustomCandidates& c) -> Status {
                                           if (bad) return misdeed(c);
                                           if (picks) c.picked = c.ids[0];
                                           return {};
                                         },
                                         .selects = selects});
    Chain chain = make(chain_of({{"mine"}}), samplers);
    bad = true;
    const Result<int32_t> token = sample(chain, random_row(1));
    ASSERT_FALSE(token) << says;
    EXPECT_EQ(token.error().code,
              std::string_view(says).starts_with("no memory") ? Code::out_of_memory : Code::sampler_failed);
    EXPECT_NE(token.error().message.find(says), std::string::npos) << token.error().message;
    EXPECT_NE(token.error().message.find("mine"), std::string::npos) << token.error().message;
    // The chain is as it was, and goes on when the sampler does.
    bad = false;
    EXPECT_TRUE(sample(chain, random_row(1))) << says;
  }
  std::printf("%zu misdeeds\n", std::size(cases));
}

TEST(CustomStep, FailuresBetweenTokensAreReportedByTheNext) {
  const CustomSamplers accept = one({.accept = [](int32_t token, bool) -> Status {
    if (token == 13) throw std::runtime_error("unlucky");
    return {};
  }});
  Chain chain = make(chain_of({{"mine"}}), accept);
  chain.accept(1);
  EXPECT_TRUE(sample(chain, random_row(1)));
  chain.accept(13);
  chain.accept(2);
  const Result<int32_t> failed = sample(chain, random_row(1));
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("threw an exception in accept: 'unlucky'"), std::string::npos);
  EXPECT_FALSE(sample(chain, random_row(1)));
  chain.rewind(1);
  EXPECT_FALSE(sample(chain, random_row(1))) << "the token is still there";
  chain.rewind(1);
  EXPECT_TRUE(sample(chain, random_row(1))) << "the token was taken back";

  const CustomSamplers reset = one({.reset = [] { throw 1; }});
  Chain rewound = make(chain_of({{"mine"}}), reset);
  rewound.accept(1);
  rewound.rewind(1);
  EXPECT_FALSE(sample(rewound, random_row(1)));

  for (const bool throws : {false, true}) {
    const CustomSamplers clone = one({.clone = [throws]() -> Status {
      if (throws) throw std::runtime_error("one of a kind");
      return fail(Code::internal, "one of a kind");
    }});
    Chain original = make(chain_of({{"mine"}, {"dist"}}), clone);
    original.accept(1);
    Chain copy = original.clone();
    copy.accept(2);
    copy.rewind(2);
    EXPECT_EQ(copy.describe().front(), "mine()");
    const Result<int32_t> none = sample(copy, random_row(1));
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, Code::sampler_failed);
    EXPECT_NE(none.error().message.find("one of a kind"), std::string::npos) << none.error().message;
    EXPECT_FALSE(sample(*std::make_unique<Chain>(copy.clone()), random_row(1)));
    EXPECT_TRUE(sample(original, random_row(1)));
  }
}

}  // namespace
}  // namespace linnet
