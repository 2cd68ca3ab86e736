// Configuration texts: what they set, what they are warned of, and which of several counts.
#include "capi/config.h"

#include <gtest/gtest.h>

#include <chrono>

#include "capi/option_rules.h"
#include "gguf/base/json.h"
#include "sampling/chain.h"
#include "sampling/stop_engine.h"
#include "tests/tools/command_line.h"

namespace linnet {
namespace {

using L = ConfigLayer;

Config lenient(std::string_view text, ConfigLayer layer = L::session) {
  auto config = read_config(text, layer);
  EXPECT_TRUE(config) << text << ": " << config.error().message;
  return config ? *std::move(config) : Config{};
}

std::string all(const std::vector<ConfigWarning>& warnings) {
  std::string text;
  for (const ConfigWarning& w : warnings) text += w.text() + "\n";
  return text;
}

// Another value than the default, as JSON.
std::string other_value(const OptionRow& row) {
  const Options defaults;
  return std::visit(
      [&](auto member) -> std::string {
        const auto& value = defaults.*member;
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, bool>)
          return value ? "false" : "true";
        else if constexpr (std::is_same_v<T, int64_t>)
          return fmt::format("{}", value + 1 <= row.high ? value + 1 : value - 1);
        else if constexpr (std::is_same_v<T, double>)
          return fmt::format("{}", value + 0.01 <= row.high ? value + 0.01 : value - 0.01);
        else if constexpr (std::is_same_v<T, std::vector<std::string>>)
          return R"(["other"])";
        else if constexpr (std::is_same_v<T, std::string>)
          return json_quote(row.choices.empty() ? "other" : row.choices.substr(row.choices.rfind(' ') + 1));
        else if (row.key == "logit_bias")
          return "[[3,1]]";
        else if (row.key == "chain")
          return R"([{"type":"dist"}])";
        else if (row.key == "token_conditions")
          return "[3]";
        else if (row.key == "pattern_conditions")
          return R"(["x"])";
        else if (row.key == "grammar_triggers")
          return R"([{"type":"word","value":"x"}])";
        else if (row.key == "semantic_conditions")
          return R"([{"type":"coherence_break","threshold":0.5}])";
        else if (row.key == "dynamic_timeout")
          return R"({"base_ms":9})";
        else if (row.key == "timeout_config")
          return R"({"enabled":false})";
        else if (row.key == "semantic_stopping")
          return R"({"enabled":false})";
        else if (row.key == "token_filters")
          return R"({"forbidden_tokens":[1]})";
        else
          return R"({"a":1})";
      },
      row.member);
}

std::string camel(std::string_view key) {
  std::string out;
  for (size_t i = 0; i < key.size(); ++i)
    if (key[i] == '_')
      out += static_cast<char>(std::toupper(static_cast<unsigned char>(key[++i])));
    else
      out += key[i];
  return out;
}

std::string with(std::string_view key, char separator, bool upper) {
  std::string out(key);
  for (char& c : out)
    c = c == '_' ? separator : upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
  return out;
}

// The contract: every key of the table, in every spelling, in every place.
TEST(Config, EveryKeyInEverySpellingFlatAndNested) {
  for (const OptionRow& row : option_rows()) {
    const std::string value = other_value(row), group(option_group_name(row.group));
    std::vector<std::string> names = {std::string(row.key)}, inside;
    std::string aliases(row.aliases);
    for (size_t at = 0; at < aliases.size();) {
      const size_t end = std::min(aliases.find(' ', at), aliases.size());
      const std::string alias = aliases.substr(at, end - at);
      alias[0] == '.' ? inside.push_back(alias.substr(1)) : names.push_back(alias);
      at = end + 1;
    }
    std::vector<std::string> texts;
    const auto nested = [&](const std::string& name) {
      texts.push_back(fmt::format("{{\"{}\":{{\"{}\":{}}}}}", group, name, value));
      texts.push_back(fmt::format("{{\"{}\":{{\"{}\":{}}}}}", with(group, '_', true), name, value));
      texts.push_back(fmt::format("{{\"{}.{}\":{}}}", group, name, value));
    };
    for (const std::string& name : names) {
      for (const std::string& spelling :
           {name, with(name, '-', false), with(name, '_', true), with(name, '-', true), camel(name)}) {
        texts.push_back(fmt::format("{{\"{}\":{}}}", spelling, value));
        nested(spelling);
      }
    }
    for (const std::string& name : inside) {
      nested(name);
      nested(with(name, '-', true));
      nested(camel(name));
    }
    for (const std::string& text : texts) {
      const Config config = lenient(text);
      EXPECT_EQ(config.given.count(), 1u) << text;
      EXPECT_TRUE(config.given[option_index(row)]) << text;
      EXPECT_FALSE(same_value(row, config.values, Options())) << text;
      if (row.marks & kPlanned) {
        ASSERT_EQ(config.warnings.size(), 1u) << text;
        EXPECT_NE(config.warnings[0].sentence.find("has no effect in this version"), std::string::npos);
      } else {
        EXPECT_TRUE(config.warnings.empty()) << text << all(config.warnings);
      }
    }
  }
}

TEST(Config, NoTwoNamesMeanTwoThings) {
  for (const OptionRow& row : option_rows()) {
    std::vector<std::string> names = {std::string(row.key), camel(row.key)};
    for (const std::string& name : names) EXPECT_EQ(find_option(name), &row) << name;
  }
  EXPECT_LE(option_rows().size(), OptionSet().size());
  for (size_t i = 0; i < option_groups().size(); ++i)
    EXPECT_EQ(static_cast<size_t>(option_groups()[i].group), i) << "groups stand in the order of the enum";
}

// Texts of existing clients, as their documents show them.
TEST(Config, TextsOfClients) {
  Config c = lenient(R"({"model":{"n_ctx":8192,"n_batch":512,"n_gpu_layers":99},
      "sampling":{"temperature":0.7,"top_p":0.9,"repeat_penalty":1.1},"stopping":{"max_tokens":512},
      "backend":{"max_sessions":2}})");
  EXPECT_EQ(c.values.ctx_size, 8192);
  EXPECT_EQ(c.values.n_gpu_layers, 99);
  EXPECT_EQ(c.values.max_sessions, 2);
  c = lenient(R"({"n_gpu_layers":98,"ctx_size":2048,"n_predict":512,"batch_size":256,"threads":8})");
  EXPECT_EQ(c.given.count(), 5u);
  EXPECT_EQ(c.values.batch_size, 256);
  c = lenient(R"({"memory_management":{"auto_gpu_layers":false,"cache_policy":{"enable_prompt_cache":false,
      "retention_ms":7}},"performance":{"batch_size":64},"logging":{"level":"WARN","file":"/tmp/x"},
      "runtime":{"temp":0.1},"sampling_override":{"top_k":3},"memory_policy":{"max_cache_tokens":10000}})");
  EXPECT_FALSE(c.values.auto_gpu_layers || c.values.cache_prompt);
  EXPECT_EQ(c.values.cache_retention_ms, 7);
  EXPECT_EQ(c.values.batch_size, 64);
  EXPECT_EQ(c.values.log_level, "warn");
  EXPECT_EQ(c.values.log_file, "/tmp/x");
  EXPECT_EQ(c.values.temp, 0.1);
  EXPECT_EQ(c.values.top_k, 3);
  EXPECT_EQ(c.values.max_cache_tokens, 10000);
  c = lenient(R"({"reverse-prompt":"User:","json-schema":"{\"type\":\"integer\"}","dry-multipier":0.5})");
  EXPECT_EQ(c.values.stop, std::vector<std::string>{"User:"});
  EXPECT_EQ(c.values.json_schema.text, R"({"type":"integer"})");
  EXPECT_EQ(c.values.dry_multiplier, 0.5);
  EXPECT_TRUE(c.warnings.empty()) << all(c.warnings);
  c = lenient(R"({"level1":{"level2":{"level3":{"level4":{"level5":{"temp":1}}}}},"temp":0.4})");
  EXPECT_EQ(c.values.temp, 0.4);
  ASSERT_EQ(c.warnings.size(), 1u);
  EXPECT_EQ(c.warnings[0].pointer, "/level1");
  for (const std::string_view nothing : {std::string_view(""), std::string_view("  \n"), std::string_view("\0\0", 2),
                                         std::string_view("{}\0", 3), std::string_view("{}")}) {
    c = lenient(nothing);
    EXPECT_TRUE(c.given.none() && c.warnings.empty());
  }
}

