// Where code that is filled in becomes less indented than wanted: the end of a block, as completions inside a file use it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

namespace linnet {

// A line begins after a line break of the generated text; the rest of the line that was there before does not count.
// Its indentation is the number of blanks and tabs (each counts one) before its first other character. Lines of blanks
// only have none. The first line with less than `least` ends the text where the line begins.
class Indentation {
 public:
  // least > 0, or -1: as much as the first line that has an indentation.
  explicit Indentation(int32_t least) : least_(least) {}

  // Adds bytes; where the text ends, if it does.
  std::optional<uint64_t> push(std::string_view bytes) {
    for (const char c : bytes) {
      ++position_;
      if (c == '\n') {
        line_ = position_;
        indented_ = 0;
        open_ = true;
      } else if (open_ && (c == ' ' || c == '\t' || c == '\r')) {
        indented_ += c != '\r';
        if (least_ >= 0 && indented_ >= least_) open_ = false;
      } else if (open_) {
        open_ = false;
        if (least_ < 0) least_ = indented_;
        if (indented_ < least_) return line_;
      }
    }
    return std::nullopt;
  }
  // Adds bytes that are not looked at.
  void pass(std::string_view bytes) {
    position_ += bytes.size();
    open_ = false;
  }
  int32_t least() const { return least_; }
  // Bytes looked at so far.
  uint64_t position() const { return position_; }
  // From where on the text may yet turn out to be after the end.
  std::optional<uint64_t> undecided() const { return open_ ? std::optional(line_) : std::nullopt; }

 private:
  int32_t least_;
  int32_t indented_ = 0;
  uint64_t position_ = 0;
  uint64_t line_ = 0;
  bool open_ = false;  // the line may still have too little
};

}  // namespace linnet
