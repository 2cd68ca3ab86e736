#include "sampling/regex_grammar.h"

#include <cstdio>

#include <gtest/gtest.h>
#include <re2/re2.h>

#include "gguf/base/utf8.h"
#include "tests/sampling/slow_grammar.h"
#include "tests/support.h"

namespace linnet {
namespace {

GrammarRules rules_of(std::string_view pattern) {
  Result<GrammarRules> rules = regex_rules(pattern);
  EXPECT_TRUE(rules) << pattern << ": " << (rules ? "" : rules.error().message);
  if (!rules) return {};
  EXPECT_EQ(malformed(*rules), "") << pattern;
  return *std::move(rules);
}

TEST(RegexGrammar, AcceptsWhatThePatternMatches) {
  struct Case {
    const char* pattern;
    std::vector<std::string> yes, no;
  };
  const std::vector<Case> cases = {
      {"abc", {"abc"}, {"", "ab", "abcd", "xabc"}},
      {"^abc$", {"abc"}, {"ab", "abcd"}},
      {"^a|b$", {"a", "b"}, {"ab", ""}},
      {"", {""}, {"a"}},
      {"a*", {"", "a", "aaaa"}, {"b", "ab"}},
      {"a+?b", {"ab", "aab"}, {"b", "a"}},
      {"a?", {"", "a"}, {"aa"}},
      {"a{2}", {"aa"}, {"a", "aaa"}},
      {"a{2,}", {"aa", "aaaaa"}, {"a"}},
      {"a{0,2}", {"", "a", "aa"}, {"aaa"}},
      {"(ab|c)+", {"ab", "cab", "cc"}, {"", "a"}},
      {"(?:ab|c)d", {"abd", "cd"}, {"ab"}},
      {"(?<year>\\d{4})", {"2024"}, {"202"}},
      {"(?P<year>\\d{4})", {"2024"}, {"202"}},
      {"[a-c]", {"a", "b", "c"}, {"d", "-"}},
      {"[^a-c]", {"d", "é", "\n"}, {"a", ""}},
      {"[a\\-c]", {"a", "-", "c"}, {"b"}},
      {"[-a]", {"a", "-"}, {"b"}},
      {"[a-]", {"a", "-"}, {"b"}},
      {"[\\]\\\\]", {"]", "\\"}, {"["}},
      {"[\\d_]", {"1", "_"}, {"a"}},
      {"[^\\W_]", {"1", "a"}, {"_", "-"}},
      {"[\\b]", {"\b"}, {"b"}},
      {"\\d\\D\\w\\W\\s\\S", {"1a_- x"}, {"aa_- x"}},
      {".", {"a", "é", "😀", "\t"}, {"\n", "\r", "\xe2\x80\xa8", ""}},
      {"\\.", {"."}, {"a"}},
      {"\\n\\t\\r\\f\\v\\0", {std::string("\n\t\r\f\v\0", 6)}, {"n"}},
      {"\\x41\\u00e9\\u{1F600}", {"Aé😀"}, {"A"}},
      {"\\uD83D\\uDE00", {"😀"}, {"a"}},
      {"é+", {"é", "éé"}, {"e"}},
      {"[à-ü]", {"é"}, {"e"}},
      {"(a*)*", {"", "a", "aaa"}, {"b"}},
      {"(a*b*)*c", {"c", "abbac"}, {"ab"}},
      {"(a|)(b|)", {"", "a", "b", "ab"}, {"ba"}},
      {"a|", {"", "a"}, {"b"}},
      {"}]", {"}]"}, {"}"}},
      {"\\^\\$\\{\\}\\(\\)\\|\\*\\+\\?\\/", {"^${}()|*+?/"}, {""}},
  };
  for (const Case& c : cases) {
    const GrammarRules rules = rules_of(c.pattern);
    for (const std::string& text : c.yes) EXPECT_TRUE(slow_accepts(rules, text)) << c.pattern << " " << quoted(text);
    for (const std::string& text : c.no) EXPECT_FALSE(slow_accepts(rules, text)) << c.pattern << " " << quoted(text);
  }
}

TEST(RegexGrammar, RefusesByPosition) {
  struct Case {
    const char* pattern;
    const char* says;
  };
  const Case cases[] = {
      {"a(?=b)", "at byte 1: look-around"},
      {"a(?!b)", "at byte 1: look-around"},
      {"(?<=a)b", "at byte 0: look-around"},
      {"(?<!a)b", "at byte 0: look-around"},
      {"(a)\\1", "at byte 3: back references"},
      {"(?<x>a)\\k<x>", "at byte 7: back references"},
      {"(?i)a", "at byte 0: of groups only"},
      {"(?<>a)", "at byte 3: expected a group's name"},
      {"a\\b", "at byte 1: word boundaries"},
      {"\\Ba", "at byte 0: word boundaries"},
      {"\\p{L}", "at byte 0: Unicode properties"},
      {"\\q", "at byte 0: this escape is not known"},
      {"\\cA", "at byte 0: this escape is not known"},
      {"\\01", "at byte 0: octal"},
      {"a\\", "at byte 1: nothing follows the backslash"},
      {"\\x4", "at byte 3: expected 2 hexadecimal digits"},
      {"\\u00g0", "at byte 4: expected 4 hexadecimal digits"},
      {"\\u{110000}", "at byte 2: this is no character"},
      {"\\u{}", "at byte 2: expected hexadecimal digits"},
      {"\\uD83D", "at byte 2: half of a surrogate pair"},
      {"*a", "at byte 0: nothing that"},
      {"a|+", "at byte 2: nothing that"},
      {"a**", "at byte 2: nothing that"},
      {"a{2}{3}", "at byte 4: nothing that"},
      {"{2}", "at byte 0: nothing that"},
      {"a{", "at byte 1: expected a number"},
      {"a{,3}", "at byte 1: expected a number"},
      {"a{2", "at byte 3: expected \"}\""},
      {"a{3,2}", "at byte 1: the second number"},
      {"(a", "at byte 0: this group is never closed"},
      {"a)", "at byte 1: no group is open"},
      {"[a", "at byte 0: this class is never closed"},
      {"[]", "at byte 0: an empty class"},
      {"[^]", "at byte 0: an empty class"},
      {"[b-a]", "at byte 2: this range ends before it begins"},
      {"[\\d-z]", "at byte 3: a range needs one character"},
      {"[[:alpha:]]", "at byte 1: named classes"},
      {"[^\\d\\D]", "at byte 0: this class has no character"},
      {"a^b", "at byte 1: \"^\" is supported at the beginning"},
      {"(^a)", "at byte 1: \"^\" is supported at the beginning"},
      {"a$b", "at byte 1: \"$\" is supported at the end"},
      {"(a$)", "at byte 2: \"$\" is supported at the end"},
      {"\xff", "at byte 0: it is not valid UTF-8"},
  };
  for (const Case& c : cases) {
    const Result<GrammarRules> rules = regex_rules(c.pattern);
    ASSERT_FALSE(rules) << c.pattern;
    EXPECT_EQ(rules.error().code, Code::regex) << c.pattern;
    EXPECT_NE(rules.error().message.find(c.says), std::string::npos) << c.pattern << ": " << rules.error().message;
  }
  std::printf("%zu refusals\n", std::size(cases));
}

TEST(RegexGrammar, Limits) {
  const auto limit = [](const std::string& pattern) {
    const Result<GrammarRules> rules = regex_rules(pattern);
    ASSERT_FALSE(rules) << pattern.substr(0, 40);
    EXPECT_EQ(rules.error().code, Code::grammar_limit) << rules.error().message;
  };
  limit(std::string(5000, 'a'));
  limit("a{1001}");
  limit("a{99999999999999999999}");
  limit("(a{1000}){1000}");
  limit("((((a{100}){100}){100}){100}){100}");
  limit(std::string(101, '(') + "a" + std::string(101, ')'));
  // Too many states for an automaton, but the pattern as it is written will do.
  const GrammarRules rules = rules_of("(a|b)*a(a|b){40}");
  EXPECT_LT(rules.nodes.size(), 100u);
  EXPECT_TRUE(slow_accepts(rules, "a" + std::string(40, 'b')));
  EXPECT_FALSE(slow_accepts(rules, std::string(41, 'b')));
  rules_of(std::string(100, '(') + "a" + std::string(100, ')'));
  rules_of("a{1000}");
}

// A random pattern in our dialect and in RE2's, which differ in "." and "\s" alone.
struct Pattern {
  std::string ours, theirs;
};

class PatternMaker {
 public:
  explicit PatternMaker(Random& random) : random_(random) {}

