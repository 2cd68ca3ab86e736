// A piece of a text as characters: what splitters read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "gguf/base/utf8.h"
#include "runtime/unicode.h"

namespace linnet {

struct Char {
  uint32_t code_point;
  CharClass cls;  // `other` for a sequence that is not UTF-8
  size_t end;     // where the next character begins
  bool present;   // false: the end of the piece
};

class Piece {
 public:
  // Every look at a character adds one to `looked`: what the tests of complexity count.
  Piece(std::string_view text, uint64_t& looked) : text_(text), looked_(&looked) {}

  std::string_view text() const { return text_; }
  size_t size() const { return text_.size(); }
  Piece part(size_t begin, size_t end) const { return {text_.substr(begin, end - begin), *looked_}; }

  // The character that begins at byte `at`.
  Char at(size_t at) const {
    ++*looked_;
    if (at >= text_.size()) return {0, CharClass::other, at, false};
    const uint8_t byte = uint8_t(text_[at]);
    if (byte < 0x80) return {byte, kAsciiClasses[byte], at + 1, true};
    const Utf8Char c = utf8_decode(text_, at);
    return {c.code_point, c.valid ? char_class(c.code_point) : CharClass::other, at + c.bytes, true};
  }
  // The end of the run of characters from byte `at` on that satisfy `in`.
  template <class In>
  size_t run(size_t at, const In& in) const {
    for (Char c = this->at(at); c.present && in(c); c = this->at(at)) at = c.end;
    return at;
  }

 private:
  std::string_view text_;
  uint64_t* looked_;
};

}  // namespace linnet
