// The keys of sampling and stopping in all their spellings, up to the request that they make; docs/stopping.md and
// docs/options.md say what they mean.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "capi/config.h"
#include "sampling/stop_engine.h"

namespace linnet {
namespace {

Result<Request> request_of(std::string_view json) {
  LINNET_TRY(const Config config, read_config(json, ConfigLayer::session, {.strictness = Strictness::strict}));
  return make_request(config.values, {1, 2});
}

Request good(std::string_view json) {
  auto request = request_of(json);
  EXPECT_TRUE(request) << json << ": " << request.error().message;
  return request ? *std::move(request) : Request{};
}

std::string upper_kebab(std::string key) {
  for (char& c : key) c = c == '_' ? '-' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return key;
}

using Read = std::function<double(const Request&)>;

struct Number {
  const char* key;
  double value;
  Read read;
  std::vector<const char*> aliases = {};
};

TEST(RequestOptions, EveryNumberInEverySpelling) {
  const auto sampling = [](auto member) -> Read {
    return [member](const Request& r) { return static_cast<double>(r.sampling.*member); };
  };
  const auto stopping = [](auto member) -> Read {
    return [member](const Request& r) { return static_cast<double>(r.stopping.*member); };
  };
  using S = SamplingParams;
  using T = StopParams;
  const Number numbers[] = {
      {"temp", 0.55, sampling(&S::temperature), {"temperature"}},
      {"dynatemp_range", 0.1, sampling(&S::dynatemp_range), {"dynatemp.range"}},
      {"dynatemp_exponent", 1.2, sampling(&S::dynatemp_exponent), {"dynatemp.exponent"}},
      {"top_k", 1000, sampling(&S::top_k)},
      {"top_k", -1, sampling(&S::top_k)},
      {"top_p", 0.9, sampling(&S::top_p)},
      {"min_p", 0.01, sampling(&S::min_p)},
      {"typical_p", 0.5, sampling(&S::typical_p), {"typical", "typ_p"}},
      {"tfs_z", 0.7, sampling(&S::tfs_z), {"tfs"}},
      {"top_n_sigma", 1.5, sampling(&S::top_n_sigma)},
      {"xtc_probability", 0.25, sampling(&S::xtc_probability)},
      {"xtc_threshold", 0.15, sampling(&S::xtc_threshold)},
      {"repeat_penalty", 1.25, sampling(&S::repeat_penalty), {"repetition_penalty"}},
      {"presence_penalty", -1.5, sampling(&S::presence_penalty)},
      {"frequency_penalty", 1.75, sampling(&S::frequency_penalty)},
      {"penalty_last_n", 2048, sampling(&S::penalty_last_n), {"repeat_last_n"}},
      {"penalty_last_n", -1, sampling(&S::penalty_last_n), {"repeat_last_n"}},
      {"dry_multiplier", 0.8, sampling(&S::dry_multiplier)},
      {"dry_base", 1.5, sampling(&S::dry_base)},
      {"dry_allowed_length", 20, sampling(&S::dry_allowed_length)},
      {"dry_penalty_last_n", 256, sampling(&S::dry_penalty_last_n)},
      {"mirostat", 2, sampling(&S::mirostat)},
      {"mirostat_tau", 4.5, sampling(&S::mirostat_tau)},
      {"mirostat_eta", 0.2, sampling(&S::mirostat_eta)},
      {"adaptive_target", 0.3, sampling(&S::adaptive_target)},
      {"adaptive_decay", 0.8, sampling(&S::adaptive_decay)},
      {"min_keep", 100, sampling(&S::min_keep)},
      {"seed", 9007199254740992.0, sampling(&S::seed)},
      {"n_probs", 100, [](const Request& r) { return static_cast<double>(r.n_probs); }, {"logprobs"}},
      {"prompt_logprobs", 3, [](const Request& r) { return static_cast<double>(r.prompt_probs); }},
      {"max_tokens", 100000, stopping(&T::max_tokens), {"n_predict"}},
      {"max_tokens", -1, stopping(&T::max_tokens), {"n_predict"}},
      {"min_tokens", 7, stopping(&T::min_tokens)},
      {"max_time_ms", 15000, stopping(&T::max_time_ms)},
      {"indent", 4, stopping(&T::indent)},
      {"context_overlap", 0.5, stopping(&T::context_overlap)},
  };
  for (const Number& n : numbers) {
    const OptionRow* row = find_option(n.key);
    ASSERT_NE(row, nullptr) << n.key;
    const std::string group(option_group_name(row->group));
    std::vector<std::string> spellings = {n.key, upper_kebab(n.key)};
    for (const char* alias : n.aliases) {
      spellings.emplace_back(alias);
      spellings.push_back(upper_kebab(alias));
    }
    for (const std::string& key : spellings) {
      for (const std::string& json :
           {fmt::format("{{\"{}\":{}}}", key, n.value), fmt::format("{{\"{}\":{{\"{}\":{}}}}}", group, key, n.value),
            fmt::format("{{\"{}.{}\":{}}}", group, key, n.value)}) {
        EXPECT_EQ(n.read(good(json)), n.value) << json;
      }
      for (const char* wrong : {"\"1\"", "true", "null", "[1]", "{}"}) {
        const auto refused = request_of(fmt::format("{{\"{}\":{}}}", key, wrong));
        ASSERT_FALSE(refused) << key << ": " << wrong;
        EXPECT_NE(refused.error().message.find(n.key), std::string::npos) << refused.error().message;
      }
      for (const char* none : {"1e999", "nan", "Infinity", "-"}) {
        EXPECT_FALSE(request_of(fmt::format("{{\"{}\":{}}}", key, none))) << key << ": " << none;
      }
    }
    for (const double outside : {row->low - 1, row->high * 2 + 1}) {
      const auto refused = request_of(fmt::format("{{\"{}\":{}}}", n.key, outside));
      ASSERT_FALSE(refused) << n.key << ": " << outside;
      EXPECT_TRUE(refused.error().code == Code::option_range || refused.error().code == Code::option_type);
      EXPECT_NE(refused.error().message.find(n.key), std::string::npos) << refused.error().message;
    }
  }
  EXPECT_EQ(good(R"({"dynatemp":{"range":0.5,"exponent":2}})").sampling.dynatemp_range, 0.5);
  EXPECT_EQ(good(R"({"sampling":{"dynatemp":{"range":0.5,"exponent":2}}})").sampling.dynatemp_exponent, 2);
  EXPECT_EQ(good(R"({"sampling":{"dry":{"multiplier":0.5,"penalty_last_n":9}}})").sampling.dry_penalty_last_n, 9);
}

TEST(RequestOptions, DefaultsAreTheDecidedOnes) {
  const Request r = good("{}");
  const SamplingParams& s = r.sampling;
  EXPECT_EQ(s.temperature, 0.7);
  EXPECT_EQ(s.top_p, 0.95);
  EXPECT_EQ(s.top_k, 40);
  EXPECT_EQ(s.min_p, 0.05);
  EXPECT_EQ(s.repeat_penalty, 1.10);
  EXPECT_EQ(s.penalty_last_n, 64);
  EXPECT_EQ(s.dry_penalty_last_n, -1);
  EXPECT_EQ(s.seed, -1);
  EXPECT_EQ(s.dry_sequence_breakers, (std::vector<std::string>{"\n", ":", "\"", "*"}));
  EXPECT_EQ(s.grammar.kind, GrammarSource::Kind::none);
  EXPECT_TRUE(s.chain.empty() && s.logit_bias.empty());
  const StopParams& t = r.stopping;
  EXPECT_EQ(t.max_tokens, 512);
  EXPECT_EQ(t.max_time_ms, 0);
  EXPECT_FALSE(t.dynamic_timeout || t.repetition_detection || t.completion_detection || t.coherence_break);
  EXPECT_FALSE(t.ignore_eos || t.context_aware || r.token_healing || r.jump_forward);
  EXPECT_EQ(r.n_probs, 0);
  EXPECT_EQ(r.prompt_probs, -1);
  EXPECT_EQ(r.prompt, (std::vector<int32_t>{1, 2}));
}

TEST(RequestOptions, FlagsAndLists) {
  for (
      const char* json :
      {R"({"ignore_eos":true,"context_aware":true,"token_healing":true,"jump_forward":true})",
       R"({"stopping":{"ignore-eos":true,"Context-Aware":true,"token_healing":true},"sampling":{"jump-forward":true}})"}) {
    const Request r = good(json);
    EXPECT_TRUE(r.stopping.ignore_eos && r.stopping.context_aware && r.token_healing && r.jump_forward) << json;
  }
  using List = std::vector<std::string>;
  const List lines = {"\n\n", "User:", "Assistant:"};
  for (const char* json :
       {R"({"stop":["\n\n","User:","Assistant:"]})", R"({"stop_sequences":["\n\n","User:","Assistant:"]})",
        R"({"stopping":{"stop":["\n\n","User:","Assistant:"]}})",
        R"({"stopping":{"stop_sequences":["\n\n","User:","Assistant:"]}})"}) {
    EXPECT_EQ(good(json).stopping.stop, lines) << json;
  }
  EXPECT_EQ(good(R"({"banned_phrases":["a b"]})").stopping.banned_phrases, List{"a b"});
  EXPECT_EQ(good(R"({"stopping":{"roles":["X:"]}})").stopping.roles, List{"X:"});
  EXPECT_EQ(good(R"({"dry_sequence_breakers":[]})").sampling.dry_sequence_breakers, List{});
  for (const char* key : {"stop", "stop_sequences", "banned_phrases", "roles", "dry_sequence_breakers", "choices"}) {
    for (const char* wrong : {"[1]", "[null]", "{}", "3"}) {
      EXPECT_FALSE(request_of(fmt::format("{{\"{}\":{}}}", key, wrong))) << key << wrong;
    }
  }
}

TEST(RequestOptions, LogitBias) {
  constexpr double kBanned = -std::numeric_limits<double>::infinity();
  for (const char* json :
       {R"({"logit_bias":[[5,1.5],["the",-2],[7,false]]})",
        R"({"sampling":{"logit-bias":[[5,1.5],["the",-2],[7,false]]}})",
        R"({"logit_bias":[{"token":5,"bias":1.5},{"token":"the","bias":-2},{"token":7,"bias":false}]})",
        R"({"logit_bias":{"5":1.5,"the":-2,"7":false}})"}) {
    const auto biases = good(json).sampling.logit_bias;
    ASSERT_EQ(biases.size(), 3u) << json;
    EXPECT_TRUE(biases[0].token == 5 && biases[0].bias == 1.5) << json;
    EXPECT_TRUE(biases[1].token == -1 && biases[1].text == "the" && biases[1].bias == -2) << json;
    EXPECT_TRUE(biases[2].token == 7 && biases[2].bias == kBanned) << json;
  }
  const struct {
    const char* json;
    const char* place;
  } wrong[] = {
      {R"({"logit_bias":[[5]]})", "logit_bias[0]"},
      {R"({"logit_bias":[[1,1],[5,"x"]]})", "logit_bias[1]"},
      {R"({"logit_bias":[[-1,1]]})", "logit_bias[0]"},
      {R"({"logit_bias":[[1.5,1]]})", "logit_bias[0]"},
      {R"({"logit_bias":[["",1]]})", "logit_bias[0]"},
      {R"({"logit_bias":[[1,true]]})", "logit_bias[0]"},
      {R"({"logit_bias":{"5":null}})", "logit_bias.5"},
      {R"({"logit_bias":{"":1}})", "logit_bias"},
      {R"({"logit_bias":3})", "logit_bias"},
      {R"({"logit_bias":[[[],1]]})", "logit_bias[0]"},
  };
  for (const auto& w : wrong) {
    const auto refused = request_of(w.json);
    ASSERT_FALSE(refused) << w.json;
    EXPECT_NE(refused.error().message.find(w.place), std::string::npos) << refused.error().message;
  }
}

TEST(RequestOptions, Grammars) {
  using Kind = GrammarSource::Kind;
  const auto grammar = [](std::string_view json) { return good(json).sampling.grammar; };
  EXPECT_EQ(grammar(R"({"grammar":""})").kind, Kind::none);
  EXPECT_EQ(grammar(R"({"grammar":"root ::= \"a\""})").kind, Kind::gbnf);
  EXPECT_EQ(grammar(R"({"sampling":{"grammar":"root ::= \"a\""}})").text, "root ::= \"a\"");
  EXPECT_EQ(grammar(R"({"json_schema":{"type":"integer"}})").kind, Kind::json_schema);
  EXPECT_EQ(grammar(R"({"json_schema":true})").text, "true");
  EXPECT_EQ(grammar(R"({"regex":"a+"})").kind, Kind::regex);
  EXPECT_EQ(grammar(R"({"choice":["a","\""]})").text, R"(["a","\""])");
  EXPECT_FALSE(grammar(R"({"regex":"a+"})").lazy);
  // The triggers of a lazy grammar start it and do not end the text.
  const Request lazy = good(R"({"regex":"a","grammar_lazy":true,"grammar_triggers":[{"type":"word","value":"w"}]})");
  EXPECT_TRUE(lazy.sampling.grammar.lazy);
  ASSERT_EQ(lazy.sampling.grammar.triggers.size(), 1u);
  EXPECT_TRUE(lazy.stopping.grammar_triggers.empty());
  for (const char* json : {R"({"regex":"a","grammar":"root ::= \"a\""})", R"({"regex":"a","choices":["b"]})",
                           R"({"json_schema":{},"choices":["b"]})", R"({"grammar_lazy":true})"}) {
    EXPECT_FALSE(request_of(json)) << json;
  }
}