  Pattern make(int depth) {
    Pattern all;
    const int64_t branches = random_.below(4) == 0 ? 2 : 1;
    for (int64_t b = 0; b < branches; ++b) {
      if (b > 0) add(all, {"|", "|"});
      const int64_t atoms = random_.below(5);
      for (int64_t i = 0; i < atoms; ++i) {
        add(all, atom(depth));
        const char* const quantifiers[] = {"*", "+", "?", "{2}", "{1,3}", "{2,}", "*?", "+?", "??", "{0,1}?", "{0}"};
        if (random_.below(3) == 0) {
          const std::string q = quantifiers[random_.below(std::size(quantifiers))];
          add(all, {q, q});
        }
      }
    }
    return all;
  }

 private:
  static void add(Pattern& to, const Pattern& p) {
    to.ours += p.ours;
    to.theirs += p.theirs;
  }
  Pattern atom(int depth) {
    static const Pattern kAtoms[] = {
        {"a", "a"},
        {"b", "b"},
        {"c", "c"},
        {"0", "0"},
        {"é", "é"},
        {"😀", "😀"},
        {"\\.", "\\."},
        {"\\d", "\\d"},
        {"\\w", "\\w"},
        {"\\D", "\\D"},
        {"\\W", "\\W"},
        {".", "[^\\n\\r\\x{2028}\\x{2029}]"},
        {"[ab]", "[ab]"},
        {"[^ab]", "[^ab]"},
        {"[a-z0-9]", "[a-z0-9]"},
        {"[^\\d]", "[^\\d]"},
        {"[à-ü]", "[à-ü]"},
        {"\\n", "\\n"},
        {"\\x41", "\\x41"},
        {"\\u00e9", "\\x{e9}"},
        {"\\s", "[\\t-\\r \\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}]"},
    };
    if (depth > 0 && random_.below(4) == 0) {
      const Pattern inner = make(depth - 1);
      const std::string open = random_.below(2) == 0 ? "(" : "(?:";
      return {open + inner.ours + ")", open + inner.theirs + ")"};
    }
    return kAtoms[random_.below(std::size(kAtoms))];
  }

