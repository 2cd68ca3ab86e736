// Compiled grammars by their text, so that a request that brings the same grammar again does not wait for it. The least
// recently used are dropped when all together exceed a number of bytes (a new schema with every request must not fill
// the memory); matchers that still use them keep them alive.
//
// Thread-safe. Two threads that ask for the same new grammar may both compile it; one result is kept.
#pragma once

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "gguf/base/error.h"
#include "sampling/grammar.h"
#include "sampling/vocabulary.h"

namespace linnet {

class GrammarCache {
 public:
  static constexpr size_t kDefaultBytes = size_t(256) << 20;

  // The vocabulary must outlive the cache.
  explicit GrammarCache(const SamplingVocabulary& vocabulary, size_t bytes = kDefaultBytes);

  // The grammar of this key (what kind of text it is, and the text), compiled from rules() if it is not there. Errors
  // are not kept.
  Result<std::shared_ptr<const Grammar>> get(std::string key, const std::function<Result<GrammarRules>()>& rules);

  // Made when it is first needed.
  std::shared_ptr<const TokenTrie> trie();
  // A miss is a grammar that had to be compiled, or was refused.
  struct Numbers {
    int64_t hits = 0, misses = 0;  // since the beginning
    int64_t count = 0;             // of grammars that are kept
    int64_t bytes = 0;             // theirs; grows with their use
  };
  Numbers numbers() const;

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Grammar> grammar;
  };
  static size_t memory_of(const Entry& entry) { return 2 * entry.key.size() + entry.grammar->memory(); }
  size_t total() const;

  const SamplingVocabulary& vocabulary_;
  const size_t limit_;
  std::once_flag trie_once_;
  std::shared_ptr<const TokenTrie> trie_;
  mutable std::mutex mutex_;  // guards what follows
  int64_t hits_ = 0, misses_ = 0;
  std::list<Entry> entries_;                                                 // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> by_key_;  // views of the entries' keys
};

}  // namespace linnet
