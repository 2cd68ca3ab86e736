// Grammars through the engine: on the demo model, which writes JSON by itself, and on a random one, which never would.
#include <algorithm>
#include <cctype>
#include <cstdio>

#include "gguf/base/json.h"
#include "runtime/forced_tokens.h"
#include "runtime/masks_ahead.h"
#include "sampling/sampler_cache.h"
#include "tests/runtime/engine_reference.h"
#include "tests/runtime/engine_support.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

using Kind = GrammarSource::Kind;

const std::shared_ptr<const Model>& tiny() {
  static const std::shared_ptr<const Model> model = tiny_model();
  return model;
}

const std::shared_ptr<const Model>& demo() {
  static const std::shared_ptr<const Model> model = [] {
    auto loaded = Model::load(std::string(LINNET_SOURCE_DIR) + "/tools/demo-model/demo.gguf");
    EXPECT_TRUE(loaded) << loaded.error().message;
    return loaded ? *loaded : nullptr;
  }();
  return model;
}

constexpr const char* kPerson = R"({"type":"object","properties":{"name":{"type":"string","maxLength":12},
  "age":{"type":"integer","minimum":0,"maximum":120},"tags":{"type":"array","items":{"enum":["red","green"]},"maxItems":2}},
  "required":["name","age","tags"],"additionalProperties":false})";

Request constrained(const Model& model, GrammarSource source, int64_t seed,
                    std::string_view prompt = "The answer is ") {
  auto tokens = model.tokenizer().encode(prompt, {.bos = model.tokenizer().add_bos()});
  EXPECT_TRUE(tokens);
  Request r = make_request(*tokens, 100, seed);
  r.stopping.ignore_eos = false;
  r.sampling.temperature = 1.2;
  r.sampling.grammar = std::move(source);
  return r;
}

bool all_of(std::string_view text, auto test) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return test(static_cast<unsigned char>(c)) != 0; });
}

void expect_person(const std::string& text) {
  const auto json = parse_json(text);
  ASSERT_TRUE(json) << text;
  ASSERT_TRUE(json->is_object()) << text;
  EXPECT_EQ(json->members().size(), 3u) << text;
  ASSERT_TRUE(json->find("name") && json->find("age") && json->find("tags")) << text;
  EXPECT_TRUE(json->find("name")->is_string()) << text;
  ASSERT_TRUE(json->find("age")->is_integer()) << text;
  EXPECT_LE(*json->find("age")->integer(), 120) << text;
  EXPECT_GE(*json->find("age")->integer(), 0) << text;
  for (const Json& tag : json->find("tags")->elements()) {
    ASSERT_TRUE(tag.is_string()) << text;
    EXPECT_TRUE(*tag.string() == "red" || *tag.string() == "green") << text;
  }
}

// "12-ab-" and so on: of the pattern ([0-9]{1,3}-[a-f]+-){2}
void expect_code(std::string_view text) {
  const std::string whole(text);
  for (int part = 0; part < 2; ++part) {
    const std::string digits(text.substr(0, text.find('-')));
    EXPECT_TRUE(!digits.empty() && digits.size() <= 3 && all_of(digits, isdigit)) << whole;
    text.remove_prefix(std::min(text.size(), digits.size() + 1));
    const std::string letters(text.substr(0, text.find('-')));
    EXPECT_TRUE(!letters.empty() && all_of(letters, [](int c) { return c >= 'a' && c <= 'f'; })) << whole;
    ASSERT_GT(text.size(), letters.size()) << whole;
    text.remove_prefix(letters.size() + 1);
  }
  EXPECT_TRUE(text.empty()) << whole;
}

