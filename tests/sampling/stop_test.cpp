#include "sampling/stop.h"

#include <cstdio>

#include <gtest/gtest.h>

#include "gguf/base/utf8.h"
#include "tests/support.h"

namespace linnet {
namespace {

StopStrings make(std::vector<std::string> strings) {
  Result<StopStrings> stop = StopStrings::create(std::move(strings));
  EXPECT_TRUE(stop) << (stop ? "" : stop.error().message);
  return *std::move(stop);
}

TEST(StopStrings, ChecksItsStrings) {
  for (const std::vector<std::string>& bad :
       {std::vector<std::string>{""}, {"a", ""}, {std::string(1025, 'x')}, std::vector<std::string>(65, "a")}) {
    const Result<StopStrings> stop = StopStrings::create(bad);
    ASSERT_FALSE(stop);
    EXPECT_EQ(stop.error().code, Code::option_range);
  }
  EXPECT_TRUE(StopStrings::create({}));
  EXPECT_TRUE(StopStrings::create(std::vector<std::string>(64, std::string(1024, 'x'))));
}

TEST(StopStrings, HoldsBackOnlyWhatMayBecomeAStop) {
  StopStrings stop = make({"</s>", "User:"});
  EXPECT_EQ(stop.push("Hello <"), "Hello ");
  EXPECT_EQ(stop.push("b> Us"), "<b> ");
  EXPECT_EQ(stop.push("age Use"), "Usage ");
  EXPECT_EQ(stop.push("r: more"), "");
  EXPECT_EQ(stop.matched(), "User:");
  EXPECT_EQ(stop.push("text"), "");
  EXPECT_EQ(stop.flush(), "");
}

TEST(StopStrings, FirstStartThenLongest) {
  StopStrings earlier = make({"bc", "abcd"});
  EXPECT_EQ(earlier.push("xabc"), "x");
  EXPECT_EQ(earlier.push("d"), "");
  EXPECT_EQ(earlier.matched(), "abcd");

  StopStrings fails = make({"bc", "abcd"});
  EXPECT_EQ(fails.push("xabce"), "xa");
  EXPECT_EQ(fails.matched(), "bc");

  StopStrings longest = make({"ab", "abab"});
  EXPECT_EQ(longest.push("xab"), "x");
  EXPECT_EQ(longest.matched(), "");
  EXPECT_EQ(longest.push("ab"), "");
  EXPECT_EQ(longest.matched(), "abab");

  StopStrings ended = make({"ab", "abab"});
  EXPECT_EQ(ended.push("xab"), "x");
  EXPECT_EQ(ended.flush(), "");
  EXPECT_EQ(ended.matched(), "ab");
}

TEST(StopStrings, ShowsOnlyWholeCharacters) {
  StopStrings stop = make({"END"});
  EXPECT_EQ(stop.push("\xe2\x82"), "");
  EXPECT_EQ(stop.push("\xac"), "€");
  EXPECT_EQ(stop.push("a\xf0\x9f\x98"), "a");
  EXPECT_EQ(stop.push("E"), "\xef\xbf\xbd");  // unfinished for good: one replacement
  EXPECT_EQ(stop.push("\xff"), "E\xef\xbf\xbd");
  EXPECT_EQ(stop.push("z\xc3"), "z");
  StopStrings copy = stop;
  EXPECT_EQ(stop.flush(), "\xef\xbf\xbd");
  EXPECT_EQ(copy.push("END"), "\xef\xbf\xbd");
  EXPECT_EQ(copy.matched(), "END");
}

// The whole text so far, looked at anew: what must have been shown by now, and the match if nothing can beat it.
struct Naive {
  std::string shown;
  std::string matched;
};

// What may be shown of a text that goes on, when what begins at `start` is held back.
std::string show(std::string_view text, size_t start) {
  std::string shown;
  for (size_t at = 0; at < start;) {
    const Utf8Char c = utf8_decode(text, at);
    if (at + c.bytes > start || text.size() - at == utf8_unfinished(text)) break;
    utf8_append(shown, c.code_point);
    at += c.bytes;
  }
  return shown;
}

Naive look(const std::vector<std::string>& strings, std::string_view text, bool ended) {
  for (size_t start = 0; start < text.size(); ++start) {
    const std::string_view rest = text.substr(start);
    std::string longest;
    bool open = false;
    for (const std::string& s : strings) {
      if (rest.starts_with(s) && s.size() > longest.size()) longest = s;
    }
    for (const std::string& s : strings) open |= s.size() > rest.size() && s.starts_with(rest);
    if (open && !ended) return {show(text, start), ""};
    if (!longest.empty()) return {utf8_replace_invalid(text.substr(0, start)), longest};
  }
  return {ended ? utf8_replace_invalid(text) : show(text, text.size()), ""};
}

TEST(StopStrings, EqualsASearchOfTheWholeText) {
  // Letters that overlap with themselves, characters of 1 to 4 bytes and their pieces.
  const std::vector<std::vector<std::string>> alphabets = {{"a", "b"},
                                                           {"a"},
                                                           {"a", "b", "c", "ab", "aba"},
                                                           {"é", "€", "😀", "a"},
                                                           {"\xe2", "\x82", "\xac", "\xf0", "\x9f", "x"}};
  Random random(1);
  int64_t pushes = 0, matches = 0;
  const int rounds = test_count(30000);
  for (int round = 0; round < rounds; ++round) {
    const std::vector<std::string>& letters = alphabets[size_t(random.below(int64_t(alphabets.size())))];
    const auto word = [&](int64_t count) {
      std::string s;
      for (int64_t i = 0; i < count; ++i) s += letters[size_t(random.below(int64_t(letters.size())))];
      return s;
    };
    std::vector<std::string> strings;
    const int64_t count = random.below(5);
    for (int64_t i = 0; i < count; ++i) strings.push_back(word(1 + random.below(8)));
    const std::string text = word(random.below(40));
    StopStrings stop = make(strings);
    std::string shown;
    size_t at = 0;
    while (at < text.size()) {
      const size_t bytes = std::min(text.size() - at, size_t(random.below(5)));
      shown += stop.push(std::string_view(text).substr(at, bytes));
      at += bytes;
      const Naive naive = look(strings, std::string_view(text).substr(0, at), false);
      ASSERT_EQ(shown, naive.shown) << "round " << round;
      ASSERT_EQ(stop.matched(), naive.matched) << "round " << round;
      ++pushes;
    }
    shown += stop.flush();
    const Naive naive = look(strings, text, true);
    ASSERT_EQ(shown, naive.shown) << "round " << round;
    ASSERT_EQ(stop.matched(), naive.matched) << "round " << round;
    matches += !stop.matched().empty();
  }
  std::printf("%ld pushes compared, %ld of %d texts stopped\n", long(pushes), long(matches), rounds);
}

// A search that begins anew at every byte would compare 4 * 10^9 bytes here.
TEST(StopStrings, LongRepetitionsStayLinear) {
  const std::string almost(1023, 'a');
  StopStrings stop = make({almost + "b", std::string(700, 'a') + "c"});
  const int64_t bytes = test_count(4000000);
  int64_t shown = 0;
  for (int64_t i = 0; i < bytes; i += 1 + i % 3)
    shown += int64_t(stop.push(std::string(size_t(1 + i % 3), 'a')).size());
  shown += int64_t(stop.push(almost).size());
  EXPECT_EQ(stop.push("b"), "");
  EXPECT_EQ(stop.matched(), almost + "b");
  EXPECT_GE(shown, bytes);
}

}  // namespace
}  // namespace linnet
