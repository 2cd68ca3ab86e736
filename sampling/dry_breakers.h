// The sequence breakers of DRY as tokens: where a text of the list occurs, repetitions begin anew.
//
// A breaker text becomes every way in which tokens of the vocabulary can spell it: a token that contains it, or a token
// that ends in its beginning, followed by the tokens of the rest. At most kMostTail of these are compared.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/vocabulary.h"

namespace linnet {

class DryBreakers {
 public:
  static constexpr size_t kMostTexts = 64, kMostBytes = 40, kMostTail = 20;

  // Refuses empty texts, longer ones than kMostBytes and more than kMostTexts. Takes one pass over the vocabulary for
  // each text.
  static Result<std::shared_ptr<const DryBreakers>> make(std::span<const std::string> texts,
                                                         const SamplingVocabulary& vocabulary);

  // How many tokens at the end of `text` come after its last breaker; all of them where there is none.
  int64_t since_last(std::span<const int32_t> text) const;
  // Whether a token is a breaker by itself.
  bool breaks(int32_t token) const;
  size_t size() const { return breakers_.size(); }

 private:
  struct Breaker {
    int32_t head;
    std::vector<int32_t> tail;
  };
  std::span<const Breaker> with_head(int32_t token) const;

  std::vector<Breaker> breakers_;  // by ascending head
};

}  // namespace linnet
