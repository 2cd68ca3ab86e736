#include "runtime/template/characters.h"

#include <algorithm>

#include "gguf/base/utf8.h"
#include "runtime/unicode.h"

namespace linnet::jinja {
namespace {

bool inside(std::span<const uint32_t> ends, uint32_t c) {
  return (std::upper_bound(ends.begin(), ends.end(), c) - ends.begin()) % 2 == 1;
}

// The character that `c` alone becomes; texts of several characters are not looked at.
uint32_t mapped(const CaseTable& table, uint32_t c) {
  auto run = std::upper_bound(table.runs.begin(), table.runs.end(), c,
                              [](uint32_t x, const CaseRun& r) { return x < r.first; });
  if (run == table.runs.begin()) return c;
  --run;
  return c <= run->last && (c - run->first) % run->step == 0 ? uint32_t(int32_t(c) + run->delta) : c;
}

const char* mapped_text(const CaseTable& table, uint32_t c) {
  const auto found = std::lower_bound(table.texts.begin(), table.texts.end(), c,
                                      [](const CaseText& t, uint32_t x) { return t.character < x; });
  return found != table.texts.end() && found->character == c ? found->text : nullptr;
}

bool changes(const CaseTable& table, uint32_t c) { return mapped(table, c) != c || mapped_text(table, c) != nullptr; }

}  // namespace

bool is_space(uint32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
  return char_class(c) == CharClass::space;
}

bool is_line_end(uint32_t c) {
  return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

bool is_printable(uint32_t c) { return c < 0x7f ? c >= 0x20 : inside(kPrintable, c); }
bool is_decimal(uint32_t c) { return c < 0x80 ? c >= '0' && c <= '9' : inside(kDecimal, c); }
bool is_digit(uint32_t c) { return c < 0x80 ? c >= '0' && c <= '9' : inside(kDigit, c); }
bool is_numeric(uint32_t c) { return c < 0x80 ? c >= '0' && c <= '9' : inside(kNumeric, c); }
bool is_alphabetic(uint32_t c) { return is_letter_class(char_class(c)); }
bool is_alphanumeric(uint32_t c) { return is_alphabetic(c) || is_number_class(char_class(c)); }
bool is_upper(uint32_t c) { return c < 0x80 ? c >= 'A' && c <= 'Z' : changes(kLower, c); }
bool is_lower(uint32_t c) { return c < 0x80 ? c >= 'a' && c <= 'z' : changes(kUpper, c) && !changes(kLower, c); }

// Decimal digits come in runs of ten, zero first.
uint32_t digit_value(uint32_t c) {
  const auto end = std::upper_bound(kDecimal.begin(), kDecimal.end(), c);
  return (c - *(end - 1)) % 10;
}

void append_cased(std::string& out, uint32_t c, Case to) {
  if (c < 0x80) {
    if (to == Case::lower ? c >= 'A' && c <= 'Z' : c >= 'a' && c <= 'z') c ^= 0x20;
    out += char(c);
    return;
  }
  const CaseTable& table = to == Case::lower ? kLower : to == Case::upper ? kUpper : kTitle;
  if (const char* text = mapped_text(table, c)) {
    out += text;
  } else {
    utf8_append(out, mapped(table, c));
  }
}

}  // namespace linnet::jinja
