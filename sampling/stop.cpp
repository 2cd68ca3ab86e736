#include "sampling/stop.h"

#include <algorithm>
#include <utility>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

// Bytes given out are dropped in portions: held_ is copied once per portion, not once per byte.
constexpr size_t kPortion = 4 * StopStrings::kMostBytes;

}  // namespace

Result<StopStrings> StopStrings::create(std::vector<std::string> strings) {
  if (strings.size() > kMostStrings) {
    return fail(Code::option_range, "there are {} stop strings: at most {} are taken; shorten the list", strings.size(),
                kMostStrings);
  }
  for (size_t i = 0; i < strings.size(); ++i) {
    const size_t bytes = strings[i].size();
    if (bytes >= 1 && bytes <= kMostBytes) continue;
    return fail(Code::option_range, "stop string {} of {} has {} bytes: expected 1 to {}; {}", i + 1, strings.size(),
                bytes, kMostBytes, bytes == 0 ? "leave empty strings out" : "a beginning of it will do");
  }
  StopStrings stop;
  stop.automaton_ = std::make_shared<const StringAutomaton>(std::move(strings));
  return stop;
}

void StopStrings::step(uint8_t byte) {
  node_ = automaton_->next(node_, byte);
  ++position_;
  const int32_t string = automaton_->longest(node_);
  if (string < 0) return;
  // The longest of those that end here starts first; a later end with the same start is a longer string.
  const uint64_t start = position_ - automaton_->strings()[size_t(string)].size();
  if (!best_ || start <= best_->start) best_ = Match{start, string};
}

// Whether nothing that is still possible starts at or before the best match.
bool StopStrings::decided() const { return best_ && (open() == 0 || position_ - open() > best_->start); }

// Gives out the text up to `end`, without a sequence that is unfinished there.
std::string StopStrings::release(uint64_t end) {
  end = std::min(end, hold_);
  if (end <= held_from_ + given_) return {};
  const std::string_view text = std::string_view(held_).substr(given_, size_t(end - held_from_) - given_);
  size_t finished = text.size() - utf8_unfinished(text);
  // Unless a byte that is held back, and stays, has broken the sequence already.
  const bool followed = finished < text.size() && end < std::min(position_, hold_);
  if (followed && utf8_decode(held_, given_ + finished).bytes == text.size() - finished) finished = text.size();
  std::string shown = utf8_replace_invalid(text.substr(0, finished));
  given_ += finished;
  if (given_ >= kPortion || given_ == held_.size()) {
    held_.erase(0, given_);
    held_from_ += std::exchange(given_, 0);
  }
  return shown;
}

std::string StopStrings::flush(uint64_t end) {
  if (!matched_.empty()) return {};
  end = std::min(end, position_);
  if (best_ && best_->start < end) {
    end = best_->start;
    matched_index_ = best_->string;
    matched_ = automaton_->strings()[size_t(best_->string)];
  }
  const uint64_t from = held_from_ + given_;
  std::string shown;
  if (end > from) shown = utf8_replace_invalid(std::string_view(held_).substr(given_, size_t(end - from)));
  held_.clear();
  held_from_ = position_;
  given_ = 0;
  node_ = StringAutomaton::kStart;
  best_.reset();
  return shown;
}

std::string StopStrings::push(std::string_view bytes) {
  if (!matched_.empty()) return {};
  held_.append(bytes);
  for (const char c : bytes) {
    step(uint8_t(c));
    if (decided()) return flush();
  }
  // What may still become a match starts here, at or before the best match if there is one.
  return release(position_ - open());
}

std::string StopStrings::pass(std::string_view bytes) {
  if (!matched_.empty()) return {};
  held_.append(bytes);
  position_ += bytes.size();
  node_ = StringAutomaton::kStart;
  best_.reset();
  return release(position_);
}

void StopStrings::rewind(const Mark& mark) {
  held_.resize(size_t(mark.position - held_from_));
  node_ = mark.node;
  position_ = mark.position;
  best_ = mark.best;
}

}  // namespace linnet
