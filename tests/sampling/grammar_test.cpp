#include "sampling/grammar.h"

#include <algorithm>
#include <thread>

#include <gtest/gtest.h>

#include "gguf/base/utf8.h"
#include "sampling/gbnf.h"
#include "sampling/grammar_cache.h"
#include "tests/sampling/grammar_definition.h"
#include "tests/support.h"

namespace linnet {
namespace {

using Mask = std::vector<uint64_t>;

std::shared_ptr<const TokenTrie> trie_of(const SamplingVocabulary& vocabulary) {
  return std::make_shared<const TokenTrie>(vocabulary);
}

// Tokens of one byte each, 0 to 255, and the end.
const TextVocabulary& byte_vocabulary() {
  static const TextVocabulary vocabulary = [] {
    std::vector<std::string> texts;
    for (int i = 0; i < 256; ++i) texts.push_back(std::string(1, char(i)));
    return TextVocabulary(std::move(texts));
  }();
  return vocabulary;
}

std::shared_ptr<const Grammar> compile(std::string_view gbnf,
                                       const SamplingVocabulary& vocabulary = byte_vocabulary()) {
  const auto rules = parse_gbnf(gbnf, &vocabulary);
  if (!rules) {
    ADD_FAILURE() << gbnf << "\n" << rules.error().message;
    return nullptr;
  }
  const auto grammar = Grammar::compile(*rules, trie_of(vocabulary));
  if (!grammar) {
    ADD_FAILURE() << gbnf << "\n" << grammar.error().message;
    return nullptr;
  }
  return *grammar;
}

bool bit(const Mask& mask, int32_t token) { return mask[size_t(token) / 64] >> (token % 64) & 1; }

Mask mask_of(const GrammarMatcher& matcher) {
  Mask mask(matcher.grammar().trie().mask_words(), ~uint64_t(0));
  const Status status = matcher.mask(mask);
  EXPECT_TRUE(status || status.error().code == Code::grammar_dead_end) << status.error().message;
  return mask;
}

// --- cases by hand ---

struct Case {
  const char* name;
  const char* grammar;
  std::vector<std::string> texts;     // of the grammar
  std::vector<std::string> prefixes;  // can be completed, are not complete
  std::vector<std::string> others;    // neither
};

const char* const kJson = R"(
root   ::= value
value  ::= object | array | string | number | ("true" | "false" | "null")
object ::= "{" ws ( member ("," ws member)* )? "}" ws
member ::= string ":" ws value
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ( [^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt/] | "u" [0-9a-fA-F]{4}) )* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [1-9] [0-9]{0,15})? ws
ws     ::= | " " | "\n" [ \t]{0,20}
)";

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"text", R"(root ::= "abc")", {"abc"}, {"", "a", "ab"}, {"b", "abcd", "abd"}},
      {"empty", R"(root ::= )", {""}, {}, {"a"}},
      {"choice", R"(root ::= "abc" | "abd" | "x")", {"abc", "abd", "x"}, {"", "ab"}, {"abx", "xx"}},
      {"choice over lines", "root ::= \"a\"\n  | \"b\" |\n \"c\" # end\n", {"a", "b", "c"}, {""}, {"d", "ab"}},
      {"repetitions",
       R"(root ::= "a"* "b"+ "c"?)",
       {"b", "ab", "aabbc", "bc"},
       {"", "a", "aaa"},
       {"c", "ac", "bca", "bcc"}},
      {"counts",
       R"(root ::= "a"{2} "b"{1,} "c"{1,2} "d"{,2})",
       {"aabc", "aabbbccdd", "aabcd"},
       {"", "a", "aa", "aab"},
       {"aaa", "aac", "aabccc", "aabcddd"}},
      {"a literal repeats whole", R"(root ::= "ab"{2})", {"abab"}, {"", "aba"}, {"abb", "ababa"}},
      {"count of none", R"(root ::= "a"{0} "b"{0,0} "c")", {"c"}, {""}, {"a", "b"}},
      {"repetition of an empty text", R"(root ::= (("a"*)* ""+)*)", {"", "a", "aaaa"}, {}, {"b"}},
      {"classes",
       R"(root ::= [a-cx-] [^a-c\]] [\x41\u0042-\U00000043])",
       {"adA", "x-B", "-zC"},
       {"", "b", "ce"},
       {"d", "aa", "a]", "adD"}},
      {"characters of several bytes",
       R"(root ::= [α-ω€😀] "ü" .)",
       {"αüa", "€ü😀", "😀ü\n"},
       {"", "\xce", "\xe2", "\xe2\x82", "\xf0\x9f\x98", "α\xc3", "αü\xf0\x9f"},
       {"a", "Α", "\xe2\x83", "\xff", "αü\x80", "αü\xc0", "αü\xed\xa0", "αü\xf4\x90", "αü\xe0\x80"}},
      {"negated class of characters",
       R"(root ::= [^a€]*)",
       {"", "b", "₭ü😀", "\xe2\x82\xab"},
       {"\xe2", "\xe2\x82", "\xf4"},
       {"a", "€", "\x80", "\xf5"}},
      {"arithmetic",
       "root ::= (expr \"=\" ws term \"\\n\")+\nexpr ::= term ([-+*/] term)*\nterm ::= ident | num | \"(\" ws expr "
       "\")\" ws\n"
       "ident ::= [a-z] [a-z0-9_]* ws\nnum ::= [0-9]+ ws\nws ::= [ \\t\\n]*",
       {"a=1\n", "1+2 =3\n", "(a+(b*2))/c = x1\n", "1=2\n3=4\n"},
       {"", "a", "1+", "((", "(a)", "1=2", "1=2\n3"},
       {"=", "a b", "())", "1=+", ")"}},
      {"brackets",
       "root ::= \"(\" root \")\" root | ",
       {"", "()", "(())()", "((()))"},
       {"(", "((", "(()"},
       {")", "())"}},
      {"right recursion", "root ::= \"a\" root | \"b\"", {"b", "ab", "aaaaaab"}, {"", "aaa"}, {"ba", "c"}},
      {"palindromes",
       "root ::= \"a\" root \"a\" | \"b\" root \"b\" | \"a\" | \"b\" | ",
       {"", "a", "abba", "ababa"},
       {"ab", "aab"},
       {"c", "abc"}},
      {"empty rules in a row",
       "root ::= a b a \"x\"\na ::= \"y\"?\nb ::= a a",
       {"x", "yx", "yyyyx"},
       {"", "yyyy"},
       {"yyyyy"}},
      {"many states when deterministic",
       "root ::= [ab]* \"a\" [ab]{12}",
       {"abbbbbbbbbbbb", "abababababababababababa"},
       {"", "bbbb", "ab", "bbbbbbbbbbbbbbb"},
       {"c", "abc"}},
      {"JSON",
       kJson,
       {"{}", "[1, 2.5e3,\n \"a\\u00fc\\n\"]", "{\"a\":{\"b\":[true,null]}}", "\"ü€😀\"", "-0", "12"},
       {"", "{", "[1", "{\"a\"", "\"\\u0", "-", "tr", "1.", "[[[[", "\"\xe2\x82"},
       {"}", "[,", "{1", "\"\\x", "01", "nul1", "{\"a\":,", "\"\n", "1..", "[1]]"}},
  };
  return all;
}

