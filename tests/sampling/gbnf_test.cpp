#include "sampling/gbnf.h"

#include <gtest/gtest.h>

#include "sampling/grammar.h"
#include "tests/sampling/allocations.h"
#include "tests/sampling/grammar_definition.h"
#include "tests/support.h"

namespace linnet {
namespace {

const TextVocabulary& vocabulary() {
  static const TextVocabulary made({"a", "b", "ab", "", "<x>"});
  return made;
}

const std::shared_ptr<const TokenTrie>& trie() {
  static const auto made = std::make_shared<const TokenTrie>(vocabulary());
  return made;
}

// --- what is read ---

TEST(Gbnf, ReadsTokens) {
  const auto rules = parse_gbnf("root ::= <[2]> <3> !<x> <x>", &vocabulary());
  ASSERT_TRUE(rules) << rules.error().message;
  std::vector<std::pair<GrammarNode::Kind, int32_t>> found;
  for (const GrammarNode& node : rules->nodes) {
    if (node.value >= 0) found.push_back({node.kind, node.value});
  }
  using Kind = GrammarNode::Kind;
  const std::vector<std::pair<Kind, int32_t>> expected{
      {Kind::token, 2}, {Kind::token, 3}, {Kind::not_token, 4}, {Kind::token, 4}};
  EXPECT_EQ(found, expected);
}

TEST(Gbnf, LayoutMeansNothing) {
  // The same grammar, written in several ways.
  for (const char* text :
       {"root ::= (\"a\" | b)* \"c\"\nb ::= \"b\"{2,3}",
        "# first\n\n  b ::= \"b\" { 2 , 3 } # behind\nroot ::=\n  (\"a\"|\n\tb # inside\n)*   \"c\"\n",
        "root::=(\"a\"|b)*\"c\"\r\nb::=\"b\"{2,3}\r\n",
        "root ::= (\n\n\"\\x61\"\n\n|\n\nb\n\n)* [c]\nb ::=\n\"b\" \"b\"+"
        "\n"}) {
    const auto rules = parse_gbnf(text, nullptr);
    ASSERT_TRUE(rules) << text << rules.error().message;
    EXPECT_EQ(rules->rules.size(), 2u);
    const auto grammar = Grammar::compile(*rules, trie());
    ASSERT_TRUE(grammar) << grammar.error().message;
    for (const char* good : {"c", "ac", "bbac", "abbbac"}) {
      GrammarMatcher matcher(*grammar);
      EXPECT_TRUE(matcher.accept_bytes(good) && matcher.complete()) << text << good;
    }
    for (const char* bad : {"b", "bc", "d", "abac", "cc"}) {
      GrammarMatcher matcher(*grammar);
      EXPECT_FALSE(matcher.accept_bytes(bad) && matcher.complete()) << text << bad;
    }
  }
}

// --- what is refused ---

struct Refused {
  const char* name;
  std::string text;
  Code code;
  std::vector<const char*> says;  // parts of the sentence
};

std::vector<Refused> refused() {
  const Code syntax = Code::grammar_syntax;
  return {
      // Syntax, with the place.
      {"nothing", "", syntax, {"no rule named root"}},
      {"only comments", "# root ::= \"a\"\n", syntax, {"no rule named root"}},
      {"no root", "a ::= \"a\"", syntax, {"no rule named root"}},
      {"no name", "::= \"a\"", syntax, {"line 1, column 1", "name of a rule", "'::="}},
      {"no ::=", "root = \"a\"", syntax, {"line 1, column 6", "expected ::=", "'= "}},
      {"name only", "root", syntax, {"line 1, column 5", "expected ::=", "end of the grammar"}},
      {"unknown rule", "root ::= \"a\"\n  | bee", syntax, {"line 2, column 5", "bee ::= ", "defined"}},
      {"defined twice", "root ::= \"a\"\nroot ::= \"b\"", syntax, {"line 2, column 1", "rule root is defined before"}},
      {"open text",
       "root ::= \"é\" \"abc\nx ::= \"b\"",
       syntax,
       {"line 1, column 18", "line 1, column 14", "expected \""}},
      {"open class", "root ::= [abc", syntax, {"line 1, column 14", "line 1, column 10", "expected ]"}},
      {"open bracket", "root ::= \"a\" (\"b\"\n", syntax, {"line 2, column 1", "line 1, column 14", "expected )"}},
      {"stray bracket", "root ::= \"a\" ) \"b\"", syntax, {"line 1, column 14", "found ')"}},
      {"stray star", "root ::= * \"a\"", syntax, {"line 1, column 10", "found '*"}},
      {"star behind |", "root ::= \"a\" | +", syntax, {"line 1, column 16", "found '+"}},
      {"empty class", "root ::= []", syntax, {"line 1, column 10", "at least one character"}},
      {"class of nothing", "root ::= [^\\x00-\\U0010FFFF]", syntax, {"line 1, column 10", "at least one character"}},
      {"reversed range", "root ::= [az-b]", syntax, {"line 1, column 12", "lower to the higher"}},
      {"unknown escape", "root ::= \"a\\q\"", syntax, {"line 1, column 12", "escapes"}},
      {"short hex", "root ::= \"\\u12g4\"", syntax, {"line 1, column 15", "4 hexadecimal"}},
      {"surrogate", "root ::= \"\\uD83D\\uDE00\"", syntax, {"line 1, column 11", "surrogate"}},
      {"beyond Unicode", "root ::= [\\U00110000]", syntax, {"line 1, column 11", "10FFFF"}},
      {"escape at the end", "root ::= \"\\", syntax, {"line 1, column 12", "after the backslash"}},
      {"counts turned round", "root ::= \"a\"{5,2}", syntax, {"line 1, column 13", "m <= n"}},
      {"no counts", "root ::= \"a\"{}", syntax, {"line 1, column 14", "{m,n}"}},
      {"only a comma", "root ::= \"a\"{,}", syntax, {"line 1, column 15", "{m,n}"}},
      {"negative count", "root ::= \"a\"{-1}", syntax, {"line 1, column 14", "{m,n}"}},
      {"open counts", "root ::= \"a\"{1,2", syntax, {"line 1, column 17", "expected }"}},
      {"no number", "root ::= <[x]>", syntax, {"line 1, column 12", "number of a token"}},
      {"huge number", "root ::= <[99999999999999999999]>", syntax, {"line 1, column 12", "number of a token"}},
      {"unknown token", "root ::= <nothing>", syntax, {"line 1, column 10", "one token of this vocabulary"}},
      {"open token", "root ::= <x", syntax, {"line 1, column 12", "expected >"}},
      {"! alone", "root ::= !\"a\"", syntax, {"line 1, column 11", "token after !"}},
      {"not UTF-8", "root ::= \"a\xff\"", syntax, {"line 1, column 12", "UTF-8"}},
      {"control character", std::string("root ::= \0", 10), syntax, {"line 1, column 10"}},
      // What compiling refuses, with the rule.
      {"token beyond the vocabulary", "root ::= a\na ::= <[6]>", syntax, {"'a'", "token 6", "0 to 5"}},
      {"left recursion", "root ::= root \"a\" | \"a\"", syntax, {"'root'", "left-recursive"}},
      {"left recursion of itself only", "root ::= \"a\" | x\nx ::= x | \"b\"", syntax, {"'x'", "left-recursive"}},
      {"left recursion in a circle",
       "root ::= a \"x\"\na ::= b \"y\" | \"z\"\nb ::= c\nc ::= a?",
       syntax,
       {"'a' -> 'b' -> 'c' -> 'a'"}},
      {"left recursion behind what may be empty",
       "root ::= s root \"x\" | \"y\"\ns ::= t*\nt ::= \" \"",
       syntax,
       {"'root'", "left-recursive"}},
      {"a circle of empty texts", "root ::= a*\na ::= b?\nb ::= a", syntax, {"'a'", "left-recursive"}},
      {"no end", "root ::= \"a\" root", syntax, {"'root'", "can never end"}},
      {"no end together", "root ::= \"x\" | \"a\" b\nb ::= \"(\" c\nc ::= \")\" b", syntax, {"'b'", "can never end"}},
  };
}

TEST(Gbnf, RefusalsSayWhereAndWhy) {
  int count = 0;
  int64_t most = 0;
  for (const Refused& c : refused()) {
    const int64_t before = allocated_bytes();
    auto rules = parse_gbnf(c.text, &vocabulary());
    Error error;
    if (rules) {
      auto grammar = Grammar::compile(*rules, trie());
      ASSERT_FALSE(grammar) << c.name;
      error = grammar.error();
    } else {
      error = rules.error();
    }
    const int64_t bytes = allocated_bytes() - before;
    most = std::max(most, bytes);
    // No more memory in all than a multiple of the text and of the states that are allowed.
    EXPECT_LT(bytes, int64_t(64) << 20) << c.name;
    EXPECT_EQ(error.code, c.code) << c.name << ": " << error.message;
    for (const char* part : c.says) {
      EXPECT_NE(error.message.find(part), std::string::npos)
          << c.name << ": expected " << part << " in: " << error.message;
    }
    EXPECT_LT(error.message.size(), 600u) << c.name;
    ++count;
  }
  std::printf("%d grammars refused, at most %lld KiB asked for\n", count, static_cast<long long>(most >> 10));
}

// Rules as values can say what no text can.
TEST(GrammarRules, AreChecked) {
  const auto refuse = [](GrammarRules rules, const char* says) {
    const auto grammar = Grammar::compile(rules, trie());
    ASSERT_FALSE(grammar) << says;
    EXPECT_NE(grammar.error().message.find(says), std::string::npos) << grammar.error().message;
  };
  const auto root = [](auto&& node) {
    GrammarRules rules;
    rules.add_rule("root");
    const int32_t made = node(rules);  // before the rule is touched: it may add others
    rules.rules[0].node = made;
    return rules;
  };
  using R = GrammarRules;
  refuse({}, "no root rule");
  refuse(root([](R&) { return -1; }), "not defined");
  refuse(root([](R&) { return 7; }), "not defined");
  refuse(root([](R& r) { return r.sequence({5}); }), "does not exist");
  refuse(root([](R& r) { return r.sequence({0}); }), "contains itself");
  refuse(root([](R& r) { return r.choice({}); }), "no alternatives");
  refuse(root([](R& r) { return r.reference(3); }), "does not exist");
  refuse(root([](R& r) { return r.reference(-1); }), "does not exist");
  refuse(root([](R& r) { return r.token(6); }), "token 6");
  refuse(root([](R& r) { return r.not_token(-1); }), "token -1");
  refuse(root([](R& r) { return r.repeat(r.text("a"), 3, 2); }), "at least 3 and at most 2");
  refuse(root([](R& r) { return r.repeat(r.text("a"), -1, 2); }), "at least -1");
  refuse(root([](R& r) { return r.repeat(r.text("a"), 0, -2); }), "at most -2");
  refuse(root([](R& r) { return r.repeat(r.text("a"), INT32_MAX, INT32_MAX); }), "states");
  refuse(root([](R& r) { return r.characters({}); }), "is empty");
  refuse(root([](R& r) { return r.characters({{'b', 'a'}}); }), "ascending");
  refuse(root([](R& r) { return r.characters({{'a', 'c'}, {'c', 'd'}}); }), "ascending");
  refuse(root([](R& r) { return r.characters({{0, 0x110000}}); }), "10FFFF");
  refuse(root([](R& r) { return r.characters({{0xd800, 0xe000}}); }), "surrogates");
  // A shared part that doubles on each level: 2^100 states when written out.
  refuse(root([](R& r) {
           int32_t node = r.text("a");
           for (int i = 0; i < 100; ++i) node = r.sequence({node, node});
           return node;
         }),
         "states");
  refuse(root([](R& r) {
           int32_t node = r.text("a");
           for (int i = 0; i < 100'000; ++i) node = r.sequence({node});
           return node;
         }),
         "nested more than");
  const auto null = Grammar::compile(root([](R& r) { return r.text("a"); }), nullptr);
  EXPECT_FALSE(null);
}

// What is large, and allowed.
TEST(Gbnf, LargeGrammarsThatFit) {
  const std::string deep = "root ::= " + std::string(1000, '(') + "\"a\"" + std::string(1000, ')');
  std::string rules = "root ::= a0\n";
  for (int i = 0; i < 3000; ++i) rules += "a" + std::to_string(i) + " ::= [ab] a" + std::to_string(i + 1) + "\n";
  rules += "a3000 ::= \"a\"";
  const std::string texts[] = {deep,
                               rules,
                               "root ::= \"a\"{200000}",
                               "root ::= (\"a\" | \"b\"){0,20000}",
                               "root ::= (\"a\"?){1000}",
                               "root ::= [ab]* \"a\" [ab]{1000}"};
  for (const std::string& text : texts) {
    const int64_t before = allocated_bytes();
    const auto parsed = parse_gbnf(text, nullptr);
    ASSERT_TRUE(parsed) << parsed.error().message;
    const auto grammar = Grammar::compile(*parsed, trie());
    ASSERT_TRUE(grammar) << grammar.error().message;
    GrammarMatcher matcher(*grammar);
    EXPECT_TRUE(matcher.accept_bytes("a"));
    std::vector<uint64_t> mask(1);
    EXPECT_TRUE(matcher.mask(mask));
    std::printf("%.24s...: %d states, %zu KiB kept, %lld KiB asked for\n", text.c_str(),
                (*grammar)->automaton().states(), (*grammar)->memory() >> 10,
                static_cast<long long>((allocated_bytes() - before) >> 10));
    EXPECT_LT((*grammar)->memory(), size_t(64) << 20);
  }
}

TEST(Grammar, StepsAllocateLittle) {
  const auto rules = parse_gbnf("root ::= list\nlist ::= \"a\" (\"b\" list)? \"b\"*", nullptr);
  ASSERT_TRUE(rules);
  const auto grammar = Grammar::compile(*rules, trie());
  ASSERT_TRUE(grammar) << grammar.error().message;
  GrammarMatcher matcher(*grammar);
  std::vector<uint64_t> mask(1);
  int64_t before = 0;
  const int steps = 2000;
  for (int i = 0; i < steps; ++i) {
    if (i == 16) before = allocation_count();
    ASSERT_TRUE(matcher.mask(mask));
    ASSERT_TRUE(matcher.accept(i % 2));
  }
  // Only what grows with the text: a dozen arrays that double.
  EXPECT_LT(allocation_count() - before, 128);
  std::printf("%lld allocations in %d steps\n", static_cast<long long>(allocation_count() - before), steps);
}

}  // namespace
}  // namespace linnet