TEST(RequestOptions, Chains) {
  const Request r =
      good(R"({"temp":0.5,"chain":[{"type":"top_k","top_k":7},{"type":"temp","temperature":0.25},{"type":"dist"}]})");
  ASSERT_EQ(r.sampling.chain.size(), 3u);
  EXPECT_EQ(r.sampling.chain[0].type, "top_k");
  EXPECT_EQ(r.sampling.chain[0].params.top_k, 7);
  EXPECT_EQ(r.sampling.chain[0].params.temperature, 0.5);
  EXPECT_EQ(r.sampling.chain[1].type, "temperature");
  EXPECT_EQ(r.sampling.chain[1].params.temperature, 0.25);
  const Request own = good(R"({"grammar":"root ::= \"a\"","chain":[{"type":"grammar","regex":"b"},{"type":"dist"}]})");
  EXPECT_EQ(own.sampling.chain[0].params.grammar.kind, GrammarSource::Kind::regex);
  EXPECT_EQ(own.sampling.chain[1].params.grammar.kind, GrammarSource::Kind::gbnf);
  const Request ordered = good(R"({"samplers":["temperature","typ_p","top-k"],"temp":0.5})");
  std::vector<std::string> names;
  for (const StepSpec& step : ordered.sampling.chain) names.push_back(step.type);
  EXPECT_EQ(names.front(), "grammar");
  EXPECT_EQ(names.back(), "dist");
  for (const char* json :
       {R"({"chain":[{"top_k":7}]})", R"({"chain":[{"type":"top_k","stop":["a"]}]})", R"({"chain":[3]})",
        R"({"chain":[{"type":"top_k","top_k":"7"}]})", R"({"chain":[{"type":"dist"}],"samplers":["top_k"]})"}) {
    EXPECT_FALSE(request_of(json)) << json;
  }
}

