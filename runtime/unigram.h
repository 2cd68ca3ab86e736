// SentencePiece Unigram ("t5" vocabularies): the tokens whose scores have the largest sum.
// Source: Kudo 2018; SentencePiece (unigram_model.cc, normalizer.cc).
//
//   tokenizer.ggml.precompiled_charsmap       u8[] or i8[], optional: see charsmap.cpp
//   tokenizer.ggml.add_space_prefix           bool, default false
//   tokenizer.ggml.remove_extra_whitespaces   bool, default false
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/reader.h"
#include "runtime/charsmap.h"
#include "runtime/text_model.h"
#include "runtime/vocabulary.h"

namespace linnet {

// The vocabulary and the file must outlive it.
class Unigram : public TextModel {
 public:
  // `unknown`: the token of characters that have none, nor byte tokens; -1: such characters are left out.
  static Result<Unigram> load(const Gguf& gguf, const Vocabulary& vocabulary, int32_t unknown);

  // The text is normalized first; spaces become U+2581. Unknown characters in a row give one unknown token. Memory: 16
  // bytes per byte of the longest word. A step is a character or a token tried.
  uint64_t encode(std::string_view text, std::vector<int32_t>& out) const override;
  bool space_prefix() const { return space_prefix_; }

 private:
  struct Work;
  Unigram(const Vocabulary& vocabulary, int32_t unknown);
  void put(Work& work, char c) const;
  void put_space(Work& work) const;
  void best_path(Work& work) const;

  const Vocabulary* vocabulary_;
  int32_t unknown_;
  Charsmap charsmap_;
  bool space_prefix_ = false;
  bool merge_spaces_ = false;   // several spaces are one, and those at both ends none
  double unknown_score_ = -10;  // 10 below the lowest score
  bool words_apart_ = true;     // no token has U+2581 after another character: words can be taken one by one
};

}  // namespace linnet
