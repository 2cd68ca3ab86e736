// Characters as Python's str methods see them. Classes of letters are in runtime/unicode.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace linnet::jinja {

bool is_space(uint32_t c);       // str.isspace; what strip() and split() take away
bool is_line_end(uint32_t c);    // what splitlines() ends a line at (and "\r\n")
bool is_printable(uint32_t c);   // what repr() shows as it is
bool is_decimal(uint32_t c);     // str.isdecimal
bool is_digit(uint32_t c);       // str.isdigit
bool is_numeric(uint32_t c);     // str.isnumeric
bool is_alphabetic(uint32_t c);  // str.isalpha
bool is_alphanumeric(uint32_t c);
bool is_upper(uint32_t c);  // has a lower case (title case included)
bool is_lower(uint32_t c);  // has an upper case, and no lower one
// Value of a decimal digit of any script.
uint32_t digit_value(uint32_t c);

enum class Case { lower, upper, title };
void append_cased(std::string& out, uint32_t c, Case to);

// The tables (character_table.cpp, generated).
struct CaseRun {
  uint32_t first, last, step;
  int32_t delta;
};
struct CaseText {
  uint32_t character;
  const char* text;
};
struct CaseTable {
  std::span<const CaseRun> runs;
  std::span<const CaseText> texts;
};
extern const CaseTable kLower, kUpper, kTitle;
extern const std::span<const uint32_t> kPrintable, kDecimal, kDigit, kNumeric;  // begin, end, begin, end ...

}  // namespace linnet::jinja