TEST(RequestOptions, StoppingObjects) {
  const StopParams p = good(R"({"stopping":{
      "grammar_triggers":[{"type":"token","token":123,"value":"specific_token"},{"type":"word","value":"stop_word"},
        {"type":"pattern","value":"regex_pattern"},{"type":"COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL","value":"full"},
        {"type":1,"value":"by number"}],
      "token_conditions":[{"token_id":128001,"mode":"stop_on_token"},{"token_id":4},9],
      "pattern_conditions":[{"pattern":"\\[END\\]","match_type":"full"},{"pattern":"\\b(done|finished|complete)\\b",
        "match_type":"partial"},{"pattern":"p"},"q"],
      "semantic_conditions":[{"type":"completion_detection","threshold":0.9},{"type":"repetition_detection","threshold":0.8},
        {"type":"coherence_break","threshold":0.7}],
      "dynamic_timeout":{"base_ms":5000,"token_scale":2,"max_ms":30000},
      "token_filters":{"forbidden_tokens":[1,2],"required_tokens":[3],"pattern_based_triggers":["a+","b"]}}})")
                           .stopping;
  using Type = Trigger::Type;
  ASSERT_EQ(p.grammar_triggers.size(), 7u);  // those of token_filters first
  const auto& t = p.grammar_triggers;
  EXPECT_TRUE(t[0].type == Type::pattern && t[0].value == "a+");
  EXPECT_TRUE(t[1].type == Type::pattern && t[1].value == "b");
  EXPECT_TRUE(t[2].type == Type::token && t[2].token == 123 && t[2].value == "specific_token");
  EXPECT_TRUE(t[3].type == Type::word && t[3].value == "stop_word");
  EXPECT_TRUE(t[4].type == Type::pattern && t[4].value == "regex_pattern");
  EXPECT_TRUE(t[5].type == Type::pattern_full && t[5].value == "full");
  EXPECT_TRUE(t[6].type == Type::word && t[6].value == "by number");
  EXPECT_EQ(p.token_conditions, (std::vector<int32_t>{128001, 4, 9}));
  ASSERT_EQ(p.pattern_conditions.size(), 4u);
  EXPECT_EQ(p.pattern_conditions[0].match, PatternCondition::Match::full);
  EXPECT_EQ(p.pattern_conditions[0].pattern, "\\[END\\]");
  for (const size_t i : {1, 2, 3}) EXPECT_EQ(p.pattern_conditions[i].match, PatternCondition::Match::partial);
  EXPECT_EQ(p.completion_detection, 0.9);
  EXPECT_EQ(p.repetition_detection, 0.8);
  EXPECT_EQ(p.coherence_break, 0.7);
  ASSERT_TRUE(p.dynamic_timeout);
  EXPECT_EQ(p.dynamic_timeout->base_ms, 5000);
  EXPECT_EQ(p.dynamic_timeout->token_scale, 2);
  EXPECT_EQ(p.dynamic_timeout->max_ms, 30000);
  EXPECT_EQ(p.forbidden_tokens, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(p.required_tokens, (std::vector<int32_t>{3}));
  // The same keys at the top level, and parts of objects.
  EXPECT_EQ(good(R"({"stop_token_ids":[5]})").stopping.token_conditions, (std::vector<int32_t>{5}));
  const auto timeout = good(R"({"dynamic_timeout":{"base_ms":9}})").stopping.dynamic_timeout;
  ASSERT_TRUE(timeout);
  EXPECT_EQ(timeout->base_ms, 9);
  EXPECT_EQ(timeout->token_scale, 1.5);
  EXPECT_EQ(timeout->max_ms, 30000);
}

