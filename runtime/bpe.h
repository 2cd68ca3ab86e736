// Byte-pair encoding ("gpt2" and "gemma4" vocabularies): words of bytes, or of characters, merged in the order of the
// merge list. Source: Sennrich et al. 2016; the byte alphabet of GPT-2 (byte_alphabet.h).
//
//   tokenizer.ggml.merges   string[m]: "left right", best first
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/reader.h"
#include "runtime/merge.h"
#include "runtime/pretokenizer.h"
#include "runtime/text_model.h"
#include "runtime/vocabulary.h"

namespace linnet {

inline constexpr uint64_t kMaxMerges = uint64_t(1) << 22;

// The vocabulary must outlive it.
class Bpe : public TextModel {
 public:
  // `unknown`: the token of a byte that has none; -1: such bytes are left out.
  static Result<Bpe> load(const Gguf& gguf, const Vocabulary& vocabulary, int32_t unknown);

  // A step is a character that the pre-tokenizer looks at, or an entry of the merge queue.
  uint64_t encode(std::string_view text, std::vector<int32_t>& out) const override;
  const Pretokenizer& pretokenizer() const { return *pretokenizer_; }

 private:
  class Words;
  struct Slot {
    uint64_t pair = UINT64_MAX;  // left id << 32 | right id; UINT64_MAX: free
    Merge merge;                 // priority: index in the list
  };

  Bpe(const Vocabulary& vocabulary, const Pretokenizer& pretokenizer, int32_t unknown)
      : vocabulary_(&vocabulary), pretokenizer_(&pretokenizer), unknown_(unknown) {}
  Status read_merges(const Value& value);
  Status insert(uint64_t pair, Merge merge);
  Merge find(uint64_t pair) const;
  int32_t whole(std::string_view word) const;
  uint64_t encode_word(std::string_view word, MergeScratch& scratch, std::vector<int32_t>& out) const;

  const Vocabulary* vocabulary_;
  const Pretokenizer* pretokenizer_;
  int32_t unknown_;
  std::vector<Slot> slots_;  // open addressing, linear probing; size is a power of two
};

}  // namespace linnet
