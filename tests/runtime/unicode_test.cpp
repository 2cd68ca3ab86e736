#include "runtime/unicode.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace linnet {
namespace {

TEST(Unicode, TableIsSortedAndRunsDiffer) {
  const std::span<const uint32_t> runs = unicode_runs();
  ASSERT_FALSE(runs.empty());
  EXPECT_EQ(runs[0] >> 4, 0u);
  for (size_t i = 1; i < runs.size(); ++i) {
    EXPECT_LT(runs[i - 1] >> 4, runs[i] >> 4) << i;
    EXPECT_NE(runs[i - 1] & 15, runs[i] & 15) << i;
  }
  printf("Unicode %s, %zu runs, %zu lowercase runs, %zu decompositions\n", kUnicodeVersion, runs.size(),
         lowercase_runs().size(), stripped_characters().size());
}

// With the index by blocks and the table for ASCII, as from the runs alone.
TEST(Unicode, EveryCharacterHasTheClassOfItsRun) {
  const std::span<const uint32_t> runs = unicode_runs();
  size_t run = 0;
  for (uint32_t c = 0; c <= 0x10ffff; ++c) {
    if (run + 1 < runs.size() && runs[run + 1] >> 4 <= c) ++run;
    ASSERT_EQ(char_class(c), CharClass(runs[run] & 15)) << c;
  }
  EXPECT_EQ(char_class(0x110000), CharClass::other);
  EXPECT_EQ(char_class(UINT32_MAX), CharClass::other);
}

TEST(Unicode, Classes) {
  const std::pair<CharClass, std::vector<uint32_t>> cases[] = {
      {CharClass::other, {0x378, 0x2fe0, 0xffff, 0x10ffff}},
      {CharClass::control, {0, 0x1c, 0x7f, 0xad, 0x200b, 0x200d, 0xfeff, 0xe000, 0xd800, 0xf0000}},
      {CharClass::upper, {'A', 0xc9, 0x1c5, 0x410, 0x2126, 0x10400}},
      {CharClass::lower, {'z', 0xe9, 0x3c2, 0x44f, 0xfb01, 0x10428}},
      {CharClass::uncased, {0xaa, 0x2b0, 0x5d0, 0x1780, 0x4e2d, 0xac00, 0x2b740, 0xff71}},
      {CharClass::mark, {0x301, 0x94d, 0xfe0f}},
      {CharClass::spacing_mark, {0x903, 0x93f, 0x20dd}},
      {CharClass::digit, {'7', 0x663, 0x967, 0x1d7ce}},
      {CharClass::letter_number, {0x2167, 0x3007}},
      {CharClass::other_number, {0xb2, 0xbd, 0x2460}},
      {CharClass::connector, {'_', 0x203f, 0xff3f}},
      {CharClass::punctuation, {'!', '#', '%', '/', '@', 0xa1, 0x2014, 0x3002, 0xff5f}},
      {CharClass::symbol, {'$', '+', '<', '^', '`', '|', '~', 0xa9, 0x20ac, 0xfffd, 0x1f600}},
      {CharClass::space, {' ', '\t', '\r', 0x85, 0xa0, 0x1680, 0x2000, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000}}};
  for (const auto& [cls, code_points] : cases) {
    for (const uint32_t c : code_points) EXPECT_EQ(char_class(c), cls) << std::hex << c;
  }
}

TEST(Unicode, HanAndWords) {
  for (const uint32_t c : {0x2e80u, 0x3005u, 0x3007u, 0x4e00u, 0x9fffu, 0xf900u, 0x20000u, 0x33479u}) {
    EXPECT_TRUE(is_han(c)) << std::hex << c;
  }
  for (const uint32_t c : {uint32_t('a'), 0x2e7fu, 0x3001u, 0x3006u, 0x3042u, 0x30fcu, 0xac00u, 0x10ffffu}) {
    EXPECT_FALSE(is_han(c)) << std::hex << c;
  }
  for (const uint32_t c : {uint32_t('a'), uint32_t('5'), uint32_t('_'), 0xe9u, 0x301u, 0x2167u, 0x24b6u, 0x203fu}) {
    EXPECT_TRUE(is_word(c)) << std::hex << c;
  }
  for (const uint32_t c : {uint32_t(' '), uint32_t('-'), 0xbdu, 0x2460u, 0x20acu, 0x1f600u}) {
    EXPECT_FALSE(is_word(c)) << std::hex << c;
  }
}

TEST(Unicode, Lowercase) {
  const std::pair<uint32_t, uint32_t> pairs[] = {
      {'A', 'a'},       {'Z', 'z'},       {'a', 'a'},       {'[', '['},       {0xc9, 0xe9},        {0x100, 0x101},
      {0x101, 0x101},   {0x178, 0xff},    {0x1c4, 0x1c6},   {0x1c5, 0x1c6},   {0x3a3, 0x3c3},      {0x410, 0x430},
      {0x1e9e, 0xdf},   {0x2126, 0x3c9},  {0x212a, 'k'},    {0x130, 0x130},   {0x10400, 0x10428},  {0x1e921, 0x1e943},
      {0x13a0, 0xab70}, {0x4e2d, 0x4e2d}, {0xff21, 0xff41}, {0x24b6, 0x24d0}, {0x10ffff, 0x10ffff}};
  for (const auto& [upper, lower] : pairs) EXPECT_EQ(lowercase(upper), lower) << std::hex << upper;
}

TEST(Unicode, WithoutMarks) {
  using List = std::vector<uint32_t>;
  const std::pair<uint32_t, List> cases[] = {{'a', {'a'}},
                                             {0xe9, {'e'}},
                                             {0x1ed9, {'o'}},
                                             {0x301, {}},
                                             {0x344, {}},
                                             {0x903, {0x903}},
                                             {0x9cb, {0x9c7, 0x9be}},
                                             {0xac00, {0x1100, 0x1161}},
                                             {0xac01, {0x1100, 0x1161, 0x11a8}},
                                             {0xd7a3, {0x1112, 0x1175, 0x11c2}},
                                             {0x212b, {'A'}},
                                             {0xf900, {0x8c48}},
                                             {0x1d160, {0x1d158, 0x1d165, 0x1d16e}},
                                             {0x10ffff, {0x10ffff}}};
  for (const auto& [c, rest] : cases) {
    const Letters letters = without_marks(c);
    EXPECT_EQ(List(letters.code_points.begin(), letters.code_points.begin() + letters.count), rest) << std::hex << c;
  }
}

}  // namespace
}  // namespace linnet
