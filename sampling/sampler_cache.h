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
#include "sampling/grammar_cache.h"
#include "sampling/grammar_source.h"
#include "sampling/text_order.h"

namespace linnet {

class SamplerCache {
 public:
  // The vocabulary must outlive the cache.
  explicit SamplerCache(const SamplingVocabulary& vocabulary)
      : vocabulary_(vocabulary), text_order_(std::make_shared<TextOrder>(vocabulary)), grammars_(vocabulary) {}

  // As DryBreakers::make(); the last few lists are kept.
  Result<std::shared_ptr<const DryBreakers>> dry_breakers(std::span<const std::string> texts);
  // Compiled; not for Kind::none.
  Result<std::shared_ptr<const Grammar>> grammar(const GrammarSource& source);
  const GrammarCache& grammars() const { return grammars_; }
  std::shared_ptr<const TextOrder> text_order() const { return text_order_; }

 private:
  static constexpr size_t kKept = 8;

  const SamplingVocabulary& vocabulary_;
  std::shared_ptr<const TextOrder> text_order_;
  GrammarCache grammars_;
  std::mutex mutex_;                                                                             // guards what follows
  std::list<std::pair<std::vector<std::string>, std::shared_ptr<const DryBreakers>>> breakers_;  // last used first
};

}  // namespace linnet