struct Wrong {
  const char* json;
  const char* pointer;
  const char* says;
  Code code;
};

// One thing that is wrong, beside a key that is right: lenient reading takes the right one and warns of the other.
TEST(Config, WhatIsWrongIsWarnedOf) {
  const Wrong cases[] = {
      {R"({"top_k":7,"temprature":1})", "/temprature", "did you mean \"temperature\"", Code::option_unknown},
      {R"({"top_k":7,"samplng":{"temp":1}})", "/samplng", "did you mean \"sampling\"", Code::option_unknown},
      {R"({"top_k":7,"sampling":{"nothing":1}})", "/sampling/nothing", "there is no option", Code::option_unknown},
      {R"({"top_k":7,"sampling":3})", "/sampling", "expected an object", Code::option_type},
      {R"({"top_k":7,"a/b~":3})", "/a~1b~0", "there is no option", Code::option_unknown},
      {R"({"top_k":7,"temp":"hot"})", "/temp", "expected a number", Code::option_type},
      {R"({"top_k":7,"temp":null})", "/temp", "expected a number", Code::option_type},
      {R"({"top_k":7,"temp":-1})", "/temp", "expected 0 to 1000", Code::option_range},
      {R"({"top_k":7,"seed":1.5})", "/seed", "expected a whole number", Code::option_type},
      {R"({"top_k":7,"seed":1e300})", "/seed", "expected -1 to", Code::option_range},
      {R"({"top_k":7,"stop":[1]})", "/stop", "a list of texts", Code::option_type},
      {R"({"top_k":7,"ignore_eos":1})", "/ignore_eos", "true or false", Code::option_type},
      {R"({"top_k":7,"kv_type":"f64"})", "/kv_type", "f32, f16, q8_0", Code::option_range},
      {R"({"top_k":7,"chain":"x"})", "/chain", "a JSON array", Code::option_type},
      {R"({"top_k":7,"chain":[{"top_k":1}]})", "/chain", "chain[0]", Code::option_type},
      {R"({"top_k":7,"top_k":8})", "/top_k", "stands twice", Code::json_syntax},
      {R"({"top_k":7,"TOP-K":8})", "/TOP-K", "given here and at /top_k", Code::json_syntax},
      {R"({"top_k":8,"sampling":{"top_k":7}})", "/sampling/top_k", "given here and at /top_k", Code::json_syntax},
      {R"({"sampling":{"top_k":7},"top_k":8})", "/top_k", "given here and at /sampling/top_k", Code::json_syntax},
      {R"({"top_k":7,"numa":"isolate"})", "/numa", "has no effect in this version", Code::unsupported},
      {R"({"top_k":7,"timeout_config":{"more":1}})", "/timeout_config/more", "is left out", Code::option_unknown},
      {R"({"top_k":7,"token_conditions":[1,"x",3]})", "/token_conditions/1", "is left out", Code::option_type},
      {R"({"top_k":7,"logit_bias":[[1,1],[2]]})", "/logit_bias/1", "is left out", Code::option_type},
      {R"({"top_k":7,"logit_bias":{"1":1,"2":"x"}})", "/logit_bias/2", "is left out", Code::option_type},
      {R"({"top_k":7,"dynamic_timeout":{"base_ms":"1"}})", "/dynamic_timeout", "left as it was", Code::option_type},
  };
  for (const Wrong& w : cases) {
    const Config config = lenient(w.json);
    EXPECT_EQ(config.values.top_k, 7) << w.json;
    ASSERT_EQ(config.warnings.size(), 1u) << w.json << all(config.warnings);
    EXPECT_EQ(config.warnings[0].pointer, w.pointer) << w.json;
    EXPECT_EQ(config.warnings[0].code, w.code) << w.json << code_name(config.warnings[0].code);
    EXPECT_NE(config.warnings[0].sentence.find(w.says), std::string::npos) << all(config.warnings);
    // What is left can be used.
    EXPECT_TRUE(make_request(config.values, {1})) << w.json;

    const auto strict = read_config(w.json, L::session, {.strictness = Strictness::strict});
    ASSERT_FALSE(strict) << w.json;
    EXPECT_EQ(strict.error().code, w.code) << w.json;
    EXPECT_NE(strict.error().message.find(w.pointer), std::string::npos) << strict.error().message;
    const std::string itself = std::string(w.json, std::string_view(w.json).size() - 1) + ",\"strict\":true}";
    EXPECT_FALSE(read_config(itself, L::session)) << itself;
    const auto values = read_config(w.json, L::session, {.strictness = Strictness::values});
    const bool only_key = w.code == Code::option_unknown || w.code == Code::json_syntax || w.code == Code::unsupported;
    EXPECT_EQ(bool(values), only_key) << w.json;
  }
  for (const char* none : {"[]", "{\"temp\":", "{\"temp\":1} x", "3", "nonsense", "{\"a\":\"\xff\"}"}) {
    const Config config = lenient(none);
    EXPECT_TRUE(config.given.none()) << none;
    EXPECT_EQ(config.warnings.size(), 1u) << none;
    EXPECT_FALSE(read_config(none, L::session, {.strictness = Strictness::values})) << none;
  }
}

