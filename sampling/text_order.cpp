#include "sampling/text_order.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace linnet {

std::span<const TextOrder::Place> TextOrder::places() const {
  std::call_once(once_, [this] { sort(); });
  return places_;
}

void TextOrder::sort() const {
  std::vector<std::pair<std::string_view, int32_t>> texts;
  for (int32_t id = 0; id < vocabulary_.size(); ++id) {
    if (const std::string_view text = vocabulary_.bytes(id); !text.empty()) texts.emplace_back(text, id);
  }
  std::sort(texts.begin(), texts.end());
  places_.assign(size_t(vocabulary_.size()), {kNone, kNone});
  struct Open {
    std::string_view text;
    size_t first, last;  // its tokens
  };
  std::vector<Open> open;  // each begins with those before it
  const auto close = [&](uint32_t end) {
    for (size_t i = open.back().first; i <= open.back().last; ++i) places_[size_t(texts[i].second)].end = end;
    open.pop_back();
  };
  uint32_t place = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto& [text, id] = texts[i];
    if (i > 0 && text == texts[i - 1].first) {
      open.back().last = i;
      places_[size_t(id)].at = place - 1;
      continue;
    }
    while (!open.empty() && !text.starts_with(open.back().text)) close(place);
    open.push_back({text, i, i});
    places_[size_t(id)].at = place++;
  }
  while (!open.empty()) close(place);
}

}  // namespace linnet
