// What the chains of one vocabulary share because it is costly to make. Thread-safe.
#pragma once

#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sampling/dry_breakers.h"

namespace linnet {

class SamplerCache {
 public:
  // As DryBreakers::make(); the last few lists are kept. Always the same vocabulary.
  Result<std::shared_ptr<const DryBreakers>> dry_breakers(std::span<const std::string> texts,
                                                          const SamplingVocabulary& vocabulary);

 private:
  static constexpr size_t kKept = 8;

  std::mutex mutex_;
  std::list<std::pair<std::vector<std::string>, std::shared_ptr<const DryBreakers>>> breakers_;  // last used first
};

}  // namespace linnet
