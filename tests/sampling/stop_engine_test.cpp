#include "sampling/stop_engine.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support.h"

namespace linnet {
namespace {

using Action = StopOutcome::Action;

constexpr int32_t kTokens = 1000;
constexpr int32_t kEog = 999;

class WithEog : public PlainVocabulary {
 public:
  WithEog() : PlainVocabulary(kTokens) {}
  bool is_eog(int32_t token) const override { return token == kEog; }
};

StopEngine make(const StopParams& params, StopPrompt prompt = {}) {
  Result<StopEngine> engine = StopEngine::create(params, WithEog(), prompt);
  EXPECT_TRUE(engine) << (engine ? "" : engine.error().message);
  return *std::move(engine);
}

// What came out of some tokens.
struct Generated {
  std::string text;
  int64_t tokens = 0;  // kept
  bool ended = false;
  StopOutcome last;

  std::string reason() const { return ended ? std::string(stop_reason_name(last.reason)) : "none"; }
};

void take(Generated& run, StopOutcome outcome) {
  run.text += outcome.text;
  run.tokens += int64_t(outcome.keep_token) - outcome.take_back;
  run.ended = outcome.action == Action::end;
  run.last = std::move(outcome);
}

// Pieces of text as tokens 0, 1, 2, ...; "<eog>" and "<ID>" are tokens without text.
Generated feed(StopEngine engine, const std::vector<std::string>& pieces) {
  Generated run;
  int32_t next = 0;
  for (const std::string& piece : pieces) {
    if (run.ended) break;
    GeneratedToken token{.id = next++, .bytes = piece};
    if (piece.size() > 2 && piece.front() == '<' && piece.back() == '>') {
      token.id = piece == "<eog>" ? kEog : std::stoi(piece.substr(1));
      token.bytes = {};
      token.is_eog = token.id == kEog;
    }
    take(run, engine.add(token));
  }
  if (!run.ended) take(run, engine.flush());
  return run;
}

struct Case {
  const char* name;
  StopParams params;
  std::vector<std::string> pieces;
  const char* reason;
  const char* text;
  const char* matched = "";
  int64_t tokens = -1;  // kept; -1: not looked at
};

StopParams with(auto change) {
  StopParams params;
  change(params);
  return params;
}

TEST(StopEngine, EveryTextConditionFiresAndDoesNotFire) {
  const StopParams none;
  const auto stop = with([](auto& p) { p.stop = {"User:", "</s>"}; });
  const auto token = with([](auto& p) { p.token_conditions = {500, 7}; });
  const auto partial = with([](auto& p) { p.pattern_conditions = {{"\\b(done|finished|complete)\\b"}}; });
  const auto full = with([](auto& p) { p.pattern_conditions = {{"\\[END\\]", PatternCondition::Match::full}}; });
  const auto word = with([](auto& p) { p.grammar_triggers = {{.value = "stop_word"}}; });
  const auto trigger = with([](auto& p) {
    p.grammar_triggers = {{.type = Trigger::Type::token, .value = "<end>", .token = 123},
                          {.type = Trigger::Type::pattern, .value = "x+y"},
                          {.type = Trigger::Type::pattern_full, .value = "a.c"}};
  });
  const auto indent = with([](auto& p) { p.indent = 4; });
  const auto longer = with([](auto& p) { p.stop = {"ab", "abab"}; });
  const auto min3 = with([](auto& p) {
    p.min_tokens = 3;
    p.stop = {"x"};
    p.token_conditions = {500};
    p.pattern_conditions = {{"y"}};
    p.indent = 2;
  });
  const auto needed = with([](auto& p) {
    p.required_tokens = {600, 601};
    p.stop = {"x"};
  });
  const std::vector<Case> cases = {
      {"nothing", none, {"a", "b"}, "none", "ab", "", 2},
      {"eog", none, {"a", "<eog>"}, "eog", "a", "", 1},
      {"ignore_eos", with([](auto& p) { p.ignore_eos = true; }), {"a", "<eog>", "b"}, "none", "ab", "", 3},
      {"max_tokens", with([](auto& p) { p.max_tokens = 2; }), {"a", "b", "c"}, "max_tokens", "ab", "", 2},
      {"max_tokens off", with([](auto& p) { p.max_tokens = -1; }), {"a", "b", "c"}, "none", "abc", "", 3},
      {"stop", stop, {"hi Us", "er", ": more"}, "stop_string", "hi ", "User:", 3},
      {"no stop", stop, {"hi Us", "er", " more"}, "none", "hi User more"},
      {"stop, at the end", longer, {"x", "ab", "<eog>"}, "stop_string", "x", "ab"},
      {"stop, before max",
       with([](auto& p) {
         p.stop = {"ab", "abab"}, p.max_tokens = 1;
       }),
       {"xab"},
       "stop_string",
       "x",
       "ab"},
      {"stop token", token, {"a", "b", "<500>"}, "stop_token", "ab", "500", 2},
      {"no stop token", token, {"a", "b", "<501>"}, "none", "ab"},
      {"pattern", partial, {"all do", "ne", ". More"}, "stop_pattern", "all done", "done"},
      {"pattern in one", partial, {"all done. More"}, "stop_pattern", "all done", "done"},
      {"no pattern", partial, {"abandoned, completely", "<eog>"}, "eog", "abandoned, completely"},
      {"full", full, {"[E", "ND]", "x"}, "stop_pattern", "[END]", "[END]"},
      {"not full", full, {"so [E", "ND]"}, "none", "so [END]"},
      {"word", word, {"a stop", "_word b"}, "stop_trigger", "a stop_word", "stop_word"},
      {"no word", word, {"a stop", "word b"}, "none", "a stopword b"},
      {"trigger token", trigger, {"a", "<123>"}, "stop_trigger", "a", "<end>", 1},
      {"trigger pattern", trigger, {"axx", "y z"}, "stop_trigger", "axxy", "xxy"},
      {"trigger full", trigger, {"ab", "cd"}, "stop_trigger", "abc", "abc"},
      {"no trigger", trigger, {"<124>", "xx", " abc"}, "none", "xx abc"},
      {"indent", indent, {"x:\n  ", "  y\n", " ", "z"}, "indentation", "x:\n    y\n"},
      {"no indent", indent, {"x:\n  ", "  y\n\n", "    ", "z"}, "none", "x:\n    y\n\n    z"},
      {"indent of the first", with([](auto& p) { p.indent = -1; }), {"a\n  b\n  c\nd"}, "indentation", "a\n  b\n  c\n"},
      {"min: all ignored", min3, {"x", "<eog>", "<500>"}, "none", "x"},
      {"min: text before", min3, {"xy\nz", "x", "b", "c"}, "none", "xy\nzxbc"},
      {"min: the last counts", min3, {"x", "x", "ax"}, "stop_string", "xxa", "x"},
      {"min: token after", min3, {"a", "b", "c", "<500>"}, "stop_token", "abc", "500"},
      {"min: eog after", min3, {"a", "b", "c", "<eog>"}, "eog", "abc"},
      {"min: pattern after", min3, {"y", "b", "c", "y"}, "stop_pattern", "ybcy", "y"},
      {"min: max wins",
       with([](auto& p) { p.min_tokens = 2, p.max_tokens = 2; }),
       {"a", "<eog>", "b"},
       "max_tokens",
       "a"},
      {"required", needed, {"x", "<600>", "<eog>", "x", "<601>", "bx", "c"}, "stop_string", "xxb", "x"},
      {"required: one missing", needed, {"x", "<600>", "<eog>", "x"}, "none", "xx"},
  };
  for (const Case& c : cases) {
    const Generated run = feed(make(c.params), c.pieces);
    EXPECT_EQ(run.reason(), c.reason) << c.name;
    EXPECT_EQ(run.text, c.text) << c.name;
    if (run.ended) { EXPECT_EQ(run.last.matched, c.matched) << c.name; }
    if (c.tokens >= 0) { EXPECT_EQ(run.tokens, c.tokens) << c.name; }
  }
}

TEST(StopEngine, MasksTheEndWhileItMayNotEnd) {
  StopEngine engine = make(with([](auto& p) {
    p.min_tokens = 2;
    p.required_tokens = {5};
    p.forbidden_tokens = {9, 8};
  }));
  EXPECT_EQ(std::vector<int32_t>(engine.forbidden_tokens().begin(), engine.forbidden_tokens().end()),
            (std::vector<int32_t>{9, 8}));
  EXPECT_TRUE(engine.mask_eog());
  engine.add({.id = 1});
  engine.add({.id = 1});
  EXPECT_TRUE(engine.mask_eog());
  engine.add({.id = 5});
  EXPECT_FALSE(engine.mask_eog());
}

TEST(StopEngine, AsksForWhatItNeeds) {
  EXPECT_FALSE(make({}).needs().entropy);
  EXPECT_FALSE(make({}).needs().eog_probability);
  EXPECT_TRUE(make(with([](auto& p) { p.coherence_break = 0.7; })).needs().entropy);
  EXPECT_TRUE(make(with([](auto& p) { p.completion_detection = 0.9; })).needs().eog_probability);
}

TEST(StopEngine, Times) {
  const auto at = [](StopEngine& engine, double ms) { return engine.add({.id = 1, .bytes = "a", .elapsed_ms = ms}); };
  StopEngine limit = make(with([](auto& p) { p.max_time_ms = 100; }));
  EXPECT_EQ(at(limit, 99.9).action, Action::go_on);
  EXPECT_FALSE(limit.check_time(99.9));
  EXPECT_FALSE(limit.check_time(std::numeric_limits<double>::quiet_NaN()));
  const auto waited = StopEngine(limit).check_time(100);
  ASSERT_TRUE(waited);
  EXPECT_EQ(waited->reason, StopReason::max_time);
  const StopOutcome late = at(limit, 100);
  EXPECT_EQ(late.action, Action::end);
  EXPECT_EQ(late.reason, StopReason::max_time);
  EXPECT_EQ(late.text, "a");

  // Every one of its numbers counts: 10 + 2 per token, at most 17.
  const auto dynamic = with([](auto& p) { p.dynamic_timeout = DynamicTimeout{10, 2, 17}; });
  struct Step {
    double elapsed;
    bool ends;
  };
  for (const std::vector<Step>& steps : {std::vector<Step>{{12, true}},
                                         {{11.9, false}, {14, true}},
                                         {{11.9, false}, {13.9, false}, {16, true}},
                                         {{11.9, false}, {13.9, false}, {15.9, false}, {16.9, false}, {17, true}}}) {
    StopEngine engine = make(dynamic);
    for (const Step& step : steps) {
      const StopOutcome outcome = at(engine, step.elapsed);
      EXPECT_EQ(outcome.action == Action::end, step.ends) << step.elapsed;
      if (step.ends) { EXPECT_EQ(outcome.reason, StopReason::dynamic_timeout); }
    }
  }
}

// Tokens until the end, at most so many; -1: none.
template <class Make>
int tokens_until_end(StopEngine engine, int most, StopReason reason, Make make_token) {
  for (int i = 0; i < most; ++i) {
    const StopOutcome outcome = engine.add(make_token(i));
    if (outcome.action != Action::end) continue;
    EXPECT_EQ(outcome.reason, reason);
    EXPECT_FALSE(outcome.condition.empty());
    return i + 1;
  }
  return -1;
}

TEST(StopEngine, Loops) {
  const auto period = [](int p) { return [p](int i) { return GeneratedToken{.id = i % p, .bytes = "w "}; }; };
  const auto fresh = [](int i) { return GeneratedToken{.id = i % kTokens, .bytes = "w "}; };
  for (const double threshold : {0.1, 0.5, 0.8, 1.0}) {
    const StopEngine engine = make(with([&](auto& p) { p.repetition_detection = threshold, p.max_tokens = -1; }));
    // A loop of period 10 repeats from the 14th token on; nothing is told before the 64th.
    const int needed = std::max(64, 13 + int(std::ceil(threshold * 64)));
    EXPECT_EQ(tokens_until_end(engine, 500, StopReason::loop, period(10)), needed) << threshold;
    EXPECT_EQ(tokens_until_end(engine, 500, StopReason::loop, fresh), -1);
  }
  for (const int64_t rounds : {1, 3, 10}) {
    const StopEngine engine = make(with([&](auto& p) { p.max_repetition_count = rounds, p.max_tokens = -1; }));
    const int needed = std::max(20 * int(rounds + 1), 20 + 16);
    EXPECT_EQ(tokens_until_end(engine, 500, StopReason::loop, period(20)), needed);
    EXPECT_EQ(tokens_until_end(engine, 500, StopReason::loop, fresh), -1);
  }
  const StopEngine off = make(with([](auto& p) { p.max_tokens = -1; }));
  EXPECT_EQ(tokens_until_end(off, 500, StopReason::loop, period(1)), -1);
  const StopEngine later = make(with([](auto& p) { p.repetition_detection = 0.8, p.min_tokens = 200; }));
  EXPECT_EQ(tokens_until_end(later, 500, StopReason::loop, period(10)), 200);
}

TEST(StopEngine, Completion) {
  const auto params = with([](auto& p) { p.completion_detection = 0.9, p.max_tokens = -1; });
  // Twenty words, then sentences whose ends get likelier to be the end.
  const auto tokens = [](int i) {
    return GeneratedToken{.id = i, .bytes = i % 10 == 9 ? "end." : "word ", .eog_probability = i % 10 == 0 ? 0.6 : 0};
  };
  // Places are looked at before tokens 10, 20 and 30: 1 - 0.4^3 = 0.936.
  EXPECT_EQ(tokens_until_end(make(params), 100, StopReason::completion, tokens), 31);
  const auto once = [](int i) {
    return GeneratedToken{.id = i, .bytes = "Yes. ", .eog_probability = i == 40 ? 0.9 : 0.001};
  };
  EXPECT_EQ(tokens_until_end(make(params), 100, StopReason::completion, once), 41);
  const auto unlikely = [](int i) { return GeneratedToken{.id = i, .bytes = "Yes. ", .eog_probability = 0.2}; };
  EXPECT_EQ(tokens_until_end(make(params), 100, StopReason::completion, unlikely), -1);  // 1 - 0.8^8 = 0.83
  const auto inside = [](int i) { return GeneratedToken{.id = i, .bytes = "word ", .eog_probability = 0.99}; };
  EXPECT_EQ(tokens_until_end(make(params), 100, StopReason::completion, inside), -1);
  // The token that was drawn in place of the end is not part of the text.
  StopEngine engine = make(params);
  for (int i = 0; i < 20; ++i) engine.add({.id = i, .bytes = "Yes. "});
  const StopOutcome end = engine.add({.id = 20, .bytes = "And", .eog_probability = 0.95});
  EXPECT_EQ(end.action, Action::end);
  EXPECT_FALSE(end.keep_token);
  EXPECT_EQ(end.text, "");
}

TEST(StopEngine, CoherenceBreak) {
  const auto params = with([](auto& p) { p.coherence_break = 0.7, p.max_tokens = -1; });
  const double largest = std::log(double(kTokens));
  const auto breaks = [&](int i) {
    return GeneratedToken{.id = i % 7, .bytes = "w ", .entropy = (i < 100 ? 0.15 : 0.8) * largest};
  };
  const int end = tokens_until_end(make(params), 300, StopReason::coherence_break, breaks);
  // f = 0.15 + k / 32 * 0.65 reaches 0.15 / 0.3 = 0.5 with k = 18.
  EXPECT_EQ(end, 100 + 18);
  const auto steady = [&](int i) { return GeneratedToken{.id = i % 7, .bytes = "w ", .entropy = 0.6 * largest}; };
  EXPECT_EQ(tokens_until_end(make(params), 300, StopReason::coherence_break, steady), -1);
  const auto unknown = [&](int i) { return GeneratedToken{.id = i, .bytes = "w ", .entropy = NAN}; };
  EXPECT_EQ(tokens_until_end(make(params), 300, StopReason::coherence_break, unknown), -1);
}

TEST(StopEngine, ContextAware) {
  const auto params = with([](auto& p) {
    p.context_aware = true;
    p.roles = {"Narrator:"};
    p.max_tokens = -1;
  });
  const StopPrompt chat{.text = "User: Hello\nAssistant:"};
  for (const char* role : {"User:", "Assistant:", "Narrator:"}) {
    const Generated run =
        feed(make(params, chat), {" Hi!\n", std::string(role).substr(0, 3), std::string(role).substr(3), "x"});
    EXPECT_EQ(run.reason(), "context_aware");
    EXPECT_EQ(run.text, " Hi!");
    EXPECT_EQ(run.last.matched, std::string("\n") + role);
  }
  EXPECT_EQ(feed(make(params, chat), {" Hi! User: x\nUsers: y"}).reason(), "none");
  EXPECT_EQ(feed(make({}, chat), {" Hi!\nUser: x"}).reason(), "none");
  EXPECT_EQ(feed(make(params, {.text = "User: Hello\n"}), {" Hi!\nUser: x"}).reason(), "none");

  std::vector<int32_t> prompt;
  for (int32_t i = 0; i < 200; ++i) prompt.push_back(i);
  const auto copies = [](int i) { return GeneratedToken{.id = 50 + i, .bytes = "w "}; };
  // 61 of 64 are 0.953; the first seven tokens end no 8-gram.
  EXPECT_EQ(tokens_until_end(make(params, {.tokens = prompt}), 140, StopReason::context_aware, copies), 68);
  const auto own = [](int i) { return GeneratedToken{.id = 500 + i, .bytes = "w "}; };
  EXPECT_EQ(tokens_until_end(make(params, {.tokens = prompt}), 140, StopReason::context_aware, own), -1);
}

TEST(StopEngine, BannedPhraseGoesBackToItsFirstToken) {
  StopEngine engine = make(with([](auto& p) { p.banned_phrases = {"as an AI"}; }));
  EXPECT_EQ(engine.add({.id = 10, .bytes = "Well,"}).text, "Well,");
  EXPECT_EQ(engine.add({.id = 11, .bytes = " as"}).text, "");  // the whole token waits
  EXPECT_EQ(engine.add({.id = 12, .bytes = " an"}).text, "");
  const StopOutcome back = engine.add({.id = 13, .bytes = " AI model"});
  EXPECT_EQ(back.action, Action::take_back);
  EXPECT_EQ(back.take_back, 2);
  EXPECT_FALSE(back.keep_token);
  EXPECT_EQ(back.matched, "as an AI");
  EXPECT_EQ(engine.tokens(), 1);
  ASSERT_EQ(engine.banned_tokens().size(), 1u);
  EXPECT_EQ(engine.banned_tokens()[0], 11);
  EXPECT_EQ(engine.add({.id = 14, .bytes = " I"}).text, " I");
  EXPECT_TRUE(engine.banned_tokens().empty());
  EXPECT_EQ(engine.add({.id = 11, .bytes = " as"}).text, "");
  EXPECT_EQ(engine.add({.id = 15, .bytes = " a"}).text, "");
  EXPECT_EQ(engine.add({.id = 16, .bytes = " b"}).text, " as a b");
}

TEST(StopEngine, AModelThatInsistsIsEnded) {
  StopEngine engine = make(with([](auto& p) { p.banned_phrases = {"bad"}; }));
  EXPECT_EQ(engine.add({.id = 0, .bytes = "x"}).text, "x");
  for (int64_t i = 0; i < StopEngine::kMostRollbacks; ++i) {
    ASSERT_EQ(engine.add({.id = int32_t(i % kTokens), .bytes = "bad"}).action, Action::take_back);
    EXPECT_EQ(engine.rollbacks(), i + 1);
  }
  const StopOutcome end = engine.add({.id = 3, .bytes = "bad"});
  EXPECT_EQ(end.action, Action::end);
  EXPECT_EQ(end.reason, StopReason::phrase_ban);
  EXPECT_EQ(end.text, "");
}

TEST(StopEngine, TimeRunsOutWhilePhrasesAreTakenBack) {
  StopEngine engine = make(with([](auto& p) {
    p.banned_phrases = {"bad"};
    p.max_time_ms = 10;
  }));
  EXPECT_EQ(engine.add({.id = 1, .bytes = "x b"}).text, "");
  EXPECT_EQ(engine.add({.id = 2, .bytes = "ad", .elapsed_ms = 9}).action, Action::take_back);
  EXPECT_EQ(engine.add({.id = 3, .bytes = "x b"}).text, "");
  const StopOutcome end = engine.add({.id = 2, .bytes = "ad", .elapsed_ms = 10});
  EXPECT_EQ(end.action, Action::end);
  EXPECT_EQ(end.reason, StopReason::max_time);
  EXPECT_EQ(end.take_back, 1);
  EXPECT_EQ(end.text, "");
}

TEST(StopEngine, TextThatChangesLaterIsNotShownAsBroken) {
  // The first two bytes of a euro sign, then the first letter of a phrase that is taken back: they may yet become one.
  StopEngine engine = make(with([](auto& p) { p.banned_phrases = {"foo"}; }));
  EXPECT_EQ(engine.add({.id = 1, .bytes = "\xe2\x82"}).text, "");
  EXPECT_EQ(engine.add({.id = 2, .bytes = "fo"}).text, "");
  EXPECT_EQ(engine.add({.id = 3, .bytes = "o"}).action, Action::take_back);
  EXPECT_EQ(engine.add({.id = 4, .bytes = "\xac"}).text, "€");
}

TEST(StopEngine, CopiesGoOnByThemselves) {
  StopEngine engine = make(with([](auto& p) {
    p.stop = {"END"};
    p.banned_phrases = {"foo bar"};
    p.pattern_conditions = {{"x{3}"}};
  }));
  engine.add({.id = 1, .bytes = "a foo"});
  StopEngine copy = engine;
  EXPECT_EQ(engine.add({.id = 2, .bytes = " bar"}).action, Action::take_back);
  EXPECT_EQ(copy.add({.id = 2, .bytes = " baz EN"}).text, "a foo baz ");
  EXPECT_EQ(copy.add({.id = 2, .bytes = "D"}).reason, StopReason::stop_string);
  EXPECT_EQ(engine.add({.id = 2, .bytes = "xxx"}).reason, StopReason::stop_pattern);
}

TEST(StopEngine, TellsWhenFullPatternsAreOver) {
  StopEngine engine = make(with([](auto& p) {
    p.pattern_conditions = {{"never", PatternCondition::Match::full}};
    p.max_tokens = -1;
  }));
  EXPECT_TRUE(engine.notes().empty());
  engine.add({.id = 1, .bytes = std::string(70000, 'a')});
  ASSERT_EQ(engine.notes().size(), 1u);
}

// Every number: not a number, infinite, negative, beyond; every id: outside.
TEST(StopEngine, RefusesBadParametersByName) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), inf = std::numeric_limits<double>::infinity();
  struct Bad {
    StopParams params;
    Code code;
    std::string says;
  };
  std::vector<Bad> table;
  const auto bad = [&](std::string says, auto change, Code code = Code::option_range) {
    StopParams params;
    change(params);
    table.push_back({params, code, std::move(says)});
  };
  for (const int64_t n : {int64_t(-2), INT64_MIN, int64_t(1000000001), INT64_MAX}) {
    bad("stopping.max_tokens", [&](auto& p) { p.max_tokens = n; });
    bad("stopping.min_tokens", [&](auto& p) { p.min_tokens = n; });
    bad("max_repetition_count", [&](auto& p) { p.max_repetition_count = n; });
  }
  bad("stopping.min_tokens", [&](auto& p) { p.min_tokens = 513; });
  for (const int32_t n : {-2, INT32_MIN, 1025, INT32_MAX}) bad("stopping.indent", [&](auto& p) { p.indent = n; });
  for (const double x : {nan, inf, -inf, -1.0, 1e30}) {
    bad("stopping.max_time_ms", [&](auto& p) { p.max_time_ms = x; });
    bad("dynamic_timeout.base_ms", [&](auto& p) { p.dynamic_timeout.emplace().base_ms = x; });
    bad("dynamic_timeout.token_scale", [&](auto& p) { p.dynamic_timeout.emplace().token_scale = x; });
    bad("dynamic_timeout.max_ms", [&](auto& p) { p.dynamic_timeout.emplace().max_ms = x; });
  }
  bad("dynamic_timeout.max_ms", [&](auto& p) { p.dynamic_timeout = DynamicTimeout{5000, 1, 4999}; });
  bad("dynamic_timeout.max_ms", [&](auto& p) { p.dynamic_timeout = DynamicTimeout{0, 0, 0}; });
  for (const double x : {nan, inf, -inf, -0.1, 0.0, 1.1}) {
    bad("repetition_detection", [&](auto& p) { p.repetition_detection = x; });
    bad("completion_detection", [&](auto& p) { p.completion_detection = x; });
    bad("coherence_break", [&](auto& p) { p.coherence_break = x; });
    bad("context_overlap", [&](auto& p) { p.context_overlap = x; });
  }
  for (const int32_t id : {-1, INT32_MIN, kTokens, INT32_MAX}) {
    const Code code = Code::token_range;
    bad(
        "token_conditions[1]",
        [&](auto& p) {
          p.token_conditions = {1, id};
        },
        code);
    bad(
        "forbidden_tokens[0]", [&](auto& p) { p.forbidden_tokens = {id}; }, code);
    bad(
        "required_tokens[0]", [&](auto& p) { p.required_tokens = {id}; }, code);
    bad(
        "grammar_triggers[0]", [&](auto& p) { p.grammar_triggers = {{.type = Trigger::Type::token, .token = id}}; },
        code);
  }
  bad("both", [](auto& p) { p.required_tokens = {5}, p.forbidden_tokens = {5}; });
  bad("ends the generation", [](auto& p) { p.required_tokens = {kEog}; });
  bad("required_tokens", [](auto& p) { p.required_tokens.assign(65, 1); });
  bad("forbids all", [](auto& p) {
    for (int32_t i = 0; i < kTokens; ++i) p.forbidden_tokens.push_back(i);
  });
  bad("stop string 1", [](auto& p) { p.stop = {""}; });
  bad("banned_phrases[1]", [](auto& p) { p.banned_phrases = {"a", ""}; });
  bad("banned_phrases[0]", [](auto& p) { p.banned_phrases = {std::string(1025, 'x')}; });
  bad("banned_phrases", [](auto& p) { p.banned_phrases.assign(65, "x"); });
  bad("roles[0]", [](auto& p) { p.context_aware = true, p.roles = {""}; });
  bad("stop strings", [](auto& p) {
    p.context_aware = true;
    for (int i = 0; i < 65; ++i) p.roles.push_back(std::to_string(i));
  });
  bad(
      "pattern_conditions[1]",
      [](auto& p) {
        p.pattern_conditions = {{"a"}, {"("}};
      },
      Code::regex);
  bad(
      "grammar_triggers[0]",
      [](auto& p) {
        p.pattern_conditions = {{"a"}};
        p.grammar_triggers = {{.type = Trigger::Type::pattern, .value = "(a{1000}){1000}"}};
      },
      Code::regex);
  bad("at most 16", [](auto& p) {
    p.pattern_conditions.assign(10, {"a"});
    p.grammar_triggers.assign(7, {.type = Trigger::Type::pattern_full, .value = "a"});
  });
  for (const Bad& b : table) {
    const auto made = StopEngine::create(b.params, WithEog());
    ASSERT_FALSE(made) << b.says;
    EXPECT_EQ(made.error().code, b.code) << made.error().message;
    EXPECT_NE(made.error().message.find(b.says), std::string::npos) << b.says << ": " << made.error().message;
  }
  EXPECT_FALSE(StopEngine::create({}, PlainVocabulary(1)));
  EXPECT_GT(table.size(), 70u);
}

TEST(StopEngine, TakesTheEndsOfEveryRange) {
  make(with([](auto& p) {
    p.max_tokens = 1000000000, p.min_tokens = 1000000000, p.max_repetition_count = 1000000000, p.indent = 1024;
    p.max_time_ms = 604800000, p.dynamic_timeout = DynamicTimeout{0, 0, 1};
    p.repetition_detection = p.completion_detection = p.coherence_break = p.context_overlap = 1;
    p.token_conditions = p.forbidden_tokens = {0, kTokens - 1};
    p.required_tokens.assign(64, 1);
  }));
}

TEST(StopEngine, EveryReasonHasItsName) {
  std::vector<std::string_view> names;
  for (int i = 0; i <= int(StopReason::phrase_ban); ++i) {
    const std::string_view name = stop_reason_name(StopReason(i));
    EXPECT_FALSE(name.empty());
    EXPECT_EQ(std::count(names.begin(), names.end(), name), 0);
    names.push_back(name);
  }
  EXPECT_EQ(names.size(), 14u);
}

}  // namespace
}  // namespace linnet
