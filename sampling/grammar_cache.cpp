#include "sampling/grammar_cache.h"

namespace linnet {

GrammarCache::GrammarCache(const SamplingVocabulary& vocabulary, size_t bytes)
    : vocabulary_(vocabulary), limit_(bytes) {}

std::shared_ptr<const TokenTrie> GrammarCache::trie() {
  std::call_once(trie_once_, [&] { trie_ = std::make_shared<const TokenTrie>(vocabulary_); });
  return trie_;
}

Result<std::shared_ptr<const Grammar>> GrammarCache::get(std::string key,
                                                         const std::function<Result<GrammarRules>()>& rules) {
  const auto use = [&]() -> std::shared_ptr<const Grammar> {
    const auto at = by_key_.find(key);
    if (at == by_key_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, at->second);
    return at->second->grammar;
  };
  {
    const std::lock_guard lock(mutex_);
    auto found = use();
    ++(found ? hits_ : misses_);
    if (found) return found;
  }
  LINNET_TRY(const GrammarRules parsed, rules());
  LINNET_TRY(std::shared_ptr<const Grammar> made, Grammar::compile(parsed, trie()));
  const std::lock_guard lock(mutex_);
  if (auto found = use()) return found;
  entries_.push_front({std::move(key), made});
  by_key_.emplace(entries_.front().key, entries_.begin());
  // Grammars grow with use, so all are asked again. The newest stays, however large it is.
  size_t bytes = total();
  while (entries_.size() > 1 && bytes > limit_) {
    bytes -= memory_of(entries_.back());
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
    // It may have grown in between.
    if (bytes > limit_) bytes = total();
  }
  return made;
}

size_t GrammarCache::total() const {
  size_t bytes = 0;
  for (const Entry& entry : entries_) bytes += memory_of(entry);
  return bytes;
}

GrammarCache::Numbers GrammarCache::numbers() const {
  const std::lock_guard lock(mutex_);
  return {hits_, misses_, int64_t(entries_.size()), int64_t(total())};
}

}  // namespace linnet