TEST(Grammar, ReadsWhatItSays) {
  int checked = 0;
  for (const Case& c : cases()) {
    const auto grammar = compile(c.grammar);
    ASSERT_TRUE(grammar) << c.name;
    const auto check = [&](const std::string& text, bool viable, bool complete) {
      GrammarMatcher matcher(grammar);
      EXPECT_EQ(matcher.accept_bytes(text), viable) << c.name << ": " << quoted(text);
      EXPECT_EQ(matcher.complete() && viable, complete) << c.name << ": " << quoted(text);
      EXPECT_EQ(matcher.accepted(), viable ? 1 : 0);
      // Byte by byte, with the mask asked before each.
      GrammarMatcher slow(grammar);
      bool fits = true;
      for (size_t i = 0; i < text.size() && fits; ++i) {
        const Mask mask = mask_of(slow);
        fits = slow.accept(uint8_t(text[i]));
        EXPECT_EQ(bit(mask, uint8_t(text[i])), fits) << c.name << ": " << quoted(text) << " at " << i;
      }
      EXPECT_EQ(fits, viable) << c.name << ": " << quoted(text);
      EXPECT_EQ(fits && bit(mask_of(slow), byte_vocabulary().eog()), complete) << c.name << ": " << quoted(text);
      if (viable) { EXPECT_EQ(slow.accept(byte_vocabulary().eog()), complete) << c.name << ": " << quoted(text); }
      ++checked;
    };
    for (const std::string& text : c.texts) check(text, true, true);
    for (const std::string& text : c.prefixes) check(text, true, false);
    for (const std::string& text : c.others) check(text, false, false);
  }
  std::printf("%d texts of %zu grammars\n", checked, cases().size());
}

