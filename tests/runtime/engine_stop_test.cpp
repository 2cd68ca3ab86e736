// Every way a generation ends, and what goes back or is healed on the way, through the engine.
#include <algorithm>
#include <cstdio>
#include <limits>
#include <numeric>
#include <set>

#include "gguf/base/json.h"
#include "sampling/stop.h"
#include "tests/runtime/engine_reference.h"
#include "tests/runtime/engine_support.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

const std::shared_ptr<const Model>& tiny() {
  static const std::shared_ptr<const Model> model = tiny_model();
  return model;
}

constexpr int32_t kSpaceToken = kTinyFirstByte + 256;  // then a to z

std::vector<int32_t> byte_tokens() {
  std::vector<int32_t> ids(256);
  std::iota(ids.begin(), ids.end(), kTinyFirstByte);
  return ids;
}

// Nothing but letters and spaces.
Request plain_text(int64_t max_tokens, int64_t seed) {
  Request r = make_request(random_prompt(12, 3), max_tokens, seed);
  r.prompt.push_back(kSpaceToken + 7);
  r.stopping.forbidden_tokens = byte_tokens();
  r.stopping.forbidden_tokens.insert(r.stopping.forbidden_tokens.end(), {0, kTinyBos, kTinyEos});
  return r;
}

// The text is given: a grammar with nothing else in it.
Request forced_text(const std::string& text) {
  Request r = make_request(random_prompt(12, 3), 400);
  r.prompt.push_back(kSpaceToken + 7);
  r.stopping.ignore_eos = false;
  JsonWriter list;
  r.sampling.grammar = {.kind = GrammarSource::Kind::choice, .text = list.begin_array().value(text).end_array().text()};
  return r;
}

// Streamed and returned text are one, and what the tokens say begins with it (is it, where `whole`).
Completion run(Engine& engine, Request r, bool whole = true) {
  std::string streamed;
  r.on_text = [&](std::string_view text) {
    streamed += text;
    return true;
  };
  auto result = engine.generate(r);
  EXPECT_TRUE(result) << result.error().message;
  if (!result) return {};
  EXPECT_EQ(streamed, result->text);
  std::string said;
  for (size_t i = 0; i < result->tokens.size(); ++i) {
    said +=
        engine.model().tokenizer().shown(result->tokens[i], i == 0 ? r.prompt.back() : result->tokens[i - 1], false);
  }
  auto shown = StopStrings::create({});  // as UTF-8
  said = shown->push(said);
  said += shown->flush();
  if (whole) {
    EXPECT_EQ(said, result->text);
  } else {
    EXPECT_TRUE(said.starts_with(result->text)) << said << " | " << result->text;
  }
  EXPECT_EQ(result->completion_tokens, static_cast<int64_t>(result->tokens.size()));
  return *std::move(result);
}

struct Ending {
  const char* name;
  StopParams stopping;
  FinishReason reason;
  const char* text;
  const char* matched;
  const char* condition;
};

