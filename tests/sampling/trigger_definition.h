// When triggers fire, by trying every part of the text: for tests of what finds out faster.
#pragma once

#include <algorithm>
#include <cctype>
#include <optional>
// gcc 12 takes its own std::regex for uninitialized under the address sanitizer (gcc bug 105562).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/triggers.h"

namespace linnet {

// A pattern whose \b at its ends, if any, is kept apart from the rest.
struct SlowTrigger {
  Trigger::Type type;
  std::string core;
  bool begins_word = false, ends_word = false;

  Trigger trigger() const {
    const std::string value = (begins_word ? "\\b" : "") + ("(?:" + core + ")") + (ends_word ? "\\b" : "");
    return {.type = type, .value = type == Trigger::Type::word ? core : value};
  }
};

struct SlowMatch {
  size_t trigger, start, end, known;
  bool operator==(const SlowMatch&) const = default;
};

inline bool word_boundary(std::string_view text, size_t at) {
  const auto word = [&](size_t i) {
    return i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '_');
  };
  return (at > 0 && word(at - 1)) != word(at);
}

// What fires first, looked for from the text's first `from` bytes on.
inline std::optional<SlowMatch> slow_match(const std::vector<SlowTrigger>& triggers, std::string_view text,
                                           size_t from = 1) {
  std::vector<std::regex> compiled;
  for (const SlowTrigger& t : triggers) compiled.emplace_back(t.type == Trigger::Type::word ? "" : t.core);
  for (size_t end = std::max<size_t>(from, 1); end <= text.size(); ++end) {
    for (const size_t next : {size_t(0), size_t(1)}) {
      if (end + next > text.size()) continue;
      std::optional<SlowMatch> best;
      for (size_t i = 0; i < triggers.size(); ++i) {
        const SlowTrigger& t = triggers[i];
        // What ends a word is known with the next byte, all else without it.
        if ((t.type == Trigger::Type::pattern && t.ends_word) != (next == 1)) continue;
        if (t.type == Trigger::Type::pattern && t.ends_word && !word_boundary(text, end)) continue;
        const size_t starts = t.type == Trigger::Type::pattern_full ? 1 : end;
        for (size_t start = 0; start < starts; ++start) {
          if (best && start >= best->start) break;
          const std::string part(text.substr(start, end - start));
          if (t.begins_word && !word_boundary(text, start)) continue;
          const bool matches = t.type == Trigger::Type::word ? part == t.core : std::regex_match(part, compiled[i]);
          if (matches) best = SlowMatch{i, start, end, end + next};
        }
      }
      if (best) return best;
    }
  }
  return std::nullopt;
}

}  // namespace linnet