TEST(Config, ClampedAndInherited) {
  const struct {
    const char* json;
    double value;
    double Options::*member;
  } clamped[] = {
      {R"({"top_p":1.5})", 1, &Options::top_p},
      {R"({"repeat_penalty":0})", 0.1, &Options::repeat_penalty},
      {R"({"repeat_penalty":0.05})", 0.1, &Options::repeat_penalty},
      {R"({"repeat_penalty":1000})", 100, &Options::repeat_penalty},
      {R"({"repeat_penalty":-2})", 1.1, &Options::repeat_penalty},
  };
  for (const auto& c : clamped) {
    const Config config = lenient(c.json);
    EXPECT_EQ(config.values.*c.member, c.value) << c.json;
    EXPECT_EQ(config.warnings.size(), 1u) << c.json;
    EXPECT_FALSE(read_config(c.json, L::session, {.strictness = Strictness::values})) << c.json;
  }
  const std::string minus_ones =
      R"({"temp":-1,"top_p":-1,"min_p":-1.0,"mirostat":-1,"max_tokens":-1,"repeat_penalty":-1,"min_keep":-1})";
  Config config = lenient(minus_ones, L::request);
  EXPECT_TRUE(config.given.none() && config.warnings.empty()) << all(config.warnings);
  EXPECT_EQ(lenient(minus_ones, L::session).warnings.size(), 6u);  // but of max_tokens
  config = lenient(R"({"presence_penalty":-1,"top_k":-1,"seed":-1,"penalty_last_n":-1})", L::request);
  EXPECT_EQ(config.given.count(), 4u);
  EXPECT_EQ(config.values.presence_penalty, -1);
  for (const char* json : {R"({"temp":2.5})", R"({"n_ctx":127})"}) {
    EXPECT_TRUE(lenient(json).given.any()) << json;
    const auto narrow = read_config(json, L::session, {.client_ranges = true});
    ASSERT_TRUE(narrow);
    EXPECT_TRUE(narrow->given.none() && narrow->warnings.size() == 1) << json;
  }
}