TEST(EngineStop, EveryConditionOnText) {
  const auto engine = make_engine(tiny());
  const std::string text = "    say: one\n    [END] two. done again\nUser: hi";
  using Type = Trigger::Type;
  using Match = PatternCondition::Match;
  const Ending endings[] = {
      {"eog", {}, FinishReason::eog, text.c_str(), "", ""},
      {"string", {.stop = {"zzz", "one\n  "}}, FinishReason::stop_string, "    say: ", "one\n  ", "one\n  "},
      {"partial",
       {.pattern_conditions = {{"\\[EN(D)\\]", Match::partial}}},
       FinishReason::stop_pattern,
       "    say: one\n    [END]",
       "[END]",
       "\\[EN(D)\\]"},
      {"word",
       {.pattern_conditions = {{"\\b(done|finished)\\b", Match::partial}}},
       FinishReason::stop_pattern,
       "    say: one\n    [END] two. done",
       "done",
       "\\b(done|finished)\\b"},
      {"full",
       {.pattern_conditions = {{"\\s*say: \\w{2}", Match::full}}},
       FinishReason::stop_pattern,
       "    say: on",
       "    say: on",
       "\\s*say: \\w{2}"},
      {"full of the middle",
       {.pattern_conditions = {{"\\[END\\]", Match::full}}},
       FinishReason::eog,
       text.c_str(),
       "",
       ""},
      {"trigger word",
       {.grammar_triggers = {{.type = Type::word, .value = "two"}}},
       FinishReason::stop_trigger,
       "    say: one\n    [END] two",
       "two",
       "two"},
      {"trigger pattern",
       {.grammar_triggers = {{.type = Type::pattern, .value = "t(w)"}}},
       FinishReason::stop_trigger,
       "    say: one\n    [END] tw",
       "tw",
       "t(w)"},
      {"trigger full",
       {.grammar_triggers = {{.type = Type::pattern_full, .value = "[^:]*:"}}},
       FinishReason::stop_trigger,
       "    say:",
       "    say:",
       "[^:]*:"},
      {"indentation",
       {.indent = 2},
       FinishReason::indentation,
       "    say: one\n    [END] two. done again\n",
       "",
       "a line with less than 2 blanks"},
      {"indentation of the first line",
       {.indent = -1},
       FinishReason::indentation,
       "    say: one\n    [END] two. done again\n",
       "",
       "a line with less than 4 blanks"},
      {"role",
       {.context_aware = true, .roles = {"User:"}},
       FinishReason::context_aware,
       "    say: one\n    [END] two. done again",
       "\nUser:",
       "a turn of the conversation begins"},
      {"min_tokens", {.min_tokens = 12, .stop = {"say"}}, FinishReason::eog, text.c_str(), "", ""},
  };
  for (const Ending& e : endings) {
    for (int64_t seed = 1; seed <= 4; ++seed) {  // each cuts the text in other tokens
      Request r = forced_text(text);
      r.sampling.seed = seed;
      r.sampling.temperature = 2;
      r.stopping = e.stopping;
      const Completion c = run(*engine, r, e.reason == FinishReason::eog);
      EXPECT_EQ(finish_reason_name(c.finish_reason), finish_reason_name(e.reason)) << e.name;
      EXPECT_EQ(c.text, e.text) << e.name;
      EXPECT_EQ(c.matched, e.matched) << e.name;
      EXPECT_EQ(c.condition, e.condition) << e.name;
    }
  }
}

TEST(EngineStop, TokensAndLimits) {
  const auto engine = make_engine(tiny(), {.context = 128});
  const Completion full = run(*engine, plain_text(60, 5));
  EXPECT_EQ(full.finish_reason, FinishReason::max_tokens);
  EXPECT_EQ(full.condition, "60 tokens");
  const int32_t token = full.tokens[20];
  const auto first = std::find(full.tokens.begin(), full.tokens.end(), token);
  const std::vector<int32_t> before(full.tokens.begin(), first);

  Request r = plain_text(60, 5);
  r.stopping.token_conditions = {token, kTinyEos};
  Completion c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::stop_token);
  EXPECT_EQ(c.matched, std::to_string(token));
  EXPECT_EQ(c.tokens, before);

  r = plain_text(60, 5);
  r.stopping.grammar_triggers = {{.type = Trigger::Type::token, .value = "named", .token = token}};
  c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::stop_trigger);
  EXPECT_EQ(c.matched, "named");
  EXPECT_EQ(c.condition, fmt::format("token {}", token));
  EXPECT_EQ(c.tokens, before);

  // Not before min_tokens, nor before all required tokens.
  r.stopping.min_tokens = 25;
  c = run(*engine, r);
  const auto later = std::find(full.tokens.begin() + 25, full.tokens.end(), token);
  EXPECT_EQ(c.tokens, std::vector<int32_t>(full.tokens.begin(), later));
  r.stopping.min_tokens = 0;
  r.stopping.required_tokens = {full.tokens[30], full.tokens[3]};
  const auto met = std::find(full.tokens.begin(), full.tokens.end(), full.tokens[30]);
  ASSERT_NE(met, full.tokens.end());
  c = run(*engine, r);
  const auto after = std::find(std::max(met + 1, full.tokens.begin() + 4), full.tokens.end(), token);
  EXPECT_EQ(c.tokens, std::vector<int32_t>(full.tokens.begin(), after));

  // Masked tokens never come: those forbidden, and the end before min_tokens.
  r = make_request(random_prompt(12, 3), 60, 5);
  r.sampling.temperature = 3;
  r.sampling.top_k = 0;
  r.sampling.top_p = 1;
  r.sampling.min_p = 0;
  r.stopping.ignore_eos = false;
  int early = 0;
  for (int64_t seed = 1; seed <= 30; ++seed) {
    r.sampling.seed = seed;
    r.stopping.min_tokens = 0;
    early += run(*engine, r, false).finish_reason == FinishReason::eog;
    r.stopping.min_tokens = 60;
    c = run(*engine, r, false);
    EXPECT_EQ(c.finish_reason, FinishReason::max_tokens);
    EXPECT_EQ(std::count(c.tokens.begin(), c.tokens.end(), kTinyEos), 0);
    EXPECT_EQ(c.tokens.size(), 60u);
  }
  EXPECT_GT(early, 0);
  for (const int32_t id : full.tokens) { EXPECT_TRUE(id >= kSpaceToken) << id; }

  r = plain_text(-1, 5);
  c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::context_full);
  EXPECT_EQ(c.prompt_tokens + c.completion_tokens, 128);
}