TEST(RequestOptions, WhatOtherClientsSend) {
  StopParams p = good(R"({"stopping":{"grammar_triggers":{"enabled":true,"patterns":["x","y"]}}})").stopping;
  ASSERT_EQ(p.grammar_triggers.size(), 2u);
  EXPECT_TRUE(p.grammar_triggers[1].type == Trigger::Type::pattern && p.grammar_triggers[1].value == "y");
  EXPECT_TRUE(good(R"({"grammar_triggers":{"enabled":false,"patterns":["x"]}})").stopping.grammar_triggers.empty());

  p = good(R"({"stopping":{"timeout_config":{"enabled":true,"max_inference_time_ms":9000,"adaptive_timeout":true,
      "min_timeout_ms":1000,"timeout_multiplier":2.5}}})")
          .stopping;
  EXPECT_EQ(p.max_time_ms, 9000);
  ASSERT_TRUE(p.dynamic_timeout);
  EXPECT_EQ(p.dynamic_timeout->base_ms, 1000);
  EXPECT_EQ(p.dynamic_timeout->token_scale, 2.5);
  EXPECT_EQ(p.dynamic_timeout->max_ms, 9000);
  p = good(R"({"timeout_config":{"max_inference_time_ms":9000,"adaptive_timeout":false}})").stopping;
  EXPECT_EQ(p.max_time_ms, 9000);
  EXPECT_FALSE(p.dynamic_timeout);
  p = good(R"({"timeout_config":{"enabled":false,"max_inference_time_ms":9000,"adaptive_timeout":true}})").stopping;
  EXPECT_EQ(p.max_time_ms, 0);
  EXPECT_FALSE(p.dynamic_timeout);

  p = good(R"({"semantic_stopping":{"enabled":true,"completion_confidence_threshold":0.75,"repetition_detection":true,
      "max_repetition_count":3}})")
          .stopping;
  EXPECT_EQ(p.completion_detection, 0.75);
  EXPECT_EQ(p.repetition_detection, 0.8);
  EXPECT_EQ(p.max_repetition_count, 3);
  // What is said exactly counts more.
  p = good(R"({"semantic_stopping":{"repetition_detection":true},
      "semantic_conditions":[{"type":"repetition_detection","threshold":0.5}]})")
          .stopping;
  EXPECT_EQ(p.repetition_detection, 0.5);
  p = good(R"({"semantic_stopping":{"enabled":false,"completion_confidence_threshold":0.75,"max_repetition_count":3}})")
          .stopping;
  EXPECT_FALSE(p.completion_detection);
  EXPECT_EQ(p.max_repetition_count, 0);
}

