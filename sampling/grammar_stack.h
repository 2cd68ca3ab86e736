// Reading text with a GrammarAutomaton: sets of (state, stack) and how a byte, a call and a return change them.
//
// A stack is the set of ways on after the end of a rule: pairs of a return state and the stack below it. Calls of one
// rule at one place of the text share one stack, whoever calls (a graph-structured stack, Tomita 1985; the same idea as
// Earley's origins), and equal stacks are one (hash-consing). A call that would return to the end of the caller's rule
// returns to the caller's callers at once, so that right recursion needs no depth. So the work per byte is bounded by
// the states times the places where a rule may have begun, whatever the grammar is; kConfigurations refuses what still
// grows too large.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "sampling/grammar_automaton.h"

namespace linnet {

// As a place in the text: the automaton is in `state`, and when its rule ends, `stack` says where it goes on. As a part
// of a stack: the state to return to, and the stack below.
struct Configuration {
  int32_t state;
  int32_t stack;
  auto operator<=>(const Configuration&) const = default;
};

// A set of small keys that is emptied often.
class KeySet {
 public:
  void clear();
  bool insert(uint64_t key);  // false: it was there

 private:
  std::vector<uint64_t> slots_ = std::vector<uint64_t>(16, kFree);
  size_t used_ = 0;
  static constexpr uint64_t kFree = ~uint64_t(0);
};

// A plain value: copies are independent. Not thread-safe.
class Pushdown {
 public:
  static constexpr int32_t kBottom = 0;               // the stack whose only way on is kDone
  static constexpr size_t kConfigurations = 4096;     // most in a set
  static constexpr size_t kFrames = size_t(1) << 22;  // most in all stacks together: 32 MiB

  // The automaton must outlive it.
  explicit Pushdown(const GrammarAutomaton& automaton);

  // Every set here is closed: it has the return states of rules that may have ended. Calls are not taken yet.
  // A set that would exceed the limits comes out empty, and overflowed() is true until the next call.

  std::vector<Configuration> start(int32_t state, int32_t stack);
  // Adds the states in called rules; reading a byte or a token begins with this.
  void enter(std::span<const Configuration> set, std::vector<Configuration>& entered);
  // What an entered set becomes with this byte, or token.
  void read_byte(std::span<const Configuration> entered, uint8_t byte, std::vector<Configuration>& next);
  void read_token(std::span<const Configuration> entered, int32_t token, bool text, std::vector<Configuration>& next);

  // Makes a set of it: returns from rules that have ended, sorts, drops doubles.
  void close(std::vector<Configuration>& set);

  bool overflowed() const { return overflowed_; }
  std::span<const Configuration> frames(int32_t stack) const;

  // Stacks made later than when stacks() was `count` are forgotten.
  size_t stacks() const { return begin_.size() - 1; }
  void forget(size_t count);
  size_t memory() const;  // bytes
  // Steps taken so far: configurations, edges and frames looked at.
  uint64_t work() const { return work_; }
  // What would take more than so many steps from here overflows.
  void allow(uint64_t steps) { most_work_ = work_ + steps; }

 private:
  int32_t intern(std::span<const Configuration> frames);
  void grow(size_t slots);
  bool too_many(std::vector<Configuration>& set, size_t count);

  const GrammarAutomaton* automaton_;
  std::vector<Configuration> frames_;
  std::vector<uint32_t> begin_;  // [stacks + 1] into frames_
  std::vector<int32_t> slots_;   // hash table of stacks, a power of two
  bool overflowed_ = false;
  uint64_t work_ = 0, most_work_ = UINT64_MAX;

  struct Entry {
    int32_t rank, rule;
    Configuration frame;
    auto operator<=>(const Entry&) const = default;
  };
  // Kept for their memory.
  std::vector<Entry> heap_;
  std::vector<Configuration> callers_;
  KeySet seen_;
};

}  // namespace linnet
