// Small vocabularies with texts, for steps that look at them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sampling/vocabulary.h"
#include "tests/support.h"

namespace linnet {

// tokenize() takes the longest token that fits; a text that cannot be spelled has no tokens.
class LetterVocabulary : public SamplingVocabulary {
 public:
  LetterVocabulary(std::vector<std::string> texts, std::vector<bool> eog)
      : texts_(std::move(texts)), eog_(std::move(eog)) {
    eog_.resize(texts_.size());
  }
  // Short texts of few letters, so that they begin and contain each other; about one in 20 ends the generation.
  LetterVocabulary(Random& random, int64_t size) {
    for (int64_t i = 0; i < size; ++i) {
      std::string text;
      for (int64_t length = i < 5 ? 1 : random.below(7); length > 0; --length)
        text += "abc.\n"[i < 5 ? i : random.below(5)];
      eog_.push_back(i >= 5 && random.below(20) == 0);
      texts_.push_back(eog_.back() && random.below(2) ? "" : text);
    }
  }
  int32_t size() const override { return int32_t(texts_.size()); }
  std::string_view bytes(int32_t token) const override { return texts_[size_t(token)]; }
  bool is_eog(int32_t token) const override { return eog_[size_t(token)]; }
  std::vector<int32_t> tokenize(std::string_view text) const override {
    std::vector<int32_t> tokens;
    while (!text.empty()) {
      int32_t best = -1;
      for (int32_t i = 0; i < size(); ++i) {
        if (bytes(i).empty() || !text.starts_with(bytes(i))) continue;
        if (best < 0 || bytes(i).size() > bytes(best).size()) best = i;
      }
      if (best < 0) return {};
      tokens.push_back(best);
      text.remove_prefix(bytes(best).size());
    }
    return tokens;
  }

 private:
  std::vector<std::string> texts_;
  std::vector<bool> eog_;
};

}  // namespace linnet
