// The texts of a vocabulary in the order of their bytes, so that the texts that another one begins are one range.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "sampling/vocabulary.h"

namespace linnet {

// Made at the first use, which sorts the whole vocabulary. Thread-safe.
class TextOrder {
 public:
  // Equal texts have the same place.
  struct Place {
    uint32_t at;   // kNone: the token has no text
    uint32_t end;  // the first place after `at` whose text does not begin with this one
  };
  static constexpr uint32_t kNone = UINT32_MAX;

  explicit TextOrder(const SamplingVocabulary& vocabulary) : vocabulary_(vocabulary) {}

  // By token id. The vocabulary must still be there.
  std::span<const Place> places() const;

 private:
  void sort() const;

  const SamplingVocabulary& vocabulary_;
  mutable std::once_flag once_;
  mutable std::vector<Place> places_;
};

}  // namespace linnet