TEST(Grammar, NothingFollowsTheEnd) {
  const auto grammar = compile(R"(root ::= "a"*)");
  ASSERT_TRUE(grammar);
  GrammarMatcher matcher(grammar);
  const int32_t eog = byte_vocabulary().eog();
  EXPECT_TRUE(matcher.accept('a'));
  EXPECT_TRUE(matcher.accept(eog));
  EXPECT_FALSE(matcher.accept('a'));
  EXPECT_FALSE(matcher.dead());
  const Mask mask = mask_of(matcher);
  for (int32_t t = 0; t < eog; ++t) EXPECT_FALSE(bit(mask, t));
  EXPECT_TRUE(bit(mask, eog));
  EXPECT_TRUE(matcher.accept(eog));
  matcher.rewind(2);
  EXPECT_TRUE(matcher.accept('a'));
  EXPECT_FALSE(matcher.accept(-1));
  EXPECT_FALSE(matcher.accept(eog + 1));
}

TEST(Grammar, TokenTerminals) {
  // 0 "a", 1 "b", 2 "ab", 3 and 4 control tokens, 5 the end.
  const TextVocabulary vocabulary({"a", "b", "ab", "", ""});
  const auto grammar = compile(R"(root ::= <3> "a"+ <4> !<[2]>* <[2]> | <[5]> "b" | "bb")", vocabulary);
  ASSERT_TRUE(grammar);
  const auto allowed = [&](const std::vector<int32_t>& tokens) {
    GrammarMatcher matcher(grammar);
    for (const int32_t token : tokens) EXPECT_TRUE(matcher.accept(token)) << token;
    const Mask mask = mask_of(matcher);
    std::vector<int32_t> out;
    for (int32_t t = 0; t < vocabulary.size(); ++t) {
      if (bit(mask, t)) out.push_back(t);
      GrammarMatcher copy = matcher;
      EXPECT_EQ(copy.accept(t), bit(mask, t)) << t;
    }
    return out;
  };
  using V = std::vector<int32_t>;
  EXPECT_EQ(allowed({}), V({1, 3, 5}));
  EXPECT_EQ(allowed({3}), V({0}));
  EXPECT_EQ(allowed({3, 0}), V({0, 4}));
  EXPECT_EQ(allowed({3, 0, 4}), V({0, 1, 2}));
  EXPECT_EQ(allowed({3, 0, 4, 1, 0}), V({0, 1, 2}));
  EXPECT_EQ(allowed({3, 0, 4, 2}), V({5}));
  EXPECT_EQ(allowed({5}), V({1}));
  EXPECT_EQ(allowed({5, 1}), V({5}));
  EXPECT_EQ(allowed({1, 1}), V({5}));
  GrammarMatcher matcher(grammar);
  EXPECT_EQ(matcher.forced(), "");
  EXPECT_TRUE(matcher.accept(5));
  EXPECT_EQ(matcher.forced(), "b");
}

TEST(Grammar, DeadEndsOfTheVocabularyAreNamed) {
  const TextVocabulary vocabulary({"a", "ax"});
  const auto grammar = compile(R"(root ::= "a" "yes")", vocabulary);
  ASSERT_TRUE(grammar);
  GrammarMatcher matcher(grammar);
  ASSERT_TRUE(matcher.accept(0));
  Mask mask(1);
  const Status status = matcher.mask(mask);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::grammar_dead_end);
  EXPECT_NE(status.error().message.find("'yes'"), std::string::npos) << status.error().message;
  EXPECT_FALSE(matcher.dead());
  const Status small = matcher.mask({});
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code, Code::invalid_argument);
}

// --- against the definition ---

std::string random_text(Random& random) {
  static const char* const kPieces[] = {"a", "b", "c", "ab", "ba", "é", "€", "😀", "x", "\n"};
  std::string text;
  for (int64_t n = random.below(3) + (random.below(8) > 0 ? 1 : 0); n > 0; --n) text += kPieces[random.below(10)];
  return text;
}

// Tokens over few letters, whole characters and parts of them.
TextVocabulary random_vocabulary(Random& random, int32_t count) {
  std::vector<std::string> texts;
  for (const char* byte :
       {"a", "b", "c", "x", "\n", "\xc3", "\xa9", "\xe2", "\x82", "\xac", "\xf0", "\x9f", "\x98", "\x80"}) {
    texts.push_back(byte);
  }
  while (int32_t(texts.size()) < count) {
    std::string text;
    for (int64_t n = 1 + random.below(4); n > 0; --n) text += random_text(random);
    const size_t from = size_t(random.below(3)), drop = size_t(random.below(3));
    if (random.below(2) == 0 && text.size() > from + drop) text = text.substr(from, text.size() - from - drop);
    if (random.below(40) == 0) text.clear();
    texts.push_back(text);
  }
  return TextVocabulary(std::move(texts));
}

