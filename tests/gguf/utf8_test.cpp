#include "gguf/base/utf8.h"

#include <gtest/gtest.h>

#include "tests/support.h"

namespace linnet {
namespace {

bool scalar_value(uint32_t c) { return c < 0x110000 && (c < 0xd800 || c >= 0xe000); }

// The definition, from the other end: a text is valid when it is what encoding some code points gives.
std::string encode(uint32_t c) {
  if (c < 0x80) return std::string(1, char(c));
  const int tail = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  constexpr int lead[] = {0, 0xc0, 0xe0, 0xf0};
  std::string out(1, char(lead[tail] | c >> 6 * tail));
  for (int i = tail - 1; i >= 0; --i) out += char(0x80 | (c >> 6 * i & 0x3f));
  return out;
}

TEST(Utf8, EveryCodePoint) {
  for (uint32_t c = 0; c < 0x110000; ++c) {
    const std::string bytes = encode(c);
    std::string appended;
    utf8_append(appended, c);
    const Utf8Char read = utf8_decode(bytes, 0);
    ASSERT_EQ(read.valid, scalar_value(c)) << c;
    ASSERT_EQ(utf8_valid(bytes), scalar_value(c)) << c;
    if (!scalar_value(c)) {
      ASSERT_EQ(appended, "\xef\xbf\xbd");
      continue;
    }
    ASSERT_EQ(read.code_point, c);
    ASSERT_EQ(read.bytes, bytes.size());
    ASSERT_EQ(appended, bytes);
    ASSERT_EQ(utf8_count(bytes), 1u);
    // Every proper prefix is unfinished; the whole is not.
    for (size_t n = 1; n < bytes.size(); ++n) {
      const std::string prefix = "ab" + bytes.substr(0, n);
      ASSERT_EQ(utf8_unfinished(prefix), n) << c;
      ASSERT_FALSE(utf8_valid(prefix));
      ASSERT_EQ(utf8_replace_invalid(prefix), "ab\xef\xbf\xbd");
    }
    ASSERT_EQ(utf8_unfinished("x" + bytes), 0u) << c;
  }
}

// All texts of up to three bytes, and four bytes with a sample of first bytes: valid exactly when decoding and encoding
// again gives the same bytes.
TEST(Utf8, EveryShortText) {
  const auto valid_by_definition = [](const std::string& text) {
    for (size_t at = 0; at < text.size();) {
      const Utf8Char c = utf8_decode(text, at);
      if (!scalar_value(c.code_point) || encode(c.code_point) != text.substr(at, c.bytes)) return false;
      at += c.bytes;
    }
    return true;
  };
  uint64_t texts = 0;
  const uint32_t step = uint32_t(1000 / test_count(1000));
  for (uint32_t bits = 0; bits < 1u << 24; bits += step, ++texts) {
    const std::string text = {char(bits >> 16), char(bits >> 8), char(bits)};
    ASSERT_EQ(utf8_valid(text), valid_by_definition(text)) << bits;
  }
  std::printf("%zu texts\n", size_t(texts));
}

// The examples of the Unicode standard, section 3.9: one U+FFFD for each maximal prefix.
TEST(Utf8, ReplacementFollowsTheStandard) {
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(utf8_replace_invalid("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(utf8_replace_invalid("\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41"), r + r + r + r + r + r + r + r + "A");
  EXPECT_EQ(utf8_replace_invalid("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"), r + r + r + r + r + "A" + r + r + "B");
  EXPECT_EQ(utf8_replace_invalid("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), r + r + r + r + "A");
  EXPECT_EQ(utf8_count("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), 5u);
  EXPECT_EQ(utf8_replace_invalid("plain"), "plain");
}

TEST(Utf8, RandomTexts) {
  Random random(7);
  for (int i = 0; i < test_count(50000); ++i) {
    std::string text;
    for (int64_t n = random.below(20); n > 0; --n) {
      if (random.below(2) == 0) {
        text += char(random.next());
      } else {
        utf8_append(text, uint32_t(random.below(0x110000)));
      }
    }
    const std::string replaced = utf8_replace_invalid(text);
    ASSERT_TRUE(utf8_valid(replaced));
    ASSERT_EQ(utf8_count(replaced), utf8_count(text));
    ASSERT_EQ(utf8_valid(text), replaced == text);
    ASSERT_TRUE(utf8_valid(linnet::quoted(text)));
    const size_t held = utf8_unfinished(text);
    ASSERT_LE(held, 3u);
    ASSERT_LE(held, text.size());
  }
}

TEST(Utf8, QuotedIsForPeople) {
  EXPECT_EQ(linnet::quoted("key"), "'key'");
  EXPECT_EQ(linnet::quoted("a\nb\x7f"), "'a\\x0ab\\x7f'");
  EXPECT_EQ(linnet::quoted("\xff"), "'\xef\xbf\xbd'");
  EXPECT_EQ(linnet::quoted("abcdef", 3), "'abc…'");
}

}  // namespace
}  // namespace linnet