TEST(EngineGrammar, EveryFinishedTextKeepsToIt) {
  int64_t finished = 0, cut = 0;
  for (const auto& model : {demo(), tiny()}) {
    ASSERT_NE(model, nullptr);
    const auto engine = make_engine(model);
    const std::vector<std::string> choices = {"yes", "no", "yes, but not now", "the end"};
    const struct {
      GrammarSource source;
      std::function<void(const std::string&)> check;
    } kinds[] = {
        {{Kind::json_schema, kPerson}, expect_person},
        {{Kind::regex, "([0-9]{1,3}-[a-f]+-){2}"}, [](const std::string& text) { expect_code(text); }},
        {{Kind::choice, R"(["yes","no","yes, but not now","the end"])"},
         [&](const std::string& text) {
           EXPECT_NE(std::find(choices.begin(), choices.end(), text), choices.end()) << text;
         }},
        {{Kind::gbnf, "root ::= \"<\" item{1,4} \">\"\nitem ::= [x-z]+ \";\""},
         [](const std::string& text) {
           EXPECT_TRUE(text.starts_with("<") && text.ends_with(";>")) << text;
           EXPECT_LE(std::count(text.begin(), text.end(), ';'), 4) << text;
           EXPECT_TRUE(
               all_of(text.substr(1, text.size() - 2), [](int c) { return c == ';' || (c >= 'x' && c <= 'z'); }));
         }},
    };
    for (const auto& kind : kinds) {
      for (const bool ignore_eos : {false, true}) {
        std::vector<Request> requests;
        std::vector<Completion> alone;
        for (int64_t seed = 1; seed <= 3; ++seed) {
          requests.push_back(constrained(*model, kind.source, seed));
          requests.back().stopping.ignore_eos = ignore_eos;
          const auto result = engine->generate(requests.back());
          ASSERT_TRUE(result) << result.error().message;
          alone.push_back(*result);
          if (result->finish_reason != FinishReason::eog) {
            EXPECT_EQ(result->finish_reason, FinishReason::max_tokens);
            ++cut;
            continue;
          }
          ++finished;
          kind.check(result->text);
          for (const int32_t token : result->tokens) EXPECT_FALSE(model->tokenizer().is_eog(token));
        }
        // The same together, with one that has no grammar.
        requests.push_back(constrained(*model, {}, 3));
        const auto results = generate_together(*engine, requests);
        for (size_t i = 0; i < alone.size(); ++i) {
          ASSERT_TRUE(results[i]);
          EXPECT_EQ(results[i]->tokens, alone[i].tokens);
          EXPECT_EQ(results[i]->text, alone[i].text);
        }
      }
    }
  }
  EXPECT_GT(finished, 32);
  std::printf("%ld texts finished, %ld cut by max_tokens\n", static_cast<long>(finished), static_cast<long>(cut));
}

// The engine's chain against one made new for every token.
TEST(EngineGrammar, AsDefinedWithBansAndWithout) {
  const auto engine = make_engine(tiny(), {.context = 256});
  int64_t rollbacks = 0;
  const GrammarSource sources[] = {
      {Kind::regex, "(the |and |x[a-d]){5,20}"},
      {Kind::json_schema, kPerson},
      {.kind = Kind::regex,
       .text = "a[b-e]{3}f",
       .lazy = true,
       .triggers = {{.type = Trigger::Type::pattern, .value = "[a-m](a)"}}},
  };
  for (const GrammarSource& source : sources) {
    for (int64_t seed = 1; seed <= 4; ++seed) {
      Request r = constrained(*tiny(), source, seed, "say this in ");
      r.stopping.max_tokens = 30;
      r.stopping.forbidden_tokens = {0};
      auto result = engine->generate(r);
      ASSERT_TRUE(result) << result.error().message;
      EXPECT_EQ(result->tokens, define_completion(*engine, r).tokens) << seed;
      if (source.kind != Kind::regex) continue;
      r.stopping.banned_phrases = {"the t", "xa", "ab", "and the"};
      result = engine->generate(r);
      ASSERT_TRUE(result) << result.error().message;
      const Defined expected = define_completion(*engine, r);
      EXPECT_EQ(result->tokens, expected.tokens) << seed;
      for (const std::string& phrase : r.stopping.banned_phrases)
        EXPECT_EQ(result->text.find(phrase), std::string::npos);
      rollbacks += expected.rollbacks;
    }
  }
  EXPECT_GT(rollbacks, 5);
}

