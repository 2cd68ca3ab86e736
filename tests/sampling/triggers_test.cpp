#include "sampling/triggers.h"

#include <algorithm>
#include <cstdio>

#include <gtest/gtest.h>

#include "tests/sampling/trigger_definition.h"
#include "tests/support.h"

namespace linnet {
namespace {

using Type = Trigger::Type;

TriggerMatcher make(std::vector<Trigger> triggers) {
  Result<TriggerMatcher> matcher = TriggerMatcher::create(std::move(triggers), 1000, "triggers");
  EXPECT_TRUE(matcher) << (matcher ? "" : matcher.error().message);
  return *std::move(matcher);
}

// What fires, with the text pushed in pieces of so many bytes.
std::optional<TriggerMatch> run(TriggerMatcher matcher, std::string_view text, size_t bytes) {
  for (size_t at = 0; at < text.size(); at += bytes) {
    if (auto match = matcher.push(text.substr(at, bytes))) return match;
  }
  return std::nullopt;
}

TEST(Triggers, Names) {
  EXPECT_EQ(trigger_type("token"), Type::token);
  EXPECT_EQ(trigger_type("WORD"), Type::word);
  EXPECT_EQ(trigger_type("COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN"), Type::pattern);
  EXPECT_EQ(trigger_type("COMMON_GRAMMAR_TRIGGER_TYPE_PATTERN_FULL"), Type::pattern_full);
  for (const char* name : {"", "tokens", "Word", "COMMON_GRAMMAR_TRIGGER_TYPE_"}) EXPECT_FALSE(trigger_type(name));
}

struct Case {
  Type type;
  const char* value;
  const char* text;
  int begin;  // -1: does not fire
  int end;
};

TEST(Triggers, FireWhereTheyAreDefinedTo) {
  const std::vector<Case> cases = {
      {Type::word, "<tool>", "see <tool>{", 4, 10},
      {Type::word, "<tool>", "see <tool {", -1, 0},
      {Type::word, "a.c", "abc a.c", 4, 7},
      {Type::pattern, "\\[END\\]", "so [END] then", 3, 8},
      {Type::pattern, "\\[END\\]", "so [END then", -1, 0},
      {Type::pattern, "a+b", "xaaab", 1, 5},
      {Type::pattern, "say (<t>)x", "say <t>x", 4, 8},
      {Type::pattern, "(no)|a(yes)", "ayes", 1, 4},  // the first group that took part
      {Type::pattern, "b|abc", "abc", 1, 2},         // what is complete first, fires
      {Type::pattern, "\\b(done|finished|complete)\\b", "completely", -1, 0},
      {Type::pattern, "\\b(done|finished|complete)\\b", "all done.", 4, 8},
      {Type::pattern, "\\b(done|finished|complete)\\b", "done", -1, 0},  // more letters may follow
      {Type::pattern, "don\\B", "done", 0, 3},
      {Type::pattern, "^x", "ax", -1, 0},
      {Type::pattern, "^x", "xa", 0, 1},
      {Type::pattern, "x$", "axx", -1, 0},
      {Type::pattern, "(?m)x$", "ax\n", 1, 2},
      {Type::pattern, "(?m)^x", "a\nx", 2, 3},
      {Type::pattern, "\\$5", "is $5", 3, 5},
      {Type::pattern, "(?i)stop", "do StoP", 3, 7},
      {Type::pattern, "ä.ö", "xäüö", 1, 7},
      {Type::pattern_full, "\\[END\\]", "[END]", 0, 5},
      {Type::pattern_full, "\\[END\\]", "so [END]", -1, 0},
      {Type::pattern_full, "\\[END\\]", "[END] so", 0, 5},
      {Type::pattern_full, "^x+y$", "xxyz", 0, 3},
      {Type::pattern_full, "x+\\b", "x", 0, 1},
      {Type::pattern_full, "[\\s\\S]*?(<tool>)[\\s\\S]*", "think\n<tool>{}", 6, 12},
  };
  for (const Case& c : cases) {
    for (size_t bytes = 1; bytes <= 16; ++bytes) {
      const auto match = run(make({{.type = c.type, .value = c.value}}), c.text, bytes);
      ASSERT_EQ(match.has_value(), c.begin >= 0) << c.value << " in " << c.text << " by " << bytes;
      if (!match) continue;
      EXPECT_EQ(int(match->begin), c.begin) << c.value << " in " << c.text;
      EXPECT_EQ(int(match->end), c.end) << c.value << " in " << c.text;
      EXPECT_EQ(match->text, std::string_view(c.text).substr(match->start, match->end - match->start));
    }
  }
}

TEST(Triggers, TokensFireOnTheirId) {
  TriggerMatcher matcher = make({{.type = Type::word, .value = "x"}, {.type = Type::token, .token = 7}});
  EXPECT_FALSE(matcher.push("abc"));
  EXPECT_FALSE(matcher.on_token(8));
  const auto match = matcher.on_token(7);
  ASSERT_TRUE(match);
  EXPECT_EQ(match->trigger, 1u);
  EXPECT_EQ(match->begin, 3u);
}

TEST(Triggers, PassedTextCannotBegin) {
  TriggerMatcher matcher = make({{.type = Type::word, .value = "ab"}, {.type = Type::pattern, .value = "\\bcd"}});
  matcher.pass("ab cd a");
  EXPECT_FALSE(matcher.push("b"));   // begins in what passed
  EXPECT_FALSE(matcher.push("cd"));  // "abcd" is one word
  const auto match = matcher.push(" cd");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->begin, 11u);
}

TEST(Triggers, RefuseWhatTheyCannotRun) {
  struct Bad {
    Trigger trigger;
    Code code;
    const char* says;
  };
  const std::vector<Bad> table = {
      {{.type = Type::token, .token = -1}, Code::token_range, "token -1"},
      {{.type = Type::token, .token = 1000}, Code::token_range, "0 to 999"},
      {{.type = Type::word, .value = ""}, Code::option_range, "0 bytes"},
      {{.type = Type::word, .value = std::string(1025, 'x')}, Code::option_range, "1025 bytes"},
      {{.type = Type::pattern, .value = ""}, Code::regex, "0 bytes"},
      {{.type = Type::pattern, .value = std::string(1025, 'x')}, Code::regex, "1 to 1024"},
      {{.type = Type::pattern, .value = "ab(c"}, Code::regex, "missing )"},
      {{.type = Type::pattern, .value = "ab**"}, Code::regex, "at byte 2"},
      {{.type = Type::pattern, .value = "a(?=b)"}, Code::regex, "no look-around"},
      {{.type = Type::pattern, .value = "(a)\\1"}, Code::regex, "no back-references"},
      {{.type = Type::pattern_full, .value = "\xff"}, Code::regex, "UTF-8"},
      {{.type = Type::pattern, .value = "a*"}, Code::regex, "empty text"},
      {{.type = Type::pattern_full, .value = "(x|)"}, Code::regex, "empty text"},
      // Bombs.
      {{.type = Type::pattern, .value = "(a{1000}){1000}"}, Code::regex, "repetition"},
      {{.type = Type::pattern, .value = "a{1001}"}, Code::regex, "repetition"},
      {{.type = Type::pattern, .value = "((((a{30}){30}){30}){30})b"}, Code::regex, "triggers[0]"},
      {{.type = Type::pattern, .value = "(\\pL{1,30}){30}"}, Code::regex, "triggers[0]"},
      {{.type = Type::pattern, .value = "\\pL{20}"}, Code::regex, "at most 2048"},
      {{.type = Type::pattern, .value = "(.{50}){50}x"}, Code::regex, "triggers[0]"},
      {{.type = Type::pattern, .value = std::string(1020, '(')}, Code::regex, "missing )"},
  };
  for (const Bad& bad : table) {
    const auto made = TriggerMatcher::create({bad.trigger}, 1000, "triggers");
    ASSERT_FALSE(made) << bad.trigger.value;
    EXPECT_EQ(made.error().code, bad.code) << made.error().message;
    EXPECT_NE(made.error().message.find(bad.says), std::string::npos) << made.error().message;
    EXPECT_NE(made.error().message.find("triggers[0]"), std::string::npos) << made.error().message;
  }
  EXPECT_FALSE(TriggerMatcher::create(std::vector<Trigger>(65, {.value = "x"}), 1000, "triggers"));
  EXPECT_TRUE(TriggerMatcher::create(std::vector<Trigger>(64, {.value = "x"}), 1000, "triggers"));
  const Trigger pattern{.type = Type::pattern, .value = "x"};
  EXPECT_FALSE(TriggerMatcher::create(std::vector<Trigger>(17, pattern), 1000, "triggers"));
  EXPECT_TRUE(TriggerMatcher::create(std::vector<Trigger>(16, pattern), 1000, "triggers"));
}

TEST(Triggers, EqualTheDefinitionHoweverTheTextIsCut) {
  const std::vector<std::string> cores = {"a",       "ab",       "[ab]+c", "b|abc", "c?b?a{2,3}", "(?:ab)+c",
                                          "a[^b]*b", "\\s[a-c]", "bc*a",   "b| a",  "[a-c]{4}",   "c[ab ]{3,9}c"};
  Random random(3);
  const int rounds = test_count(1500);
  int fired = 0;
  for (int round = 0; round < rounds; ++round) {
    std::vector<SlowTrigger> slow;
    std::vector<Trigger> triggers;
    const int64_t count = 1 + random.below(3);
    for (int64_t i = 0; i < count; ++i) {
      SlowTrigger t{.type = Type(1 + random.below(3))};
      if (t.type == Type::word) {
        for (int64_t n = 2 + random.below(3); n > 0; --n) t.core += "abc "[random.below(4)];
      } else {
        t.core = cores[size_t(random.below(int64_t(cores.size())))];
        t.begins_word = random.below(3) == 0;
        t.ends_word = t.type == Type::pattern && random.below(2) == 0;
      }
      triggers.push_back(t.trigger());
      slow.push_back(std::move(t));
    }
    std::string text;
    for (int64_t n = random.below(30); n > 0; --n) text += "aabbc \n"[random.below(7)];
    const auto expected = slow_match(slow, text);
    fired += expected.has_value();
    for (const size_t bytes : {size_t(1), size_t(2), size_t(1 + random.below(7)), size_t(64)}) {
      const auto match = run(make(triggers), text, bytes);
      ASSERT_EQ(match.has_value(), expected.has_value()) << triggers[0].value << " in " << text << " by " << bytes;
      if (!match) continue;
      ASSERT_EQ((SlowMatch{match->trigger, match->start, match->end, match->known}), *expected)
          << triggers[match->trigger].value << " in '" << text << "' by " << bytes << ": " << match->start << " "
          << match->end;
    }
  }
  std::printf("%d of %d texts fired\n", fired, rounds);
  EXPECT_GT(fired, rounds / 4);
}

// Going back and on again is the same as never having been there.
TEST(Triggers, RewindForgets) {
  Random random(5);
  const std::vector<Trigger> triggers = {{.type = Type::pattern, .value = "\\bab+c\\b"},
                                         {.type = Type::word, .value = "cac"},
                                         {.type = Type::pattern_full, .value = "[ab ]{6}c.*"}};
  for (int round = 0; round < test_count(2000); ++round) {
    TriggerMatcher straight = make(triggers), winding = make(triggers);
    for (int step = 0; step < 30; ++step) {
      const auto piece = [&] {
        std::string s;
        for (int64_t n = random.below(4); n > 0; --n) s += "aabc "[random.below(5)];
        return s;
      };
      const uint64_t length = winding.length(), from = winding.from();
      for (int64_t n = random.below(3); n > 0; --n) {
        if (winding.push(piece())) break;
      }
      winding.rewind(length, from);
      const std::string kept = piece();
      const auto a = straight.push(kept), b = winding.push(kept);
      ASSERT_EQ(a.has_value(), b.has_value());
      if (!a) continue;
      ASSERT_EQ(a->start, b->start);
      ASSERT_EQ(a->trigger, b->trigger);
      break;
    }
  }
}

TEST(Triggers, LongTextsCostLinearWork) {
  // Patterns that nearly match everywhere, over 1 MiB in pieces of 4 bytes.
  TriggerMatcher matcher = make({{.type = Type::pattern, .value = "(a|b)*c"},
                                 {.type = Type::pattern, .value = "\\b(a+)+$"},
                                 {.type = Type::word, .value = std::string(1000, 'a') + "b"}});
  const int64_t pieces = test_count(20000);
  for (int64_t i = 0; i < pieces; ++i) ASSERT_FALSE(matcher.push("aaaa"));
  const double per_piece = double(matcher.scanned()) / double(pieces);
  std::printf("%.0f bytes scanned per piece of 4\n", per_piece);
  EXPECT_LE(per_piece, 2 * (TriggerMatcher::kWindow + 4) + 1004);
  EXPECT_TRUE(matcher.push("c"));

  // Matches are at most 4 KiB long.
  TriggerMatcher window = make({{.type = Type::pattern, .value = "ba*c"}});
  EXPECT_FALSE(window.push("b" + std::string(TriggerMatcher::kWindow - 1, 'a') + "c"));
  TriggerMatcher inside = make({{.type = Type::pattern, .value = "ba*c"}});
  EXPECT_TRUE(inside.push("b" + std::string(TriggerMatcher::kWindow - 2, 'a') + "c"));
}

TEST(Triggers, LargePatternsLookAtLess) {
  const auto searched = [](const char* value) { return Trigger{.type = Type::pattern, .value = value}; };
  const auto full = [](const char* value) { return Trigger{.type = Type::pattern_full, .value = value}; };
  EXPECT_EQ(make({searched("a{900}b")}).window(), TriggerMatcher::kWindow);
  const TriggerMatcher large = make({searched("a{1000}b"), searched("[ab]{900}c"), full("x{900}")});
  EXPECT_LT(large.window(), TriggerMatcher::kWindow);
  EXPECT_GE(large.window(), 1024u);
  EXPECT_LT(large.full_text(), 5000u);
  EXPECT_TRUE(run(large, std::string(1000, 'a') + "b", 5));
  EXPECT_FALSE(TriggerMatcher::create(std::vector<Trigger>(5, searched("a{1000}")), 1000, "triggers"));
  EXPECT_EQ(make({full("[\\s\\S]*?(<tool>)[\\s\\S]*")}).full_text(), TriggerMatcher::kFullText);
  EXPECT_TRUE(make({searched("\\pL+!")}).push("änd!"));
}

TEST(Triggers, FullPatternsEndWithTheTextTheyCanSee) {
  const Trigger any{.type = Type::pattern_full, .value = "[^x]*x"};
  for (const size_t bytes : {size_t(3), size_t(1000)}) {
    TriggerMatcher last = make({any});
    const std::string before(TriggerMatcher::kFullText - 1, 'a');
    for (size_t at = 0; at < before.size(); at += bytes) ASSERT_FALSE(last.push(before.substr(at, bytes)));
    TriggerMatcher beyond = last;
    const auto match = last.push("x");
    ASSERT_TRUE(match);
    EXPECT_EQ(match->end, TriggerMatcher::kFullText);
    EXPECT_FALSE(beyond.push("ax"));
    EXPECT_TRUE(beyond.full_patterns_over());
    const uint64_t scanned = beyond.scanned();
    for (int i = 0; i < 100000; ++i) ASSERT_FALSE(beyond.push("bx"));
    EXPECT_EQ(beyond.scanned(), scanned);
  }
}

}  // namespace
}  // namespace linnet
