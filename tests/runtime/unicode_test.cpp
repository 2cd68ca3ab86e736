#include "runtime/unicode.h"

#include <gtest/gtest.h>

namespace linnet {
namespace {

TEST(Unicode, TableIsSortedAndRunsDiffer) {
  const std::span<const uint32_t> runs = unicode_runs();
  ASSERT_FALSE(runs.empty());
  EXPECT_EQ(runs[0] >> 3, 0u);
  for (size_t i = 1; i < runs.size(); ++i) {
    EXPECT_LT(runs[i - 1] >> 3, runs[i] >> 3) << i;
    EXPECT_NE(runs[i - 1] & 7, runs[i] & 7) << i;
  }
  printf("Unicode %s, %zu runs\n", kUnicodeVersion, runs.size());
}

TEST(Unicode, AsciiShortcutAgreesWithTheTable) {
  const std::span<const uint32_t> runs = unicode_runs();
  size_t run = 0;
  for (uint32_t c = 0; c < 0x80; ++c) {
    while (run + 1 < runs.size() && runs[run + 1] >> 3 <= c) ++run;
    EXPECT_EQ(char_class(c), CharClass(runs[run] & 7)) << c;
  }
}

TEST(Unicode, Classes) {
  for (const uint32_t c : {0xe9u, 0x41fu, 0x4e2du, 0x1780u, 0x10400u, 0x2b740u}) {
    EXPECT_EQ(char_class(c), CharClass::letter) << c;
  }
  for (const uint32_t c : {0xbdu, 0x967u, 0x2167u, 0x1d7ceu}) EXPECT_EQ(char_class(c), CharClass::number) << c;
  for (const uint32_t c : {0xa1u, 0x2014u, 0x3002u, 0xff5fu}) EXPECT_EQ(char_class(c), CharClass::punctuation) << c;
  for (const uint32_t c : {0x85u, 0xa0u, 0x1680u, 0x2000u, 0x2028u, 0x2029u, 0x202fu, 0x205fu, 0x3000u}) {
    EXPECT_EQ(char_class(c), CharClass::space) << c;
  }
  for (const uint32_t c : {0x1cu, 0x301u, 0x200du, 0xfe0fu, 0x1f600u, 0x10ffffu, 0xd800u}) {
    EXPECT_EQ(char_class(c), CharClass::other) << c;
  }
}

}  // namespace
}  // namespace linnet
