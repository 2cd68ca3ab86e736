// Grammars on a vocabulary of about 150,000 tokens: what compiling costs, and per token of a generated text what mask()
// and accept() cost. Masks are counted with a grammar that nobody has used before, so that the first visit of a state
// is among them, and again with one that has been used.
//
// Vocabularies: the reference data where it is (tests/support.h), else a made-up one of the same size.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "bench/vocabulary.h"
#include "runtime/tokenizer.h"
#include "sampling/grammar.h"
#include "sampling/grammar_source.h"
#include "tests/sampling/grammar_definition.h"
#include "tests/support.h"

namespace linnet {
namespace {

// A nested schema of an order.
constexpr const char* kSchema = R"({
  "type": "object", "additionalProperties": false,
  "required": ["id", "status", "customer", "items", "tags", "note", "total"],
  "properties": {
    "id": {"type": "integer", "minimum": 0},
    "status": {"enum": ["pending", "paid", "shipped", "delivered", "cancelled"]},
    "customer": {
      "type": "object", "additionalProperties": false, "required": ["name", "email", "address"],
      "properties": {
        "name": {"type": "string"},
        "email": {"type": "string", "format": "email"},
        "address": {
          "type": "object", "additionalProperties": false, "required": ["street", "city", "zip"],
          "properties": {
            "street": {"type": "string"}, "city": {"type": "string"},
            "zip": {"type": "string", "pattern": "^[0-9]{5}$"}, "country": {"type": "string"}
          }
        }
      }
    },
    "items": {
      "type": "array", "minItems": 1,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["sku", "title", "quantity", "price"],
        "properties": {
          "sku": {"type": "string", "pattern": "^[A-Z0-9]{4,12}$"},
          "title": {"type": "string", "minLength": 1, "maxLength": 80},
          "quantity": {"type": "integer"}, "price": {"type": "number"}, "gift": {"type": "boolean"}
        }
      }
    },
    "tags": {"type": "array", "items": {"type": "string"}},
    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    "total": {"type": "number"}
  }
})";

// The same by hand, with more white space: nested objects with all their keys, arrays of objects, enums, counted strings.
constexpr const char* kOrder = R"(
root     ::= ("{" ws "\"id\":" ws integer "," ws "\"status\":" ws status "," ws "\"customer\":" ws customer "," ws
             "\"items\":" ws items "," ws "\"tags\":" ws tags "," ws "\"note\":" ws (string | "null") "," ws
             "\"total\":" ws number ws "}")
status   ::= "\"" ("pending" | "paid" | "shipped" | "delivered" | "cancelled") "\""
customer ::= "{" ws "\"name\":" ws string "," ws "\"email\":" ws string "," ws "\"address\":" ws address ws "}"
address  ::= "{" ws "\"street\":" ws string "," ws "\"city\":" ws string "," ws "\"zip\":" ws zip ("," ws "\"country\":" ws string)? ws "}"
zip      ::= "\"" [0-9]{5} "\""
items    ::= "[" ws (item ("," ws item)*)? ws "]"
item     ::= "{" ws "\"sku\":" ws sku "," ws "\"title\":" ws title "," ws "\"quantity\":" ws integer "," ws "\"price\":" ws number ("," ws "\"gift\":" ws boolean)? ws "}"
sku      ::= "\"" [A-Z0-9]{4,12} "\""
title    ::= "\"" char{1,80} "\""
tags     ::= "[" ws (string ("," ws string)*)? ws "]"
boolean  ::= "true" | "false"
string   ::= "\"" char* "\""
char     ::= [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4})
integer  ::= "-"? ("0" | [1-9] [0-9]{0,15})
number   ::= integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,3})?
ws       ::= [ \n\t]{0,20}
)";

constexpr const char* kJson = R"(
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws
object ::= "{" ws ( string ":" ws value ("," ws string ":" ws value)* )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [0-9]{0,15})? ws
ws     ::= | " " | "\n" [ \t]{0,20}
)";

// Text whose rules end inside of most tokens: words as rules of their own, numbers, lines.
constexpr const char* kWords = R"(
root  ::= line+
line  ::= (word | quote | [^\x00-\x7F]+ | mark) (" "+ (word | quote | [^\x00-\x7F]+ | mark))* "\n"
word  ::= mark? letter+ ("'" letter+)? mark?
letter ::= [a-zA-Z0-9\u00c0-\u024f]
quote ::= "\"" word (" " word)* "\""
mark  ::= [-.,:;!?{}()@%\x5b\x5d"]{1,8}
)";