// Rules that may be anything; many of them are refused.
GrammarRules random_rules(Random& random, int32_t vocabulary) {
  GrammarRules rules;
  const int32_t count = 1 + int32_t(random.below(4));
  for (int32_t i = 0; i < count; ++i) rules.add_rule("r" + std::to_string(i));
  const auto node = [&](auto&& self, int depth) -> int32_t {
    const int64_t kind = random.below(depth > 3 ? 5 : 11);
    const auto children = [&](int64_t least) {
      std::vector<int32_t> out;
      for (int64_t n = least + random.below(3); n > 0; --n) out.push_back(self(self, depth + 1));
      return out;
    };
    switch (kind) {
      case 0:
      case 1:
        return rules.text(random_text(random));
      case 2: {
        static const std::vector<CharacterRange> kClasses[] = {
            {{'a', 'b'}},       {{'a', 'c'}, {'x', 'x'}}, {{0, 'a' - 1}, {'b', 0x10ffff}},
            {{0x20ac, 0x20ac}}, {{0xe0, 0x3000}},         {{'b', 'b'}, {0x80, 0xffff}},
            {{0, 0x10ffff}},    {{0x1f600, 0x1f64f}}};
        return rules.characters(kClasses[random.below(8)]);
      }
      case 3:
        return rules.reference(int32_t(random.below(count)));
      case 4:
        if (random.below(3) > 0) return rules.text(random_text(random));
        return random.below(2) > 0 ? rules.token(int32_t(random.below(vocabulary)))
                                   : rules.not_token(int32_t(random.below(vocabulary)));
      case 5:
      case 6:
      case 7:
        return rules.sequence(children(1));
      case 8:
        return rules.choice(children(1));
      default: {
        const int32_t least = int32_t(random.below(3));
        return rules.repeat(self(self, depth + 1), least, random.below(2) > 0 ? -1 : least + int32_t(random.below(3)));
      }
    }
  };
  for (int32_t i = 0; i < count; ++i) {
    const int32_t made = node(node, 0);
    // Half of the rules get a way out.
    rules.rules[size_t(i)].node = random.below(2) > 0 ? made : rules.choice({rules.text(random_text(random)), made});
  }
  return rules;
}

std::string forced_by_definition(const GrammarRules& rules, const std::vector<int32_t>& tokens,
                                 const SamplingVocabulary& vocabulary, const std::vector<int32_t>& byte_tokens) {
  std::string out;
  std::vector<int32_t> text = tokens;
  while (out.size() < GrammarMatcher::kMostForced) {
    const GrammarDefinition here(rules, vocabulary, text);
    if (here.complete()) break;
    int only = -1, count = 0;
    for (int byte = 0; byte < 256 && count < 2; ++byte) {
      text.push_back(byte_tokens[size_t(byte)]);
      if (GrammarDefinition(rules, vocabulary, text).viable()) {
        only = byte;
        ++count;
      }
      text.pop_back();
    }
    if (count != 1) break;
    out.push_back(char(only));
    text.push_back(byte_tokens[size_t(only)]);
  }
  out.resize(out.size() - utf8_unfinished(out));
  return out;
}

