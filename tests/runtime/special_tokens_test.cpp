#include "runtime/special_tokens.h"

#include <gtest/gtest.h>

#include "gguf/base/utf8.h"
#include "tests/runtime/sample_vocabulary.h"
#include "tests/support.h"

namespace linnet {
namespace {

// The definition: at each start in turn, the longest text of the set that stands there.
SpecialMatcher::Match found_slowly(const std::vector<std::string>& texts, std::string_view text, size_t from) {
  for (size_t start = from; start < text.size(); ++start) {
    SpecialMatcher::Match best;
    for (size_t id = 0; id < texts.size(); ++id) {
      if (texts[id].size() > best.bytes && text.substr(start).starts_with(texts[id])) {
        best = {start, texts[id].size(), int32_t(id)};
      }
    }
    if (best.id >= 0) return best;
  }
  return {text.size(), 0, -1};
}

TEST(SpecialMatcher, AgreesWithTheDefinition) {
  Random random(11);
  const auto word = [&](int64_t longest) {
    std::string out;
    for (int64_t n = 1 + random.below(longest); n > 0; --n) out += "abé"[random.below(4)];
    return out;
  };
  int matches = 0;
  for (int round = 0; round < test_count(200); ++round) {
    VocabularyFile file;
    file.set("tokenizer.ggml.model", "llama");
    for (int64_t n = 1 + random.below(12); n > 0; --n) {
      std::string text = word(5);
      file.add(utf8_valid(text) ? text : "a");  // equal texts may occur: the first counts
    }
    file.finish();
    const std::string bytes = file.bytes();
    auto gguf = Gguf::parse(as_bytes(bytes));
    ASSERT_TRUE(gguf) << gguf.error().message;
    auto vocabulary = Vocabulary::load(*gguf);
    ASSERT_TRUE(vocabulary) << vocabulary.error().message;
    std::vector<int32_t> ids;
    for (int32_t id = 0; id < vocabulary->size(); ++id) ids.push_back(id);
    const SpecialMatcher matcher(*vocabulary, ids);
    for (int i = 0; i < 50; ++i) {
      const std::string text = word(20);
      for (size_t from = 0; from <= text.size(); ++from) {
        const auto fast = matcher.find(text, from), slow = found_slowly(file.tokens, text, from);
        ASSERT_EQ(fast.id, slow.id) << quoted(text);
        ASSERT_EQ(fast.start, slow.start) << quoted(text);
        ASSERT_EQ(fast.bytes, slow.bytes) << quoted(text);
        matches += fast.id >= 0;
      }
    }
  }
  printf("%d matches\n", matches);
}

TEST(SpecialMatcher, EmptySetMatchesNothing) {
  const SpecialMatcher none;
  EXPECT_EQ(none.find("abc", 0).id, -1);
  EXPECT_EQ(none.find("abc", 0).start, 3u);
  EXPECT_EQ(none.find("", 0).start, 0u);
}

}  // namespace
}  // namespace linnet