TEST(EngineStop, TimeLimits) {
  const auto engine = make_engine(tiny(), {.context = 512, .batch_tokens = 16});
  Request r = make_request(random_prompt(200, 3), 20);
  const std::vector<int32_t> expected = run(*engine, r).tokens;
  // No time: ends within the prompt.
  r.prompt = random_prompt(200, 4);
  r.stopping.max_time_ms = 1e-9;
  const int64_t rows = engine->stats().rows;
  Completion c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::max_time);
  EXPECT_EQ(c.condition, "1e-09 ms");
  EXPECT_TRUE(c.tokens.empty());
  EXPECT_LE(engine->stats().rows - rows, 16);
  r.prompt = random_prompt(200, 5);
  r.stopping.max_time_ms = 0;
  r.stopping.dynamic_timeout = DynamicTimeout{.base_ms = 0, .token_scale = 1e8, .max_ms = 1e8};
  c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::dynamic_timeout);
  EXPECT_EQ(c.condition, "0 ms after 0 tokens");
  // The prompt in one step: the first token earns all the time there is.
  const auto wide = make_engine(tiny(), {.context = 512});
  r.prompt = random_prompt(200, 3);
  c = run(*wide, r, false);
  EXPECT_EQ(c.finish_reason, FinishReason::max_tokens);
  EXPECT_EQ(c.tokens, expected);
  r.stopping.dynamic_timeout = DynamicTimeout{.base_ms = 0, .token_scale = 0, .max_ms = 1e8};
  c = run(*wide, r, false);
  EXPECT_EQ(c.finish_reason, FinishReason::dynamic_timeout);
  EXPECT_EQ(c.condition, "0 ms after 1 tokens");
  EXPECT_EQ(c.tokens.size(), 1u);
  r.stopping.dynamic_timeout = DynamicTimeout{.base_ms = 6e8, .token_scale = 0, .max_ms = 6e8};
  r.stopping.max_time_ms = 6e8;
  EXPECT_EQ(run(*engine, r).tokens, expected);
}

TEST(EngineStop, Measures) {
  const auto engine = make_engine(tiny());
  std::string circle;
  for (int i = 0; i < 40; ++i) circle += "xyzq";
  Request r = forced_text(circle);
  r.stopping.forbidden_tokens = byte_tokens();  // one token for each letter
  r.stopping.repetition_detection = 0.8;
  Completion c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::loop);
  EXPECT_TRUE(c.condition.starts_with("repetition 0.8")) << c.condition;
  EXPECT_EQ(c.text, circle.substr(0, c.text.size()));
  r.stopping.repetition_detection.reset();
  r.stopping.max_repetition_count = 5;
  c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::loop);
  EXPECT_EQ(c.condition, "6 rounds > 5");
  EXPECT_EQ(c.text, circle.substr(0, 24));

  // The model's own probability of the end, which nothing that masks the end changes.
  std::string sentences;
  for (int i = 0; i < 40; ++i) sentences += "so. ";
  r = forced_text(sentences);
  r.stopping.completion_detection = 0.0001;
  c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::completion);
  EXPECT_TRUE(c.condition.starts_with("completion 0.")) << c.condition;
  EXPECT_GE(c.tokens.size(), 16u);
  EXPECT_LT(c.text.size(), sentences.size());

  r = plain_text(400, 3);
  r.stopping.coherence_break = 1e-6;
  c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::coherence_break);
  EXPECT_GE(c.tokens.size(), 64u);
  EXPECT_TRUE(c.condition.starts_with("incoherence 0.")) << c.condition;

  // It says its prompt again.
  r = forced_text(circle);
  r.stopping.forbidden_tokens = byte_tokens();
  for (const char letter : circle.substr(0, 40)) r.prompt.push_back(kSpaceToken + 1 + (letter - 'a'));
  r.stopping.context_aware = true;
  c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::context_aware);
  EXPECT_TRUE(c.condition.starts_with("overlap with the prompt")) << c.condition;
  EXPECT_GE(c.tokens.size(), 64u);
  EXPECT_LE(c.tokens.size(), 72u);
}

// Phrases out of what would be said, so that all of them are.
std::vector<std::string> phrases_of(const std::string& text) {
  std::vector<std::string> phrases;
  for (size_t at = 5; at + 8 < text.size() && phrases.size() < 6; at += 11)
    phrases.push_back(text.substr(at, 2 + at % 4));
  return phrases;
}