TEST(Grammar, MasksAreTheDefinition) {
  Random random(20);
  int grammars = 0, refused = 0, states = 0, dead_ends = 0;
  int64_t bits = 0, allowed_bits = 0;
  const int wanted = test_count(1000);
  while (grammars < wanted) {
    const TextVocabulary vocabulary = random_vocabulary(random, 60 + int32_t(random.below(200)));
    const GrammarRules rules = random_rules(random, vocabulary.size());
    const auto grammar = Grammar::compile(rules, trie_of(vocabulary));
    if (!grammar) {
      ++refused;
      ASSERT_EQ(grammar.error().code, Code::grammar_syntax) << grammar.error().message;
      continue;
    }
    ++grammars;
    GrammarMatcher matcher(*grammar);
    std::vector<int32_t> text;
    std::vector<Mask> masks;
    for (int i = 0; i < 6; ++i) {
      const Mask mask = mask_of(matcher);
      masks.push_back(mask);
      ++states;
      std::vector<int32_t> fit;
      const bool complete = GrammarDefinition(rules, vocabulary, text).complete();
      ASSERT_EQ(matcher.complete(), complete);
      for (int32_t token = 0; token < vocabulary.size(); ++token) {
        text.push_back(token);
        const bool viable = GrammarDefinition(rules, vocabulary, text).viable();
        text.pop_back();
        const bool expected = viable || (vocabulary.is_eog(token) && complete);
        ASSERT_EQ(bit(mask, token), expected) << "grammar " << grammars << " after " << text.size() << " tokens: token "
                                              << token << " " << quoted(vocabulary.bytes(token));
        ++bits;
        if (expected) fit.push_back(token);
        // accept() says the same, and leaves what it refuses unchanged.
        if (random.below(8) > 0) continue;
        GrammarMatcher copy = matcher;
        ASSERT_EQ(copy.accept(token), expected);
        ASSERT_FALSE(copy.dead());
        if (expected) copy.rewind(1);
        ASSERT_EQ(mask_of(copy), mask);
      }
      allowed_bits += int64_t(fit.size());
      if (fit.empty()) {
        ++dead_ends;
        break;
      }
      const int32_t next = fit[size_t(random.below(int64_t(fit.size())))];
      if (vocabulary.is_eog(next)) break;
      ASSERT_TRUE(matcher.accept(next));
      text.push_back(next);
    }
    // Back, step by step or at once, every earlier state is as it was.
    while (matcher.accepted() > 0) {
      const int64_t back = 1 + random.below(matcher.accepted());
      matcher.rewind(back);
      ASSERT_EQ(mask_of(matcher), masks[size_t(matcher.accepted())]);
    }
  }
  std::printf("%d grammars (%d more refused), %d states (%d dead ends), %lld bits of which %lld are set\n", grammars,
              refused, states, dead_ends, static_cast<long long>(bits), static_cast<long long>(allowed_bits));
  EXPECT_GT(allowed_bits, bits / 100);
}

TEST(Grammar, ForcedIsTheDefinition) {
  Random random(21);
  std::vector<std::string> texts;
  std::vector<int32_t> byte_tokens;
  for (int i = 0; i < 256; ++i) {
    byte_tokens.push_back(i);
    texts.push_back(std::string(1, char(i)));
  }
  const TextVocabulary vocabulary(texts);
  int checked = 0, some = 0;
  const int wanted = test_count(200);
  while (checked < wanted) {
    GrammarRules rules = random_rules(random, vocabulary.size());
    const bool tokens = std::any_of(rules.nodes.begin(), rules.nodes.end(), [](const GrammarNode& node) {
      return node.kind == GrammarNode::Kind::token || node.kind == GrammarNode::Kind::not_token;
    });
    if (tokens) continue;
    const auto grammar = Grammar::compile(rules, trie_of(vocabulary));
    if (!grammar) continue;
    GrammarMatcher matcher(*grammar);
    std::vector<int32_t> text;
    for (int i = 0; i < 4 && checked < wanted; ++i) {
      const std::string forced = matcher.forced();
      ASSERT_EQ(forced, forced_by_definition(rules, text, vocabulary, byte_tokens));
      ASSERT_EQ(matcher.forced(), forced);
      ++checked;
      some += forced.empty() ? 0 : 1;
      const Mask mask = mask_of(matcher);
      std::vector<int32_t> fit;
      for (int32_t t = 0; t < 256; ++t) {
        if (bit(mask, t)) fit.push_back(t);
      }
      if (fit.empty()) break;
      text.push_back(fit[size_t(random.below(int64_t(fit.size())))]);
      ASSERT_TRUE(matcher.accept(text.back()));
    }
  }
  std::printf("%d places, something forced at %d\n", checked, some);
  EXPECT_GT(some, wanted / 20);
  const auto endless = compile("root ::= (\"a\")+ \"a\"* \"b\"");
  EXPECT_EQ(GrammarMatcher(endless).forced(), "a");
  const auto loop = compile("root ::= \"a\"{1000} \"b\"");
  EXPECT_EQ(GrammarMatcher(loop).forced(), std::string(GrammarMatcher::kMostForced, 'a'));
}

// All short texts over a few letters: tokens that cross any number of rules, and subtrees of the trie that are large
// enough to be taken whole.
void all_texts(const std::vector<std::string>& letters, int length, std::vector<std::string>& texts) {
  std::vector<std::string> shorter{""};
  for (int n = 0; n < length; ++n) {
    std::vector<std::string> longer;
    for (const std::string& text : shorter) {
      for (const std::string& letter : letters) longer.push_back(text + letter);
    }
    texts.insert(texts.end(), longer.begin(), longer.end());
    shorter = std::move(longer);
  }
}

