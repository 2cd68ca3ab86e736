#include "gguf/base/utf8.h"

#include <cstring>

#include <fmt/format.h>

namespace linnet {
namespace {

// The bytes a sequence may have after its first byte (Unicode, table 3-7): only the second byte has a special range.
struct Lead {
  uint8_t bytes;  // of the whole sequence; 0: no sequence starts with this byte
  uint8_t second_low, second_high;
};

Lead lead(uint8_t first) {
  if (first < 0x80) return {1, 0, 0};
  if (first < 0xc2) return {0, 0, 0};
  if (first < 0xe0) return {2, 0x80, 0xbf};
  if (first == 0xe0) return {3, 0xa0, 0xbf};
  if (first == 0xed) return {3, 0x80, 0x9f};
  if (first < 0xf0) return {3, 0x80, 0xbf};
  if (first == 0xf0) return {4, 0x90, 0xbf};
  if (first < 0xf4) return {4, 0x80, 0xbf};
  if (first == 0xf4) return {4, 0x80, 0x8f};
  return {0, 0, 0};
}

// Bytes of the sequence at `at` that are present and right, at most lead.bytes.
uint32_t present(std::string_view text, size_t at, const Lead& l) {
  uint32_t n = 1;
  while (n < l.bytes && at + n < text.size()) {
    const uint8_t byte = uint8_t(text[at + n]);
    const bool right = n == 1 ? byte >= l.second_low && byte <= l.second_high : (byte & 0xc0) == 0x80;
    if (!right) break;
    ++n;
  }
  return n;
}

}  // namespace

Utf8Char utf8_decode(std::string_view text, size_t at) {
  const uint8_t first = uint8_t(text[at]);
  if (first < 0x80) return {first, 1, true};
  const Lead l = lead(first);
  if (l.bytes == 0) return {0xfffd, 1, false};
  const uint32_t n = present(text, at, l);
  if (n < l.bytes) return {0xfffd, n, false};
  uint32_t code_point = first & (0x7fu >> l.bytes);
  for (uint32_t i = 1; i < n; ++i) code_point = code_point << 6 | (uint8_t(text[at + i]) & 0x3fu);
  return {code_point, n, true};
}

bool utf8_valid(std::string_view text) {
  for (size_t at = 0; at < text.size();) {
    uint64_t eight;
    if (text.size() - at >= 8 && (std::memcpy(&eight, text.data() + at, 8), (eight & 0x8080808080808080u) == 0)) {
      at += 8;
      continue;
    }
    const Utf8Char c = utf8_decode(text, at);
    if (!c.valid) return false;
    at += c.bytes;
  }
  return true;
}

size_t utf8_count(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) at += utf8_decode(text, at).bytes;
  return count;
}

void utf8_append(std::string& out, uint32_t code_point) {
  if (code_point > 0x10ffff || (code_point >= 0xd800 && code_point < 0xe000)) code_point = 0xfffd;
  if (code_point < 0x80) {
    out += char(code_point);
  } else if (code_point < 0x800) {
    out += char(0xc0 | code_point >> 6);
    out += char(0x80 | (code_point & 0x3f));
  } else if (code_point < 0x10000) {
    out += char(0xe0 | code_point >> 12);
    out += char(0x80 | (code_point >> 6 & 0x3f));
    out += char(0x80 | (code_point & 0x3f));
  } else {
    out += char(0xf0 | code_point >> 18);
    out += char(0x80 | (code_point >> 12 & 0x3f));
    out += char(0x80 | (code_point >> 6 & 0x3f));
    out += char(0x80 | (code_point & 0x3f));
  }
}

std::string utf8_replace_invalid(std::string_view text) {
  if (utf8_valid(text)) return std::string(text);
  std::string out;
  out.reserve(text.size() + 16);
  for (size_t at = 0; at < text.size();) {
    const Utf8Char c = utf8_decode(text, at);
    if (c.valid) {
      out.append(text.substr(at, c.bytes));
    } else {
      utf8_append(out, 0xfffd);
    }
    at += c.bytes;
  }
  return out;
}

size_t utf8_unfinished(std::string_view text) {
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const size_t at = text.size() - back;
    const Lead l = lead(uint8_t(text[at]));
    if (l.bytes > back && present(text, at, l) == back) return back;
    if ((uint8_t(text[at]) & 0xc0) != 0x80) break;
  }
  return 0;
}

std::string quoted(std::string_view text, size_t max_bytes) {
  std::string out = "'";
  for (size_t at = 0; at < text.size();) {
    if (at >= max_bytes) {
      out += "…";
      break;
    }
    const Utf8Char c = utf8_decode(text, at);
    if (c.code_point < 0x20 || c.code_point == 0x7f) {
      out += fmt::format("\\x{:02x}", c.code_point);
    } else {
      utf8_append(out, c.code_point);
    }
    at += c.bytes;
  }
  return out + "'";
}

}  // namespace linnet