Request banning(Engine& engine, int64_t seed) {
  Request r = plain_text(25 + seed % 5, seed);
  r.sampling.temperature = seed % 4 == 0 ? 0 : 1.0;
  r.stopping.banned_phrases = phrases_of(run(engine, r).text);
  return r;
}

void expect_no_phrase(const Completion& c, const Request& r) {
  for (const std::string& phrase : r.stopping.banned_phrases)
    EXPECT_EQ(c.text.find(phrase), std::string::npos) << phrase;
}

void check_bans(const TinyModel& shape, const char* name) {
  const auto model = tiny_model(shape);
  const auto plain = make_engine(model, {.context = 256, .prefix_cache = false});
  std::vector<Request> requests;
  std::vector<Defined> expected;
  int64_t rollbacks = 0;
  for (int64_t seed = 1; seed <= 5; ++seed) {
    requests.push_back(banning(*plain, seed));
    // Two prompts that need several pages.
    if (seed % 3 == 0) {
      auto longer = random_prompt(100 + seed, 9);
      requests.back().prompt.insert(requests.back().prompt.begin(), longer.begin(), longer.end());
    }
    expected.push_back(define_completion(*plain, requests.back()));
    rollbacks += expected.back().rollbacks;
    const Completion c = run(*plain, requests.back());
    EXPECT_EQ(c.tokens, expected.back().tokens) << name << ", seed " << seed;
    EXPECT_EQ(c.text, expected.back().text);
    expect_no_phrase(c, requests.back());
  }
  EXPECT_GT(rollbacks, 6) << "the phrases are not what it would say";
  int64_t preemptions = 0;
  const EngineOptions all_options[] = {{.context = 256},
                                       {.context = 256, .batch_tokens = 7, .prefix_cache = false},
                                       {.context = 256, .batch_tokens = 7, .cache_tokens = 320},
                                       {.context = 256, .cache_tokens = 320, .prefix_cache = false}};
  for (const EngineOptions& options : all_options) {
    const auto engine = make_engine(model, options);
    for (int round = 0; round < (options.prefix_cache ? 2 : 1); ++round) {
      const auto results = generate_together(*engine, requests);
      for (size_t i = 0; i < results.size(); ++i) {
        ASSERT_TRUE(results[i]) << results[i].error().message;
        EXPECT_EQ(results[i]->tokens, expected[i].tokens)
            << name << ", request " << i << ", batch " << options.batch_tokens << ", cache " << options.cache_tokens;
        EXPECT_EQ(results[i]->text, expected[i].text);
      }
    }
    preemptions += engine->stats().preemptions;
    EXPECT_EQ(engine->stats().pages_used, 0);
  }
  std::printf("%s: %ld phrases taken back, %ld preemptions\n", name, static_cast<long>(rollbacks),
              static_cast<long>(preemptions));
}

TEST(EngineStop, BannedPhrasesGoBack) { check_bans({}, "llama"); }
TEST(EngineStop, BannedPhrasesGoBackWithAWindow) { check_bans({.window = 70}, "window"); }
TEST(EngineStop, BannedPhrasesGoBackInMixtures) { check_bans({.family = TinyFamily::mixtral}, "mixtral"); }
TEST(EngineStop, BannedPhrasesGoBackInStates) { check_bans({.family = TinyFamily::mamba}, "mamba"); }
TEST(EngineStop, BannedPhrasesGoBackInLatentAttention) { check_bans({.family = TinyFamily::latent}, "latent"); }

TEST(EngineStop, BansHoldAcrossAPreemption) {
  const auto model = tiny();
  const auto plain = make_engine(model, {.context = 320});
  std::vector<Request> requests;
  std::vector<Completion> alone;
  for (int64_t i = 0; i < 4; ++i) {
    Request r = plain_text(200, i + 1);
    r.prompt = random_prompt(20 + i, 50 + static_cast<uint64_t>(i));
    r.prompt.push_back(kSpaceToken + 5);
    const std::string text = run(*plain, r).text;
    for (size_t at = 5; at + 8 < text.size() && r.stopping.banned_phrases.size() < 12; at += 17)
      r.stopping.banned_phrases.push_back(text.substr(at, 3));
    alone.push_back(run(*plain, r));
    expect_no_phrase(alone.back(), r);
    requests.push_back(r);
  }
  const auto engine = make_engine(model, {.context = 320, .cache_tokens = 448});
  const auto results = generate_together(*engine, requests);
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(results[i]) << results[i].error().message;
    EXPECT_EQ(results[i]->tokens, alone[i].tokens) << i;
    EXPECT_EQ(results[i]->text, alone[i].text) << i;
  }
  EXPECT_GT(engine->stats().preemptions, 0);
}

