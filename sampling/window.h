// The last N tokens of a text and how often each occurs among them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace linnet {

// A ring of tokens beside a hash table of counts: adding a token (and forgetting the oldest) takes constant time, and
// going over the distinct tokens touches nothing else. Memory grows with the text, up to the window.
class CountedWindow {
 public:
  struct Entry {
    int32_t token;
    int32_t count;  // > 0
  };

  // length >= 0.
  explicit CountedWindow(int64_t length);
  int64_t length() const { return length_; }
  void add(int32_t token);
  // The distinct tokens, in no particular order.
  std::span<const Entry> entries() const { return entries_; }

 private:
  size_t find(int32_t token) const;  // its slot, or the free slot where it belongs
  void count(int32_t token);
  void forget(int32_t token);
  void free_slot(size_t slot);
  void grow();

  int64_t length_;
  std::vector<int32_t> ring_;  // [<= length]
  size_t oldest_ = 0;          // in ring_, once it is full
  std::vector<Entry> entries_;
  std::vector<int32_t> slots_;  // index into entries_ or -1; open addressing, a power of two, at most half full
};

}  // namespace linnet
