// A vocabulary of a given size without text, for tests of the chain.
#pragma once

#include "sampling/vocabulary.h"

namespace linnet {

class PlainVocabulary : public SamplingVocabulary {
 public:
  explicit PlainVocabulary(int32_t size) : size_(size) {}
  int32_t size() const override { return size_; }
  std::string_view bytes(int32_t) const override { return {}; }
  bool is_eog(int32_t) const override { return false; }
  std::vector<int32_t> tokenize(std::string_view) const override { return {}; }

 private:
  int32_t size_;
};

}  // namespace linnet