  Random& random_;
};

TEST(RegexGrammar, EqualsRe2OnRandomPatterns) {
  Random random(7);
  const int rounds = test_count(4000);
  int generated = 0, tried = 0, matched = 0;
  RE2::Options options;
  options.set_log_errors(false);
  for (int round = 0; round < rounds; ++round) {
    const Pattern pattern = PatternMaker(random).make(3);
    const RE2 re2(pattern.theirs, options);
    ASSERT_TRUE(re2.ok()) << pattern.theirs << ": " << re2.error();
    const Result<GrammarRules> rules = regex_rules(pattern.ours);
    ASSERT_TRUE(rules) << pattern.ours << ": " << rules.error().message;
    ASSERT_EQ(malformed(*rules), "") << pattern.ours;
    std::vector<std::string> texts;
    for (int i = 0; i < 3; ++i) {
      const std::string text = random_text(*rules, random, 30);
      ASSERT_TRUE(RE2::FullMatch(text, re2)) << pattern.ours << " made " << quoted(text);
      ++generated;
      texts.push_back(text);
    }
    const std::string pieces[] = {"a", "b", "c", "0", "é", "😀", ".", "\n", "A", " ", "-"};
    for (int i = 0; i < 6; ++i) {
      std::string text;
      if (i < 3) {
        // A text that matches, with one place changed.
        text = texts[size_t(i)];
        size_t at = text.empty() ? 0 : size_t(random.below(int64_t(text.size())));
        while (at > 0 && (uint8_t(text[at]) & 0xc0) == 0x80) --at;
        const size_t bytes = at < text.size() && random.below(2) == 0 ? utf8_decode(text, at).bytes : 0;
        text.replace(at, bytes, random.below(2) == 0 ? "" : pieces[random.below(std::size(pieces))]);
      } else {
        const int64_t length = random.below(6);
        for (int64_t k = 0; k < length; ++k) text += pieces[random.below(std::size(pieces))];
      }
      const bool expected = RE2::FullMatch(text, re2);
      ASSERT_EQ(slow_accepts(*rules, text), expected) << pattern.ours << " on " << quoted(text);
      ++tried;
      matched += expected;
    }
  }
  EXPECT_GT(matched, tried / 20);
  EXPECT_GT(tried - matched, tried / 20);
  std::printf("%d patterns: %d texts made, %d more tried, %d of them match\n", rounds, generated, tried, matched);
}

TEST(ChoiceGrammar, IsTheList) {
  const std::vector<std::string> texts = {"yes", "no", "maybe", "yes!", "é"};
  const Result<GrammarRules> rules = choice_rules(texts);
  ASSERT_TRUE(rules);
  EXPECT_EQ(malformed(*rules), "");
  for (const std::string& text : texts) EXPECT_TRUE(slow_accepts(*rules, text)) << text;
  for (const char* text : {"", "y", "yesno", "e"}) EXPECT_FALSE(slow_accepts(*rules, text)) << text;
}

TEST(ChoiceGrammar, ChecksItsTexts) {
  const auto code = [](const std::vector<std::string>& texts) {
    const Result<GrammarRules> rules = choice_rules(texts);
    return rules ? Code::ok : rules.error().code;
  };
  EXPECT_EQ(code({"a"}), Code::ok);
  EXPECT_EQ(code({}), Code::invalid_argument);
  EXPECT_EQ(code({"a", ""}), Code::invalid_argument);
  EXPECT_EQ(code({"a", "b", "a"}), Code::invalid_argument);
  EXPECT_EQ(code({"\xff"}), Code::invalid_argument);
  EXPECT_EQ(code({std::string(kMaxChoiceBytes + 1, 'a')}), Code::grammar_limit);
  std::vector<std::string> many;
  for (size_t i = 0; i <= kMaxChoices; ++i) many.push_back(std::to_string(i));
  EXPECT_EQ(code(many), Code::grammar_limit);
}

}  // namespace
}  // namespace linnet
