#include "runtime/wordpiece.h"

#include <gtest/gtest.h>

#include "gguf/base/utf8.h"
#include "tests/runtime/loaded_tokenizer.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::string words(const Tokenizer& t, std::string_view text, EncodeOptions options = {}) {
  return pieces(t, encode(t, text, options));
}

TEST(WordPiece, LongestFromTheLeft) {
  const Loaded t(sample_wordpiece());
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_EQ(words(*t, "unaffable"), "▁un aff able");
  EXPECT_EQ(words(*t, "affable"), "▁aff able");
  EXPECT_EQ(words(*t, "hello world!"), "▁hello ▁world ▁!");
  EXPECT_EQ(words(*t, "  a\n\tb  "), "▁a ▁b");
  EXPECT_EQ(words(*t, "un$a"), "▁un ▁$ ▁a");
  EXPECT_EQ(words(*t, "don't"), "▁don ▁' ▁t");
  EXPECT_EQ(words(*t, ""), "");
  // A word without a way to the end is unknown as a whole; a continuation cannot begin a word.
  EXPECT_EQ(words(*t, "unaffx able a"), "[UNK] ▁a b le ▁a");
  EXPECT_EQ(words(*t, "le s"), "[UNK] [UNK]");
  EXPECT_EQ(words(*t, "▁un"), "[UNK]");
}

TEST(WordPiece, Normalization) {
  VocabularyFile file = sample_wordpiece();
  const Loaded uncased(file);
  file.set("tokenizer.ggml.normalizer.lowercase", false);
  const Loaded cased(file);
  file.set("tokenizer.ggml.normalizer.strip_accents", true);
  const Loaded stripped(file);
  file.set("tokenizer.ggml.normalizer.lowercase", true);
  file.set("tokenizer.ggml.normalizer.strip_accents", false);
  const Loaded lower(file);
  ASSERT_TRUE(uncased.tokenizer && cased.tokenizer && stripped.tokenizer && lower.tokenizer);
  EXPECT_EQ(words(*uncased, "HÉLLO Hello"), "▁hello ▁hello");
  EXPECT_EQ(words(*cased, "Hello hello É"), "[UNK] ▁hello ▁É");
  EXPECT_EQ(words(*stripped, "héllo E\u0301"), "▁hello [UNK]");
  EXPECT_EQ(words(*lower, "É é"), "▁é ▁é");
  EXPECT_EQ(words(*lower, "İ"), "▁i \u0307");
  EXPECT_EQ(words(*uncased, "İ"), "▁i");
  // Han characters stand alone, Hangul is decomposed, kana is not there.
  EXPECT_EQ(words(*uncased, "a日本b"), "▁a ▁日 ▁本 ▁b");
  EXPECT_EQ(words(*uncased, "각 각가"), "▁ᄀ ᅡ ᆨ [UNK]");
  // Control characters, U+FFFD and bytes that are not UTF-8 are dropped; of the white controls too, but for three.
  EXPECT_EQ(words(*uncased, "he\x01l\x7flo\ufffd \u200bworld\xff\xe6\x97"), "▁hello ▁world");
  EXPECT_EQ(words(*uncased, "hel\vlo hel\u0085lo"), "▁hello ▁hello");
  EXPECT_EQ(words(*uncased, "hello\rworld\u00a0a\u2028b\u3000a"), "▁hello ▁world ▁a ▁b ▁a");
}

TEST(WordPiece, LongWordsAreUnknown) {
  const Loaded t(sample_wordpiece());
  ASSERT_TRUE(t.tokenizer) << t.error;
  const size_t most = WordPiece::kMaxWordCharacters;
  EXPECT_EQ(encode(*t, std::string(most, 'a')).size(), most);
  EXPECT_EQ(words(*t, std::string(most + 1, 'a')), "[UNK]");
  EXPECT_EQ(words(*t, std::string(most + 1, 'a') + " a"), "[UNK] ▁a");
}

TEST(WordPiece, SpecialTokensAndDecoding) {
  const Loaded t(sample_wordpiece());
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_TRUE(t->add_bos());
  EXPECT_TRUE(t->add_eos());
  EXPECT_EQ(t->model(), "bert");
  EXPECT_EQ(words(*t, "hello", {.bos = true, .eos = true}), "[CLS] ▁hello [SEP]");
  EXPECT_EQ(words(*t, "hello [MASK]!", {.special = true}), "▁hello [MASK] ▁!");
  EXPECT_EQ(words(*t, "[MASK]"), "[UNK] [UNK] [UNK]");
  EXPECT_EQ(t->special().pad, 0);
  EXPECT_EQ(t->special().mask, 4);
  EXPECT_EQ(t->special().eos, -1);
  EXPECT_EQ(t->decode(encode(*t, "Hello, unaffable world!")), "hello, unaffable world!");
  EXPECT_EQ(t->decode(encode(*t, "a <tool> b")), "a<tool>b");
}

// The definition, on words of the sample's characters.
std::string slowly(const Vocabulary& v, const std::string& word) {
  std::string text = std::string(kSpmSpace) + word, out;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.size();
    const size_t least = at == 0 ? kSpmSpace.size() + 1 : at + 1;
    while (end >= least && v.find(text.substr(at, end - at)) < 0) --end;
    if (end < least) return "[UNK]";
    out += (out.empty() ? "" : " ") + text.substr(at, end - at);
    at = end;
  }
  return out;
}

TEST(WordPiece, AgreesWithTheDefinition) {
  const Loaded t(sample_wordpiece());
  ASSERT_TRUE(t.tokenizer) << t.error;
  auto v = Vocabulary::load(*t.gguf);
  ASSERT_TRUE(v);
  Random random(5);
  int unknown = 0;
  const int n = test_count(20000);
  for (int i = 0; i < n; ++i) {
    std::string word;
    for (int64_t k = 1 + random.below(8); k > 0; --k) word += "unabfles"[random.below(8)];
    const std::string expected = slowly(*v, word);
    ASSERT_EQ(words(*t, word), expected) << word;
    unknown += expected == "[UNK]";
  }
  printf("%d words, %d unknown\n", n, unknown);
}

TEST(WordPiece, NoTextIsQuadratic) {
  const Loaded t(sample_wordpiece());
  ASSERT_TRUE(t.tokenizer) << t.error;
  auto v = Vocabulary::load(*t.gguf);
  ASSERT_TRUE(v);
  auto model = WordPiece::load(*t.gguf, *v, 1);
  ASSERT_TRUE(model);
  double worst = 0;
  const size_t n = size_t(test_count(10)) * 10000;
  for (const char* unit : {"a", " ", "日", "각", "!", "\xff", "unaffable ", "\u0301", "ab"}) {
    std::string text;
    while (text.size() < n) text += unit;
    Ids out;
    const uint64_t steps = model->encode(text, out);
    EXPECT_LE(steps, 50 * text.size()) << unit;  // at most a word of 100 characters is walked at each of them
    worst = std::max(worst, double(steps) / double(text.size()));
  }
  printf("texts of %zu bytes: at most %.1f steps per byte\n", n, worst);
}

}  // namespace
}  // namespace linnet