int64_t compare_all(const GrammarRules& rules, const TextVocabulary& vocabulary, Random& random, int walks, int steps,
                    const char* name) {
  const auto grammar = Grammar::compile(rules, trie_of(vocabulary));
  if (!grammar) {
    ADD_FAILURE() << name << grammar.error().message;
    return 0;
  }
  int64_t bits = 0;
  for (int walk = 0; walk < walks; ++walk) {
    GrammarMatcher matcher(*grammar);
    std::vector<int32_t> text;
    for (int i = 0; i < steps; ++i) {
      const Mask mask = mask_of(matcher);
      std::vector<int32_t> fit, brief;
      for (int32_t token = 0; token + 1 < vocabulary.size(); ++token) {
        text.push_back(token);
        const bool viable = GrammarDefinition(rules, vocabulary, text).viable();
        text.pop_back();
        if (bit(mask, token) != viable) {
          ADD_FAILURE() << name << " after " << i << " tokens: " << quoted(vocabulary.bytes(token));
          return bits;
        }
        ++bits;
        if (viable) fit.push_back(token);
        if (viable && vocabulary.bytes(token).size() == 1) brief.push_back(token);
      }
      if (fit.empty()) break;
      const std::vector<int32_t>& from = brief.empty() || random.below(3) == 0 ? fit : brief;
      text.push_back(from[size_t(random.below(int64_t(from.size())))]);
      EXPECT_TRUE(matcher.accept(text.back()));
    }
  }
  return bits;
}

TEST(Grammar, CrossingTokensAreTheDefinition) {
  Random random(22);
  std::vector<std::string> texts;
  all_texts({"a", "b", "c"}, 5, texts);
  all_texts({"a", "é", "€"}, 3, texts);
  const TextVocabulary vocabulary(texts);
  const char* const grammars[] = {
      // Loops, some of them counted.
      R"(root ::= [^b]* "b")", R"(root ::= [^b]{0,7} "b"?)", R"(root ::= [ac]{0,3} "b" .{2,4})",
      R"(root ::= [abc] [ac] [abc] [bc] [abc]{2} [ab]*)", R"(root ::= [^é]{3} [^\x00-\x7f]? [^b]{2,})",
      R"(root ::= [a-c€]{2,6} "é" .*)", R"(root ::= ([^a]{4} | [^b]{5}) "c")", R"(root ::= .*)",
      "root ::= item* \"b\"\nitem ::= [ac] | \"b\" [^b] | \"é\" [^\\x00-\\x7f]{2}",
      "root ::= word (\"b\" word)*\nword ::= [acé€]{1,3} | [^a-c]+", "root ::= x{2,9}\nx ::= [ab] | [^ab] \"a\"",
      "root ::= \"b\" a \"b\" | a\na ::= .{0,5} | a2\na2 ::= [abc]* \"é\"",
      // Rules that end together, inside of tokens.
      "root ::= \"a\" x \"c\" root?\nx ::= \"b\" y \"a\"?\ny ::= \"c\" (\"a\" z \"b\"?)?\nz ::= \"b\" \"c\"* \"a\"?",
      "root ::= \"a\" root* \"b\"? \"c\"", "root ::= s \"c\"\ns ::= \"a\" s \"b\" | \"a\" s | \"b\"?",
      "root ::= (p | q)+\np ::= \"a\" p? \"b\"?\nq ::= \"a\" q? \"c\" p?",
      "root ::= l1 \"c\"\nl1 ::= l2 \"a\"*\nl2 ::= l3 \"b\"*\nl3 ::= \"a\" (\"b\" l1 \"c\")* \"a\"?"};
  int64_t bits = 0;
  for (const char* gbnf : grammars) {
    const auto rules = parse_gbnf(gbnf, nullptr);
    ASSERT_TRUE(rules) << rules.error().message;
    bits += compare_all(*rules, vocabulary, random, test_count(10), 5, gbnf);
  }
  std::printf("%lld bits\n", static_cast<long long>(bits));
}

// Bytes of a text in a grammar need not be UTF-8; classes after them are.
TEST(Grammar, CharactersAfterBytesOfATextAreTheDefinition) {
  Random random(24);
  std::vector<std::string> texts{"\xc3"};
  for (int i = 0; i < 12; ++i) texts.push_back(std::string("\xc3\xa9") + char('a' + i));
  for (int i = 0; i < 12; ++i) texts.push_back(std::string("\xc3") + char('a' + i));
  GrammarRules rules;
  const int32_t any = rules.repeat(rules.characters({{0, 0xd7ff}, {0xe000, 0x10ffff}}), 0, -1);
  rules.add_rule("root", rules.sequence({rules.text("\xc3"), any}));
  EXPECT_GT(compare_all(rules, TextVocabulary(texts), random, 3, 3, "bytes"), 0);
}

