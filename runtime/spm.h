// SentencePiece-BPE ("llama" vocabularies): characters are merged in the order of the scores of the merged tokens.
// Source: Kudo and Richardson 2018; the model type BPE of SentencePiece, identity normalization.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/text_model.h"
#include "runtime/vocabulary.h"

namespace linnet {

// The vocabulary must outlive it.
class Spm : public TextModel {
 public:
  // `unknown`: the token of a character that has neither a token nor byte tokens; -1: such characters are left out.
  // `prefix`: a text begins with one more space.
  Spm(const Vocabulary& vocabulary, int32_t unknown, bool prefix);

  // Spaces become U+2581. What has no token is spelled in byte tokens. So is a U+2581 of the text itself: it is not a
  // space, and comes back from decoding as it was (SentencePiece makes it a space). A step is an entry of the merge
  // queue.
  uint64_t encode(std::string_view text, std::vector<int32_t>& out) const override;

 private:
  struct Work;
  void merge_piece(Work& work) const;

  const Vocabulary& vocabulary_;
  int32_t unknown_;
  bool prefix_;
  bool words_apart_ = true;  // no token has_inner_space: words can be merged one by one
};

}  // namespace linnet