// A context that is dropped down to its sinks again and again: what goes back over a shift goes back into what was
// dropped, and the text is taken up from its beginning and its end.
TEST(EngineStop, BansGoBackOverAContextShift) {
  for (const TinyModel& shape : {TinyModel{}, TinyModel{.window = 70}}) {
    const auto model = tiny_model(shape);
    const EngineOptions all_options[] = {{.context = 128, .prefix_cache = false},
                                         {.context = 128},
                                         {.context = 128, .batch_tokens = 3},
                                         {.context = 128, .cache_tokens = 320}};
    std::vector<Request> requests;
    std::vector<Completion> alone;
    int64_t rollbacks = 0, preemptions = 0;
    {
      const auto plain = make_engine(model, all_options[0]);
      for (int64_t i = 0; i < 4; ++i) {
        Request r = plain_text(250, i + 1);
        r.shift = true;
        r.n_keep = 64;
        r.n_discard = 1000;
        r.prompt = random_prompt(80 + i, 50 + static_cast<uint64_t>(i));
        r.prompt.push_back(kSpaceToken + 5);
        const std::string text = run(*plain, r).text;
        for (size_t at = 5; at + 8 < text.size() && r.stopping.banned_phrases.size() < 40; at += 7)
          r.stopping.banned_phrases.push_back(text.substr(at, 3));
        alone.push_back(run(*plain, r));
        EXPECT_EQ(alone.back().completion_tokens, 250);
        expect_no_phrase(alone.back(), r);
        requests.push_back(r);
      }
      rollbacks = plain->stats().rollbacks;
    }
    for (const EngineOptions& options : all_options) {
      const auto engine = make_engine(model, options);
      const auto results = generate_together(*engine, requests);
      for (size_t i = 0; i < results.size(); ++i) {
        ASSERT_TRUE(results[i]) << results[i].error().message;
        EXPECT_EQ(results[i]->tokens, alone[i].tokens) << "request " << i << ", batch " << options.batch_tokens;
      }
      preemptions += engine->stats().preemptions;
      EXPECT_EQ(engine->stats().pages_used, 0);
    }
    EXPECT_GT(rollbacks, 50);
    std::printf("window %ld: %ld phrases taken back, %ld preemptions\n", static_cast<long>(shape.window),
                static_cast<long>(rollbacks), static_cast<long>(preemptions));
  }
}

TEST(EngineStop, AModelThatInsistsIsEnded) {
  const auto engine = make_engine(tiny());
  Request r = forced_text("no way out");
  r.stopping.banned_phrases = {"way"};
  // The grammar has nothing else to say: the last token that could say it another way is banned, then none is left.
  const auto none = engine->generate(r);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::grammar_dead_end) << none.error().message;
  // Among 26 letters and the words there is always another; after a thousand phrases it is enough.
  r = plain_text(2000, 3);
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'b'; b <= 'c'; ++b) r.stopping.banned_phrases.push_back(std::string{a, b});
  }
  r.sampling.temperature = 1.5;
  r.sampling.logit_bias = {{.token = kSpaceToken + 2, .bias = 6}, {.token = kSpaceToken + 3, .bias = 6}};
  const Completion c = run(*engine, r);
  EXPECT_EQ(c.finish_reason, FinishReason::phrase_ban);
  EXPECT_EQ(c.condition, "1000 phrases were taken back before");
  EXPECT_EQ(c.matched.size(), 2u);
  expect_no_phrase(c, r);
}

TEST(EngineStop, AConversationGoesOnAfterPhrasesWentBack) {
  for (const TinyFamily family : {TinyFamily::llama, TinyFamily::mamba}) {
    const auto model = tiny_model({.family = family});
    const auto engine = make_engine(model, {.context = 512});
    const auto fresh = make_engine(model, {.context = 512, .prefix_cache = false});
    const int64_t id = engine->open_conversation();
    std::vector<int32_t> text = plain_text(1, 1).prompt;
    for (int64_t turn = 1; turn <= 6; ++turn) {
      Request r = banning(*fresh, turn);
      r.prompt = text;
      r.prompt.insert(r.prompt.end(), {kSpaceToken + 3, kSpaceToken + static_cast<int32_t>(turn)});
      const Completion expected = run(*fresh, r);
      r.conversation = id;
      const Completion c = run(*engine, r);
      EXPECT_EQ(c.tokens, expected.tokens) << turn;
      if (turn > 1 && family == TinyFamily::llama) {
        EXPECT_GE(c.cached_tokens, static_cast<int64_t>(text.size()) - 2);
      }
      text = r.prompt;
      text.insert(text.end(), c.tokens.begin(), c.tokens.end());
    }
    engine->close_conversation(id);
    EXPECT_EQ(engine->stats().pages_used, 0);
  }
}

