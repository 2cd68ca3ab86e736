// A regular expression that a user gave, in RE2's syntax: linear time, bounded memory, no look-around, no
// back-references (re2.h; the only place that sees it is pattern.cpp).
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "gguf/base/error.h"

namespace re2 {
class RE2;
}

namespace linnet {

// Copies share what was compiled; any number of threads may search at once.
class Pattern {
 public:
  static constexpr size_t kMostBytes = 1024;  // of a pattern
  static constexpr int32_t kMostInstructions =
      2048;                                        // of the program it becomes: the steps of a searched byte, at worst
  static constexpr int64_t kMostMemory = 1 << 20;  // of one pattern, compiled, with its automaton's cache

  // `what` names the key in messages. Code::regex for a pattern that is too long, wrong, or matches the empty text.
  static Result<Pattern> compile(std::string_view pattern, std::string_view what);

  // Bytes of a text. begin: of the first capture group that took part, else of the match.
  struct Match {
    size_t start, end;
    size_t begin;
  };
  // The leftmost match inside text[from, to). What is before and after it is looked at by ^, $, \b and \B only.
  std::optional<Match> search(std::string_view text, size_t from, size_t to) const;
  bool found(std::string_view text, size_t from, size_t to) const;
  // The whole text.
  std::optional<Match> match(std::string_view text) const;
  // Whether a match begins where the text does.
  bool found_at_start(std::string_view text) const;
  // Whether a match may depend on what follows it. (Said by the pattern's letters: true also for an escaped $.)
  bool looks_ahead() const { return looks_ahead_; }
  int32_t instructions() const;
  const std::string& text() const;

 private:
  std::optional<Match> run(std::string_view text, size_t from, size_t to, bool whole) const;

  std::shared_ptr<const re2::RE2> compiled_;
  bool looks_ahead_ = false;
};

}  // namespace linnet
