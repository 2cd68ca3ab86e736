// WordPiece ("bert" vocabularies): words, cleaned and split as BERT does it, from the left in the longest tokens.
// Source: Wu et al. 2016; Devlin et al. 2019 and its tokenization.py; in doubt, Hugging Face's tokenizers, which the
// vectors of published models come from.
//
//   tokenizer.ggml.normalizer.lowercase       bool, default true
//   tokenizer.ggml.normalizer.strip_accents   bool, default as lowercase
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/reader.h"
#include "runtime/text_model.h"
#include "runtime/vocabulary.h"

namespace linnet {

// The vocabulary must outlive it.
class WordPiece : public TextModel {
 public:
  static constexpr size_t kMaxWordCharacters = 100;  // longer words are unknown

  // `unknown`: the token of a word that cannot be written; -1: such words are left out.
  static Result<WordPiece> load(const Gguf& gguf, const Vocabulary& vocabulary, int32_t unknown);

  // Control characters are dropped; white space, punctuation and Han characters separate words; letters become
  // lowercase and lose their accents, as the keys say. A step is a character or a token tried.
  uint64_t encode(std::string_view text, std::vector<int32_t>& out) const override;

 private:
  struct Work;
  WordPiece(const Vocabulary& vocabulary, int32_t unknown, bool lowercase, bool strip_accents)
      : vocabulary_(&vocabulary), unknown_(unknown), lowercase_(lowercase), strip_accents_(strip_accents) {}
  void character(Work& work, uint32_t code_point) const;
  void end_word(Work& work) const;

  const Vocabulary* vocabulary_;
  int32_t unknown_;
  bool lowercase_, strip_accents_;
};

}  // namespace linnet
