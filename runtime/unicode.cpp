#include "runtime/unicode.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr CharClass ascii_class(uint32_t c) {
  if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') return CharClass::letter;
  if (c >= '0' && c <= '9') return CharClass::number;
  if (c == ' ' || (c >= 9 && c <= 13)) return CharClass::space;
  const bool symbol =
      c == '$' || c == '+' || c == '<' || c == '=' || c == '>' || c == '^' || c == '`' || c == '|' || c == '~';
  return c > 0x20 && c < 0x7f && !symbol ? CharClass::punctuation : CharClass::other;
}

}  // namespace

CharClass char_class(uint32_t code_point) {
  if (code_point < 0x80) return ascii_class(code_point);
  const std::span<const uint32_t> runs = unicode_runs();
  // The last run that begins at or before the code point; the first run begins at 0.
  const auto after = std::upper_bound(runs.begin(), runs.end(), code_point << 3 | 7);
  return CharClass(*(after - 1) & 7);
}

}  // namespace linnet
