#include "sampling/grammar_stack.h"

#include <algorithm>
#include <functional>

namespace linnet {
namespace {

uint64_t mix(uint64_t x) {  // the finalizer of MurmurHash3
  x ^= x >> 33;
  x *= 0xff51afd7ed558ccdu;
  x ^= x >> 33;
  x *= 0xc4ceb9fe1a85ec53u;
  return x ^ (x >> 33);
}

uint64_t key(int32_t rule, Configuration c) {
  constexpr int kRuleBits = 14, kStackBits = 23;
  static_assert(GrammarLimits::kRules < (1 << kRuleBits) && Pushdown::kFrames < (size_t(1) << kStackBits));
  return (uint64_t(uint32_t(c.state)) << kRuleBits | uint32_t(rule)) << kStackBits | uint32_t(c.stack);
}

// Ambiguous grammars call the same rule from the same frame again and again; among so few callers it is not looked for.
constexpr size_t kFew = 32;

uint64_t key(Configuration c) { return uint64_t(uint32_t(c.state)) << 32 | uint32_t(c.stack); }

uint64_t hash(std::span<const Configuration> frames) {
  uint64_t h = frames.size();
  for (const Configuration& frame : frames) h = mix(h ^ key(frame)) + 0x9e3779b97f4a7c15u;
  return h;
}

}  // namespace

void KeySet::clear() {
  if (used_ == 0) return;
  if (slots_.size() > 1024 && used_ < slots_.size() / 16) slots_.resize(16);
  std::fill(slots_.begin(), slots_.end(), kFree);
  used_ = 0;
}

bool KeySet::insert(uint64_t key) {
  if (2 * (used_ + 1) > slots_.size()) {
    std::vector<uint64_t> old(4 * slots_.size(), kFree);
    old.swap(slots_);
    used_ = 0;
    for (const uint64_t k : old) {
      if (k != kFree) insert(k);
    }
  }
  const size_t mask = slots_.size() - 1;
  size_t at = mix(key) & mask;
  for (; slots_[at] != kFree; at = (at + 1) & mask) {
    if (slots_[at] == key) return false;
  }
  slots_[at] = key;
  ++used_;
  return true;
}

Pushdown::Pushdown(const GrammarAutomaton& automaton) : automaton_(&automaton), begin_{0}, slots_(16, -1) {
  const Configuration done{GrammarAutomaton::kDone, kBottom};
  intern({&done, 1});
}

std::span<const Configuration> Pushdown::frames(int32_t stack) const {
  const uint32_t from = begin_[size_t(stack)];
  return {frames_.data() + from, begin_[size_t(stack) + 1] - from};
}

// In the order in which they were made, which forget() relies on.
void Pushdown::grow(size_t slots) {
  slots_.assign(slots, -1);
  for (size_t stack = 0; stack < stacks(); ++stack) {
    size_t at = hash(frames(int32_t(stack))) & (slots - 1);
    while (slots_[at] >= 0) at = (at + 1) & (slots - 1);
    slots_[at] = int32_t(stack);
  }
}

int32_t Pushdown::intern(std::span<const Configuration> wanted) {
  if (2 * (stacks() + 1) > slots_.size()) grow(2 * slots_.size());
  size_t at = hash(wanted) & (slots_.size() - 1);
  for (; slots_[at] >= 0; at = (at + 1) & (slots_.size() - 1)) {
    const std::span<const Configuration> there = frames(slots_[at]);
    if (std::equal(there.begin(), there.end(), wanted.begin(), wanted.end())) return slots_[at];
  }
  if (frames_.size() + wanted.size() > kFrames) {
    overflowed_ = true;
    return kBottom;
  }
  slots_[at] = int32_t(stacks());
  frames_.insert(frames_.end(), wanted.begin(), wanted.end());
  begin_.push_back(uint32_t(frames_.size()));
  return slots_[at];
}

void Pushdown::forget(size_t count) {
  // Last in, first out: whoever was inserted last is in nobody's way.
  while (stacks() > count) {
    const int32_t last = int32_t(stacks()) - 1;
    size_t at = hash(frames(last)) & (slots_.size() - 1);
    while (slots_[at] != last) at = (at + 1) & (slots_.size() - 1);
    slots_[at] = -1;
    begin_.pop_back();
    frames_.resize(begin_.back());
  }
}

bool Pushdown::too_many(std::vector<Configuration>& set, size_t count) {
  if (count > kConfigurations || work_ > most_work_) overflowed_ = true;
  if (overflowed_) set.clear();
  return overflowed_;
}

// Returns from rules that have ended, and from those that end with them; then the set in order, without states that only
// ended their rule. Returns go to older stacks only, so this ends.
void Pushdown::close(std::vector<Configuration>& set) {
  seen_.clear();
  size_t kept = 0;
  for (size_t i = 0; i < set.size(); ++i) {
    const Configuration c = set[i];
    ++work_;
    if (too_many(set, kept + 1)) return;
    if (!seen_.insert(key(c))) continue;
    if (c.state != GrammarAutomaton::kDone && automaton_->accepting(c.state)) {
      for (const Configuration& frame : frames(c.stack)) set.push_back(frame);
    }
    if (c.state == GrammarAutomaton::kDone || !automaton_->tail(c.state)) set[kept++] = c;
  }
  set.resize(kept);
  std::sort(set.begin(), set.end());
}

std::vector<Configuration> Pushdown::start(int32_t state, int32_t stack) {
  overflowed_ = false;
  std::vector<Configuration> set{{state, stack}};
  close(set);
  return set;
}

// Rules in the order of their ranks: when a rule is entered, all its callers are known, and they are one stack.
void Pushdown::enter(std::span<const Configuration> set, std::vector<Configuration>& entered) {
  overflowed_ = false;
  entered.assign(set.begin(), set.end());
  heap_.clear();
  seen_.clear();
  size_t done = 0;
  while (true) {
    for (; done < entered.size(); ++done) {
      const Configuration c = entered[done];
      ++work_;
      for (const GrammarAutomaton::Call& call : automaton_->calls(c.state)) {
        const auto add = [&](Configuration frame) {
          ++work_;
          if (heap_.size() >= kFew && !seen_.insert(key(call.rule, frame))) return;
          heap_.push_back({automaton_->rank(call.rule), call.rule, frame});
          std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
        };
        if (automaton_->tail(call.target)) {
          for (const Configuration& frame : frames(c.stack)) add(frame);
        } else {
          add({call.target, c.stack});
        }
      }
      if (too_many(entered, heap_.size() / 16)) return;
    }
    if (heap_.empty()) return;
    const int32_t rule = heap_.front().rule;
    callers_.clear();
    while (!heap_.empty() && heap_.front().rule == rule) {
      std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
      if (callers_.empty() || callers_.back() != heap_.back().frame) callers_.push_back(heap_.back().frame);
      heap_.pop_back();
      ++work_;
    }
    const int32_t stack = intern(callers_);
    entered.push_back({automaton_->start(rule), stack});
    if (too_many(entered, entered.size() / 4)) return;  // there may be one more for each rule
  }
}

void Pushdown::read_byte(std::span<const Configuration> entered, uint8_t byte, std::vector<Configuration>& next) {
  overflowed_ = false;
  next.clear();
  for (const Configuration& c : entered) {
    ++work_;
    for (const GrammarAutomaton::ByteEdge& edge : automaton_->bytes(c.state)) {
      if (edge.first > byte) break;
      ++work_;
      if (byte <= edge.last) next.push_back({edge.target, c.stack});
    }
  }
  close(next);
}

void Pushdown::read_token(std::span<const Configuration> entered, int32_t token, bool text,
                          std::vector<Configuration>& next) {
  overflowed_ = false;
  next.clear();
  for (const Configuration& c : entered) {
    work_ += 1 + automaton_->tokens(c.state).size();
    for (const GrammarAutomaton::TokenEdge& edge : automaton_->tokens(c.state)) {
      if (edge.negated ? text && edge.token != token : edge.token == token) next.push_back({edge.target, c.stack});
    }
  }
  close(next);
}

size_t Pushdown::memory() const {
  return frames_.capacity() * sizeof(Configuration) + (begin_.capacity() + slots_.capacity()) * sizeof(int32_t);
}

}  // namespace linnet
