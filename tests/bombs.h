// Small texts that ask for very much: grammars, JSON Schemas, regular expressions and chat templates. Each is answered
// with a sentence; some grammars are refused while they are used. tests/sampling/bombs_test.cpp counts what they take, bench/bomb_bench.cpp times them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/template/template.h"
#include "sampling/gbnf.h"
#include "sampling/grammar.h"
#include "sampling/json_schema.h"
#include "sampling/regex_grammar.h"

namespace linnet {

struct Bomb {
  enum class Kind { grammar, schema, regex, chat_template };
  Kind kind;
  std::string name;
  std::string text;
  Code code;
  std::string says = {};  // part of the sentence
};

// Grammars that compile, and are so ambiguous that a mask or a long token takes very many steps.
struct AmbiguousGrammar {
  const char* name;
  std::string text;
};

constexpr std::string_view bomb_kind_name(Bomb::Kind kind) {
  constexpr std::string_view names[] = {"grammar", "schema", "regex", "template"};
  return names[size_t(kind)];
}

// What a request does with it before anything is generated. A template is rendered without variables.
inline Status set_off(const Bomb& bomb, const std::shared_ptr<const TokenTrie>& trie) {
  const auto compile = [&]() -> Result<std::shared_ptr<const Grammar>> {
    LINNET_TRY(const GrammarRules rules, bomb.kind == Bomb::Kind::grammar  ? parse_gbnf(bomb.text, nullptr)
                                         : bomb.kind == Bomb::Kind::schema ? json_schema_rules(bomb.text)
                                                                           : regex_rules(bomb.text));
    return Grammar::compile(rules, trie);
  };
  if (bomb.kind != Bomb::Kind::chat_template) {
    LINNET_TRY(const auto grammar, compile());
    return {};
  }
  LINNET_TRY(const ChatTemplate made, ChatTemplate::compile(bomb.text));
  LINNET_TRY(const Json none, parse_json("{}"));
  LINNET_TRY(const std::string text, made.render(none, {}));
  return {};
}

namespace bomb_parts {

inline std::string repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// `open` and `close` around something, `times` times.
inline std::string nested(std::string_view open, std::string_view inside, std::string_view close, int times) {
  return repeated(open, times) + std::string(inside) + repeated(close, times);
}

// "item0,item1,...": what `item` says of each number.
template <class Item>
std::string listed(int count, const Item& item) {
  std::string out;
  for (int i = 0; i < count; ++i) out += (i > 0 ? "," : "") + item(std::to_string(i));
  return out;
}

inline void add_grammars(std::vector<Bomb>& out) {
  const auto add = [&](const char* name, std::string text, std::string says) {
    out.push_back({Bomb::Kind::grammar, name, std::move(text), Code::grammar_limit, std::move(says)});
  };
  const std::string a = "root ::= \"a\"";
  add("long text", "root ::= \"" + std::string(kMaxGrammarBytes, 'a') + "\"", "65547 bytes");
  add("brackets", "root ::= " + repeated("(", 60'000), "line 1, column 1010");
  add("closed brackets", "root ::= " + nested("(", "\"a\"", ")", 30'000), "1000 brackets");
  add("stars", a + repeated("*", 60'000), "nested more than");
  add("counts of counts", "root ::= ((\"a\"{1000}){1000}){1000}", "262144 states");
  add("optional counts of counts", "root ::= ((\"a\"{0,1000}){0,1000}){0,1000}", "262144 states");
  add("one large count", a + "{999999}", "262144 states");
  add("a larger count", a + "{1,1000000000000000000000}", "line 1, column 16");
  add("counts over rules", "root ::= a{1000}\na ::= b{1000}\nb ::= (\"x\" | [α-ω]){100000}", "262144 states");
  add("many optional parts", "root ::= (\"a\"?){20000}", "too many states");
  add("optional parts of optional parts", "root ::= ((\"a\"?){400} \"b\"?){400}", "states");
  std::string rules = "root ::= a";
  for (int i = 0; rules.size() < 65'000; ++i) rules += "|r" + std::to_string(i);
  add("rules", rules, "10000 rules");
  // Every state has an edge for each of many classes of characters.
  std::string classes = "root ::= (";
  for (int i = 0; i < 1500; ++i) classes += "[\\u" + fmt::format("{:04x}", 0x100 + 7 * i) + "-\\uffee]|";
  add("overlapping classes", classes + "\"a\"){40}", "states");
}

inline void add_schemas(std::vector<Bomb>& out) {
  const auto add = [&](const char* name, std::string text, std::string says, Code code = Code::grammar_limit) {
    out.push_back({Bomb::Kind::schema, name, std::move(text), code, std::move(says)});
  };
  add("deep", nested(R"({"items":)", "{}", "}", 2000), "deep", Code::too_large);
  add("1 MiB", "{\"title\":\"" + std::string(1 << 20, 'x') + "\"}", "at most 65536");
  add("2^12 combinations",
      "{\"allOf\":[" +
          listed(
              12,
              [](const std::string& i) { return "{\"anyOf\":[{\"minimum\":" + i + "},{\"maxLength\":" + i + "}]}"; }) +
          "]}",
      "combinations");
  // Which of the schemas apply says which of the last 20 names were "b".
  std::string doubling = R"("d0":{"type":"object","properties":{"a":{"$ref":"#/$defs/d0"},"b":{"allOf":[)"
                         R"({"$ref":"#/$defs/d0"},{"$ref":"#/$defs/d1"}]}}})";
  for (int i = 1; i <= 20; ++i) {
    const std::string next = fmt::format("{{\"$ref\":\"#/$defs/d{}\"}}", i + 1);
    doubling += fmt::format(",\"d{}\":{{\"properties\":{{\"a\":{},\"b\":{}}}}}", i, next, next);
  }
  add("goals that multiply", "{\"$ref\":\"#/$defs/d0\",\"$defs\":{" + doubling + ",\"d21\":{\"minProperties\":1}}}",
      "");
  add(
      "alternatives of alternatives",
      "{\"$ref\":\"#/$defs/d0\",\"$defs\":{" +
          [] {
            std::string chain;
            for (int i = 0; i < 1500; ++i)
              chain += fmt::format("\"d{}\":{{\"anyOf\":[{{\"$ref\":\"#/$defs/d{}\"}}]}},", i, i + 1);
            return chain;
          }() +
          "\"d1500\":{\"type\":\"null\"}}}",
      "");
  add("repetitions", R"({"pattern":"(a{1000}){1000}"})", "");
  add("lengths of a pattern", R"({"type":"string","pattern":"^(a|bb)*$","minLength":9000})", "");
  add("states", R"({"type":"string","pattern":"a.{20}$","allOf":[{"pattern":"b.{19}$"}]})", "");
  std::string names;
  for (int i = 0; i < 3000; ++i) names += fmt::format("{}\"n{:04}\":{{}}", i ? "," : "", i * 3);
  add("open object of many names", "{\"type\":\"object\",\"properties\":{" + names + "},\"minProperties\":40}",
      "#/minProperties", Code::schema_unsupported);
  add("counts",
      "{\"type\":\"object\",\"properties\":{" + names + "},\"maxProperties\":2000,\"additionalProperties\":false}", "");
  add("oneOf of many patterns",
      "{\"type\":\"string\",\"oneOf\":[" +
          listed(900, [](const std::string& i) { return "{\"pattern\":\"^" + i + "(a|b)*a.{6}$\"}"; }) + "]}",
      "");
  add("many patterns",
      "{\"type\":\"object\",\"properties\":{" +
          listed(1000,
                 [](const std::string& i) {
                   return "\"n" + i + "\":{\"type\":\"string\",\"pattern\":\"a.{20}b.{20}c" + i + "\"}";
                 }) +
          "}}",
      "");
}

inline void add_patterns(std::vector<Bomb>& out) {
  const auto add = [&](const char* name, std::string text, std::string says) {
    out.push_back({Bomb::Kind::regex, name, std::move(text), Code::grammar_limit, std::move(says)});
  };
  add("long pattern", std::string(5000, 'a'), "5000 bytes");
  add("count", "a{1001}", "");
  add("count of many digits", "a{99999999999999999999}", "");
  add("counts of counts", "(a{1000}){1000}", "");
  add("counts of counts of counts", "((((a{100}){100}){100}){100}){100}", "");
  add("groups", nested("(", "a", ")", 101), "");
}

inline void add_templates(std::vector<Bomb>& out) {
  const auto add = [&](const char* name, std::string text, std::string says, Code code = Code::too_large) {
    out.push_back({Bomb::Kind::chat_template, name, std::move(text), code, std::move(says)});
  };
  // Loops.
  add("loop in a loop", "{% for i in range(10**9) %}{% for j in range(10**9) %}{% endfor %}{% endfor %}",
      "limit of 100000");
  add("loop in a long loop", "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
      "steps");
  add("three loops",
      "{% for i in range(99999) %}{% for j in range(9) %}{% for k in range(9) %}x{% endfor %}{% endfor %}"
      "{% endfor %}",
      "steps");
  add("list that grows in its loop", "{% set l = [1] %}{% for x in l %}{% set _ = l.append(x) %}{% endfor %}", "steps");
  add("filters of a long list",
      "{{ range(100000)|map('string')|map('int')|map('abs')|map('string')|map('length')"
      "|map('string')|map('int')|map('abs')|map('abs')|map('abs')|map('abs')|map('abs')|list }}",
      "");
  // Calls.
  add("macro", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "64");
  add("two macros", "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}", "64");
  add("callers", "{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{% endmacro %}{{ f() }}", "64");
  add("recursive loop", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "64");
  add("macro that calls itself twice", "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}", "64");
  add("macro that ends, twice",
      "{% macro f(n) %}{% if n > 0 %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}", "limit");
  // Many nodes between one macro and the next.
  add("deep expressions of macros",
      "{% macro f() %}{{ " + nested("(1 + ", "f()|int", ")", 200) + " }}{% endmacro %}{{ f() }}",
      "nested more than 1000 deep");
  // Growth.
  const std::string doubling = "{% set ns = namespace(s='0123456789') %}{% for i in range(60) %}";
  add("~", doubling + "{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "bytes");
  add("+", doubling + "{% set ns.s = ns.s + ns.s %}{% endfor %}", "bytes");
  add("replace", doubling + "{% set ns.s = ns.s.replace('0', ns.s) %}{% endfor %}", "bytes");
  add("join", doubling + "{% set ns.s = [ns.s, ns.s]|join %}{% endfor %}", "bytes");
  add("lists", doubling + "{% set ns.s = ns.s|list + ns.s|list %}{% endfor %}", "bytes");
  add("set block", doubling + "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}{% endfor %}", "bytes");
  add("%", doubling + "{% set ns.s = '%s%s' % (ns.s, ns.s) %}{% endfor %}", "bytes");
  add("format", doubling + "{% set ns.s = '{0}{0}'.format(ns.s) %}{% endfor %}", "bytes");
  add("text times", "{{ 'a' * 1000000000000 }}", "bytes");
  add("text times much", "{{ 'ab' * 9223372036854775807 }}", "bytes");
  add("list times", "{{ [1] * 1000000000 }}", "bytes");
  add("center", "{{ 'a'.center(1000000000) }}", "bytes");
  add("zfill", "{{ 'a'.zfill(9223372036854775807) }}", "bytes");
  add("center filter", "{{ 'a'|center(10**15) }}", "bytes");
  add("indent", "{{ 'a'|indent(10**15, true) }}", "bytes");
  add("indented lines", "{{ ('a\\n' * 1000000)|indent(100000) }}", "bytes");
  add("replace by a long text", "{{ ('a' * 1000000).replace('a', 'b' * 1000000) }}", "bytes");
  add("join by a long text", "{{ ('a' * 1000000).join('b' * 1000) }}", "bytes");
  add("list of a long text", "{{ ('a' * 10000000)|list|length }}", "bytes");
  add("split", "{{ ('a' * 10000000).split('a')|length }}", "bytes");
  add("batch", "{{ [1]|batch(10**15, 1)|list }}", "bytes");
  add("slice", "{{ [1]|slice(10**15)|list }}", "bytes");
  add("width", "{{ '%1000000000d' % 1 }}", "at most", Code::invalid_argument);
  add("width of format", "{{ '{:1000000000}'.format(1) }}", "at most", Code::invalid_argument);
  add("precision", "{{ '%.1000000f' % 1 }}", "at most", Code::invalid_argument);
  add("tabs", "{{ ('\\t' * 1000000).expandtabs(250) }}", "bytes");
  add("output", "{% for i in range(1000) %}{{ 'a' * 10000 }}{% endfor %}", "writes more than");
  // What is shared is small, but not when it is gone through.
  const std::string shared =
      "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}"
      "{% set ns.y = [ns.y, ns.y] %}{% endfor %}";
  add("shared lists, written", shared + "{{ ns.x }}", "");
  add("shared lists as JSON", shared + "{{ ns.x|tojson }}", "");
  add("shared lists, compared", shared + "{{ ns.x == ns.y }}", "");
  add("shared lists, ordered", shared + "{{ ns.x < ns.y }}", "");
  add("shared tuples as keys",
      "{% set ns = namespace(x=(1,)) %}{% for i in range(60) %}{% set ns.x = (ns.x, ns.x) %}"
      "{% endfor %}{{ {ns.x: 1} }}",
      "");
  // Nesting and length.
  add("brackets", "{{ " + nested("(", "1", ")", 10'000) + " }}", "nested more than 250 deep");
  add("open brackets", "{{ " + repeated("(", 10'000) + " }}", "nested more than 250 deep");
  add("1 MiB", std::string(1 << 20, 'x'), "1048576 bytes");
}

}  // namespace bomb_parts

inline std::vector<Bomb> bombs() {
  std::vector<Bomb> out;
  bomb_parts::add_grammars(out);
  bomb_parts::add_schemas(out);
  bomb_parts::add_patterns(out);
  bomb_parts::add_templates(out);
  return out;
}

inline std::vector<AmbiguousGrammar> ambiguous_grammars() {
  std::string rules = "root ::= ([ab] c)*\nc ::= d0";
  for (int i = 1; i < 900; ++i) rules += "|d" + std::to_string(i);
  for (int i = 0; i < 900; ++i) rules += fmt::format("\nd{} ::= [ab] (c | d{})?", i, i * 7 % 900);
  std::string not_tokens = "root ::= <[256]>";
  for (int i = 0; i < 3000; ++i) not_tokens += fmt::format("|!<[{}]>[ab]", i % 250);
  return {{"two ways to end each level", "root ::= \"a\" root \"a\" | \"a\" root \"b\" | \"\""},
          {"the same behind a choice", "root ::= \"b\"? s\ns ::= \"a\" s \"a\" | \"a\" s \"b\" | \"\""},
          {"binary trees", "root ::= s\ns ::= \"a\" | \"a\" s s"},
          {"trees", "root ::= s\ns ::= \"a\" | \"a\" s s s | \"a\" s s"},
          {"rules in any order", "root ::= x*\nx ::= \"a\" y?\ny ::= \"a\" x? z?\nz ::= \"a\" y? x?"},
          {"three rules deep", "root ::= r \"c\"\nr ::= [ab] (r s t)?\ns ::= [ab] t? r?\nt ::= [ab] r? s?"},
          {"brackets that need not close", "root ::= \"a\" root \"b\" root | \"a\" root | \"\""},
          {"2^4000 states when deterministic", "root ::= [ab]* \"a\" [ab]{4000}"},
          {"and with rules", "root ::= [ab]* \"a\" x{3000}\nx ::= [ab]"},
          {"and with rules that go on", "root ::= [ab]* \"a\" x{1000}\ny ::= [ab] y?\nx ::= [ab] y?"},
          {"900 rules that begin alike", rules},
          {"any token but each", not_tokens}};
}

// One byte each, and tokens of up to 10,000 bytes of a and b.
inline std::vector<std::string> ambiguous_tokens() {
  std::vector<std::string> texts;
  for (int i = 0; i < 256; ++i) texts.push_back(std::string(1, char(i)));
  texts.push_back(bomb_parts::repeated("ab", 5000));
  for (const size_t length : {100, 1000, 10'000}) texts.push_back(std::string(length, 'a'));
  texts.push_back(std::string(5000, 'a') + std::string(5000, 'b'));
  return texts;
}

// Generates some tokens, whatever masks say, and calls `each` after every step: "compile", "mask", "accept", "forced", or
// "" for what is not to be measured. The last refusal of a mask, if there was one.
template <class Each>
Status generate_ambiguously(const AmbiguousGrammar& bomb, const SamplingVocabulary& vocabulary,
                            const std::shared_ptr<const TokenTrie>& trie, const Each& each) {
  LINNET_TRY(const GrammarRules rules, parse_gbnf(bomb.text, &vocabulary));
  const auto grammar = Grammar::compile(rules, trie);
  each("compile");
  if (!grammar) return grammar.error();
  GrammarMatcher matcher(*grammar);
  std::vector<uint64_t> mask(trie->mask_words());
  Status refused;
  for (int i = 0; i < 12; ++i) {
    const Status status = matcher.mask(mask);
    each("mask");
    if (!status) refused = status;
    static_cast<void>(matcher.forced());
    each("forced");
    for (int32_t token = 256; token < vocabulary.size() && i % 6 == 0; ++token) {
      GrammarMatcher copy = matcher;
      each("");
      static_cast<void>(copy.accept(token));
      each("accept");
    }
    const bool fits = matcher.accept(i % 3 == 2 ? 'b' : 'a') || matcher.accept('a') || matcher.accept('b');
    each("accept");
    if (!fits) break;
  }
  return refused;
}

}  // namespace linnet