TEST(EngineHealing, ContinuesTheCutWord) {
  const auto engine = make_engine(tiny());
  const Tokenizer& tokenizer = tiny()->tokenizer();
  int64_t pieces = 0, longer = 0;
  for (int32_t last = kSpaceToken; last < tokenizer.size(); ++last) {
    for (int64_t seed = 1; seed <= 3; ++seed) {
      Request r = plain_text(8, seed);
      r.sampling.temperature = 1.5;
      r.sampling.min_p = 0;
      r.stopping.forbidden_tokens = {};
      r.prompt.push_back(last);
      r.token_healing = true;
      const auto result = engine->generate(r);
      ASSERT_TRUE(result) << result.error().message;
      const Defined expected = define_completion(*engine, r);
      EXPECT_EQ(result->tokens, expected.tokens) << tokenizer.bytes(last);
      std::string said;
      for (const int32_t token : result->tokens) said += tokenizer.bytes(token);
      const std::string_view healed = tokenizer.bytes(last);
      ASSERT_TRUE(said.starts_with(healed)) << said << " for " << healed;
      EXPECT_EQ(expected.text, said.substr(healed.size()));
      pieces += tokenizer.bytes(result->tokens[0]).size() < healed.size();
      longer += tokenizer.bytes(result->tokens[0]).size() > healed.size();
      EXPECT_EQ(result->prompt_tokens, static_cast<int64_t>(r.prompt.size()) - 1);
    }
  }
  EXPECT_GT(pieces, 0);
  EXPECT_GT(longer, 0);
  std::printf("%ld healed in pieces, %ld by longer tokens\n", static_cast<long>(pieces), static_cast<long>(longer));
}

// The space that the tokenizer puts before a text is part of the cut word, and not shown.
TEST(EngineHealing, AtTheBeginningOfAText) {
  const auto engine = make_engine(tiny());
  const Tokenizer& tokenizer = tiny()->tokenizer();
  const int32_t cut = tokenizer.find("\xe2\x96\x81t").value_or(-1),
                word = tokenizer.find("\xe2\x96\x81the").value_or(-1);
  ASSERT_GE(cut, 0);
  ASSERT_GE(word, 0);
  Request r = make_request({kTinyBos, cut}, 1);
  r.token_healing = true;
  r.sampling.logit_bias = {{.token = word, .bias = 1000}};
  const auto result = engine->generate(r);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->tokens, std::vector<int32_t>{word});
  EXPECT_EQ(result->text, "he");
}

TEST(EngineHealing, PhrasesGoBackIntoTheHealedPart) {
  const auto engine = make_engine(tiny());
  const Tokenizer& tokenizer = tiny()->tokenizer();
  int64_t into = 0;
  for (int64_t seed = 1; seed <= 40; ++seed) {
    Request r = plain_text(10, seed);
    r.sampling.temperature = 1.5;
    r.sampling.min_p = 0;
    r.prompt.push_back(tokenizer.find(seed % 2 == 0 ? "th" : "\xe2\x96\x81t").value_or(-1));
    r.token_healing = true;
    const auto free = engine->generate(r);
    ASSERT_TRUE(free);
    if (free->text.size() < 6) continue;
    r.stopping.banned_phrases = {free->text.substr(0, 2), free->text.substr(3, 2)};
    const auto result = engine->generate(r);
    ASSERT_TRUE(result) << result.error().message;
    const Defined expected = define_completion(*engine, r);
    EXPECT_EQ(result->tokens, expected.tokens) << seed;
    EXPECT_EQ(result->text, expected.text) << seed;
    EXPECT_EQ(result->text.find(r.stopping.banned_phrases[0]), std::string::npos);
    into += result->tokens[0] != free->tokens[0];
  }
  EXPECT_GT(into, 0) << "no phrase began in the token that heals";
}

TEST(EngineHealing, IsRefusedWithAGrammar) {
  const auto engine = make_engine(tiny());
  Request r = forced_text("x");
  r.token_healing = true;
  const auto result = engine->generate(r);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::option_range);
  EXPECT_NE(result.error().message.find("token_healing"), std::string::npos);
}