// What costs much to read or to answer.
TEST(Config, HostileTextsAreReadInTime) {
  const auto start = std::chrono::steady_clock::now();
  std::string many = "{", deep, big = "{\"grammar\":\"" + std::string(1 << 20, 'x') + "\"";
  for (int i = 0; i < 100000; ++i) many += fmt::format("{}\"k{}\":{}", i ? "," : "", i, i);
  for (int i = 0; i < 100000; ++i) deep += "{\"a\":";
  for (int i = 0; i < 2000; ++i) big += fmt::format(",\"temp{}\":{}", std::string(static_cast<size_t>(i), '-'), i % 7);
  const Config config = lenient(many + "}");
  ASSERT_EQ(config.warnings.size(), kMostConfigWarnings);
  EXPECT_EQ(config.warnings.back().sentence, "99901 more warnings are not listed");
  EXPECT_EQ(lenient(deep).warnings.size(), 1u);
  EXPECT_EQ(lenient(big + "}").values.grammar.size(), size_t{1} << 20);
  const Config long_key = lenient("{\"" + std::string(1 << 20, 'k') + "\":1}");
  ASSERT_EQ(long_key.warnings.size(), 1u);
  EXPECT_LT(long_key.warnings[0].text().size(), 500u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST(ConfigLayers, TheHighestLayerThatSaysSomethingCounts) {
  Options fallback;
  fallback.ctx_size = 4096;
  ConfigLayers layers(fallback);
  std::vector<ConfigWarning> warnings;
  const auto read = [&](ConfigLayer layer, std::string_view text) {
    ASSERT_TRUE(layers.read(layer, text, {}, warnings)) << text;
  };
  const auto origin = [&](std::string_view key) { return layers.origin(*find_option(key)); };
  EXPECT_EQ(layers.options().ctx_size, 4096);
  read(L::backend, R"({"temp":0.1,"top_k":1,"top_p":0.1,"min_p":0.1})");
  read(L::model, R"({"temp":0.2,"top_k":2,"top_p":0.2})");
  read(L::session, R"({"temp":0.3,"top_k":3})");
  const ConfigLayers session = layers;
  read(L::request, R"({"temp":0.4})");
  EXPECT_EQ(layers.options().temp, 0.4);
  EXPECT_EQ(layers.options().top_k, 3);
  EXPECT_EQ(layers.options().top_p, 0.2);
  EXPECT_EQ(layers.options().min_p, 0.1);
  EXPECT_EQ(layers.options().typical_p, 1);
  EXPECT_EQ(origin("temp"), L::request);
  EXPECT_EQ(origin("top_k"), L::session);
  EXPECT_EQ(origin("top_p"), L::model);
  EXPECT_EQ(origin("min_p"), L::backend);
  EXPECT_EQ(origin("ctx_size"), L::fallback);
  EXPECT_EQ(session.options().temp, 0.3) << "a copy is a value of its own";
  read(L::model, R"({"temp":0.5})");
  EXPECT_EQ(layers.options().temp, 0.5) << "layers above are emptied";
  EXPECT_EQ(layers.options().top_k, 1);
  EXPECT_TRUE(warnings.empty()) << all(warnings);
  // One way to constrain the text replaces the others.
  read(L::model, R"({"grammar":"root ::= \"a\"","samplers":["top_k"]})");
  read(L::request, R"({"json_schema":{"type":"integer"},"chain":[{"type":"dist"}]})");
  EXPECT_EQ(layers.options().grammar, "");
  EXPECT_TRUE(layers.options().samplers.empty());
  EXPECT_EQ(origin("grammar"), L::fallback);
  EXPECT_TRUE(make_request(layers.options(), {1}));
  EXPECT_TRUE(warnings.empty()) << all(warnings);
}

TEST(ConfigLayers, KeysThatComeTooLate) {
  ConfigLayers layers;
  std::vector<ConfigWarning> warnings;
  ASSERT_TRUE(layers.read(L::backend, R"({"max_concurrent":3})", {}, warnings));
  ASSERT_TRUE(layers.read(L::model, R"({"max_concurrent":3,"ctx_size":256})", {}, warnings));
  ASSERT_TRUE(warnings.empty()) << all(warnings);
  ASSERT_TRUE(layers.read(L::request, R"({"model":{"ctx_size":512},"max_concurrent":5})", {}, warnings));
  ASSERT_EQ(warnings.size(), 2u) << all(warnings);
  EXPECT_NE(all(warnings).find("/model/ctx_size: ctx_size is decided by the configuration of the model"),
            std::string::npos);
  EXPECT_EQ(layers.options().ctx_size, 256);
  EXPECT_EQ(layers.options().max_concurrent, 3);
  EXPECT_FALSE(layers.read(L::request, R"({"ctx_size":512,"strict":true})", {}, warnings));
}

TEST(ConfigLayers, StrictHoldsForTheLayersAbove) {
  ConfigLayers layers;
  std::vector<ConfigWarning> warnings;
  ASSERT_TRUE(layers.read(L::backend, R"({"strict":true})", {}, warnings));
  ASSERT_TRUE(layers.read(L::model, R"({"temp":0.5})", {}, warnings));
  const auto refused = layers.read(L::session, R"({"top_k":3,"nonsense":1})", {}, warnings);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::option_unknown);
  EXPECT_EQ(layers.options().top_k, 40) << "nothing is changed";
  EXPECT_EQ(layers.options().temp, 0.5);
  EXPECT_TRUE(warnings.empty());
}