// --- copies, memory, threads ---

// Thousands of alternatives that begin alike, as a list of tools does.
TEST(Grammar, ManyAlternatives) {
  std::string text = "root ::= t0";
  for (int i = 1; i < 1500; ++i) text += "|t" + std::to_string(i);
  for (int i = 0; i < 1500; ++i) text += "\nt" + std::to_string(i) + "::=\"call\" \"" + std::to_string(i) + "\" x";
  const auto grammar = compile(text + "\nx ::= \".\"");
  ASSERT_TRUE(grammar);
  GrammarMatcher matcher(grammar);
  for (const char c : std::string_view("call1207")) {
    EXPECT_TRUE(bit(mask_of(matcher), uint8_t(c)));
    ASSERT_TRUE(matcher.accept(uint8_t(c)));
  }
  EXPECT_EQ(matcher.forced(), ".");
}

TEST(Grammar, CopiesGoOnAlone) {
  const auto grammar = compile(kJson);
  ASSERT_TRUE(grammar);
  GrammarMatcher matcher(grammar);
  for (const char c : std::string_view("[{\"a\":[1,")) ASSERT_TRUE(matcher.accept(uint8_t(c)));
  GrammarMatcher copy = matcher;
  const Mask before = mask_of(matcher);
  for (const char c : std::string_view("2]},3]")) ASSERT_TRUE(copy.accept(uint8_t(c)));
  EXPECT_TRUE(copy.complete());
  EXPECT_EQ(mask_of(matcher), before);
  copy.rewind(6);
  EXPECT_EQ(mask_of(copy), before);
  copy.rewind(1000);
  EXPECT_EQ(copy.accepted(), 0);
  EXPECT_EQ(mask_of(copy), mask_of(GrammarMatcher(grammar)));
}

