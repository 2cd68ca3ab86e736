// UTF-8 as Unicode defines it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace linnet {

struct Utf8Char {
  uint32_t code_point;  // U+FFFD when !valid
  uint32_t bytes;       // how many the sequence has; when !valid, the longest prefix of a sequence that was there, >= 1
  bool valid;
};

// The character that starts at text[at]; `at` must be below text.size().
Utf8Char utf8_decode(std::string_view text, size_t at);
bool utf8_valid(std::string_view text);
// Characters in the text; every invalid piece counts as the one U+FFFD that replaces it.
size_t utf8_count(std::string_view text);
// Appends the encoding of a code point; surrogates and values above U+10FFFF become U+FFFD.
void utf8_append(std::string& out, uint32_t code_point);
// Invalid pieces replaced by U+FFFD, one per maximal prefix of a sequence (the practice the Unicode standard
// recommends).
std::string utf8_replace_invalid(std::string_view text);
// How many bytes at the end of the text are the beginning of a sequence that more bytes could complete (0 to 3).
size_t utf8_unfinished(std::string_view text);
// For messages: quoted, valid UTF-8, control characters escaped, at most `max_bytes` of the text shown.
std::string quoted(std::string_view text, size_t max_bytes = 64);

}  // namespace linnet