TEST(ConfigLayers, RulesBetweenOptions) {
  const struct {
    const char* model;
    const char* request;
    const char* says;
    const char* reset;  // has its default again
  } cases[] = {
      {"{}", R"({"temp":0,"dynatemp_range":0.5})", "dynatemp_range is 0.5 with temp 0", "dynatemp_range"},
      {R"({"dynatemp_range":0.5})", R"({"temp":0})", "dynatemp_range is 0.5 with temp 0", "dynatemp_range"},
      {"{}", R"({"mirostat":1,"adaptive_target":0.5})", "adaptive_target is 0.5 with mirostat 1", "adaptive_target"},
      {"{}", R"({"regex":"a","grammar_lazy":true})", "grammar_triggers is empty", "grammar_lazy"},
      {"{}", R"({"grammar_lazy":true,"grammar_triggers":[{"type":"word","value":"x"}]})", "there is no grammar",
       "grammar_lazy"},
      {"{}", R"({"grammar":"root ::= \"a\"","regex":"a"})", "more than one of grammar", "regex"},
      {"{}", R"({"samplers":["top_k"],"chain":[{"type":"dist"}]})", "both chain and samplers", "samplers"},
      {R"({"min_tokens":5})", R"({"max_tokens":4})", "min_tokens is 5", "min_tokens"},
      {"{}", R"({"context_aware":true,"context_overlap":0})", "context_overlap is 0", "context_overlap"},
      {R"({"max_memory_mb":63})", "{}", "max_memory_mb is 63", "max_memory_mb"},
  };
  for (const auto& c : cases) {
    ConfigLayers layers;
    std::vector<ConfigWarning> warnings;
    ASSERT_TRUE(layers.read(L::model, c.model, {}, warnings)) << c.model;
    ASSERT_TRUE(layers.read(L::request, c.request, {}, warnings)) << c.request;
    EXPECT_NE(all(warnings).find(c.says), std::string::npos) << c.request << all(warnings);
    EXPECT_TRUE(same_value(*find_option(c.reset), layers.options(), Options())) << c.reset;
    EXPECT_EQ(layers.origin(*find_option(c.reset)), L::fallback);
    EXPECT_FALSE(broken_rule(layers.options()));
    // What is left makes a chain and conditions.
    const PlainVocabulary vocabulary(100);
    const auto request = make_request(layers.options(), {1});
    ASSERT_TRUE(request) << c.request << request.error().message;
    if (request->sampling.grammar.kind == GrammarSource::Kind::none) {
      EXPECT_TRUE(Chain::create(request->sampling, {.vocabulary = vocabulary, .context = 64})) << c.request;
    }
    EXPECT_TRUE(StopEngine::create(request->stopping, vocabulary)) << c.request;
  }
  for (const char* json : {R"({"queue_size":10,"queue_reject_threshold":11})",
                           R"({"queue_warning_threshold":9,"queue_reject_threshold":8})"}) {
    ConfigLayers layers;
    std::vector<ConfigWarning> warnings;
    ASSERT_TRUE(layers.read(L::backend, json, {}, warnings));
    EXPECT_NE(all(warnings).find("queue_reject_threshold"), std::string::npos) << all(warnings);
    EXPECT_EQ(layers.options().queue_reject(), layers.options().queue_size);
    EXPECT_EQ(layers.options().queue_warning(), layers.options().queue_size * 4 / 5);
  }
  Options broken;
  broken.temp = 0;
  broken.dynatemp_range = 1;
  ConfigLayers layers(broken);  // ends all the same
  std::vector<ConfigWarning> warnings;
  EXPECT_TRUE(layers.read(L::request, "{}", {}, warnings));
}