// Before a trigger the text is free; from its first capture group on it is the grammar's.
TEST(EngineGrammar, LazyOnesBeginAtTheirTrigger) {
  const auto engine = make_engine(tiny(), {.context = 1024});
  using Type = Trigger::Type;
  const int32_t q = tiny()->tokenizer().find("q").value_or(-1);
  const struct {
    const char* name;
    Trigger trigger;
    const char* marker;  // the text from which on the grammar holds begins with it, or behind
    bool at_start;       // only then
  } cases[] = {
      {"word", {.type = Type::word, .value = "q"}, "q", false},
      {"pattern", {.type = Type::pattern, .value = "[a-z ](q)"}, "q", false},
      {"token", {.type = Type::token, .token = q}, "q", false},
      {"pattern_full", {.type = Type::pattern_full, .value = "[^q]+(q)"}, "q", false},
  };
  for (const auto& c : cases) {
    int64_t begun = 0, free = 0;
    for (int64_t seed = 1; seed <= 4; ++seed) {
      const GrammarSource source{
          .kind = Kind::gbnf, .text = "root ::= \"q\" [0-9]{4} \"!\"", .lazy = true, .triggers = {c.trigger}};
      Request r = constrained(*tiny(), source, seed);
      // Patterns read UTF-8. One way to write a q, and soon.
      r.stopping.forbidden_tokens = {0, kTinyBos, kTinyFirstByte + 'q'};
      for (int32_t byte = 128; byte < 256; ++byte) r.stopping.forbidden_tokens.push_back(kTinyFirstByte + byte);
      r.sampling.logit_bias = {{.token = q, .bias = 5}};
      r.stopping.max_tokens = 40;
      const auto result = engine->generate(r);
      ASSERT_TRUE(result) << c.name << ": " << result.error().message;
      EXPECT_EQ(result->tokens, define_completion(*engine, r).tokens) << c.name;
      if (result->finish_reason != FinishReason::eog) continue;
      const size_t at = result->text.find('q');
      if (at == std::string::npos) continue;
      const std::string tail = result->text.substr(at);
      if (tail.size() == 6 && tail.back() == '!' && all_of(tail.substr(1, 4), isdigit)) ++begun;
      free += at > 0;
    }
    EXPECT_GT(begun, 0) << c.name;
    EXPECT_GT(free, 0) << c.name;
  }
}

TEST(EngineGrammar, ScoresAreOfTheModelAndOfWhatWasLeft) {
  const auto engine = make_engine(demo());
  Request r = constrained(*demo(), {Kind::choice, R"(["yes","no"])"}, 3);
  const auto plain = engine->generate(r);
  r.n_probs = 3;
  r.sampling.repeat_penalty = 1;
  const auto result = engine->generate(r);
  ASSERT_TRUE(result && plain) << result.error().message;
  ASSERT_EQ(result->scores.size(), result->tokens.size());
  for (size_t i = 0; i < result->tokens.size(); ++i) {
    const GeneratedScores& s = result->scores[i];
    EXPECT_LE(s.model.logprob, s.sampled.logprob + 1e-4) << "masks leave the others more";
    EXPECT_EQ(s.model.top.size(), 3u);
    EXPECT_LE(s.sampled.top.size(), 3u);
    for (const TokenScore& t : s.sampled.top) {
      const auto bytes = demo()->tokenizer().bytes(t.token);
      EXPECT_TRUE(std::string("yes no").find(bytes) != std::string::npos) << bytes;
    }
  }
}

