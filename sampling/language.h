// A regular set of strings as a deterministic automaton over characters: what patterns, formats, lengths and names
// become so that they can be joined, cut and compared, and written as grammar rules that never have two ways to read
// one text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/character_set.h"
#include "sampling/grammar_rules.h"
#include "sampling/regex.h"

namespace linnet {

// How much work may still be spent; what takes from it says grammar_limit when it is gone.
struct WorkBudget {
  int64_t steps = 600'000;  // some 20 ms
  Status spend(int64_t count);
};

class Language {
 public:
  static constexpr int32_t kMaxStates = 5000;
  static constexpr size_t kMaxEdges = 20'000;

  // All functions that make a language: grammar_limit when it has more states or edges, or when the budget is gone.

  // The texts a pattern matches: the whole text, or, with `search`, texts that have a match anywhere in them unless
  // "^" and "$" say otherwise.
  static Result<Language> of_regex(const Regex& regex, bool search, WorkBudget& budget);
  static Result<Language> of_lengths(int64_t least, int64_t most, WorkBudget& budget);  // characters; most -1: any
  static Result<Language> of_strings(std::span<const std::string_view> strings, WorkBudget& budget);
  static Language everything();

  Result<Language> intersection(const Language& other, WorkBudget& budget) const;
  Result<Language> difference(const Language& other, WorkBudget& budget) const;
  Result<Language> join(const Language& other, WorkBudget& budget) const;

  bool empty() const { return states_.empty(); }
  bool accepts(std::string_view text) const;
  int32_t size() const { return int32_t(states_.size()); }

  struct Edge {
    CharacterRange characters;
    int32_t target;
  };
  struct State {
    bool accepts = false;
    std::vector<Edge> edges;  // ascending, disjoint; any other character leads nowhere
  };
  // Every state leads to an accepting one; the first is the start; none: the empty set.
  const std::vector<State>& states() const { return states_; }

 private:
  enum class Keep { both, only_first, either };
  Result<Language> product(const Language& other, Keep keep, WorkBudget& budget) const;
  // Drops what is not on a way to an accepting state and merges states that accept the same.
  Status tidy(WorkBudget& budget);

  std::vector<State> states_;
};

}  // namespace linnet
