// The first half of compiling a grammar: rules as written -> a nondeterministic automaton of bytes, tokens and calls,
// checked for everything that would keep a matcher from ending (Thompson 1968, with calls of rules as one more kind of
// edge). sampling/grammar_automaton.h makes it deterministic.
//
// Nothing here recurses over the depth of the input, and every size is known before memory is taken for it.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/grammar_rules.h"

namespace linnet {

// What is refused with Code::grammar_limit.
struct GrammarLimits {
  static constexpr int64_t kRules = 10'000;
  static constexpr int64_t kNesting = 4'096;        // nodes inside nodes; a bracket in GBNF is up to three of them
  static constexpr int64_t kStates = 1 << 18;       // repetitions written out: the product of nested ones counts
  static constexpr int64_t kEdges = 1 << 21;        // of the finished automaton
  static constexpr int64_t kCompileWork = 1 << 22;  // members of the state sets that are looked at
};

struct NfaEdge {
  enum class Kind : uint8_t { empty, byte, token, not_token, call };
  Kind kind = Kind::empty;
  uint8_t first = 0, last = 0;  // of a byte edge
  int32_t value = -1;           // token or rule
  int32_t target = -1;

  auto operator<=>(const NfaEdge&) const = default;
};

struct GrammarNfa {
  struct Rule {
    std::string name;
    int32_t start = -1, end = -1;
    bool nullable = false;  // stands for the empty text too
  };
  std::vector<Rule> rules;  // those that the root needs, the root first
  std::vector<NfaEdge> edges;
  std::vector<int32_t> begin;  // [states + 1] the edges of state s are begin[s] to begin[s + 1]

  // Token ids must be below `vocabulary`.
  static Result<GrammarNfa> build(const GrammarRules& rules, int32_t vocabulary);
  int32_t states() const { return int32_t(begin.size()) - 1; }
};

}  // namespace linnet
