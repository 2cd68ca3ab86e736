#include "runtime/text_set.h"

#include <algorithm>

namespace linnet {

TextSet::TextSet(std::vector<Entry> entries) : entries_(std::move(entries)) {
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.text != b.text ? a.text < b.text : a.id < b.id; });
  for (const Entry& entry : entries_) {
    ++first_[uint8_t(entry.text[0]) + 1u];
    most_bytes_ = std::max(most_bytes_, entry.text.size());
  }
  for (size_t b = 0; b < 256; ++b) first_[b + 1] += first_[b];
}

TextSet::Match TextSet::longest(std::string_view text, size_t at) const {
  Match best{text.size(), 0, -1};
  if (at >= text.size()) return best;
  const uint8_t byte = uint8_t(text[at]);
  auto low = entries_.begin() + first_[byte], high = entries_.begin() + first_[byte + 1u];
  // [low, high): the entries that agree with the text so far; the shortest of them is `low`.
  for (size_t n = 1; low != high; ++n) {
    if (low->text.size() == n) {
      best = {at, n, low->id};
      while (low != high && low->text.size() == n) ++low;  // equal texts: the first counts
    }
    if (at + n == text.size()) break;
    const uint8_t next = uint8_t(text[at + n]);
    const auto before = [n](const Entry& e, uint8_t b) { return uint8_t(e.text[n]) < b; };
    const auto after = [n](uint8_t b, const Entry& e) { return b < uint8_t(e.text[n]); };
    low = std::lower_bound(low, high, next, before);
    high = std::upper_bound(low, high, next, after);
  }
  return best;
}

TextSet::Match TextSet::find(std::string_view text, size_t from) const {
  for (size_t start = from; start < text.size(); ++start) {
    if (const Match match = longest(text, start); match.id >= 0) return match;
  }
  return {text.size(), 0, -1};
}

bool TextSet::ends_unfinished(std::string_view text) const {
  for (size_t bytes = 1; bytes <= text.size() && bytes < most_bytes_; ++bytes) {
    const std::string_view end = text.substr(text.size() - bytes);
    const auto longer = std::upper_bound(entries_.begin(), entries_.end(), end,
                                         [](std::string_view t, const Entry& e) { return t < e.text; });
    if (longer != entries_.end() && longer->text.starts_with(end)) return true;
  }
  return false;
}

}  // namespace linnet
