// The normalization of a SentencePiece model: a table of character sequences and what replaces them.
// Source: SentencePiece (normalizer.cc); the trie is a double array of Darts-clone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "gguf/base/error.h"

namespace linnet {

// Points into the bytes it was made from.
class Charsmap {
 public:
  struct Match {
    size_t bytes = 0;              // of the text; 0: none
    std::string_view replacement;  // of those
  };

  Charsmap() = default;  // replaces nothing
  // Checks every node and replacement. `key` names the bytes in messages.
  static Result<Charsmap> parse(std::string_view bytes, std::string_view key);

  // The longest sequence that begins at text[at]. O(kMaxSequence).
  Match longest(std::string_view text, size_t at) const;

  static constexpr size_t kMaxSequence = 64;  // bytes; published tables have at most 18
  static constexpr size_t kMaxGrowth = 16;    // a replacement's bytes per byte; published tables have at most 11

 private:
  uint32_t unit(size_t index) const;  // index < units()
  size_t units() const { return trie_.size() / 4; }
  Status check(std::string_view key) const;
  Status check_replacements(std::string_view key) const;
  Status check_replacement(std::string_view key, uint32_t base, size_t bytes) const;
  Status check_paths(std::string_view key) const;
  template <class Visit>
  bool any_child(uint32_t base, uint32_t c, Visit visit) const;

  std::string_view trie_;          // u32[units], little-endian
  std::string_view replacements_;  // NUL-terminated texts
};

}  // namespace linnet