struct Language {
  const char* name;
  GrammarSource::Kind kind;
  const char* text;
};
constexpr Language kLanguages[] = {{"schema", GrammarSource::Kind::json_schema, kSchema},
                                   {"order", GrammarSource::Kind::gbnf, kOrder},
                                   {"json", GrammarSource::Kind::gbnf, kJson},
                                   {"words", GrammarSource::Kind::gbnf, kWords}};

std::string words(Random& random, int64_t least, int64_t more) {
  static const char* const kList[] = {"green",  "tea",  "with", "lemon",   "large", "box",   "of",   "the",    "Zürich",
                                      "street", "café", "left", "at door", "é",     "naïve", "日本", "Müller", "and",
                                      "then",   "A4",   "12",   "pack",    "(new)", "50%",   "it's", "🎁"};
  std::string out;
  for (int64_t n = least + random.below(more); n > 0; --n) {
    out += kList[random.below(std::size(kList))];
    if (n > 1) out += " ";
  }
  return out;
}

std::string order(Random& random) {
  const char* const status[] = {"pending", "paid", "shipped", "delivered", "cancelled"};
  const auto number = [&](int64_t below) { return std::to_string(random.below(below)); };
  std::string out = "{\n  \"id\": " + number(1000000) + ",\n  \"status\": \"" + status[random.below(5)] +
                    "\",\n  \"customer\": {\n    \"name\": \"" + words(random, 1, 3) + "\",\n    \"email\": \"a" +
                    number(1000) + "@example.com\",\n    \"address\": {\n      \"street\": \"" + words(random, 2, 4) +
                    "\",\n      \"city\": \"" + words(random, 1, 2) + "\",\n      \"zip\": \"" +
                    std::to_string(10000 + random.below(90000)) + "\"\n    }\n  },\n  \"items\": [";
  const int64_t items = 2 + random.below(4);
  for (int64_t i = 0; i < items; ++i) {
    out += std::string(i > 0 ? "," : "") + "\n    {\n      \"sku\": \"AB" + std::to_string(100 + random.below(9000)) +
           "\",\n      \"title\": \"" + words(random, 2, 6) + "\",\n      \"quantity\": " + number(50) +
           ",\n      \"price\": " + number(300) + "." + std::to_string(10 + random.below(90)) +
           (random.below(2) > 0 ? ",\n      \"gift\": true" : "") + "\n    }";
  }
  return out + "\n  ],\n  \"tags\": [\"" + words(random, 1, 2) + "\", \"" + words(random, 1, 2) +
         "\"],\n  \"note\": \"" + words(random, 10, 30) + "\",\n  \"total\": " + number(10000) + ".99\n}";
}

std::string text_of(Random& random, const Language& language) {
  if (language.text != kWords) return order(random);
  std::string out;
  for (int i = 0; i < 10; ++i) {
    std::string line = words(random, 5, 20);
    std::erase(line, '\'');
    out += line + "\n";
  }
  return out;
}

struct Subject {
  std::string name;
  std::shared_ptr<const TokenTrie> trie;
  std::unique_ptr<Gguf> file;
  std::unique_ptr<SamplingVocabulary> vocabulary;
};

// Greedy by the longest token where the vocabulary cannot tokenize.
std::vector<int32_t> tokens_of(const Subject& subject, const std::string& text) {
  std::vector<int32_t> tokens = subject.vocabulary->tokenize(text);
  if (!tokens.empty()) return tokens;
  for (size_t at = 0; at < text.size();) {
    const std::span<const TokenTrie::Node> nodes = subject.trie->nodes();
    uint32_t node = 0, best = 0;
    size_t length = 0;
    for (size_t i = at; i < text.size(); ++i) {
      uint32_t child = node + 1;
      while (child < nodes[node].end && nodes[child].byte != uint8_t(text[i])) child = nodes[child].end;
      if (child >= nodes[node].end) break;
      node = child;
      if (nodes[node].first == nodes[node + 1].first) continue;
      best = nodes[node].first;
      length = i + 1 - at;
    }
    tokens.push_back(subject.trie->ranked()[best]);
    at += length;
  }
  return tokens;
}

Result<std::shared_ptr<const Grammar>> make(const Subject& subject, const Language& language) {
  LINNET_TRY(const GrammarRules rules, grammar_rules({language.kind, language.text}, *subject.vocabulary));
  return Grammar::compile(rules, subject.trie);
}

