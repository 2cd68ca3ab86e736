// Pages without a model: what a forward pass would store is stood in for by a hash of all tokens up to the position, so
// that a page that came from the wrong place, or was written by the wrong sequence, shows.
#pragma once

#include <cstring>
#include <vector>

#include "runtime/sequence.h"

namespace linnet {

inline constexpr int64_t kSlotBytes = 16;

inline LayerGroup fake_group(int64_t window) {
  LayerGroup group;
  group.window = window;
  group.page_bytes = kPageTokens * kSlotBytes;
  return group;
}

inline uint64_t expected_slot(uint64_t salt, int32_t group, std::span<const int32_t> tokens_with_own) {
  return PrefixIndex::default_hash(salt * 31 + static_cast<uint64_t>(group), tokens_with_own);
}

inline uint64_t* slot(const RowPlace& place, int64_t position) {
  return reinterpret_cast<uint64_t*>(place.pages[position / kPageTokens - place.first_page] +
                                     position % kPageTokens * kSlotBytes);
}

// Writes positions [computed, size) as the forward pass would.
inline void write_rows(Sequence& s, int32_t groups) {
  for (int64_t p = s.computed(); p < s.size(); ++p) {
    for (int32_t g = 0; g < groups; ++g) {
      *slot(s.place(g, p), p) = expected_slot(s.salt(), g, s.tokens().first(static_cast<size_t>(p + 1)));
    }
  }
  s.mark_computed(s.size());
}

// The number of visible slots of the next row that do not hold what they should.
inline int64_t wrong_slots(const Sequence& s, std::span<const LayerGroup> groups) {
  int64_t wrong = 0;
  for (int32_t g = 0; g < static_cast<int32_t>(groups.size()); ++g) {
    if (s.size() == 0) continue;
    const RowPlace place = s.place(g, s.size() - 1);
    for (int64_t p = groups[static_cast<size_t>(g)].visible_begin(s.size()); p < s.size(); ++p) {
      wrong += *slot(place, p) != expected_slot(s.salt(), g, s.tokens().first(static_cast<size_t>(p + 1)));
    }
  }
  return wrong;
}

}  // namespace linnet
