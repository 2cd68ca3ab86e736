#include "runtime/template/lexer.h"

#include <algorithm>

#include <fmt/format.h>

#include "gguf/base/utf8.h"
#include "runtime/template/characters.h"
#include "runtime/template/strings.h"

namespace linnet::jinja {
namespace {

bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }

bool is_digit_of(char c, int base) {
  if (base == 16) return is_ascii_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
  return c >= '0' && c < '0' + base;
}

// Digits with single underscores between them: where they end.
size_t digits_end(std::string_view text, size_t at, int base) {
  const size_t start = at;
  while (at < text.size()) {
    if (is_digit_of(text[at], base)) {
      ++at;
    } else if (at > start && text[at] == '_' && at + 1 < text.size() && is_digit_of(text[at + 1], base)) {
      at += 2;
    } else {
      break;
    }
  }
  return at;
}

// Up to `most` hexadecimal digits as a number, or nothing if there are fewer.
bool take_hex(std::string_view text, size_t& at, size_t most, uint32_t& value) {
  value = 0;
  if (text.size() - at < most) return false;
  for (const size_t end = at + most; at < end; ++at) {
    if (!is_digit_of(text[at], 16)) return false;
    value = value << 4 | uint32_t(is_ascii_digit(text[at]) ? text[at] - '0' : (text[at] | 0x20) - 'a' + 10);
  }
  return true;
}

// One escape of a string literal: `at` is behind the backslash. False: it is not complete.
bool unescape(std::string_view text, size_t& at, std::string& out) {
  constexpr std::string_view kLetters = "abfnrtv\\'\"", kMeaning = "\a\b\f\n\r\t\v\\'\"";
  const char c = text[at++];
  if (const size_t i = kLetters.find(c); i != kLetters.npos) {
    out += kMeaning[i];
  } else if (c == '\n') {
    // a line goes on
  } else if (c == 'x' || c == 'u' || c == 'U') {
    uint32_t value = 0;
    if (!take_hex(text, at, c == 'x' ? 2 : c == 'u' ? 4 : 8, value) || value > 0x10ffff) return false;
    uint32_t low = 0;
    // Two halves of a surrogate pair are one character.
    if (size_t after = at + 2;
        value >> 10 == 0x36 && text.substr(at, 2) == "\\u" && take_hex(text, after, 4, low) && low >> 10 == 0x37) {
      at = after;
      value = 0x10000 + ((value & 0x3ff) << 10 | (low & 0x3ff));
    }
    utf8_append(out, value);
  } else if (c >= '0' && c <= '7') {
    uint32_t value = uint32_t(c - '0');
    for (int more = 0; more < 2 && at < text.size() && is_digit_of(text[at], 8); ++more)
      value = value * 8 + uint32_t(text[at++] - '0');
    utf8_append(out, value);
  } else if (c == 'N') {
    return false;
  } else {
    out += '\\';
    out += c;
  }
  return true;
}

}  // namespace

std::string Token::describe() const {
  switch (type) {
    case Type::data:
      return "text";
    case Type::variable_begin:
      return "the beginning of an expression";
    case Type::variable_end:
      return "the end of the expression";
    case Type::block_begin:
      return "the beginning of a statement";
    case Type::block_end:
      return "the end of the statement";
    case Type::end:
      return "the end of the template";
    default:
      return quoted(text);
  }
}

size_t line_of(std::string_view source, size_t place) {
  return size_t(std::count(source.begin(), source.begin() + int64_t(std::min(place, source.size())), '\n')) + 1;
}

Error syntax_error(std::string_view source, size_t place, const std::string& message) {
  place = std::min(place, source.size());
  const size_t newline = source.substr(0, place).rfind('\n');
  const size_t start = newline == source.npos ? 0 : newline + 1;
  return fail(Code::invalid_argument, "line {}, column {}: {}", line_of(source, place),
              characters(source.substr(start, place - start)) + 1, message);
}

Result<Token> Lexer::next() {
  while (ready_.empty() && mode_ == Mode::data && at_ < source_.size()) LINNET_CHECK(scan_data());
  if (!ready_.empty()) {
    Token first = std::move(ready_.front());
    ready_.pop_front();
    return first;
  }
  if (mode_ == Mode::data) return token(Token::Type::end, at_);
  return scan_code();
}

Token Lexer::token(Token::Type type, size_t from) {
  Token t;
  t.type = type;
  t.place = uint32_t(from);
  t.text = source_.substr(from, at_ - from);
  return t;
}

size_t Lexer::skip_space(size_t at) const {
  while (at < source_.size()) {
    const Utf8Char c = utf8_decode(source_, at);
    if (!is_space(c.code_point)) break;
    at += c.bytes;
  }
  return at;
}

