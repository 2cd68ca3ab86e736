// Character classes of Unicode, as the pre-tokenizers of published vocabularies ask for them.
#pragma once

#include <cstdint>
#include <span>

namespace linnet {

// \p{L}, \p{N}, \p{P} and \s (the property White_Space) of the patterns; a code point has exactly one class.
enum class CharClass : uint8_t { other = 0, letter = 1, number = 2, punctuation = 3, space = 4 };

CharClass char_class(uint32_t code_point);

// The version that the table was made from, for example "14.0.0".
extern const char* const kUnicodeVersion;

// The table (unicode_table.cpp, generated): ascending, each entry = first code point of a run << 3 | CharClass.
std::span<const uint32_t> unicode_runs();

}  // namespace linnet
