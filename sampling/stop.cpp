#include "sampling/stop.h"

#include <algorithm>
#include <utility>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

constexpr size_t kMostStrings = 64;
constexpr size_t kMostBytes = 1024;
// Bytes given out are dropped in portions: held_ is copied once per portion, not once per byte.
constexpr size_t kPortion = 4 * kMostBytes;

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
  stop.strings_ = std::move(strings);
  stop.nodes_.emplace_back();
  for (size_t i = 0; i < stop.strings_.size(); ++i) stop.add(int32_t(i));
  stop.link();
  return stop;
}

int32_t StopStrings::child(int32_t node, uint8_t byte) const {
  int32_t c = nodes_[size_t(node)].child;
  while (c >= 0 && nodes_[size_t(c)].byte != byte) c = nodes_[size_t(c)].sibling;
  return c;
}

void StopStrings::add(int32_t string) {
  int32_t node = 0;
  for (const char c : strings_[size_t(string)]) {
    int32_t next = child(node, uint8_t(c));
    if (next < 0) {
      next = int32_t(nodes_.size());
      Node& parent = nodes_[size_t(node)];
      const Node made{.byte = uint8_t(c), .depth = uint16_t(parent.depth + 1), .sibling = parent.child};
      parent.child = next;
      nodes_.push_back(made);
    }
    node = next;
  }
  nodes_[size_t(node)].string = string;
}

// Breadth first, so that a node's fallback, which is shorter, is done before it.
void StopStrings::link() {
  std::vector<int32_t> order{0};
  for (size_t i = 0; i < order.size(); ++i) {
    const int32_t at = order[i];
    Node& node = nodes_[size_t(at)];
    const Node& fallback = nodes_[size_t(node.fallback)];
    node.longest = node.string >= 0 ? node.string : fallback.longest;
    node.live = node.child >= 0 ? at : fallback.live;
    for (int32_t c = node.child; c >= 0; c = nodes_[size_t(c)].sibling) {
      order.push_back(c);
      if (at == 0) continue;
      const uint8_t byte = nodes_[size_t(c)].byte;
      int32_t shorter = node.fallback;
      while (shorter != 0 && child(shorter, byte) < 0) shorter = nodes_[size_t(shorter)].fallback;
      nodes_[size_t(c)].fallback = std::max(child(shorter, byte), 0);
    }
  }
}

void StopStrings::step(uint8_t byte) {
  int32_t next = child(node_, byte);
  while (next < 0 && node_ != 0) {
    node_ = nodes_[size_t(node_)].fallback;
    next = child(node_, byte);
  }
  node_ = std::max(next, 0);
  ++position_;
  const int32_t string = nodes_[size_t(node_)].longest;
  if (string < 0) return;
  // The longest of those that end here starts first; a later end with the same start is a longer string.
  const uint64_t start = position_ - strings_[size_t(string)].size();
  if (!best_ || start <= best_->start) best_ = Match{start, string};
}

// Whether nothing that is still possible starts at or before the best match.
bool StopStrings::decided() const {
  if (!best_) return false;
  const Node& live = nodes_[size_t(nodes_[size_t(node_)].live)];
  return live.depth == 0 || position_ - live.depth > best_->start;
}

// Gives out the text up to `end`, without a sequence that is unfinished there.
std::string StopStrings::release(uint64_t end) {
  const std::string_view text = std::string_view(held_).substr(given_, size_t(end - held_from_) - given_);
  size_t finished = text.size() - utf8_unfinished(text);
  // Unless a byte that is held back has broken the sequence already.
  const bool followed = finished < text.size() && end < position_;
  if (followed && utf8_decode(held_, given_ + finished).bytes == text.size() - finished) finished = text.size();
  std::string shown = utf8_replace_invalid(text.substr(0, finished));
  given_ += finished;
  if (given_ >= kPortion || given_ == held_.size()) {
    held_.erase(0, given_);
    held_from_ += std::exchange(given_, 0);
  }
  return shown;
}

// The end, by a match or by the end of the text: gives out all that is before it.
std::string StopStrings::finish() {
  const uint64_t end = best_ ? best_->start : position_;
  std::string shown = utf8_replace_invalid(std::string_view(held_).substr(given_, size_t(end - held_from_) - given_));
  if (best_) matched_ = strings_[size_t(best_->string)];
  held_.clear();
  held_from_ = position_;
  given_ = 0;
  node_ = 0;
  best_.reset();
  return shown;
}

std::string StopStrings::push(std::string_view bytes) {
  if (!matched_.empty()) return {};
  held_.append(bytes);
  for (const char c : bytes) {
    step(uint8_t(c));
    if (decided()) return finish();
  }
  // What may still become a match starts here, at or before the best match if there is one.
  return release(position_ - nodes_[size_t(nodes_[size_t(node_)].live)].depth);
}

std::string StopStrings::flush() {
  if (!matched_.empty()) return {};
  return finish();
}

}  // namespace linnet