TEST(EngineGrammar, ABadOneRefusesOnlyItsRequest) {
  const auto engine = make_engine(tiny());
  const auto good = constrained(*tiny(), {Kind::choice, R"(["ok"])"}, 1);
  const struct {
    GrammarSource source;
    Code code;
    const char* says;
  } bad[] = {
      {{Kind::gbnf, "root ::= other"}, Code::grammar_syntax, "other"},
      {{Kind::gbnf, "root ::= root \"a\""}, Code::grammar_syntax, "root"},
      {{Kind::gbnf, ""}, Code::grammar_syntax, ""},
      {{Kind::regex, "(a"}, Code::ok, ""},
      {{Kind::json_schema, R"({"type":"object","not":{}})"}, Code::ok, "not"},
      {{Kind::choice, "[]"}, Code::ok, ""},
      {{.kind = Kind::regex, .text = "a", .lazy = true}, Code::option_range, "grammar_triggers"},
      {{.kind = Kind::regex, .text = "a", .lazy = true, .triggers = {{.type = Trigger::Type::pattern, .value = "("}}},
       Code::ok,
       "grammar_triggers"},
  };
  for (const auto& b : bad) {
    const auto results = generate_together(*engine, {good, constrained(*tiny(), b.source, 1), good});
    EXPECT_TRUE(results[0] && results[0]->text == "ok");
    EXPECT_TRUE(results[2] && results[2]->text == "ok");
    ASSERT_FALSE(results[1]) << b.source.text;
    EXPECT_TRUE(b.code == Code::ok || results[1].error().code == b.code) << results[1].error().message;
    EXPECT_NE(results[1].error().message.find(b.says), std::string::npos) << results[1].error().message;
  }
}

TEST(EngineGrammar, DeadEndsSayWhy) {
  const auto engine = make_engine(tiny());
  const auto error = [&](const Request& r) {
    const auto result = engine->generate(r);
    EXPECT_FALSE(result) << result->text;
    if (result) return std::string();
    EXPECT_EQ(result.error().code, Code::grammar_dead_end) << result.error().message;
    return result.error().message;
  };
  // Another mask takes all that the grammar leaves.
  Request r = constrained(*tiny(), {Kind::choice, R"(["q"])"}, 1);
  r.stopping.forbidden_tokens = {kTinyFirstByte + 'q', tiny()->tokenizer().find("q").value_or(-1)};
  EXPECT_NE(error(r).find("grammar(choice)"), std::string::npos) << error(r);
  // The end itself is forbidden by name.
  r = constrained(*tiny(), {Kind::choice, R"(["q"])"}, 1);
  r.stopping.forbidden_tokens = {kTinyEos};
  EXPECT_NE(error(r).find("grammar(choice)"), std::string::npos) << error(r);
}

// What keeps a text going can not go on with one that a grammar has completed.
TEST(EngineGrammar, ACompleteTextEndsWhateverIsStillAskedFor) {
  const auto engine = make_engine(tiny(), {.context = 256});
  const struct {
    GrammarSource source;
    size_t least, most;  // bytes
  } cases[] = {
      {{Kind::choice, R"(["q"])"}, 1, 1},
      {{Kind::regex, "[a-c]{1,5}"}, 5, 5},  // may end before, and does not
      {{.kind = Kind::regex, .text = "q[0-9]{2}", .lazy = true, .triggers = {{.value = "q"}}}, 3, 1000},
  };
  for (const auto& c : cases) {
    for (const bool ignore_eos : {false, true}) {
      for (const bool required : {false, true}) {
        Request r = constrained(*tiny(), c.source, 1);
        r.stopping.max_tokens = 240;
        r.stopping.ignore_eos = ignore_eos;
        r.n_probs = 1;
        if (c.source.lazy) r.sampling.logit_bias = {{.token = kTinyFirstByte + 'q', .bias = 5}};
        // One token a byte, and none that would read as several.
        for (int32_t id = kTinyFirstByte + 256; id < kTinyVocab; ++id) r.stopping.forbidden_tokens.push_back(id);
        if (required) {
          r.stopping.required_tokens = {kTinyFirstByte + '!'};
          if (c.source.lazy) r.stopping.forbidden_tokens.push_back(kTinyFirstByte + 'Z');
        } else {
          r.stopping.min_tokens = 240;
        }
        const auto result = engine->generate(r);
        ASSERT_TRUE(result) << c.source.text << ": " << result.error().message;
        EXPECT_EQ(result->finish_reason, FinishReason::eog) << c.source.text;
        EXPECT_EQ(result->scores.size(), result->tokens.size());
        for (const int32_t token : result->tokens) EXPECT_FALSE(tiny()->tokenizer().is_eog(token));
        EXPECT_GE(result->text.size(), c.least) << result->text;
        EXPECT_LE(result->text.size(), c.most) << result->text;
        const bool noted = std::ranges::any_of(
            result->notes, [](const std::string& note) { return note.find("min_tokens") != std::string::npos; });
        EXPECT_TRUE(noted || (c.source.lazy && required)) << c.source.text;
      }
    }
  }
  // Nothing is noted where the text was long enough.
  Request r = constrained(*tiny(), {Kind::choice, R"(["q"])"}, 1);
  r.stopping.min_tokens = 1;
  const auto result = engine->generate(r);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish_reason, FinishReason::eog);
  EXPECT_TRUE(result->notes.empty());
}

