#include "sampling/window.h"

#include <algorithm>

namespace linnet {
namespace {

// Windows up to this length never allocate after construction.
constexpr int64_t kReserved = 1024;

size_t hash(int32_t token) {
  const uint64_t mixed = uint64_t(uint32_t(token)) * 0x9E3779B97F4A7C15u;
  return size_t(mixed >> 32);
}

}  // namespace

CountedWindow::CountedWindow(int64_t length) : length_(length) {
  const auto reserved = size_t(std::min(length, kReserved));
  entries_.reserve(reserved);
  size_t slots = 16;
  while (slots < 2 * reserved) slots *= 2;
  slots_.assign(slots, -1);
}

void CountedWindow::add(std::span<const int32_t> text) {
  if (length_ == 0) return;
  if (int64_t(text.size()) > length_) forget(text[text.size() - 1 - size_t(length_)]);
  count(text.back());
}

void CountedWindow::remove(std::span<const int32_t> text) {
  if (length_ == 0) return;
  forget(text.back());
  if (int64_t(text.size()) > length_) count(text[text.size() - 1 - size_t(length_)]);
}

size_t CountedWindow::find(int32_t token) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash(token) & mask;
  while (slots_[slot] >= 0 && entries_[size_t(slots_[slot])].token != token) slot = (slot + 1) & mask;
  return slot;
}

void CountedWindow::count(int32_t token) {
  size_t slot = find(token);
  if (slots_[slot] >= 0) {
    ++entries_[size_t(slots_[slot])].count;
    return;
  }
  if (2 * (entries_.size() + 1) > slots_.size()) {
    grow();
    slot = find(token);
  }
  slots_[slot] = int32_t(entries_.size());
  entries_.push_back({token, 1});
}

void CountedWindow::forget(int32_t token) {
  const size_t slot = find(token);
  const int32_t index = slots_[slot];
  Entry& entry = entries_[size_t(index)];
  if (--entry.count > 0) return;
  // The last entry takes the place of the one that goes.
  const size_t last = find(entries_.back().token);
  slots_[last] = index;
  entry = entries_.back();
  entries_.pop_back();
  free_slot(slot);
}

// Closes the gap that a freed slot leaves in its run, so that find() needs no tombstones.
void CountedWindow::free_slot(size_t slot) {
  const size_t mask = slots_.size() - 1;
  for (size_t next = (slot + 1) & mask; slots_[next] >= 0; next = (next + 1) & mask) {
    const size_t home = hash(entries_[size_t(slots_[next])].token) & mask;
    // It may move up only if its home is not behind the gap.
    if (((next - home) & mask) < ((next - slot) & mask)) continue;
    slots_[slot] = slots_[next];
    slot = next;
  }
  slots_[slot] = -1;
}

void CountedWindow::grow() {
  slots_.assign(2 * slots_.size(), -1);
  for (size_t i = 0; i < entries_.size(); ++i) slots_[find(entries_[i].token)] = int32_t(i);
}

}  // namespace linnet
