// The last N tokens of a text and how often each occurs among them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace linnet {

// A hash table of counts that follows a text: a token more or less takes constant time, and going over the distinct
// tokens touches nothing else. Memory grows with the text, up to the window. The text itself is the caller's.
class CountedWindow {
 public:
  struct Entry {
    int32_t token;
    int32_t count;  // > 0
  };

  // length >= 0.
  explicit CountedWindow(int64_t length);
  int64_t length() const { return length_; }
  // text.back() is new.
  void add(std::span<const int32_t> text);
  // text.back() is about to go: undoes add(text).
  void remove(std::span<const int32_t> text);
  // The distinct tokens, in no particular order.
  std::span<const Entry> entries() const { return entries_; }

 private:
  size_t find(int32_t token) const;  // its slot, or the free slot where it belongs
  void count(int32_t token);
  void forget(int32_t token);
  void free_slot(size_t slot);
  void grow();

  int64_t length_;
  std::vector<Entry> entries_;
  std::vector<int32_t> slots_;  // index into entries_ or -1; open addressing, a power of two, at most half full
};

}  // namespace linnet
