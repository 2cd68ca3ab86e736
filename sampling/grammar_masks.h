// Which tokens may follow a state of a GrammarAutomaton, kept so that each part of the answer is computed once.
//
// What a state allows does not depend on the stack, until the rule that the state belongs to ends inside of a token. So
// the trie of tokens is walked from the state with an unknown stack below: that gives the tokens allowed whatever the
// stack is, and the exits, the places in the trie where the rule may have ended and longer tokens go on. What happens
// there depends on the return state only, again until that one's rule ends: another walk, from those exits. A Segment is
// one such walk, and the tokens allowed in a situation are the union of the segments down its stacks, with no token
// looked at one by one. (XGrammar, arXiv 2411.15100, splits tokens at the same border, and checks those behind it at
// run time.)
//
// Walks go through a deterministic automaton made as they need it (sets of configurations, and where each class of bytes
// leads), so a step is one table look-up. A subtree of the trie is taken whole, without a walk, when the set is a loop
// over a class of characters that covers it: the inside of strings, say, counted repetitions included.
//
// Thread-safe. Memory is bounded: when what is kept exceeds `memory`, all of it is dropped and made again as needed.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <unordered_map>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/grammar_automaton.h"
#include "sampling/grammar_stack.h"
#include "sampling/token_trie.h"

namespace linnet {

class GrammarMasks {
 public:
  static constexpr size_t kMemory = size_t(32) << 20;
  // One walk may go beyond that by so much, then it is refused.
  static constexpr size_t kWalkMemory = size_t(64) << 20;
  // Most steps that one mask may take, some 30 ms: a node of the trie is one, a step of the Pushdown is kStep.
  static constexpr uint64_t kWork = uint64_t(1) << 23;
  static constexpr uint64_t kStep = 16;
  static Error too_much_work();

  // Places in the trie, ascending. `id` is never used again for others.
  struct Exits {
    uint64_t id = 0;
    std::vector<uint32_t> nodes;
  };
  struct Segment {
    std::vector<uint64_t> dense;         // [mask_words()] bit per token; or empty:
    std::vector<int32_t> sparse;         // token ids
    std::shared_ptr<const Exits> exits;  // null: none

    void add_to(std::span<uint64_t> mask) const;
  };

  GrammarMasks(const GrammarAutomaton& automaton, std::shared_ptr<const TokenTrie> trie, size_t memory = kMemory);

  // The walk from `state`: from the empty prefix where `exits` is null, else from all of them. `bottom`: below is
  // nothing but the end of the text, so exits lead nowhere. `work` counts up to kWork.
  Result<std::shared_ptr<const Segment>> segment(const std::shared_ptr<const Exits>& exits, int32_t state, bool bottom,
                                                 uint64_t& work) const;
  // Walks from the empty prefix in every state, in the order of states, up to so many steps (the last walk may take half
  // as many more) and half of the memory, so that a generation seldom has to.
  void prepare(uint64_t limit) const;
  size_t memory() const { return memory_.load(std::memory_order_relaxed); }

 private:
  struct Key {
    uint64_t exits;
    int32_t state;
    bool bottom;
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& key) const {
      return size_t((key.exits * 0x9e3779b97f4a7c15u) ^
                    (uint64_t(uint32_t(key.state)) << 1 | uint64_t(key.bottom)) * 0xff51afd7ed558ccdu);
    }
  };
  class Walker;

  Result<std::shared_ptr<const Segment>> compute(const Exits* exits, int32_t state, bool bottom, uint64_t& work) const;

  const GrammarAutomaton& automaton_;
  const std::shared_ptr<const TokenTrie> trie_;
  const size_t limit_;  // bytes

  mutable std::shared_mutex mutex_;  // guards what follows
  mutable std::unordered_map<Key, std::shared_ptr<const Segment>, KeyHash> segments_;
  mutable std::unordered_multimap<uint64_t, std::shared_ptr<const Exits>> exits_;  // by hash
  mutable uint64_t next_exits_ = 1;
  mutable std::shared_ptr<Walker> walker_;
  mutable size_t kept_ = 0;  // bytes of segments and exits
  mutable std::atomic<size_t> memory_ = 0;
};

}  // namespace linnet