void compile(benchmark::State& state, const Subject& subject, const Language& language) {
  size_t memory = 0;
  for (auto _ : state) {
    const auto grammar = make(subject, language);
    if (!grammar) return state.SkipWithError(grammar.error().message.c_str());
    memory = (*grammar)->memory();
  }
  state.counters["KiB"] = double(memory) / 1024;
}

double microseconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - since).count();
}

// One iteration is one generated order. Its time is that of all masks.
void masks(benchmark::State& state, const Subject& subject, const Language& language, bool used) {
  Random random(1);
  std::vector<double> mask_times, accept_times;
  std::vector<uint64_t> mask(subject.trie->mask_words());
  auto grammar = make(subject, language);
  for (auto _ : state) {
    if (!used) grammar = make(subject, language);
    if (!grammar) return state.SkipWithError(grammar.error().message.c_str());
    GrammarMatcher matcher(*grammar);
    double sum = 0;
    for (const int32_t token : tokens_of(subject, text_of(random, language))) {
      const auto before = std::chrono::steady_clock::now();
      const Status status = matcher.mask(mask);
      mask_times.push_back(microseconds(before));
      sum += mask_times.back();
      const auto between = std::chrono::steady_clock::now();
      const bool fits = matcher.accept(token);
      accept_times.push_back(microseconds(between));
      if (!status || !fits || !(mask[size_t(token) / 64] >> (token % 64) & 1)) {
        return state.SkipWithError("the text does not fit");
      }
    }
    state.SetIterationTime(sum * 1e-6);
  }
  const auto at = [](std::vector<double>& times, double share) {
    std::sort(times.begin(), times.end());
    return times[size_t(share * double(times.size() - 1))];
  };
  state.counters["tokens"] = double(mask_times.size()) / double(state.iterations());
  state.counters["mask_us"] = at(mask_times, 0.5);
  state.counters["mask_p99"] = at(mask_times, 0.99);
  state.counters["mask_max"] = mask_times.back();
  state.counters["accept_us"] = at(accept_times, 0.5);
  state.counters["accept_p99"] = at(accept_times, 0.99);
}

void build_trie(benchmark::State& state, const Subject& subject) {
  for (auto _ : state) benchmark::DoNotOptimize(TokenTrie(*subject.vocabulary).memory());
  state.counters["KiB"] = double(subject.trie->memory()) / 1024;
}

std::vector<std::unique_ptr<Subject>> subjects() {
  std::vector<std::unique_ptr<Subject>> out;
  for (const char* name : {"qwen2", "llama-bpe"}) {
    const auto path = shared_data("vocab/" + std::string(name) + ".gguf");
    if (!path) continue;
    auto file = Gguf::open(*path);
    if (!file) continue;
    auto subject = std::make_unique<Subject>();
    subject->name = name;
    subject->file = std::make_unique<Gguf>(*std::move(file));
    auto tokenizer = Tokenizer::load(*subject->file);
    if (!tokenizer) continue;
    subject->vocabulary = std::make_unique<Tokenizer>(*std::move(tokenizer));
    out.push_back(std::move(subject));
  }
  auto made_up = std::make_unique<Subject>();
  made_up->name = "made-up";
  made_up->vocabulary = std::make_unique<TextVocabulary>(made_up_vocabulary());
  out.push_back(std::move(made_up));
  for (const auto& subject : out) subject->trie = std::make_shared<const TokenTrie>(*subject->vocabulary);
  return out;
}

void add_all() {
  static const std::vector<std::unique_ptr<Subject>> all = subjects();
  for (const auto& subject : all) {
    const Subject& s = *subject;
    benchmark::RegisterBenchmark(("trie/" + s.name).c_str(), [&s](benchmark::State& b) {
      build_trie(b, s);
    })->Unit(benchmark::kMillisecond);
    for (const Language& language : kLanguages) {
      const std::string name = language.name;
      benchmark::RegisterBenchmark(("compile/" + name + "/" + s.name).c_str(), [&](benchmark::State& b) {
        compile(b, s, language);
      })->Unit(benchmark::kMillisecond);
      for (const bool used : {false, true}) {
        benchmark::RegisterBenchmark(("masks/" + name + (used ? "/used/" : "/new/") + s.name).c_str(),
                                     [&, used](benchmark::State& b) { masks(b, s, language, used); })
            ->Unit(benchmark::kMicrosecond)
            ->UseManualTime()
            ->Iterations(used ? 100 : 20);
      }
    }
  }
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  linnet::add_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
