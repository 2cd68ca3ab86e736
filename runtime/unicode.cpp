#include "runtime/unicode.h"

#include <algorithm>

namespace linnet {
namespace {

template <class Row>
const Row* find_row(std::span<const Row> rows, uint32_t code_point, uint32_t Row::*key) {
  // The last row whose key is not above the code point.
  const auto after = std::upper_bound(rows.begin(), rows.end(), code_point,
                                      [key](uint32_t value, const Row& row) { return value < row.*key; });
  return after == rows.begin() ? nullptr : &*(after - 1);
}

}  // namespace

CharClass wide_char_class(uint32_t code_point) {
  if (code_point > 0x10ffff) return CharClass::other;
  const std::span<const uint32_t> runs = unicode_runs();
  const std::span<const uint16_t> blocks = unicode_blocks();
  // The last run that begins at or before the code point; it begins in this block or is the block's first.
  const auto first = runs.begin() + blocks[code_point >> 8], last = runs.begin() + blocks[(code_point >> 8) + 1] + 1;
  return CharClass(*(std::upper_bound(first, last, code_point << 4 | 15) - 1) & 15);
}

bool is_han(uint32_t code_point) {
  // Scripts.txt of Unicode 17.
  static constexpr uint32_t kRanges[][2] = {
      {0x2e80, 0x2e99},   {0x2e9b, 0x2ef3},   {0x2f00, 0x2fd5},   {0x3005, 0x3005},   {0x3007, 0x3007},
      {0x3021, 0x3029},   {0x3038, 0x303b},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xf900, 0xfa6d},
      {0xfa70, 0xfad9},   {0x16fe2, 0x16fe3}, {0x16ff0, 0x16ff6}, {0x20000, 0x2a6df}, {0x2a700, 0x2b81d},
      {0x2b820, 0x2cead}, {0x2ceb0, 0x2ebe0}, {0x2ebf0, 0x2ee5d}, {0x2f800, 0x2fa1d}, {0x30000, 0x3134a},
      {0x31350, 0x33479}};
  for (const auto& [first, last] : kRanges) {
    if (code_point <= last) return code_point >= first;
  }
  return false;
}

bool is_word(uint32_t code_point) {
  const CharClass c = char_class(code_point);
  if (is_letter_class(c) || is_mark_class(c)) return true;
  if (c == CharClass::digit || c == CharClass::letter_number || c == CharClass::connector) return true;
  // The symbols that are alphabetic: circled and squared letters.
  return c == CharClass::symbol &&
         ((code_point >= 0x24b6 && code_point <= 0x24e9) || (code_point >= 0x1f130 && code_point <= 0x1f149) ||
          (code_point >= 0x1f150 && code_point <= 0x1f169) || (code_point >= 0x1f170 && code_point <= 0x1f189));
}

uint32_t lowercase(uint32_t code_point) {
  const LowercaseRun* run = find_row(lowercase_runs(), code_point, &LowercaseRun::first);
  if (run == nullptr || code_point > run->last || (code_point - run->first) % run->step != 0) return code_point;
  return uint32_t(int32_t(code_point) + run->delta);
}

Letters without_marks(uint32_t code_point) {
  if (code_point >= 0xac00 && code_point <= 0xd7a3) {  // a Hangul syllable: its two or three jamo
    const uint32_t index = code_point - 0xac00, last = index % 28;
    return {{0x1100 + index / 588, 0x1161 + index % 588 / 28, last > 0 ? 0x11a7 + last : 0}, last > 0 ? 3u : 2u};
  }
  const Stripped* row = find_row(stripped_characters(), code_point, &Stripped::code_point);
  if (row != nullptr && row->code_point == code_point) {
    return {row->rest, uint32_t(std::count_if(row->rest.begin(), row->rest.end(), [](uint32_t c) { return c != 0; }))};
  }
  return {{code_point}, char_class(code_point) == CharClass::mark ? 0u : 1u};
}

}  // namespace linnet