// One request has no token left that it may say; the others go on.
TEST(EngineStop, AnAllMaskedRowEndsOnlyItsRequest) {
  const auto engine = make_engine(tiny());
  const std::vector<int32_t> expected = run(*engine, plain_text(20, 2)).tokens;
  Request masked = plain_text(20, 1);
  masked.prompt.push_back(kSpaceToken + 26);
  masked.token_healing = true;
  masked.stopping.forbidden_tokens.push_back(kSpaceToken + 26);
  const auto results = generate_together(*engine, {plain_text(20, 2), masked, plain_text(20, 2), masked});
  for (const size_t i : {size_t{0}, size_t{2}}) {
    ASSERT_TRUE(results[i]) << results[i].error().message;
    EXPECT_EQ(results[i]->tokens, expected);
  }
  for (const size_t i : {size_t{1}, size_t{3}}) {
    ASSERT_FALSE(results[i]);
    EXPECT_EQ(results[i].error().code, Code::logits_not_finite);
    EXPECT_NE(results[i].error().message.find("remove a mask"), std::string::npos) << results[i].error().message;
  }
  EXPECT_EQ(engine->stats().pages_used, 0);
}

// Whatever removes the token whose logit is no number, the row is broken.
TEST(EngineStop, ANanIsToldWhereAMaskWouldHideIt) {
  for (const int32_t nan : {kTinyEos, kSpaceToken + 4, kTinyVocab - 1}) {
    const auto engine = make_engine(tiny_model({.nan_logit = nan}));
    std::vector<Request> requests(6, plain_text(5, 1));
    requests[1].stopping.forbidden_tokens.push_back(nan);
    requests[2].stopping.min_tokens = 5;
    requests[2].stopping.ignore_eos = false;
    requests[3].prompt.push_back(kSpaceToken + 26);
    requests[3].token_healing = true;  // leaves tokens of one letter only
    requests[4].sampling.logit_bias = {{.token = nan, .bias = -std::numeric_limits<float>::infinity()}};
    requests[5].sampling.grammar = {.kind = GrammarSource::Kind::choice, .text = R"(["abc"])"};
    const auto results = generate_together(*engine, requests);
    for (size_t i = 0; i < results.size(); ++i) {
      ASSERT_FALSE(results[i]) << i;
      EXPECT_EQ(results[i].error().code, Code::logits_not_finite) << results[i].error().message;
      EXPECT_NE(results[i].error().message.find(fmt::format("logit {} is nan", nan)), std::string::npos)
          << results[i].error().message;
    }
    EXPECT_EQ(engine->stats().pages_used, 0);
  }
}

