#include "sampling/triggers.h"

#include <algorithm>
#include <array>
#include <utility>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

constexpr size_t kChunk = 256;
// The text that is kept for rewind(), and how much more may gather before it is dropped.
constexpr size_t kKept = 2 * TriggerMatcher::kWindow;
constexpr size_t kPortion = 2 * TriggerMatcher::kWindow;
// What may follow a text, as \b, \B and (?m)$ tell it apart: a letter, a line's end, anything else.
constexpr std::array kFollowers{'a', '\n', ' '};

bool is_pattern(const Trigger& trigger) {
  return trigger.type == Trigger::Type::pattern || trigger.type == Trigger::Type::pattern_full;
}

Status check(const Trigger& trigger, int32_t vocabulary_size, std::string_view what) {
  if (trigger.type == Trigger::Type::token && (trigger.token < 0 || trigger.token >= vocabulary_size)) {
    return fail(Code::token_range, "{}: token {} is not in the vocabulary: expected 0 to {}", what, trigger.token,
                vocabulary_size - 1);
  }
  const size_t bytes = trigger.value.size();
  if (trigger.type == Trigger::Type::word && (bytes < 1 || bytes > TriggerMatcher::kMostWordBytes)) {
    return fail(Code::option_range, "{}: the word has {} bytes, expected 1 to {}", what, bytes,
                TriggerMatcher::kMostWordBytes);
  }
  return {};
}

}  // namespace

std::optional<Trigger::Type> trigger_type(std::string_view name) {
  constexpr std::string_view kPrefix = "COMMON_GRAMMAR_TRIGGER_TYPE_";
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kNames{
      {{"token", "TOKEN"}, {"word", "WORD"}, {"pattern", "PATTERN"}, {"pattern_full", "PATTERN_FULL"}}};
  if (name.starts_with(kPrefix)) name.remove_prefix(kPrefix.size());
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (name == kNames[i].first || name == kNames[i].second) return Trigger::Type(i);
  }
  return std::nullopt;
}

Result<TriggerMatcher> TriggerMatcher::create(std::vector<Trigger> triggers, int32_t vocabulary_size,
                                              std::string_view key, const std::vector<std::string>& names) {
  if (triggers.size() > kMostTriggers) {
    return fail(Code::option_range, "{}: there are {} entries, at most {} are taken", key, triggers.size(),
                kMostTriggers);
  }
  const auto patterns = size_t(std::count_if(triggers.begin(), triggers.end(), is_pattern));
  if (patterns > kMostPatterns) {
    return fail(Code::option_range, "{}: there are {} patterns, at most {} are taken; join some with |", key, patterns,
                kMostPatterns);
  }
  auto plan = std::make_shared<Plan>();
  int64_t searched = 0, full = 0;  // instructions
  for (const Trigger& trigger : triggers) {
    const size_t i = plan->patterns.size();
    const std::string what = i < names.size() ? names[i] : fmt::format("{}[{}]", key, i);
    LINNET_CHECK(check(trigger, vocabulary_size, what));
    plan->patterns.emplace_back();
    plan->any_text |= trigger.type != Trigger::Type::token;
    plan->any_full |= trigger.type == Trigger::Type::pattern_full;
    if (!is_pattern(trigger)) continue;
    LINNET_TRY(plan->patterns.back(), Pattern::compile(trigger.value, what));
    const int32_t size = plan->patterns.back()->instructions();
    (trigger.type == Trigger::Type::pattern ? searched : full) += size;
  }
  if (searched + full > kMostInstructions) {
    return fail(Code::regex, "{}: the patterns compile to {} instructions together, at most {} are taken; use fewer",
                key, searched + full, kMostInstructions);
  }
  plan->window = std::min(kWindow, kMostSteps / size_t(std::max<int64_t>(searched, 1)));
  plan->full_text = std::min(kFullText, kMostSteps / size_t(std::max<int64_t>(full, 1)));
  plan->triggers = std::move(triggers);
  TriggerMatcher made;
  made.plan_ = std::move(plan);
  return made;
}

std::optional<TriggerMatch> TriggerMatcher::on_token(int32_t id) const {
  for (size_t i = 0; i < plan_->triggers.size(); ++i) {
    const Trigger& trigger = plan_->triggers[i];
    if (trigger.type != Trigger::Type::token || trigger.token != id) continue;
    return TriggerMatch{.trigger = i, .start = length(), .end = length(), .begin = length(), .known = length()};
  }
  return std::nullopt;
}

void TriggerMatcher::append(std::string_view bytes) {
  // Full patterns need all of the text, while it is short enough, and as much more as rewind() may take back.
  const bool whole = plan_->any_full && length() <= kFullText + kWindow;
  if (!whole && text_.size() > kKept + kPortion) {
    const size_t dropped = text_.size() - kKept;
    text_.erase(0, dropped);
    base_ += dropped;
  }
  text_.append(bytes);
}

void TriggerMatcher::pass(std::string_view bytes) {
  if (plan_->any_text) {
    for (; bytes.size() > kChunk; bytes.remove_prefix(kChunk)) append(bytes.substr(0, kChunk));
    append(bytes);
  } else {
    base_ += bytes.size();
  }
  from_ = length();
}

void TriggerMatcher::rewind(uint64_t length, uint64_t from) {
  from_ = from;
  if (length >= base_) return text_.resize(size_t(length - base_));
  text_.clear();
  base_ = length;
}