TEST(Grammar, DepthCostsNoStack) {
  const auto grammar = compile(kJson);
  ASSERT_TRUE(grammar);
  GrammarMatcher matcher(grammar);
  const int depth = test_count(100'000);
  for (int i = 0; i < depth; ++i) ASSERT_TRUE(matcher.accept('['));
  const size_t memory = matcher.memory();
  EXPECT_LT(memory, size_t(depth) * 256);
  for (int i = 0; i < depth; ++i) ASSERT_TRUE(matcher.accept(']'));
  EXPECT_TRUE(matcher.complete());
  matcher.rewind(2 * depth);
  EXPECT_TRUE(matcher.accept('1'));
}

TEST(Grammar, StacksOfRightRecursionAndListsDoNotGrow) {
  const auto grammar = compile("root ::= list\nlist ::= item \",\" list | item\nitem ::= \"a\" | \"[\" list \"]\"");
  ASSERT_TRUE(grammar);
  Pushdown pushdown(grammar->automaton());
  std::vector<Configuration> set = pushdown.start(grammar->automaton().start(0), Pushdown::kBottom), entered;
  for (int i = 0; i < 1000; ++i) {
    for (const char c : std::string_view("a,[a,a],")) {
      pushdown.enter(set, entered);
      pushdown.read_byte(entered, uint8_t(c), set);
      ASSERT_FALSE(set.empty());
      ASSERT_LT(set.size(), 8u);
    }
  }
  EXPECT_LT(pushdown.stacks(), 12u);
}

TEST(Grammar, AmbiguityIsRefusedWhereItGrowsTooLarge) {
  const auto grammar = compile("root ::= \"a\" root \"a\" | \"a\" root \"b\" | \"\"");
  ASSERT_TRUE(grammar);
  GrammarMatcher matcher(grammar);
  int64_t read = 0;
  while (read < 20'000 && matcher.accept('a')) ++read;
  // Either it is read to the end, or it stops, not dead, with what was read before.
  EXPECT_GT(read, 1000);
  EXPECT_FALSE(matcher.dead());
  std::printf("%lld bytes, %zu bytes of memory\n", static_cast<long long>(read), matcher.memory());
}

// One token may be long enough to make a mask too ambiguous: an error, and the matcher goes on.
TEST(Grammar, AmbiguityWithinATokenIsRefused) {
  const TextVocabulary vocabulary({"a", "b", std::string(10'000, 'a')});
  const auto grammar = compile("root ::= \"b\" s\ns ::= \"a\" s \"a\" | \"a\" s \"b\" | \"\"", vocabulary);
  ASSERT_TRUE(grammar);
  GrammarMatcher matcher(grammar);
  Mask mask(1);
  EXPECT_TRUE(matcher.mask(mask));
  EXPECT_EQ(mask[0], 2u);
  ASSERT_TRUE(matcher.accept(1));
  for (int i = 0; i < 2; ++i) {
    const Status status = matcher.mask(mask);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::grammar_limit) << status.error().message;
  }
  EXPECT_FALSE(matcher.accept(2));
  EXPECT_TRUE(matcher.accept(0));
  matcher.rewind(1);
  EXPECT_TRUE(matcher.complete());
}

TEST(GrammarMasks, MemoryIsBounded) {
  Random random(23);
  const TextVocabulary vocabulary = random_vocabulary(random, 3000);
  const auto trie = trie_of(vocabulary);
  const auto rules = parse_gbnf(R"~(root ::= ("<" item{0,60} ">")* [abc]{2,70}
item ::= [^b]{1,9} | "(" item ")")~",
                                nullptr);
  ASSERT_TRUE(rules);
  const auto automaton = GrammarAutomaton::build(*rules, vocabulary.size());
  ASSERT_TRUE(automaton) << automaton.error().message;
  const size_t small = 100'000;
  const GrammarMasks bounded(*automaton, trie, small), free(*automaton, trie);
  size_t most = 0;
  int segments = 0;
  for (int pass = 0; pass < 2; ++pass) {
    for (int32_t state = 0; state < automaton->states(); ++state) {
      uint64_t work = 0;
      const auto a = bounded.segment(nullptr, state, false, work), b = free.segment(nullptr, state, false, work);
      ASSERT_TRUE(a && b);
      Mask mask_a(trie->mask_words()), mask_b(trie->mask_words());
      (*a)->add_to(mask_a);
      (*b)->add_to(mask_b);
      ASSERT_EQ(mask_a, mask_b) << state;
      ASSERT_EQ((*a)->exits != nullptr, (*b)->exits != nullptr);
      ASSERT_TRUE(!(*a)->exits || (*a)->exits->nodes == (*b)->exits->nodes);
      most = std::max(most, bounded.memory());
      ++segments;
    }
  }
  std::printf("%d segments: %zu bytes when all are kept, at most %zu of %zu\n", segments, free.memory(), most, small);
  EXPECT_GT(free.memory(), 3 * small);
  EXPECT_LT(most, 3 * small);  // the limit and the largest walk
}

TEST(Grammar, ThreadsShareAGrammar) {
  const TextVocabulary& vocabulary = byte_vocabulary();
  const auto grammar = compile(kJson);
  ASSERT_TRUE(grammar);
  const std::string text = "{\"key\": [1, -2.5e7, \"text \\u00fc\", {\"a\": null}], \"b\": true}";
  std::vector<Mask> expected;
  {
    GrammarMatcher matcher(compile(kJson, vocabulary));
    for (const char c : text) {
      expected.push_back(mask_of(matcher));
      ASSERT_TRUE(matcher.accept(uint8_t(c)));
    }
  }
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      GrammarMatcher matcher(grammar);
      for (size_t i = 0; i < text.size(); ++i) {
        wrong[t] += mask_of(matcher) != expected[i];
        wrong[t] += !matcher.accept(uint8_t(text[i]));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(GrammarCache, KeepsByUseAndBytes) {
  const TextVocabulary& vocabulary = byte_vocabulary();
  GrammarCache cache(vocabulary, 200'000);
  int compiled = 0;
  const auto get = [&](int n) {
    const std::string text = "root ::= \"a\"{" + std::to_string(n) + "}";
    return cache.get("gbnf\n" + text, [&] {
      ++compiled;
      return parse_gbnf(text, &vocabulary);
    });
  };
  const auto first = get(1);
  ASSERT_TRUE(first);
  EXPECT_EQ(*get(1), *first);
  EXPECT_EQ(compiled, 1);
  for (int n = 2; n < 100; ++n) {
    ASSERT_TRUE(get(n));
    ASSERT_TRUE(get(1));  // used, so it stays
  }
  EXPECT_EQ(*get(1), *first);
  EXPECT_EQ(compiled, 99);
  EXPECT_LT(cache.numbers().count, 90);
  EXPECT_LE(cache.numbers().bytes, 200'000);
  ASSERT_TRUE(get(2));
  EXPECT_EQ(compiled, 100);
  const auto bad = cache.get("bad", [&] { return parse_gbnf("root", &vocabulary); });
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Code::grammar_syntax);
  EXPECT_EQ(cache.numbers().misses, 101);  // the refused one, too
  EXPECT_EQ(cache.numbers().hits, 1 + 98 + 1);
}

}  // namespace
}  // namespace linnet
