#include "runtime/template/strings.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "gguf/base/utf8.h"
#include "runtime/template/characters.h"

namespace linnet::jinja {
namespace {

constexpr size_t kShortPart = 16;  // so short a needle is searched by comparing at every place

// Knuth, Morris, Pratt 1977: calls found(byte offset) for occurrences, overlapping ones too, until it returns false.
template <class Found>
void search(std::string_view text, std::string_view part, size_t from, Found found) {
  std::vector<uint32_t> border(part.size() + 1, 0);  // [n]: the longest proper border of part's first n bytes
  for (size_t i = 1, k = 0; i < part.size(); ++i) {
    while (k > 0 && part[i] != part[k]) k = border[k];
    if (part[i] == part[k]) ++k;
    border[i + 1] = uint32_t(k);
  }
  for (size_t i = from, k = 0; i < text.size(); ++i) {
    while (k > 0 && (k == part.size() || text[i] != part[k])) k = border[k];
    if (text[i] == part[k]) ++k;
    if (k == part.size() && !found(i + 1 - k)) return;
  }
}

// Of the character that ends at byte `end`.
size_t start_of_last(std::string_view text, size_t end) {
  size_t at = end - 1;
  while (at > 0 && (uint8_t(text[at]) & 0xc0) == 0x80) --at;
  return at;
}

bool is_cased(uint32_t c) { return is_upper(c) || is_lower(c); }

// Between a word's letters, but no letter itself (Unicode's Case_Ignorable, as far as words have it).
bool is_case_ignorable(uint32_t c) {
  return c == '\'' || c == '.' || c == ':' || c == 0xad || c == 0xb7 || (c >= 0x300 && c < 0x370) || c == 0x2019;
}

constexpr uint32_t kSigma = 0x3a3;

// A capital sigma at the end of a word becomes another small letter than elsewhere.
bool final_sigma(std::string_view text, size_t at) {
  bool before = false;
  for (size_t end = at; end > 0 && !before;) {
    end = start_of_last(text, end);
    const uint32_t c = utf8_decode(text, end).code_point;
    if (is_case_ignorable(c)) continue;
    if (!is_cased(c)) return false;
    before = true;
  }
  for (size_t next = at + 2; next < text.size();) {
    const Utf8Char c = utf8_decode(text, next);
    if (!is_case_ignorable(c.code_point)) return before && !is_cased(c.code_point);
    next += c.bytes;
  }
  return before;
}

void append_lower(std::string& out, std::string_view text, uint32_t c, size_t at) {
  if (c == kSigma && final_sigma(text, at)) {
    utf8_append(out, 0x3c2);
  } else {
    append_cased(out, c, Case::lower);
  }
}

// What a numeral may have besides digits goes, and digits of all scripts become ASCII; nothing when it is no numeral.
std::optional<std::string> plain_numeral(std::string_view text) {
  std::string out;
  bool underscore = true;  // may not come first, last or twice
  for (const std::string_view rest = strip(text, kBoth); const char c : rest) {
    if (c == '_') {
      if (underscore) return std::nullopt;
      underscore = true;
      continue;
    }
    underscore = false;
    out += c;
  }
  if (underscore) return std::nullopt;
  std::string ascii;
  for_each_character(out, [&](uint32_t c, std::string_view bytes) {
    if (c >= 0x80 && is_decimal(c)) {
      ascii += char('0' + digit_value(c));
    } else {
      ascii += bytes;
    }
  });
  return ascii;
}

// 0x, 0o and 0b where the base allows them; the base that results, or 0 when the prefix is wrong.
int take_prefix(std::string_view& digits, int base) {
  const char mark = digits.size() > 1 && digits[0] == '0' ? char(digits[1] | 0x20) : ' ';
  const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 0;
  if (marked != 0 && (base == 0 || base == marked)) {
    digits.remove_prefix(2);
    return marked;
  }
  if (base != 0) return base;
  // 0 before other digits is no number, as in Python.
  return digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != digits.npos ? 1 : 10;
}

}  // namespace

size_t characters(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += (uint8_t(c) & 0xc0) != 0x80;
  return count;
}

size_t byte_offset(std::string_view text, size_t character) {
  for (size_t at = 0; at < text.size(); ++at) {
    if ((uint8_t(text[at]) & 0xc0) != 0x80 && character-- == 0) return at;
  }
  return text.size();
}

std::string to_lower(std::string_view text) {
  std::string out;
  for_each_character(text, [&](uint32_t c, std::string_view bytes) {
    append_lower(out, text, c, size_t(bytes.data() - text.data()));
  });
  return out;
}

std::string to_upper(std::string_view text) {
  std::string out;
  for_each_character(text, [&](uint32_t c, std::string_view) { append_cased(out, c, Case::upper); });
  return out;
}

std::string fold_case(std::string_view text) {
  std::string out;
  for_each_character(to_upper(text), [&](uint32_t c, std::string_view) { append_cased(out, c, Case::lower); });
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  bool in_word = false;
  for_each_character(text, [&](uint32_t c, std::string_view bytes) {
    if (in_word) {
      append_lower(out, text, c, size_t(bytes.data() - text.data()));
    } else {
      append_cased(out, c, Case::title);
    }
    in_word = is_cased(c);
  });
  return out;
}

std::string capitalize(std::string_view text) {
  std::string out;
  for_each_character(text, [&](uint32_t c, std::string_view bytes) {
    const size_t at = size_t(bytes.data() - text.data());
    if (at == 0) {
      append_cased(out, c, Case::title);
    } else {
      append_lower(out, text, c, at);
    }
  });
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  for_each_character(text, [&](uint32_t c, std::string_view bytes) {
    if (is_upper(c)) {
      append_lower(out, text, c, size_t(bytes.data() - text.data()));
    } else {
      append_cased(out, c, Case::upper);
    }
  });
  return out;
}

std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> chars) {
  // A character's bytes are found in others' only where they are that character: UTF-8 synchronizes itself.
  const auto goes = [&](size_t at, uint32_t bytes, uint32_t c) {
    return chars ? chars->find(text.substr(at, bytes)) != chars->npos : is_space(c);
  };
  while ((side & kLeft) != 0 && !text.empty()) {
    const Utf8Char c = utf8_decode(text, 0);
    if (!goes(0, c.bytes, c.code_point)) break;
    text.remove_prefix(c.bytes);
  }
  while ((side & kRight) != 0 && !text.empty()) {
    const size_t at = start_of_last(text, text.size());
    const Utf8Char c = utf8_decode(text, at);
    if (!goes(at, c.bytes, c.code_point)) break;
    text.remove_suffix(c.bytes);
  }
  return text;
}

