#include "sampling/character_set.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr uint32_t kLastCharacter = 0x10ffff;

}  // namespace

CharacterSet all_characters() { return {{0, 0xd7ff}, {0xe000, kLastCharacter}}; }

CharacterSet character_set(std::vector<CharacterRange> ranges) {
  std::sort(ranges.begin(), ranges.end(), [](CharacterRange a, CharacterRange b) { return a.first < b.first; });
  CharacterSet merged;
  for (const CharacterRange r : ranges) {
    if (!merged.empty() && r.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, r.last);
    } else {
      merged.push_back(r);
    }
  }
  return intersection(merged, all_characters());
}

CharacterSet complement(const CharacterSet& set) {
  CharacterSet gaps;
  uint32_t next = 0;
  for (const CharacterRange r : set) {
    if (r.first > next) gaps.push_back({next, r.first - 1});
    next = r.last + 1;
  }
  if (next <= kLastCharacter) gaps.push_back({next, kLastCharacter});
  return intersection(gaps, all_characters());
}

CharacterSet intersection(const CharacterSet& a, const CharacterSet& b) {
  CharacterSet both;
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const uint32_t first = std::max(a[i].first, b[j].first);
    const uint32_t last = std::min(a[i].last, b[j].last);
    if (first <= last) both.push_back({first, last});
    a[i].last < b[j].last ? ++i : ++j;
  }
  return both;
}

}  // namespace linnet
