// Python's str operations on valid UTF-8; positions and lengths count characters where nothing else is said.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::jinja {

size_t characters(std::string_view text);
// Where the character with this number begins, in bytes; text.size() beyond the end.
size_t byte_offset(std::string_view text, size_t character);
// Calls visit(code point, the character's bytes) for each character.
template <class Visit>
void for_each_character(std::string_view text, Visit visit);

std::string to_lower(std::string_view text);
std::string to_upper(std::string_view text);
std::string fold_case(std::string_view text);  // for comparing without cases
std::string to_title(std::string_view text);
std::string capitalize(std::string_view text);
std::string swap_case(std::string_view text);

enum Side : int { kLeft = 1, kRight = 2, kBoth = 3 };
// Without `chars`, white space goes; with, all characters that are in it.
std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> chars = {});

// Byte offset of the first occurrence at or after byte `from`, or npos. Linear in text.size() whatever the texts are.
size_t find(std::string_view text, std::string_view part, size_t from = 0);
size_t find_last(std::string_view text, std::string_view part);

// At most `most` splits, all when negative. Without a separator: at runs of white space.
std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator, int64_t most);
std::vector<std::string_view> split_right(std::string_view text, std::optional<std::string_view> separator,
                                          int64_t most);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

// How often `part`, and with that how long the result of replacing it is; at most `most` times, all when negative.
size_t count_occurrences(std::string_view text, std::string_view part, int64_t most = -1);
std::string replace(std::string_view text, std::string_view part, std::string_view by, int64_t most);

// <, >, &, ' and " as entities.
std::string escape_html(std::string_view text);
// 'text' as repr() writes it; `ascii`: as ascii() does.
std::string quote(std::string_view text, bool ascii = false);
// A number as repr() writes it.
std::string number_text(double number);
// Decimal digits (with _ between them) around which white space may stand, as int() takes it; nothing if it is none or
// does not fit. Base 0: by prefix.
std::optional<int64_t> parse_integer(std::string_view text, int base = 10);
std::optional<double> parse_number(std::string_view text);

}  // namespace linnet::jinja

#include "gguf/base/utf8.h"

namespace linnet::jinja {

template <class Visit>
void for_each_character(std::string_view text, Visit visit) {
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_decode(text, at);
    visit(c.code_point, text.substr(at, c.bytes));
    at += c.bytes;
  }
}

}  // namespace linnet::jinja