std::optional<TriggerMatch> TriggerMatcher::push(std::string_view bytes) {
  if (!plan_->any_text) {
    base_ += bytes.size();
    return std::nullopt;
  }
  for (; !bytes.empty(); bytes.remove_prefix(std::min(kChunk, bytes.size()))) {
    if (auto match = push_chunk(bytes.substr(0, kChunk))) return match;
  }
  return std::nullopt;
}

std::optional<TriggerMatch> TriggerMatcher::push_chunk(std::string_view bytes) {
  append(bytes);
  const size_t old_size = text_.size() - bytes.size();
  std::vector<size_t> candidates;
  for (size_t i = 0; i < plan_->triggers.size(); ++i) {
    if (may_fire(i, old_size)) candidates.push_back(i);
  }
  if (candidates.empty()) return std::nullopt;
  // A match that ended where the text did before may have waited for these bytes.
  for (size_t end = old_size; end <= text_.size(); ++end) {
    std::optional<TriggerMatch> match;
    if (end > old_size) match = first_at(candidates, end, Next::unknown);
    if (!match && end < text_.size()) match = first_at(candidates, end, Next::known);
    if (match) return match;
  }
  return std::nullopt;
}

// Where in text_ a match that ends at `end` and has at most `length` bytes may start. If the beginning of the text was
// dropped, the first byte that is kept only tells what was before.
size_t TriggerMatcher::window_start(size_t end, size_t length) const {
  size_t start = end - std::min(end, length);
  if (base_ > 0) start = std::max<size_t>(start, 1);
  if (from_ > base_) start = std::max(start, size_t(from_ - base_));
  return std::min(start, end);
}

// Whether a trigger may fire in what was added to text_; cheap, and wrong only by saying yes.
bool TriggerMatcher::may_fire(size_t trigger, size_t old_size) {
  const Trigger& t = plan_->triggers[trigger];
  switch (t.type) {
    case Trigger::Type::token:
      return false;
    case Trigger::Type::word: {
      const size_t from = window_start(old_size, t.value.size() - 1);
      scanned_ += text_.size() - from;
      return text_.find(t.value, from) != text_.npos;
    }
    case Trigger::Type::pattern: {
      const size_t from = window_start(old_size, plan_->window);
      const size_t size = text_.size();
      scanned_ += size - from;
      text_.push_back(' ');  // so that the end is not the text's end
      const bool found = plan_->patterns[trigger]->found(text_, from, size);
      text_.pop_back();
      return found;
    }
    case Trigger::Type::pattern_full: {
      if (base_ > 0 || old_size >= plan_->full_text) return false;
      if (plan_->patterns[trigger]->looks_ahead()) return true;
      scanned_ += text_.size();
      return plan_->patterns[trigger]->found_at_start(text_);
    }
  }
  return false;
}

std::optional<Pattern::Match> TriggerMatcher::search(const Pattern& pattern, size_t end) {
  const size_t from = window_start(end, plan_->window);
  scanned_ += end - from;
  return pattern.search(text_, from, end);
}

std::optional<Pattern::Match> TriggerMatcher::word_at(const Trigger& trigger, size_t end) const {
  const size_t bytes = trigger.value.size();
  if (end < bytes || end - bytes < window_start(end, bytes)) return std::nullopt;
  if (text_.compare(end - bytes, bytes, trigger.value) != 0) return std::nullopt;
  return Pattern::Match{.start = end - bytes, .end = end, .begin = end - bytes};
}

std::optional<Pattern::Match> TriggerMatcher::full_at(const Pattern& pattern, size_t end) {
  if (end > plan_->full_text || end <= from_) return std::nullopt;
  scanned_ += end;
  return pattern.match(std::string_view(text_).substr(0, end));
}

std::optional<Pattern::Match> TriggerMatcher::pattern_at(const Pattern& pattern, size_t end, Next next) {
  if (next == Next::known) return pattern.looks_ahead() ? search(pattern, end) : std::nullopt;
  if (!pattern.looks_ahead()) return search(pattern, end);
  // Whatever follows: of the matches that this gives, the one that starts last claims the least.
  const bool at_end = end == text_.size();
  if (at_end) text_.push_back(0);
  const char known = text_[end];
  std::optional<Pattern::Match> weakest;
  for (const char follower : kFollowers) {
    text_[end] = follower;
    const std::optional<Pattern::Match> match = search(pattern, end);
    if (!match || !weakest || match->start > weakest->start) weakest = match;
    if (!match) break;
  }
  text_[end] = known;
  if (at_end) text_.pop_back();
  return weakest;
}

// What fires when the text up to `end` is known and the byte after it is not; or when that byte is known, too.
std::optional<TriggerMatch> TriggerMatcher::first_at(const std::vector<size_t>& candidates, size_t end, Next next) {
  std::optional<TriggerMatch> best;
  for (const size_t i : candidates) {
    const Trigger& trigger = plan_->triggers[i];
    std::optional<Pattern::Match> match;
    if (trigger.type == Trigger::Type::pattern) {
      match = pattern_at(*plan_->patterns[i], end, next);
    } else if (next == Next::unknown) {
      match = trigger.type == Trigger::Type::word ? word_at(trigger, end) : full_at(*plan_->patterns[i], end);
    }
    if (!match || (best && base_ + match->start >= best->start)) continue;
    best = TriggerMatch{.trigger = i,
                        .start = base_ + match->start,
                        .end = base_ + match->end,
                        .begin = base_ + match->begin,
                        .known = base_ + end + (next == Next::known ? 1 : 0)};
  }
  if (best) best->text = text_.substr(size_t(best->start - base_), size_t(best->end - best->start));
  return best;
}

}  // namespace linnet