TEST(RequestOptions, WrongInnerValuesAreNamed) {
  const struct {
    const char* json;
    Code code;
    const char* place;
  } wrong[] = {
      {R"({"grammar_triggers":[{"type":"words","value":"x"}]})", Code::option_range, "grammar_triggers[0].type"},
      {R"({"grammar_triggers":[{"type":4,"value":"x"}]})", Code::option_range, "grammar_triggers[0].type"},
      {R"({"grammar_triggers":[{"value":"x"}]})", Code::option_type, "grammar_triggers[0]"},
      {R"({"grammar_triggers":[{"type":"word","value":3}]})", Code::option_type, "grammar_triggers[0].value"},
      {R"({"grammar_triggers":[{"type":"token","token":1.5}]})", Code::option_type, "grammar_triggers[0].token"},
      {R"({"grammar_triggers":[{"type":"token","token":3000000000}]})", Code::option_type, "grammar_triggers[0].token"},
      {R"({"grammar_triggers":[{"type":"word","value":"x","more":1}]})", Code::option_unknown, "grammar_triggers[0]"},
      {R"({"grammar_triggers":["x"]})", Code::option_type, "grammar_triggers[0]"},
      {R"({"grammar_triggers":{"enabled":1}})", Code::option_type, "grammar_triggers.enabled"},
      {R"({"grammar_triggers":{"patterns":"x"}})", Code::option_type, "grammar_triggers.patterns"},
      {R"({"grammar_triggers":{"patterns":[1]}})", Code::option_type, "grammar_triggers.patterns[0]"},
      {R"({"grammar_triggers":3})", Code::option_type, "grammar_triggers"},
      {R"({"token_conditions":[{"token_id":"5"}]})", Code::option_type, "token_conditions[0].token_id"},
      {R"({"token_conditions":[1,{"token_id":5,"mode":"go"}]})", Code::option_range, "token_conditions[1].mode"},
      {R"({"token_conditions":[1.5]})", Code::option_type, "token_conditions[0]"},
      {R"({"token_conditions":{}})", Code::option_type, "token_conditions"},
      {R"({"pattern_conditions":[{"pattern":1}]})", Code::option_type, "pattern_conditions[0].pattern"},
      {R"({"pattern_conditions":[{"pattern":"a","match_type":"whole"}]})", Code::option_range,
       "pattern_conditions[0].match_type"},
      {R"({"pattern_conditions":[{"regex":"a"}]})", Code::option_unknown, "pattern_conditions[0]"},
      {R"({"semantic_conditions":[{"type":"boredom","threshold":0.5}]})", Code::option_range,
       "semantic_conditions[0].type"},
      {R"({"semantic_conditions":[{"type":"coherence_break"}]})", Code::option_type, "semantic_conditions[0]"},
      {R"({"semantic_conditions":[{"type":"coherence_break","threshold":"0.5"}]})", Code::option_type,
       "semantic_conditions[0].threshold"},
      {R"({"dynamic_timeout":{"base":1}})", Code::option_unknown, "dynamic_timeout"},
      {R"({"dynamic_timeout":{"base_ms":"1"}})", Code::option_type, "dynamic_timeout.base_ms"},
      {R"({"dynamic_timeout":[]})", Code::option_type, "dynamic_timeout"},
      {R"({"timeout_config":{"adaptive_timeout":1}})", Code::option_type, "timeout_config.adaptive_timeout"},
      {R"({"timeout_config":{"timeout":1}})", Code::option_unknown, "timeout_config"},
      {R"({"semantic_stopping":{"max_repetition_count":0.5}})", Code::option_type,
       "semantic_stopping.max_repetition_count"},
      {R"({"semantic_stopping":{"repetition_detection":0.8}})", Code::option_type,
       "semantic_stopping.repetition_detection"},
      {R"({"token_filters":{"forbidden_tokens":5}})", Code::option_type, "token_filters.forbidden_tokens"},
      {R"({"token_filters":{"required_tokens":[null]}})", Code::option_type, "token_filters.required_tokens[0]"},
      {R"({"token_filters":{"forbidden":[5]}})", Code::option_unknown, "token_filters"},
  };
  for (const auto& w : wrong) {
    const auto refused = request_of(w.json);
    ASSERT_FALSE(refused) << w.json;
    EXPECT_EQ(refused.error().code, w.code) << w.json << ": " << refused.error().message;
    EXPECT_NE(refused.error().message.find(w.place), std::string::npos) << refused.error().message;
  }
}

