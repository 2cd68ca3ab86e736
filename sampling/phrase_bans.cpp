#include "sampling/phrase_bans.h"

#include <utility>

namespace linnet {

void PositionBans::add(int64_t position, int32_t token) {
  while (!bans_.empty() && bans_.back().position > position) bans_.pop_back();
  bans_.push_back({position, token});
}

void PositionBans::settle(int64_t position) {
  if (bans_.empty() || bans_.front().position >= position) return;
  std::erase_if(bans_, [&](const Ban& ban) { return ban.position < position; });
}

std::span<const int32_t> PositionBans::at(int64_t position) {
  asked_.clear();
  for (const Ban& ban : bans_) {
    if (ban.position == position) asked_.push_back(ban.token);
  }
  return asked_;
}

Result<BannedPhrases> BannedPhrases::create(std::vector<std::string> phrases, std::string_view key) {
  if (phrases.size() > kMostPhrases) {
    return fail(Code::option_range, "{}: there are {} phrases, at most {} are taken; shorten the list", key,
                phrases.size(), kMostPhrases);
  }
  for (size_t i = 0; i < phrases.size(); ++i) {
    if (phrases[i].size() >= 1 && phrases[i].size() <= kMostBytes) continue;
    return fail(Code::option_range, "{}[{}]: the phrase has {} bytes, expected 1 to {}", key, i, phrases[i].size(),
                kMostBytes);
  }
  BannedPhrases made;
  made.automaton_ = std::make_shared<const StringAutomaton>(std::move(phrases));
  return made;
}

std::optional<BannedPhrases::Found> BannedPhrases::push(Place& place, std::string_view bytes) const {
  for (const char c : bytes) {
    place.node = automaton_->next(place.node, uint8_t(c));
    ++place.position;
    const int32_t found = automaton_->longest(place.node);
    if (found >= 0) return Found{place.position - phrase(found).size(), found};
  }
  return std::nullopt;
}

}  // namespace linnet
