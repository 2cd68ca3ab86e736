#include "runtime/pretokenizer.h"

#include <cstdint>

#include "gguf/base/utf8.h"
#include "runtime/unicode.h"

namespace linnet {
namespace {

struct Char {
  uint32_t code_point;
  CharClass cls;
  size_t end;            // where the next character begins
  bool present = false;  // false: the end of the text
};

Char peek(std::string_view text, size_t at) {
  if (at >= text.size()) return {0, CharClass::other, at, false};
  const Utf8Char c = utf8_decode(text, at);
  return {c.code_point, c.valid ? char_class(c.code_point) : CharClass::other, at + c.bytes, true};
}

// The end of the run of characters from `at` on that satisfy `in`.
template <class In>
size_t run(std::string_view text, size_t at, const In& in) {
  for (Char c = peek(text, at); c.present && in(c); c = peek(text, at)) at = c.end;
  return at;
}

bool is_letter(const Char& c) { return c.cls == CharClass::letter; }
bool is_number(const Char& c) { return c.cls == CharClass::number; }
bool is_space(const Char& c) { return c.cls == CharClass::space; }
bool is_newline(const Char& c) { return c.code_point == '\r' || c.code_point == '\n'; }
// [^\s\p{L}\p{N}]
bool is_other(const Char& c) { return c.cls == CharClass::other || c.cls == CharClass::punctuation; }

// 's|'t|'re|'ve|'m|'ll|'d at `at`: its end, or `at`. Without regard to case, U+017F (long s) is an s.
size_t contraction(std::string_view text, size_t at, bool any_case) {
  const auto letter = [&](size_t i) -> char {
    const Char c = peek(text, i);
    if (!c.present) return 0;
    if (any_case && c.code_point == 0x17f) return 's';
    if (c.code_point >= 0x80) return 0;
    return any_case && is_letter(c) ? char(c.code_point | 0x20) : char(c.code_point);
  };
  if (text[at] != '\'') return at;
  const char first = letter(at + 1), second = letter(at + 2);
  if (first == 's') return peek(text, at + 1).end;
  if (first == 't' || first == 'm' || first == 'd') return at + 2;
  const bool pair =
      (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
  return pair ? at + 3 : at;
}

// \s+(?!\S)|\s+ : white space, but of several characters the last is left to the word that follows.
size_t spaces(std::string_view text, size_t at, bool (*ends_text)(const Char&) = nullptr) {
  size_t last = at, end = at;
  Char c = peek(text, at);
  for (; c.present && is_space(c); c = peek(text, end)) {
    last = end;
    end = c.end;
  }
  const bool text_ends = !c.present || (ends_text != nullptr && ends_text(c));
  return text_ends || last == at ? end : last;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
size_t next_gpt2(std::string_view text, size_t at) {
  if (const size_t end = contraction(text, at, false); end != at) return end;
  const size_t start = text[at] == ' ' ? at + 1 : at;
  const Char c = peek(text, start);
  if (!c.present || is_space(c)) return spaces(text, at);
  return run(text, start, is_letter(c) ? is_letter : is_number(c) ? is_number : is_other);
}

// \p{N} first, then next_gpt2's pattern on the pieces between: every digit stands alone, and white space before one ends
// its piece.
size_t next_single_digits(std::string_view text, size_t at) {
  if (const Char first = peek(text, at); is_number(first)) return first.end;
  const size_t start = text[at] == ' ' ? at + 1 : at;
  const Char c = peek(text, start);
  if (!c.present || is_space(c) || is_number(c)) return spaces(text, at, is_number);
  return next_gpt2(text, at);
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,kDigits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+
//   |\s+(?!\S)|\s+
template <int kDigits>
size_t next_llama3(std::string_view text, size_t at) {
  if (const size_t end = contraction(text, at, true); end != at) return end;
  const Char c = peek(text, at);
  if (is_letter(c)) return run(text, at, is_letter);
  if (is_number(c)) {
    size_t end = c.end;
    for (int digits = 1; digits < kDigits && is_number(peek(text, end)); ++digits) end = peek(text, end).end;
    return end;
  }
  const Char following = peek(text, c.end);
  if (!is_newline(c) && is_letter(following)) return run(text, c.end, is_letter);
  if (is_other(c) || (c.code_point == ' ' && following.present && is_other(following))) {
    return run(text, run(text, is_other(c) ? at : c.end, is_other), is_newline);
  }
  size_t newlines_end = at, end = at;
  for (Char space = c; space.present && is_space(space); space = peek(text, end)) {
    end = space.end;
    if (is_newline(space)) newlines_end = end;
  }
  return newlines_end != at ? newlines_end : spaces(text, at);
}

// The patterns of "default" are applied one after another, each to the pieces that the one before has left:
//   [\p{P}\$\+<=>\^~\|]+                                         runs of signs stand alone
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)
//   \p{N}+                                                       the space before a number stands alone
//   [0-9][0-9][0-9]                                              threes of digits, from the left
bool is_sign(const Char& c) {
  if (c.cls == CharClass::punctuation) return true;
  const uint32_t p = c.code_point;
  return p == '$' || p == '+' || p == '<' || p == '=' || p == '>' || p == '^' || p == '~' || p == '|';
}

size_t next_default(std::string_view text, size_t at) {
  const Char first = peek(text, at);
  if (is_sign(first)) return run(text, at, is_sign);
  if (is_number(first)) {
    const auto three = [&](size_t i) {
      const auto digit = [&](size_t k) { return k < text.size() && text[k] >= '0' && text[k] <= '9'; };
      return digit(i) && digit(i + 1) && digit(i + 2);
    };
    if (three(at)) return at + 3;
    size_t end = first.end;
    while (is_number(peek(text, end)) && !three(end)) end = peek(text, end).end;
    return end;
  }
  const size_t start = text[at] == ' ' ? at + 1 : at;
  const Char c = peek(text, start);
  if (!c.present || is_space(c) || is_sign(c)) return spaces(text, at, is_sign);
  if (is_number(c)) return start;
  if (is_letter(c)) return run(text, start, is_letter);
  return run(text, start, [](const Char& x) { return is_other(x) && !is_sign(x); });
}

constexpr Pretokenizer kPretokenizers[] = {
    {"default", next_default, false, false},      {"gpt-2", next_gpt2, false, false},
    {"phi-2", next_gpt2, false, false},           {"llama-bpe", next_llama3<3>, true, true},
    {"llama-v3", next_llama3<3>, true, true},     {"llama3", next_llama3<3>, true, true},
    {"qwen2", next_llama3<1>, false, false},      {"deepseek-r1-qwen", next_llama3<1>, false, false},
    {"smollm", next_single_digits, false, false}, {"starcoder", next_single_digits, false, false},
};

}  // namespace

const Pretokenizer* find_pretokenizer(std::string_view name) {
  for (const Pretokenizer& p : kPretokenizers) {
    if (p.name == name) return &p;
  }
  return nullptr;
}

std::string pretokenizer_names() {
  std::string names;
  for (const Pretokenizer& p : kPretokenizers) {
    if (!names.empty()) names += ", ";
    names += p.name;
  }
  return names;
}

}  // namespace linnet