// What only the request as a whole shows to be wrong is refused by those who know: the same sentence for every caller.
TEST(RequestOptions, ValuesAndRulesBetweenThem) {
  const PlainVocabulary vocabulary(100);
  const auto problem = [&](std::string_view json) -> std::string {
    const auto made = request_of(json);
    if (!made) return made.error().message;
    const Request& r = *made;
    const auto chain = Chain::create(r.sampling, {.vocabulary = vocabulary, .context = 64});
    if (!chain) return chain.error().message;
    const auto stop = StopEngine::create(r.stopping, vocabulary);
    return stop ? "" : stop.error().message;
  };
  EXPECT_EQ(problem("{}"), "");
  const struct {
    const char* json;
    const char* says;
  } wrong[] = {
      {R"({"dynatemp_range":0.5,"temp":0})", "dynatemp_range"},
      {R"({"mirostat":1,"adaptive_target":0.5})", "adaptive_target"},
      {R"({"min_tokens":5,"max_tokens":4})", "min_tokens"},
      {R"({"regex":"a","grammar_lazy":true})", "grammar_triggers"},
      {R"({"semantic_conditions":[{"type":"coherence_break","threshold":1.5}]})", "coherence_break"},
      {R"({"semantic_stopping":{"completion_confidence_threshold":-1}})", "completion_detection"},
      {R"({"semantic_stopping":{"max_repetition_count":-1}})", "max_repetition_count"},
      {R"({"context_aware":true,"context_overlap":0})", "context_overlap"},
      {R"({"dynamic_timeout":{"base_ms":50,"max_ms":40}})", "max_ms"},
      {R"({"dynamic_timeout":{"token_scale":-1}})", "token_scale"},
      {R"({"timeout_config":{"adaptive_timeout":true,"min_timeout_ms":-5}})", "base_ms"},
      {R"({"token_conditions":[100]})", "token_conditions[0]"},
      {R"({"token_filters":{"forbidden_tokens":[-1]}})", "forbidden_tokens[0]"},
      {R"({"token_filters":{"forbidden_tokens":[5],"required_tokens":[5]}})", "token 5"},
      {R"({"grammar_triggers":[{"type":"token","value":"x"}]})", "grammar_triggers[0]"},
      {R"({"grammar_triggers":{"patterns":["("]}})", "grammar_triggers[0]"},
      {R"({"pattern_conditions":["a*"]})", "pattern_conditions[0]"},
      {R"({"logit_bias":[[100,1]]})", "100"},
  };
  for (const auto& w : wrong)
    EXPECT_NE(problem(w.json).find(w.says), std::string::npos) << w.json << ": " << problem(w.json);
}

}  // namespace
}  // namespace linnet
