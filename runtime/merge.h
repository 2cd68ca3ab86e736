// Best-first merging of neighbouring symbols, the core of SentencePiece-BPE and byte-level BPE.
//
// The pair with the lowest priority value is merged first, of equals the leftmost, until no pair can be merged
// (Sennrich et al. 2016; the queue as in SentencePiece). n symbols take at most 3 n queue entries: O(n log n).
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace linnet {

struct Symbol {
  uint32_t start, bytes;   // in the text being merged; bytes == 0: merged into a neighbour
  int32_t previous, next;  // neighbours in the list, -1: none
  int32_t id;              // token, -1: none
};

struct Merge {
  uint32_t priority = 0;
  int32_t id = -1;  // of the merged token; -1: the pair is never merged
};

// Buffers that are used again from word to word. Symbol 0 is always the head of the list: it only ever grows.
struct MergeScratch {
  struct Candidate {
    uint64_t order;  // priority << 32 | left
    uint32_t right, bytes;
    int32_t id;
  };
  std::vector<Symbol> symbols;
  std::vector<Candidate> queue;

  void clear() { symbols.clear(); }
  void append(uint32_t start, uint32_t bytes, int32_t id) {
    const int32_t index = int32_t(symbols.size());
    if (index > 0) symbols.back().next = index;
    symbols.push_back({start, bytes, index - 1, -1, id});
  }
};

// Merges scratch.symbols; `rate(left, right)` gives the Merge of two symbols. Returns the entries put into the queue.
template <class Rate>
uint64_t merge(MergeScratch& scratch, const Rate& rate) {
  using Candidate = MergeScratch::Candidate;
  std::vector<Symbol>& symbols = scratch.symbols;
  std::vector<Candidate>& queue = scratch.queue;
  const auto later = [](const Candidate& a, const Candidate& b) { return a.order > b.order; };
  const auto offer = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return false;
    const Symbol& l = symbols[size_t(left)];
    const Symbol& r = symbols[size_t(right)];
    const Merge m = rate(l, r);
    if (m.id < 0) return false;
    queue.push_back({uint64_t(m.priority) << 32 | uint32_t(left), uint32_t(right), l.bytes + r.bytes, m.id});
    return true;
  };

  queue.clear();
  for (size_t i = 0; i + 1 < symbols.size(); ++i) offer(int32_t(i), int32_t(i) + 1);
  std::make_heap(queue.begin(), queue.end(), later);
  uint64_t entries = queue.size();
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), later);
    const Candidate best = queue.back();
    queue.pop_back();
    const uint32_t at = uint32_t(best.order);
    Symbol& left = symbols[at];
    Symbol& right = symbols[best.right];
    // Out of date when either side has been merged since: it is gone or has grown.
    if (left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != best.bytes) continue;
    left.bytes = best.bytes;
    left.id = best.id;
    left.next = right.next;
    right.bytes = 0;
    if (left.next >= 0) symbols[size_t(left.next)].previous = int32_t(at);
    for (const bool before : {true, false}) {
      if (before ? offer(left.previous, int32_t(at)) : offer(int32_t(at), left.next)) {
        std::push_heap(queue.begin(), queue.end(), later);
        ++entries;
      }
    }
  }
  return entries;
}

}  // namespace linnet
