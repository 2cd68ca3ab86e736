// Triggers: a token, a word or a pattern in generated text at which something happens. A lazy grammar starts there, or
// the generation stops there.
//
// What is decided never depends on how the text is cut into pieces. The text is looked at after every byte, and what
// fires first, fires:
//   token         when the token is generated; it begins where the token's text does.
//   word          when the text ends with these bytes.
//   pattern       when a match inside the last 4 KiB ends there, whatever follows. A match that depends on what follows
//                 (\b, \B, (?m)$) waits for the next byte; so a plain $ never matches: more text may always follow.
//   pattern_full  when the text so far, as a whole, matches. A text of more than 64 KiB matches none any more.
// Of several that fire after the same byte, the one that starts first; of those, the first in the list.
//
// Patterns that together have more than 1024 instructions, or full ones with more than 64, look at less: window() and
// full_text() say how much.
//
// Cost of a piece: every pattern runs once over the last 4 KiB and the piece (every 256 bytes of it), every full pattern
// once over the text so far, of at most 64 KiB; byte by byte only where it has just been found, or where a full pattern
// has $, \b or \B. Running is linear, so a long text costs a constant for its first 64 KiB and is linear after.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/pattern.h"

namespace linnet {

struct Trigger {
  enum class Type : uint8_t { token, word, pattern, pattern_full };
  Type type = Type::word;
  std::string value;   // word: the text; patterns: the pattern; token: only for messages
  int32_t token = -1;  // token only
};

// "token", "word", "pattern" or "pattern_full", also with COMMON_GRAMMAR_TRIGGER_TYPE_ before it and in capitals.
std::optional<Trigger::Type> trigger_type(std::string_view name);

struct TriggerMatch {
  size_t trigger = 0;  // its place in the list
  // Bytes of the text so far. begin: where the first capture group that took part starts, else the match.
  uint64_t start = 0, end = 0;
  uint64_t begin = 0;
  uint64_t known = 0;     // how much of the text decided it: `end`, or the byte after it, too
  std::string text = {};  // [start, end); empty for a token
};

// Copyable; copies share what was compiled and go on by themselves. A copy costs the text that is kept: at most 16 KiB,
// with a full pattern up to 64 KiB more.
class TriggerMatcher {
 public:
  static constexpr size_t kMostTriggers = 64;
  static constexpr size_t kMostPatterns = 16;
  static constexpr size_t kMostWordBytes = 1024;
  static constexpr int64_t kMostInstructions = 4096;  // of all patterns together
  static constexpr size_t kWindow = 4096;             // a match of a pattern is not longer
  static constexpr size_t kFullText = 64 * 1024;      // what a full pattern looks at
  // Hostile patterns cost a step per instruction and byte. So that a piece costs no more than this, large patterns look
  // at less: instructions of all patterns times the bytes looked at stay below.
  static constexpr size_t kMostSteps = 4 << 20;

  // Checks every trigger: ids inside the vocabulary, words not empty, patterns valid. `key` names the list in messages;
  // `names` has a name for each, or is empty.
  static Result<TriggerMatcher> create(std::vector<Trigger> triggers, int32_t vocabulary_size, std::string_view key,
                                       const std::vector<std::string>& names = {});

  bool empty() const { return plan_->triggers.empty(); }
  // Of a token, before its bytes are pushed: a trigger on its id that fires.
  std::optional<TriggerMatch> on_token(int32_t id) const;
  // Adds bytes. What fires is told once; whatever the piece holds after it is not looked at.
  std::optional<TriggerMatch> push(std::string_view bytes);
  // Adds bytes in which nothing fires and in which no match of a word or pattern begins.
  void pass(std::string_view bytes);
  // Bytes of the text so far.
  uint64_t length() const { return base_ + text_.size(); }
  // Where matches may begin: after what pass() added.
  uint64_t from() const { return from_; }
  // Goes back to an earlier length() and from(). After more than 4 KiB matches that began before it may be missed.
  void rewind(uint64_t length, uint64_t from);
  // The longest match of a pattern, and the longest text that a full pattern matches.
  size_t window() const { return plan_->window; }
  size_t full_text() const { return plan_->full_text; }
  // Bytes that patterns and words were run over, for tests of the cost.
  uint64_t scanned() const { return scanned_; }
  // Whether the text has become too long for the full patterns there are.
  bool full_patterns_over() const { return plan_->any_full && length() > plan_->full_text; }

 private:
  struct Plan {
    std::vector<Trigger> triggers;
    std::vector<std::optional<Pattern>> patterns;  // [triggers]
    bool any_full = false, any_text = false;
    size_t window = kWindow, full_text = kFullText;
  };

  std::optional<TriggerMatch> push_chunk(std::string_view bytes);
  void append(std::string_view bytes);
  bool may_fire(size_t trigger, size_t old_size);
  enum class Next { unknown, known };  // the byte after an end
  std::optional<TriggerMatch> first_at(const std::vector<size_t>& candidates, size_t end, Next next);
  std::optional<Pattern::Match> word_at(const Trigger& trigger, size_t end) const;
  std::optional<Pattern::Match> full_at(const Pattern& pattern, size_t end);
  std::optional<Pattern::Match> pattern_at(const Pattern& pattern, size_t end, Next next);
  std::optional<Pattern::Match> search(const Pattern& pattern, size_t end);
  size_t window_start(size_t end, size_t length) const;

  std::shared_ptr<const Plan> plan_;
  std::string text_;  // the text so far from base_ on
  uint64_t base_ = 0;
  uint64_t from_ = 0;
  uint64_t scanned_ = 0;
};

}  // namespace linnet