TEST(ConfigCommand, ShowsValuesAndOrigins) {
  const Outcome shown =
      linnet_command({"config", "--json", "--backend", R"({"temp":0.25,"nonsense":1})", "--model", R"({"top_k":7})",
                      "--session", R"({"mirostat":2})", "--request", R"({"top-k":8})"});
  ASSERT_EQ(shown.code, 0) << shown.err;
  const auto json = parse_json(shown.out);
  ASSERT_TRUE(json) << shown.out;
  const Json* options = json->find("options");
  ASSERT_TRUE(options);
  EXPECT_EQ(options->members().size(), option_rows().size());
  EXPECT_EQ(*options->find("temp")->find("value")->number(), 0.25);
  EXPECT_EQ(*options->find("temp")->find("origin")->string(), "backend");
  EXPECT_EQ(*options->find("top_k")->find("origin")->string(), "request");
  EXPECT_EQ(*options->find("top_p")->find("origin")->string(), "fallback");
  ASSERT_EQ(json->find("warnings")->elements().size(), 1u);
  EXPECT_EQ(*json->find("warnings")->elements()[0].find("pointer")->string(), "/nonsense");
  ASSERT_EQ(json->find("notes")->elements().size(), 1u);
  const Outcome table = linnet_command({"config", "--session", R"({"temp":0.5})"});
  EXPECT_EQ(table.code, 0);
  EXPECT_NE(table.out.find("0.5 "), std::string::npos);
  EXPECT_NE(table.out.find("session"), std::string::npos);
  EXPECT_NE(linnet_command({"config", "--strict", "--backend", R"({"nonsense":1})"}).code, 0);
  EXPECT_EQ(linnet_command({"config", "--backend", "no-such-file.json"}).code, 1);
}

// --config: a wrong value is an error, a key without an effect a warning.
TEST(ConfigCommand, ConfigFlag) {
  const Outcome unknown = linnet_command({"run", "-p", "x", "-n", "1", "--config", R"({"temprature":1,"top_k":3})"});
  EXPECT_EQ(unknown.code, 0) << unknown.err;
  EXPECT_NE(unknown.err.find("did you mean \"temperature\""), std::string::npos) << unknown.err;
  for (const char* wrong : {R"({"temp":"hot"})", R"({"temp":-1})", R"({"temp":1)", R"({"nonsense":1,"strict":true})"}) {
    const Outcome refused = linnet_command({"run", "-p", "x", "-n", "1", "--config", wrong});
    EXPECT_NE(refused.code, 0) << wrong;
    EXPECT_TRUE(refused.out.empty()) << refused.out;
  }
}

}  // namespace
}  // namespace linnet