// The text before a tag, without the white space that the tag takes away.
void Lexer::add_data(size_t from, size_t to, char sign, bool variable) {
  std::string_view text = source_.substr(from, to - from);
  if (sign == '-') {
    text = strip(text, kRight);
  } else if (sign != '+' && !variable) {
    const size_t newline = text.rfind('\n');
    const size_t line = newline == text.npos ? 0 : newline + 1;
    if ((line > 0 || line_start_) && strip(text.substr(line), kBoth).empty()) text = text.substr(0, line);
  }
  if (text.empty()) return;
  Token data = token(Token::Type::data, from);
  data.text = text;
  ready_.push_back(std::move(data));
}

// From at_ to behind the beginning of the next tag, or a whole comment or raw block.
Status Lexer::scan_data() {
  size_t begin = source_.find('{', at_);
  while (begin != source_.npos && !matches(begin, "{{") && !matches(begin, "{%") && !matches(begin, "{#")) {
    begin = source_.find('{', begin + 1);
  }
  if (begin == source_.npos) {
    Token data = token(Token::Type::data, at_);
    data.text = source_.substr(at_);
    ready_.push_back(std::move(data));
    at_ = source_.size();
    return {};
  }
  const char kind = source_[begin + 1];
  if (kind == '#') return scan_comment(begin);
  if (kind == '%') {
    LINNET_TRY(const bool raw, scan_raw(begin));
    if (raw) return {};
  }
  const char sign = begin + 2 < source_.size() ? source_[begin + 2] : ' ';
  add_data(at_, begin, sign, kind == '{');
  tag_ = begin;
  at_ = begin + (sign == '-' || sign == '+' ? 3 : 2);
  ready_.push_back(token(kind == '{' ? Token::Type::variable_begin : Token::Type::block_begin, begin));
  mode_ = kind == '{' ? Mode::variable : Mode::block;
  return {};
}

Status Lexer::scan_comment(size_t begin) {
  const char sign = begin + 2 < source_.size() ? source_[begin + 2] : ' ';
  const size_t inside = begin + (sign == '-' || sign == '+' ? 3 : 2);
  const size_t end = source_.find("#}", inside);
  if (end == source_.npos) return syntax_error(source_, begin, "the comment has no end #}");
  add_data(at_, begin, sign, false);
  at_ = end + 2;
  const char mark = end > inside ? source_[end - 1] : ' ';
  if (mark == '-') {
    at_ = skip_space(at_);
  } else if (mark != '+' && matches(at_, "\n")) {
    ++at_;
  }
  line_start_ = source_[at_ - 1] == '\n';
  return {};
}

// {% raw %} ... {% endraw %}, each with its white space control.
Result<bool> Lexer::scan_raw(size_t begin) {
  const auto after_word = [this](size_t tag, std::string_view word) -> size_t {
    size_t at = tag + 2;
    if (at < source_.size() && (source_[at] == '-' || source_[at] == '+')) ++at;
    at = skip_space(at);
    return matches(at, word) ? skip_space(at + word.size()) : source_.npos;
  };
  size_t inside = after_word(begin, "raw");
  if (inside == source_.npos) return false;
  if (matches(inside, "-%}")) {
    inside = skip_space(inside + 3);
  } else if (matches(inside, "%}")) {
    inside += 2;
  } else {
    return false;
  }
  add_data(at_, begin, source_[begin + 2], false);
  line_start_ = source_[inside - 1] == '\n';
  for (size_t tag = source_.find("{%", inside); tag != source_.npos; tag = source_.find("{%", tag + 1)) {
    const size_t end = after_word(tag, "endraw");
    if (end == source_.npos) continue;
    const bool signed_end = matches(end, "-%}") || matches(end, "+%}");
    if (!signed_end && !matches(end, "%}")) continue;
    add_data(inside, tag, source_[tag + 2], false);
    at_ = end + (signed_end ? 3 : 2);
    if (source_[end] == '-') {
      at_ = skip_space(at_);
    } else if (!signed_end && matches(at_, "\n")) {
      ++at_;
    }
    line_start_ = source_[at_ - 1] == '\n';
    return true;
  }
  return syntax_error(source_, begin, "the raw block has no end {% endraw %}");
}

// The end of the tag, if it is here and all brackets are closed.
bool Lexer::scan_end(Token& end) {
  if (!open_.empty()) return false;
  const size_t from = at_;
  const bool block = mode_ == Mode::block;
  const std::string_view mark = block ? "%}" : "}}";
  const bool minus = matches(at_, "-") && matches(at_ + 1, mark);
  const bool plus = block && matches(at_, "+") && matches(at_ + 1, mark);
  if (!minus && !plus && !matches(at_, mark)) return false;
  at_ += minus || plus ? 3 : 2;
  if (minus) {
    at_ = skip_space(at_);
  } else if (block && !plus && matches(at_, "\n")) {
    ++at_;
  }
  line_start_ = source_[at_ - 1] == '\n';
  mode_ = Mode::data;
  end = token(block ? Token::Type::block_end : Token::Type::variable_end, from);
  return true;
}

