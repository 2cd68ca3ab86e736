// The tokenizer of RWKV ("rwkv" vocabularies): at every place the longest token.
// Source: the RWKV release (rwkv_tokenizer.py).
#pragma once

#include "runtime/text_model.h"
#include "runtime/text_set.h"
#include "runtime/vocabulary.h"

namespace linnet {

// The vocabulary must outlive it.
class Rwkv : public TextModel {
 public:
  // `unknown`: the token of a byte that has none; -1: such bytes are left out.
  Rwkv(const Vocabulary& vocabulary, int32_t unknown);

  // A step is a byte of the text or of a token tried.
  uint64_t encode(std::string_view text, std::vector<int32_t>& out) const override;

 private:
  TextSet tokens_;
  size_t longest_ = 0;
  int32_t unknown_;
};

}  // namespace linnet
