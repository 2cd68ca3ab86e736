// Phrases that may not be generated. A phrase is made of several tokens, most of them innocent, so it is known only when
// it is complete: then its tokens are taken back, from the one with its first byte on, and that one is banned at its
// position. Text that may be the beginning of a phrase is held back until it is known not to be; what has been given out
// stays. So where the text before a token that is taken back is out and yet makes a phrase with another token in its
// place, the first token that is not out is banned.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/string_automaton.h"

namespace linnet {

// Which tokens are banned where, in a text that goes back and forth.
class PositionBans {
 public:
  // At this position; what was banned at later ones belonged to another text.
  void add(int64_t position, int32_t token);
  // Nothing before this position is taken back any more.
  void settle(int64_t position);
  std::span<const int32_t> at(int64_t position);

 private:
  struct Ban {
    int64_t position;
    int32_t token;
  };
  std::vector<Ban> bans_;  // ascending positions
  std::vector<int32_t> asked_;
};

// The phrases of a request, shared by copies; its place in the text is the caller's.
class BannedPhrases {
 public:
  static constexpr size_t kMostPhrases = 64;
  static constexpr size_t kMostBytes = 1024;

  // `key` names the list in messages.
  static Result<BannedPhrases> create(std::vector<std::string> phrases, std::string_view key);

  bool empty() const { return automaton_->strings().empty(); }
  struct Place {
    int32_t node = StringAutomaton::kStart;
    uint64_t position = 0;  // bytes of text so far
  };
  // A phrase that is complete (of several, the longest), where it starts.
  struct Found {
    uint64_t start;
    int32_t phrase;
  };
  // Adds bytes; what is found first ends the search.
  std::optional<Found> push(Place& place, std::string_view bytes) const;
  // From where on the text may be the beginning of a phrase.
  uint64_t undecided(const Place& place) const { return place.position - automaton_->open(place.node); }
  const std::string& phrase(int32_t index) const { return automaton_->strings()[size_t(index)]; }

 private:
  std::shared_ptr<const StringAutomaton> automaton_;
};

}  // namespace linnet
