// SentencePiece-BPE ("llama" vocabularies): characters are merged in the order of the scores of the merged tokens.
// Source: Kudo and Richardson 2018; the model type BPE of SentencePiece, identity normalization.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/vocabulary.h"

namespace linnet {

// The vocabulary must outlive it. Immutable, so usable from any thread.
class Spm {
 public:
  // `unknown`: the token of a character that has neither a token nor byte tokens; -1: such characters are left out.
  Spm(const Vocabulary& vocabulary, int32_t unknown);

  // Appends the tokens of a text (at most 1 GiB). Spaces become U+2581, with one more at the start if `prefix`.
  // What has no token is spelled in byte tokens. So is a U+2581 of the text itself: it is not a space, and comes back
  // from decoding as it was (SentencePiece makes it a space). Returns the number of merge-queue entries made.
  uint64_t encode(std::string_view text, bool prefix, std::vector<int32_t>& out) const;

 private:
  struct Work;
  void merge_piece(Work& work) const;

  const Vocabulary& vocabulary_;
  int32_t unknown_;
  // No token has U+2581 after another character: then nothing merges across the beginning of a word, and words can be
  // merged one by one, with the same result.
  bool words_apart_ = true;
};

}  // namespace linnet
