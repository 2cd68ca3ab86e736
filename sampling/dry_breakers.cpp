#include "sampling/dry_breakers.h"

#include <algorithm>
#include <string_view>

namespace linnet {

Result<std::shared_ptr<const DryBreakers>> DryBreakers::make(std::span<const std::string> texts,
                                                             const SamplingVocabulary& vocabulary) {
  if (texts.size() > kMostTexts) {
    return fail(Code::option_range, "dry_sequence_breakers has {} texts: at most {} are taken; shorten the list",
                texts.size(), kMostTexts);
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!texts[i].empty() && texts[i].size() <= kMostBytes) continue;
    return fail(Code::option_range, "text {} of dry_sequence_breakers has {} bytes: expected 1 to {}; {}", i + 1,
                texts[i].size(), kMostBytes, texts[i].empty() ? "leave empty texts out" : "a part of it will do");
  }
  auto made = std::make_shared<DryBreakers>();
  for (int32_t token = 0; token < vocabulary.size(); ++token) {
    const std::string_view word = vocabulary.bytes(token);
    for (const std::string& text : texts) {
      if (word.find(text) != word.npos) {
        made->breakers_.push_back({token, {}});
        continue;
      }
      // The word's end may be the beginning of the text, in several ways ("aab" and "aabaa").
      for (size_t overlap = std::min(word.size(), text.size() - 1); overlap > 0; --overlap) {
        if (!word.ends_with(std::string_view(text).substr(0, overlap))) continue;
        std::vector<int32_t> tail = vocabulary.tokenize(std::string_view(text).substr(overlap));
        if (tail.size() > kMostTail) tail.resize(kMostTail);
        if (!tail.empty()) made->breakers_.push_back({token, std::move(tail)});
      }
    }
  }
  return std::shared_ptr<const DryBreakers>(std::move(made));
}

std::span<const DryBreakers::Breaker> DryBreakers::with_head(int32_t token) const {
  const auto range = std::equal_range(breakers_.begin(), breakers_.end(), Breaker{token, {}},
                                      [](const Breaker& a, const Breaker& b) { return a.head < b.head; });
  return {range.first, range.second};
}

bool DryBreakers::breaks(int32_t token) const {
  const auto found = with_head(token);
  return std::any_of(found.begin(), found.end(), [](const Breaker& b) { return b.tail.empty(); });
}

int64_t DryBreakers::since_last(std::span<const int32_t> text) const {
  for (size_t after = 0; after < text.size(); ++after) {
    const size_t head = text.size() - 1 - after;
    int64_t longest = -1;
    for (const Breaker& b : with_head(text[head])) {
      const bool here =
          b.tail.size() <= after && std::equal(b.tail.begin(), b.tail.end(), text.begin() + int64_t(head) + 1);
      if (here) longest = std::max(longest, int64_t(b.tail.size()));
    }
    if (longest >= 0) return int64_t(after) - longest;
  }
  return int64_t(text.size());
}

}  // namespace linnet