// Each reason there is, as a request meets it, with what matched and the condition; a reason that is added fails here.
TEST(EngineStop, EveryReasonWithWhatMatched) {
  const auto engine = make_engine(tiny(), {.context = 512});
  std::set<FinishReason> met;
  const auto meets = [&](const Request& r, FinishReason reason, std::string_view matched, std::string_view condition) {
    const Completion c = run(*engine, r, false);
    EXPECT_EQ(finish_reason_name(c.finish_reason), finish_reason_name(reason));
    EXPECT_EQ(c.matched, matched) << finish_reason_name(reason);
    if (condition.ends_with('*')) {
      EXPECT_TRUE(c.condition.starts_with(condition.substr(0, condition.size() - 1))) << c.condition;
    } else {
      EXPECT_EQ(c.condition, condition) << finish_reason_name(reason);
    }
    met.insert(c.finish_reason);
  };
  const std::string text = "a mouse. \n b sat\nUser: c";
  const auto when = [](Request r, auto change) {
    change(r.stopping);
    return r;
  };
  meets(forced_text(text), FinishReason::eog, "", "");
  meets(when(forced_text(text), [](auto& s) { s.stop = {"zz", "mo"}; }), FinishReason::stop_string, "mo", "mo");
  meets(when(forced_text(text), [](auto& s) { s.pattern_conditions = {{"m[ou]+"}}; }), FinishReason::stop_pattern, "mo",
        "m[ou]+");
  meets(when(forced_text(text), [](auto& s) { s.grammar_triggers = {{.value = "sat"}}; }), FinishReason::stop_trigger,
        "sat", "sat");
  meets(when(forced_text(text), [](auto& s) { s.indent = 1, s.min_tokens = 0; }), FinishReason::indentation, "",
        "a line with less than 1 blanks");
  meets(when(forced_text(text), [](auto& s) { s.context_aware = true, s.roles = {"User:"}; }),
        FinishReason::context_aware, "\nUser:", "a turn of the conversation begins");
  const Completion plain = run(*engine, plain_text(8, 2));
  meets(plain_text(8, 2), FinishReason::max_tokens, "", "8 tokens");
  meets(plain_text(-1, 2), FinishReason::context_full, "", "");
  const int32_t last = plain.tokens.back();
  meets(when(plain_text(8, 2), [&](auto& s) { s.token_conditions = {last}; }), FinishReason::stop_token,
        std::to_string(last), fmt::format("token {}", last));
  meets(when(plain_text(8, 2), [](auto& s) { s.max_time_ms = 1e-9; }), FinishReason::max_time, "", "1e-09 ms");
  meets(when(plain_text(8, 2),
             [](auto& s) {
               s.dynamic_timeout = DynamicTimeout{0, 0, 1};
             }),
        FinishReason::dynamic_timeout, "", "0 ms after*");
  std::string circle, sentences;
  for (int i = 0; i < 30; ++i) circle += "wxyz", sentences += "say. ";
  meets(when(forced_text(circle),
             [](auto& s) {
               s.forbidden_tokens = byte_tokens();  // one token for each letter
               s.max_repetition_count = 5;
             }),
        FinishReason::loop, "", "6 rounds > 5");
  meets(when(forced_text(sentences), [](auto& s) { s.completion_detection = 1e-4; }), FinishReason::completion, "",
        "completion*");
  meets(when(plain_text(200, 3), [](auto& s) { s.coherence_break = 1e-6; }), FinishReason::coherence_break, "",
        "incoherence*");
  // No letter before b or c, which it wants to say: there is always another, and after a thousand it is enough.
  Request stubborn = plain_text(400, 3);
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'b'; b <= 'c'; ++b) stubborn.stopping.banned_phrases.push_back(std::string{a, b});
  }
  stubborn.sampling.temperature = 1.5;
  stubborn.sampling.logit_bias = {{.token = kSpaceToken + 2, .bias = 6}, {.token = kSpaceToken + 3, .bias = 6}};
  const Completion banned = run(*engine, stubborn);
  EXPECT_EQ(banned.finish_reason, FinishReason::phrase_ban);
  EXPECT_EQ(std::ranges::count(stubborn.stopping.banned_phrases, banned.matched), 1);
  EXPECT_EQ(banned.condition, "1000 phrases were taken back before");
  EXPECT_EQ(engine->stats().rollbacks, 1001);
  met.insert(banned.finish_reason);
  Request cancelled = plain_text(8, 2);
  cancelled.on_text = [](std::string_view) { return false; };
  met.insert(engine->generate(cancelled)->finish_reason);
  // An error is no completion: its sentence comes instead.
  met.insert(FinishReason::error);
  for (int i = 0; i <= static_cast<int>(FinishReason::error); ++i) {
    EXPECT_TRUE(met.contains(static_cast<FinishReason>(i))) << finish_reason_name(static_cast<FinishReason>(i));
  }
}

TEST(EngineStop, SeedsOfSeveralCompletionsGoRound) {
  const auto engine = make_engine(tiny());
  const auto results = engine->generate_n(plain_text(4, std::numeric_limits<int64_t>::max()), 3);
  ASSERT_TRUE(results) << results.error().message;
  EXPECT_EQ((*results)[0].seed, static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
  EXPECT_EQ((*results)[1].seed, 0u);
  EXPECT_EQ((*results)[2].seed, 1u);
}

TEST(EngineStop, SeveralCompletionsWithBansAndPromptScores) {
  for (const int64_t concurrent : {8, 2}) {
    const auto engine = make_engine(tiny(), {.max_concurrent = concurrent});
    Request r = banning(*engine, 1);
    r.prompt_probs = 2;
    r.n_probs = 1;
    r.sampling.seed = 21;
    const auto results = engine->generate_n(r, 5);
    ASSERT_TRUE(results) << results.error().message;
    for (size_t i = 0; i < results->size(); ++i) {
      Request single = r;
      single.sampling.seed = 21 + static_cast<int64_t>(i);
      const Completion alone = run(*make_engine(tiny()), single);
      const Completion& c = (*results)[i];
      EXPECT_EQ(c.tokens, alone.tokens);
      EXPECT_EQ(c.text, alone.text);
      EXPECT_EQ(c.finish_reason, alone.finish_reason);
      ASSERT_EQ(c.prompt_scores.size(), alone.prompt_scores.size());
      for (size_t p = 0; p < c.prompt_scores.size(); ++p) {
        EXPECT_EQ(c.prompt_scores[p].logprob, alone.prompt_scores[p].logprob) << i << ", " << p;
        EXPECT_EQ(c.prompt_scores[p].top.size(), 2u);
      }
      ASSERT_EQ(c.scores.size(), c.tokens.size());
      for (size_t t = 0; t < c.tokens.size(); ++t) EXPECT_EQ(c.scores[t].model.logprob, alone.scores[t].model.logprob);
    }
  }
}

}  // namespace
}  // namespace linnet
