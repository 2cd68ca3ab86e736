// A compiled grammar: per rule an automaton over bytes and tokens whose edges can also be calls of rules (a recursive
// transition network). Together with a stack of return states it reads any text of the grammar.
//
// Within a rule it is deterministic where the subset construction stays within a small multiple of the rule as written;
// otherwise the rule keeps several edges for one byte, and whoever walks it keeps a set of states, which is always
// correct. A rule that may be empty is never entered for nothing: its callers have the way around it as well. So a rule
// ends only after a byte or a token.
//
// Immutable.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/grammar_nfa.h"
#include "sampling/grammar_rules.h"

namespace linnet {

class GrammarAutomaton {
 public:
  // The state after the end of the text (and, in walks of a part, after the end of the part).
  static constexpr int32_t kDone = 0;

  struct ByteEdge {
    uint8_t first, last;
    int32_t target;
  };
  struct TokenEdge {
    int32_t token;
    bool negated;  // any token of text but this
    int32_t target;
  };
  struct Call {
    int32_t rule;
    int32_t target;  // where it returns to
  };

  // Refuses what GrammarNfa::build() refuses, left recursion and what takes too many states.
  static Result<GrammarAutomaton> build(const GrammarRules& rules, int32_t vocabulary);

  int32_t states() const { return int32_t(states_.size()) - 1; }
  int32_t start(int32_t rule) const { return rules_[size_t(rule)].start; }  // rule 0 is the root
  // Rules that call each other before any text: the caller's rank is lower.
  int32_t rank(int32_t rule) const { return rules_[size_t(rule)].rank; }
  int32_t rule_count() const { return int32_t(rules_.size()); }
  bool accepting(int32_t state) const { return states_[size_t(state)].accepting; }
  // Nothing but the end of its rule follows: a call that returns there need not return at all.
  bool tail(int32_t state) const { return states_[size_t(state)].tail; }
  // By ascending `first`.
  std::span<const ByteEdge> bytes(int32_t state) const { return part(bytes_, &State::bytes, state); }
  std::span<const TokenEdge> tokens(int32_t state) const { return part(tokens_, &State::tokens, state); }
  std::span<const Call> calls(int32_t state) const { return part(calls_, &State::calls, state); }

  // Bytes that no edge tells apart share a class; classes ascend with the bytes.
  int32_t classes() const { return classes_; }
  const std::array<uint8_t, 256>& class_of() const { return class_of_; }
  size_t memory() const;  // bytes

 private:
  friend class Determinizer;
  struct State {
    uint32_t bytes, tokens, calls;  // where its edges begin
    bool accepting, tail;
  };
  struct Rule {
    int32_t start, rank;
  };

  template <class E>
  std::span<const E> part(const std::vector<E>& edges, uint32_t State::*begin, int32_t state) const {
    const uint32_t from = states_[size_t(state)].*begin, to = states_[size_t(state) + 1].*begin;
    return {edges.data() + from, to - from};
  }

  std::vector<State> states_;  // [states + 1]
  std::vector<ByteEdge> bytes_;
  std::vector<TokenEdge> tokens_;
  std::vector<Call> calls_;
  std::vector<Rule> rules_;
  std::array<uint8_t, 256> class_of_{};
  int32_t classes_ = 0;
};

}  // namespace linnet
