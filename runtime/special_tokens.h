// The tokens that stand for no text: which they are, which of them end a generation, and finding them in a text.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/reader.h"
#include "runtime/vocabulary.h"

namespace linnet {

struct SpecialIds {
  int32_t bos = -1, eos = -1, eot = -1, eom = -1, unk = -1, pad = -1;  // -1: none
};

// From tokenizer.ggml.{bos,eos,eot,eom,unknown,padding}_token_id. Where a key is absent: <s>, </s> and <unk> of a
// "llama" vocabulary; for eot and eom the control token with a text known for it. An id of -1 (as u32: 4294967295)
// means none; any other that is not a token is refused.
Result<SpecialIds> read_special_ids(const Gguf& gguf, const Vocabulary& vocabulary);

// eos, eot, eom and the control or user-defined tokens whose texts are known to end a generation; ascending.
std::vector<int32_t> end_of_generation(const Vocabulary& vocabulary, const SpecialIds& ids);

// Finds a set of texts in another text. Memory: one pointer and id per text of the set.
class SpecialMatcher {
 public:
  struct Match {
    size_t start = 0, bytes = 0;
    int32_t id = -1;  // -1: no match, and start is the end of the text
  };

  SpecialMatcher() = default;
  SpecialMatcher(const Vocabulary& vocabulary, std::vector<int32_t> ids);
  // The match that starts first, at or after `from`; of those, the longest. O(text * longest text of the set).
  Match find(std::string_view text, size_t from) const;

 private:
  struct Entry {
    std::string_view text;
    int32_t id;
  };
  std::vector<Entry> entries_;            // sorted by text
  std::array<uint32_t, 257> first_ = {};  // entries whose text begins with byte b: [first_[b], first_[b + 1])
};

}  // namespace linnet
