// What tokenizers ask of Unicode characters: their class, their lowercase form, what remains without accents.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace linnet {

// The general categories, as coarse as the patterns of published tokenizers allow; a code point has exactly one class.
enum class CharClass : uint8_t {
  other,          // Cn: unassigned; also bytes that are not UTF-8
  control,        // Cc, Cf, Co, Cs, unless white space
  upper,          // Lu, Lt
  lower,          // Ll
  uncased,        // Lm, Lo
  mark,           // Mn
  spacing_mark,   // Mc, Me
  digit,          // Nd
  letter_number,  // Nl
  other_number,   // No
  connector,      // Pc
  punctuation,    // the other P
  symbol,         // S
  space,          // the property White_Space: Z, U+0009 to U+000D, U+0085
};

constexpr CharClass ascii_class(uint32_t c) {
  if (c >= 'A' && c <= 'Z') return CharClass::upper;
  if (c >= 'a' && c <= 'z') return CharClass::lower;
  if (c >= '0' && c <= '9') return CharClass::digit;
  if (c == ' ' || (c >= 9 && c <= 13)) return CharClass::space;
  if (c < 0x20 || c == 0x7f) return CharClass::control;
  if (c == '_') return CharClass::connector;
  const bool symbol =
      c == '$' || c == '+' || c == '<' || c == '=' || c == '>' || c == '^' || c == '`' || c == '|' || c == '~';
  return symbol ? CharClass::symbol : CharClass::punctuation;
}
inline constexpr auto kAsciiClasses = [] {
  std::array<CharClass, 128> classes{};
  for (uint32_t c = 0; c < 128; ++c) classes[c] = ascii_class(c);
  return classes;
}();

CharClass wide_char_class(uint32_t code_point);  // of any character
inline CharClass char_class(uint32_t code_point) {
  return code_point < 0x80 ? kAsciiClasses[code_point] : wide_char_class(code_point);
}

constexpr bool is_letter_class(CharClass c) { return c >= CharClass::upper && c <= CharClass::uncased; }       // \p{L}
constexpr bool is_mark_class(CharClass c) { return c == CharClass::mark || c == CharClass::spacing_mark; }     // \p{M}
constexpr bool is_number_class(CharClass c) { return c >= CharClass::digit && c <= CharClass::other_number; }  // \p{N}
constexpr bool is_punctuation_class(CharClass c) {
  return c == CharClass::connector || c == CharClass::punctuation;
}  // \p{P}

// \p{Han}: the script property.
bool is_han(uint32_t code_point);
// \w as Oniguruma has it: alphabetic characters, marks, decimal digits, connectors.
bool is_word(uint32_t code_point);

// The simple lowercase form; the character itself where there is none.
uint32_t lowercase(uint32_t code_point);
// The canonical decomposition (NFD) of a character without its nonspacing marks: `count` code points, 0 to 3.
struct Letters {
  std::array<uint32_t, 3> code_points;
  uint32_t count;
};
Letters without_marks(uint32_t code_point);

// The version that the tables were made from, for example "14.0.0".
extern const char* const kUnicodeVersion;

// The tables (unicode_table.cpp, generated), ascending.
struct LowercaseRun {
  uint32_t first, last;
  uint32_t step;  // every step-th code point of the run
  int32_t delta;  // what is added
};
struct Stripped {
  uint32_t code_point;
  std::array<uint32_t, 3> rest;  // 0: none
};
std::span<const uint32_t> unicode_runs();    // first code point of a run << 4 | CharClass
std::span<const uint16_t> unicode_blocks();  // for each 256 code points, the run that the first of them lies in
std::span<const LowercaseRun> lowercase_runs();
std::span<const Stripped> stripped_characters();

}  // namespace linnet