TEST(EngineGrammar, StatsTellOfTheCache) {
  const auto engine = make_engine(tiny());
  EXPECT_EQ(engine->stats().grammars.hits + engine->stats().grammars.misses, 0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(engine->generate(constrained(*tiny(), {Kind::choice, R"(["q"])"}, 1)));
  ASSERT_TRUE(engine->generate_n(constrained(*tiny(), {Kind::regex, "[ab]{3}"}, 1), 3));
  EXPECT_FALSE(engine->generate(constrained(*tiny(), {Kind::regex, "("}, 1)));
  const GrammarCache::Numbers numbers = engine->stats().grammars;
  EXPECT_EQ(numbers.misses, 3);
  EXPECT_EQ(numbers.hits, 2 + 2);
  EXPECT_EQ(numbers.count, 2);
  EXPECT_GT(numbers.bytes, 100);
}

TEST(EngineGrammar, MasksAreReadyBeforeTheLogits) {
  for (const auto& model : {demo(), tiny()}) {
    const auto engine = make_engine(model);
    ASSERT_TRUE(engine->generate(constrained(*model, {}, 1)));
    EXPECT_EQ(engine->stats().masks_ahead, 0);
    int64_t tokens = 0;
    for (int64_t seed = 1; seed <= 5; ++seed) {
      const auto result = engine->generate(constrained(*model, {Kind::json_schema, kPerson}, seed));
      ASSERT_TRUE(result);
      tokens += result->completion_tokens + 1;
    }
    EXPECT_GT(engine->stats().masks_ahead, 0);
    EXPECT_LE(engine->stats().masks_ahead, tokens);
    std::printf("%ld of %ld masks ahead\n", static_cast<long>(engine->stats().masks_ahead), static_cast<long>(tokens));
  }
}

// The helper alone: what it did not begin is left, what it did is done when finish() returns.
TEST(MasksAhead, FinishesOrLeaves) {
  const Tokenizer& tokenizer = demo()->tokenizer();
  SamplerCache cache(tokenizer);
  SamplingParams params;
  params.grammar = {Kind::json_schema, kPerson};
  std::vector<Chain> chains;
  for (int i = 0; i < 8; ++i)
    chains.push_back(*Chain::create(params, {.vocabulary = tokenizer, .context = 64, .cache = &cache}));
  MasksAhead masks;
  masks.finish();  // before any
  int64_t ready = 0;
  for (int round = 0; round < test_count(200); ++round) {
    for (Chain& chain : chains) {
      ASSERT_TRUE(chain.can_prepare());
      masks.add(chain);
    }
    if (round % 2 == 0) std::this_thread::yield();
    masks.finish();
    for (Chain& chain : chains) {
      if (!chain.can_prepare()) ++ready;
      std::vector<float> logits(static_cast<size_t>(tokenizer.size()), 0.0f);
      const auto token = chain.sample(logits.data(), static_cast<uint64_t>(round));
      ASSERT_TRUE(token) << token.error().message;
      chain.accept(*token);
      EXPECT_EQ(tokenizer.bytes(*token).front(), '{');
      chain.rewind(1);
      ASSERT_TRUE(chain.can_prepare());
    }
  }
  EXPECT_EQ(masks.prepared(), ready);
}

TEST(ForcedTokens, OnlyWhatCannotBecomeOthers) {
  for (const auto& model : {demo(), tiny()}) {
    const Tokenizer& tokenizer = model->tokenizer();
    const auto spelt = [&](std::string_view text) {
      std::string bytes;
      for (const int32_t token : forced_tokens(tokenizer, text)) bytes += tokenizer.bytes(token);
      return bytes;
    };
    EXPECT_EQ(spelt(""), "");
    EXPECT_EQ(spelt("x"), "");
    EXPECT_EQ(spelt("international"), "") << "a word that may go on";
    EXPECT_TRUE(std::string(R"({"name": ")").starts_with(spelt(R"({"name": "inter)")));
    EXPECT_GE(spelt(R"({"name": "inter)").size(), 6u);
    EXPECT_EQ(spelt("x = y;"), "x = y");
    const std::string text = "{\"a\": 1, \"the other\": \"\xc3\xa4\xc3\xb6\", \"b\": [";
    EXPECT_TRUE(text.starts_with(spelt(text)));
    EXPECT_GT(spelt(text).size(), text.size() / 2);
  }
}

TEST(EngineGrammar, JumpsOverWhatIsForced) {
  // Without tokens of bytes there is one way to write these.
  const auto engine = make_engine(tiny());
  Request r = constrained(
      *tiny(), {Kind::gbnf, "root ::= \"x y z x y z x y z q\" [a-z] \" k q k q k q x\" [x-z] \" q q q\""}, 1);
  for (int32_t id = kTinyFirstByte; id < kTinyFirstByte + 256; ++id) r.stopping.forbidden_tokens.push_back(id);
  const auto steps = [&](const Request& request, Completion& c) {
    const int64_t before = engine->stats().steps;
    auto result = engine->generate(request);
    EXPECT_TRUE(result) << result.error().message;
    if (result) c = *std::move(result);
    return engine->stats().steps - before;
  };
  for (int64_t seed = 1; seed <= 10; ++seed) {
    Completion slow, fast;
    r.sampling.seed = seed;
    r.n_probs = 2;
    r.jump_forward = false;
    const int64_t many = steps(r, slow);
    r.jump_forward = true;
    const int64_t few = steps(r, fast);
    EXPECT_EQ(fast.tokens, slow.tokens);
    EXPECT_EQ(fast.text, slow.text);
    EXPECT_EQ(fast.finish_reason, FinishReason::eog);
    EXPECT_LT(few, many / 2) << few << " of " << many;
    // Tokens that were not drawn have no scores; all others have theirs.
    ASSERT_EQ(fast.scores.size(), fast.tokens.size());
    int64_t drawn = 0;
    for (size_t i = 0; i < fast.scores.size(); ++i) {
      if (fast.scores[i].model.top.empty()) {
        EXPECT_EQ(fast.scores[i].model.logprob, 0);
        EXPECT_EQ(fast.scores[i].sampled.logprob, 0);
        continue;
      }
      ++drawn;
      EXPECT_EQ(fast.scores[i].model.logprob, slow.scores[i].model.logprob);
    }
    EXPECT_EQ(drawn + 1, few);  // and the end
    // Conditions see forced tokens like others; phrases go back into them.
    r.n_probs = 0;
    const std::string text = slow.text;
    for (const bool jump : {false, true}) {
      Completion& c = jump ? fast : slow;
      r.jump_forward = jump;
      r.stopping.stop = {" k q k"};
      steps(r, c);
      EXPECT_EQ(c.finish_reason, FinishReason::stop_string);
      EXPECT_EQ(c.text.size(), 20u) << c.text;
      r.stopping.stop = {};
      r.stopping.max_tokens = 7;
      steps(r, c);
      EXPECT_EQ(c.tokens.size(), 7u);
      r.stopping.max_tokens = 100;
      r.stopping.banned_phrases = {text.substr(18, 2) + " k q", "qa", "qb", "xy q"};
      const auto result = engine->generate(r);
      if (result) {
        for (const auto& phrase : r.stopping.banned_phrases) EXPECT_EQ(result->text.find(phrase), std::string::npos);
        c = *result;
      } else {
        EXPECT_EQ(result.error().code, Code::grammar_dead_end);
        c = {};
      }
      r.stopping.banned_phrases = {};
    }
    EXPECT_EQ(fast.tokens, slow.tokens);
  }
}

// Phrases that go back into forced text: what was drawn keeps its own scores, and what was forced has none.
TEST(EngineGrammar, ScoresStayWithTheirTokensWhenPhrasesGoBack) {
  const auto engine = make_engine(tiny());
  int64_t rollbacks = 0, forced = 0;
  for (int64_t seed = 1; seed <= 40; ++seed) {
    Request r = constrained(*tiny(), {Kind::regex, "(x y [a-c]{1,2} z q [a-c]){3}"}, seed);
    r.sampling.temperature = 3;
    r.sampling.top_k = 0;
    r.sampling.top_p = 1;
    r.sampling.min_p = 0;
    r.jump_forward = true;
    r.n_probs = 1;
    r.stopping.banned_phrases = {"y a", "b z", "c z q b", "ca"};
    const int64_t before = engine->stats().rollbacks;
    const auto result = engine->generate(r);
    if (!result) {
      EXPECT_EQ(result.error().code, Code::grammar_dead_end) << result.error().message;
      continue;
    }
    rollbacks += engine->stats().rollbacks - before;
    ASSERT_EQ(result->scores.size(), result->tokens.size());
    std::vector<int32_t> all = r.prompt;
    all.insert(all.end(), result->tokens.begin(), result->tokens.end());
    const auto logprobs = engine->score(all);
    ASSERT_TRUE(logprobs);
    for (size_t i = 0; i < result->tokens.size(); ++i) {
      const RowScores& score = result->scores[i].model;
      if (score.top.empty()) {
        ++forced;
      } else {
        EXPECT_EQ(score.logprob, (*logprobs)[r.prompt.size() - 1 + i]) << seed << ", token " << i;
      }
    }
  }
  EXPECT_GT(rollbacks, 10);
  EXPECT_GT(forced, 100);
  std::printf("%ld phrases taken back, %ld tokens forced\n", static_cast<long>(rollbacks), static_cast<long>(forced));
}

TEST(EngineGrammar, JumpsWriteValidTextsInABatch) {
  for (const auto& model : {demo(), tiny()}) {
    const auto engine = make_engine(model);
    std::vector<Request> requests;
    std::vector<Completion> alone;
    for (int64_t seed = 1; seed <= 6; ++seed) {
      requests.push_back(constrained(*model, {Kind::json_schema, kPerson}, seed));
      requests.back().jump_forward = true;
      const auto result = engine->generate(requests.back());
      ASSERT_TRUE(result) << result.error().message;
      alone.push_back(*result);
      if (result->finish_reason == FinishReason::eog) expect_person(result->text);
    }
    for (const int64_t batch : {512, 3}) {
      const auto other = make_engine(model, {.batch_tokens = batch, .prefix_cache = batch != 3});
      const auto results = generate_together(*other, requests);
      for (size_t i = 0; i < results.size(); ++i) {
        ASSERT_TRUE(results[i]);
        EXPECT_EQ(results[i]->tokens, alone[i].tokens);
      }
    }
  }
}

}  // namespace
}  // namespace linnet
