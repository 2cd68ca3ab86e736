#include "runtime/rwkv.h"

#include <algorithm>

namespace linnet {

Rwkv::Rwkv(const Vocabulary& vocabulary, int32_t unknown) : unknown_(unknown) {
  std::vector<TextSet::Entry> entries;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    const std::string_view bytes = vocabulary.bytes(id);
    if (!vocabulary.textual(id) || bytes.empty()) continue;
    entries.push_back({bytes, id});
    longest_ = std::max(longest_, bytes.size());
  }
  tokens_ = TextSet(std::move(entries));
}

uint64_t Rwkv::encode(std::string_view text, std::vector<int32_t>& out) const {
  uint64_t steps = 0;
  for (size_t at = 0; at < text.size();) {
    const TextSet::Match match = tokens_.longest(text, at);
    steps += 1 + std::min(longest_, text.size() - at);
    if (match.id >= 0) {
      out.push_back(match.id);
    } else if (unknown_ >= 0) {
      out.push_back(unknown_);
    }
    at += std::max<size_t>(match.bytes, 1);
  }
  return steps;
}

}  // namespace linnet
