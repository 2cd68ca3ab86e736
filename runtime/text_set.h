// A set of texts with their ids, and finding them in another text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace linnet {

// Memory: one view and id per text of the set. The texts must outlive it.
class TextSet {
 public:
  struct Entry {
    std::string_view text;  // not empty
    int32_t id;
  };
  struct Match {
    size_t start = 0, bytes = 0;
    int32_t id = -1;  // -1: no match, and start is the end of the text
  };

  TextSet() = default;
  explicit TextSet(std::vector<Entry> entries);
  // The longest text of the set that begins at text[at]; of equal texts, the smallest id. O(its length).
  Match longest(std::string_view text, size_t at) const;
  // The match that starts first, at or after `from`; of those, the longest. O(text * longest text of the set).
  Match find(std::string_view text, size_t from) const;
  // Whether the text ends with the beginning of one of the set, but not all of it. O(log(set) * its longest text^2).
  bool ends_unfinished(std::string_view text) const;

 private:
  std::vector<Entry> entries_;            // sorted by text
  size_t most_bytes_ = 0;                 // of one text
  std::array<uint32_t, 257> first_ = {};  // entries whose text begins with byte b: [first_[b], first_[b + 1])
};

}  // namespace linnet