Result<Token> Lexer::scan_code() {
  at_ = skip_space(at_);
  Token end;
  if (scan_end(end)) return end;
  if (at_ >= source_.size()) {
    if (!open_.empty())
      return syntax_error(source_, open_at_.back(), fmt::format("the bracket {} is not closed", open_.back()));
    return syntax_error(source_, tag_,
                        mode_ == Mode::block ? "the statement has no end %}" : "the expression has no end }}");
  }
  const char c = source_[at_];
  if (is_ascii_digit(c)) return scan_number();
  if (c == '\'' || c == '"') return scan_string();
  const size_t from = at_;
  for (; at_ < source_.size(); at_ += utf8_decode(source_, at_).bytes) {
    const uint32_t point = utf8_decode(source_, at_).code_point;
    const bool fits = point == '_' || is_alphabetic(point) || (at_ > from && is_alphanumeric(point));
    if (!fits) break;
  }
  if (at_ > from) return token(Token::Type::name, from);
  return scan_operator();
}

Result<Token> Lexer::scan_number() {
  const size_t from = at_;
  const char mark = from + 1 < source_.size() && source_[from] == '0' ? char(source_[from + 1] | 0x20) : ' ';
  const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
  size_t end = 0;
  bool whole = true;
  if (base != 10) {
    end = digits_end(source_, from + 2, base);
    if (end == from + 2) end = from + 1;  // a 0, and then something else
  } else {
    const size_t digits = digits_end(source_, from, 10);
    end = digits;
    // x.1.2 is two items by number.
    if (from == 0 || source_[from - 1] != '.') {
      if (matches(end, ".") && digits_end(source_, end + 1, 10) > end + 1) end = digits_end(source_, end + 1, 10);
      size_t exponent = end;
      if (exponent < source_.size() && (source_[exponent] | 0x20) == 'e') {
        ++exponent;
        if (exponent < source_.size() && (source_[exponent] == '-' || source_[exponent] == '+')) ++exponent;
        if (digits_end(source_, exponent, 10) > exponent) end = digits_end(source_, exponent, 10);
      }
    }
    whole = end == digits;
    // 007 is no number: a 0 and then another one.
    if (whole && source_[from] == '0') end = std::min(end, source_.find_first_not_of("0_", from));
  }
  at_ = end;
  Token t = token(whole ? Token::Type::integer : Token::Type::number, from);
  std::string digits(t.text);
  std::erase(digits, '_');
  if (whole) {
    const auto value = parse_integer(digits, base);
    if (!value) return syntax_error(source_, from, fmt::format("the number {} does not fit 64 bits", digits));
    t.integer = *value;
  } else {
    t.number = *parse_number(digits);
  }
  return t;
}

Result<Token> Lexer::scan_string() {
  const size_t from = at_;
  const char mark = source_[from];
  size_t end = from + 1;
  while (end < source_.size() && source_[end] != mark) end += source_[end] == '\\' ? 2 : 1;
  if (end >= source_.size()) return syntax_error(source_, from, fmt::format("the text has no end {}", mark));
  at_ = end + 1;
  Token t = token(Token::Type::string, from);
  const std::string_view inside = source_.substr(from + 1, end - from - 1);
  for (size_t at = 0; at < inside.size();) {
    const size_t slash = std::min(inside.find('\\', at), inside.size());
    t.string += inside.substr(at, slash - at);
    at = slash + 1;
    if (slash < inside.size() && !unescape(inside, at, t.string))
      return syntax_error(source_, from + 1 + slash, "this escape of a character is not complete, or not supported");
  }
  return t;
}

Result<Token> Lexer::scan_operator() {
  const size_t from = at_;
  const std::string_view two = source_.substr(at_, 2);
  if (two == "//" || two == "**" || two == "==" || two == "!=" || two == ">=" || two == "<=") {
    at_ += 2;
    return token(Token::Type::op, from);
  }
  const char c = source_[at_];
  if (std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
    return syntax_error(
        source_, from,
        fmt::format("unexpected character {}", quoted(source_.substr(from, utf8_decode(source_, from).bytes))));
  }
  ++at_;
  if (c == '(' || c == '[' || c == '{') {
    open_.push_back(c);
    open_at_.push_back(from);
  } else if (c == ')' || c == ']' || c == '}') {
    const char wanted = c == ')' ? '(' : c == ']' ? '[' : '{';
    if (open_.empty()) return syntax_error(source_, from, fmt::format("the bracket {} closes nothing", c));
    if (open_.back() != wanted)
      return syntax_error(source_, from, fmt::format("the bracket {} does not close {}", c, open_.back()));
    open_.pop_back();
    open_at_.pop_back();
  }
  return token(Token::Type::op, from);
}

}  // namespace linnet::jinja
