// Names of options and their groups, as people and programs spell them.
#pragma once

#include <algorithm>
#include <string_view>

namespace linnet {

// Neither case matters nor '-', '_' and '.': top_k, Top-K and topK are one name.
bool same_name(std::string_view a, std::string_view b);

// Calls visit(word) for each word of a space-separated list until it returns true; whether it did.
template <class Visit>
bool any_word(std::string_view words, Visit visit) {
  while (!words.empty()) {
    const size_t end = std::min(words.find(' '), words.size());
    if (end > 0 && visit(words.substr(0, end))) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

}  // namespace linnet
