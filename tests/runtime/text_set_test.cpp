#include "runtime/text_set.h"

#include <gtest/gtest.h>

#include "gguf/base/utf8.h"
#include "tests/support.h"

namespace linnet {
namespace {

// The definition: at each start in turn, the longest text of the set that stands there.
TextSet::Match found_slowly(const std::vector<std::string>& texts, std::string_view text, size_t from) {
  for (size_t start = from; start < text.size(); ++start) {
    TextSet::Match best;
    for (size_t id = 0; id < texts.size(); ++id) {
      if (texts[id].size() > best.bytes && text.substr(start).starts_with(texts[id])) {
        best = {start, texts[id].size(), int32_t(id)};
      }
    }
    if (best.id >= 0) return best;
  }
  return {text.size(), 0, -1};
}

TEST(TextSet, AgreesWithTheDefinition) {
  Random random(11);
  const auto word = [&](int64_t longest) {
    std::string out;
    for (int64_t n = 1 + random.below(longest); n > 0; --n) out += "abé"[random.below(4)];
    return out;
  };
  int matches = 0;
  for (int round = 0; round < test_count(200); ++round) {
    std::vector<std::string> texts;  // equal texts may occur: the first counts
    for (int64_t n = 1 + random.below(12); n > 0; --n) texts.push_back(word(5));
    std::vector<TextSet::Entry> entries;
    for (const std::string& text : texts) entries.push_back({text, int32_t(entries.size())});
    const TextSet matcher(entries);
    for (int i = 0; i < 50; ++i) {
      const std::string text = word(20);
      const bool unfinished = std::any_of(texts.begin(), texts.end(), [&](const std::string& t) {
        for (size_t n = 1; n < t.size(); ++n) {
          if (text.ends_with(std::string_view(t).substr(0, n))) return true;
        }
        return false;
      });
      ASSERT_EQ(matcher.ends_unfinished(text), unfinished) << quoted(text);
      for (size_t from = 0; from <= text.size(); ++from) {
        const auto fast = matcher.find(text, from), slow = found_slowly(texts, text, from);
        ASSERT_EQ(fast.id, slow.id) << quoted(text);
        ASSERT_EQ(fast.start, slow.start) << quoted(text);
        ASSERT_EQ(fast.bytes, slow.bytes) << quoted(text);
        matches += fast.id >= 0;
      }
    }
  }
  printf("%d matches\n", matches);
}

TEST(TextSet, EmptySetMatchesNothing) {
  const TextSet none;
  EXPECT_EQ(none.find("abc", 0).id, -1);
  EXPECT_EQ(none.find("abc", 0).start, 3u);
  EXPECT_EQ(none.find("", 0).start, 0u);
  EXPECT_FALSE(none.ends_unfinished("abc"));
}

}  // namespace
}  // namespace linnet
