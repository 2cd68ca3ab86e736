#include "gguf/base/json_place.h"

#include <cstdint>
#include <string>

namespace linnet {
namespace {

// The grammar of RFC 8259, read once from left to right; the brackets that are open take the place of recursion.
class Scan {
 public:
  explicit Scan(std::string_view text) : text_(text) {}

  std::optional<size_t> run() {
    if (!value_and_rest()) return at_;
    return std::nullopt;
  }

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool skip_space() {
    while (at_ < text_.size() && (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r')) ++at_;
    return true;
  }

  // A value; then, as long as brackets are open, what may follow a value in them.
  bool value_and_rest() {
    std::string open;  // '{' and '[', outermost first
    for (bool value_next = true;;) {
      skip_space();
      if (value_next) {
        if (take('{')) {
          skip_space();
          if (take('}')) {
            value_next = false;
          } else if (open += '{'; !key()) {
            return false;
          }
        } else if (take('[')) {
          skip_space();
          if (take(']')) {
            value_next = false;
          } else {
            open += '[';
          }
        } else if (scalar()) {
          value_next = false;
        } else {
          return false;
        }
      } else if (open.empty()) {
        return at_ == text_.size();
      } else if (take(',')) {
        if (open.back() == '{' && !(skip_space() && key())) return false;
        value_next = true;
      } else if (take(open.back() == '{' ? '}' : ']')) {
        open.pop_back();
      } else {
        return false;
      }
    }
  }

  bool key() { return string() && skip_space() && take(':'); }

  bool scalar() {
    switch (peek()) {
      case '"':
        return string();
      case 't':
        return word("true");
      case 'f':
        return word("false");
      case 'n':
        return word("null");
      default:
        return number();
    }
  }

  bool word(std::string_view w) {
    for (const char c : w) {
      if (!take(c)) return false;
    }
    return true;
  }

  bool string() {
    if (!take('"')) return false;
    for (;;) {
      if (at_ == text_.size() || uint8_t(peek()) < 0x20) return false;
      if (take('"')) return true;
      if (!take('\\')) {
        ++at_;
      } else if (take('u')) {
        for (int i = 0; i < 4; ++i) {
          if (!hex_digit()) return false;
        }
      } else if (at_ == text_.size() || std::string_view("\"\\/bfnrt").find(peek()) == std::string_view::npos) {
        return false;
      } else {
        ++at_;
      }
    }
  }

  bool hex_digit() {
    const char c = peek();
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    at_ += hex;
    return hex;
  }

  bool digits() {
    const size_t start = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ > start;
  }

  bool number() {
    take('-');
    if (!take('0') && !digits()) return false;
    if (take('.') && !digits()) return false;
    if (!take('e') && !take('E')) return true;
    if (!take('+')) take('-');
    return digits();
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::optional<size_t> json_error_offset(std::string_view text) { return Scan(text).run(); }

}  // namespace linnet