size_t find(std::string_view text, std::string_view part, size_t from) {
  if (part.size() <= kShortPart || from > text.size()) return text.find(part, from);
  size_t at = text.npos;
  search(text, part, from, [&](size_t found) {
    at = found;
    return false;
  });
  return at;
}

size_t find_last(std::string_view text, std::string_view part) {
  if (part.size() <= kShortPart) return text.rfind(part);
  size_t at = text.npos;
  search(text, part, 0, [&](size_t found) {
    at = found;
    return true;
  });
  return at;
}

std::vector<std::string_view> split(std::string_view text, std::optional<std::string_view> separator, int64_t most) {
  std::vector<std::string_view> parts;
  if (separator) {
    for (size_t at; most != 0 && (at = find(text, *separator)) != text.npos; --most) {
      parts.push_back(text.substr(0, at));
      text.remove_prefix(at + separator->size());
    }
    parts.push_back(text);
    return parts;
  }
  for (text = strip(text, kLeft); !text.empty(); text = strip(text, kLeft), --most) {
    size_t end = 0;
    while (most != 0 && end < text.size() && !is_space(utf8_decode(text, end).code_point)) {
      end += utf8_decode(text, end).bytes;
    }
    if (most == 0) end = text.size();
    parts.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parts;
}

std::vector<std::string_view> split_right(std::string_view text, std::optional<std::string_view> separator,
                                          int64_t most) {
  std::vector<std::string_view> parts;
  if (separator) {
    std::vector<size_t> places;  // overlapping ones too: which of them count is seen from the right
    search(text, *separator, 0, [&](size_t at) {
      places.push_back(at);
      return true;
    });
    for (; most != 0 && !places.empty(); places.pop_back()) {
      const size_t after = places.back() + separator->size();
      if (after > text.size()) continue;
      parts.push_back(text.substr(after));
      text = text.substr(0, places.back());
      --most;
    }
    parts.push_back(text);
  } else {
    for (text = strip(text, kRight); !text.empty(); text = strip(text, kRight), --most) {
      size_t start = text.size();
      while (most != 0 && start > 0) {
        const size_t before = start_of_last(text, start);
        if (is_space(utf8_decode(text, before).code_point)) break;
        start = before;
      }
      if (most == 0) start = 0;
      parts.push_back(text.substr(start));
      text = text.substr(0, start);
    }
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_decode(text, at);
    const size_t end = at;
    at += c.bytes;
    if (!is_line_end(c.code_point)) continue;
    if (c.code_point == '\r' && at < text.size() && text[at] == '\n') ++at;
    lines.push_back(text.substr(start, (keep_ends ? at : end) - start));
    start = at;
  }
  if (start < text.size()) lines.push_back(text.substr(start));
  return lines;
}

size_t count_occurrences(std::string_view text, std::string_view part, int64_t most) {
  if (part.empty()) return most < 0 ? characters(text) + 1 : std::min(characters(text) + 1, size_t(most));
  size_t count = 0;
  for (size_t at = 0; int64_t(count) != most; at += part.size(), ++count) {
    at = find(text, part, at);
    if (at == text.npos) break;
  }
  return count;
}

std::string replace(std::string_view text, std::string_view part, std::string_view by, int64_t most) {
  std::string out;
  if (part.empty()) {  // before each character and at the end
    for_each_character(text, [&](uint32_t, std::string_view bytes) {
      if (most != 0) {
        out += by;
        --most;
      }
      out += bytes;
    });
    if (most != 0) out += by;
    return out;
  }
  for (size_t at; most != 0 && (at = find(text, part)) != text.npos; --most) {
    out += text.substr(0, at);
    out += by;
    text.remove_prefix(at + part.size());
  }
  out += text;
  return out;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '\'':
        out += "&#39;";
        break;
      case '"':
        out += "&#34;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string quote(std::string_view text, bool ascii) {
  const char mark = text.find('\'') != text.npos && text.find('"') == text.npos ? '"' : '\'';
  std::string out(1, mark);
  for_each_character(text, [&](uint32_t c, std::string_view bytes) {
    if (c == uint32_t(mark) || c == '\\') {
      out += '\\';
      out += char(c);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t";
    } else if (is_printable(c) && (!ascii || c < 0x80)) {
      out += bytes;
    } else if (c < 0x100) {
      out += fmt::format("\\x{:02x}", c);
    } else {
      out += c < 0x10000 ? fmt::format("\\u{:04x}", c) : fmt::format("\\U{:08x}", c);
    }
  });
  return out + mark;
}

std::string number_text(double number) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
  // The fewest digits that read back as the same number, as d.ddde+xx.
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, std::chars_format::scientific).ptr;
  const std::string_view text(digits, size_t(end - digits));
  const size_t e = text.find('e');
  int exponent = 0;
  std::from_chars(text.data() + e + (text[e + 1] == '+' ? 2 : 1), end, exponent);
  if (exponent < -4 || exponent >= 16) return std::string(text);
  char fixed[64];
  const auto fixed_end = std::to_chars(fixed, fixed + sizeof fixed, number, std::chars_format::fixed).ptr;
  std::string out(fixed, fixed_end);
  return out.find('.') == out.npos ? out + ".0" : out;
}

std::optional<int64_t> parse_integer(std::string_view text, int base) {
  const auto plain = plain_numeral(text);
  if (!plain) return std::nullopt;
  std::string_view digits = *plain;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  base = take_prefix(digits, base);
  if (base < 2 || digits.empty() || digits[0] == '-') return std::nullopt;
  const std::string number = (negative ? "-" : "") + std::string(digits);
  int64_t value = 0;
  const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), value, base);
  if (problem != std::errc() || end != number.data() + number.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  auto plain = plain_numeral(text);
  if (!plain) return std::nullopt;
  std::string_view digits = *plain;
  const bool negative = digits.starts_with('-');
  if (negative || digits.starts_with('+')) digits.remove_prefix(1);
  if (digits.empty() || digits[0] == '-' || digits[0] == '+') return std::nullopt;
  double value = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size() || digits.find('(') != digits.npos) return std::nullopt;
  if (problem == std::errc::result_out_of_range) {
    // from_chars leaves the value alone; a negative exponent means that it is too small.
    value = digits.find("e-") != digits.npos || digits.find("E-") != digits.npos ? 0 : HUGE_VAL;
  } else if (problem != std::errc()) {
    return std::nullopt;
  }
  return negative ? -value : value;
}

}  // namespace linnet::jinja
