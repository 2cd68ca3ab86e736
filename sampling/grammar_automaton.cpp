#include "sampling/grammar_automaton.h"

#include <algorithm>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "gguf/base/hash.h"
#include "gguf/base/utf8.h"

namespace linnet {
namespace {

using Limits = GrammarLimits;
using StateSet = std::vector<int32_t>;  // ascending

struct SetHash {
  size_t operator()(const StateSet& set) const { return size_t(xxh64(std::as_bytes(std::span(set)))); }
};

}  // namespace

// The subset construction (Rabin and Scott 1959), rule by rule, with calls and tokens as further symbols.
class Determinizer {
 public:
  explicit Determinizer(GrammarNfa nfa) : nfa_(std::move(nfa)), seen_(size_t(nfa_.states()), -1), entered_(seen_) {}

  Result<GrammarAutomaton> build() {
    LINNET_CHECK(check_left_recursion());
    add_state(true);  // kDone
    for (const GrammarNfa::Rule& rule : nfa_.rules) {
      const Mark before{out_.states_.size(), out_.bytes_.size(), out_.tokens_.size(), out_.calls_.size()};
      bool fits = false;
      LINNET_CHECK(add_rule(rule, true, fits));
      if (!fits) {
        out_.states_.resize(before.states);
        out_.bytes_.resize(before.bytes);
        out_.tokens_.resize(before.tokens);
        out_.calls_.resize(before.calls);
        LINNET_CHECK(add_rule(rule, false, fits));
      }
    }
    add_state(false);  // closes the ranges of edges
    make_classes();
    return std::move(out_);
  }

 private:
  struct Mark {
    size_t states, bytes, tokens, calls;
  };

  static Error too_large() {
    return fail(
        Code::grammar_limit,
        "the grammar takes too many states (limits: {} states, {} edges, {} steps to compile): use fewer optional "
        "parts in a row, smaller counts, or split it",
        Limits::kStates, Limits::kEdges, Limits::kCompileWork);
  }

  // The states that can be reached without text and that matter: they have other edges or end the rule. Replaces `set`.
  Status close(StateSet& set, int32_t end) {
    ++mark_;
    work_.clear();
    const auto reach = [&](int32_t state) {
      if (seen_[size_t(state)] == mark_) return;
      seen_[size_t(state)] = mark_;
      work_.push_back(state);
    };
    for (const int32_t state : set) reach(state);
    set.clear();
    for (size_t i = 0; i < work_.size(); ++i) {
      const int32_t state = work_[i];
      bool matters = state == end;
      spent_ += 1 + nfa_.begin[size_t(state) + 1] - nfa_.begin[size_t(state)];
      if (spent_ > Limits::kCompileWork) return too_large();
      for (int32_t e = nfa_.begin[size_t(state)]; e < nfa_.begin[size_t(state) + 1]; ++e) {
        const NfaEdge& edge = nfa_.edges[size_t(e)];
        if (edge.kind != NfaEdge::Kind::empty) matters = true;
        const bool passes = edge.kind == NfaEdge::Kind::call && nfa_.rules[size_t(edge.value)].nullable;
        if (edge.kind == NfaEdge::Kind::empty || passes) reach(edge.target);
      }
      if (matters) set.push_back(state);
    }
    std::sort(set.begin(), set.end());
    return {};
  }

  void add_state(bool accepting) {
    out_.states_.push_back({uint32_t(out_.bytes_.size()), uint32_t(out_.tokens_.size()), uint32_t(out_.calls_.size()),
                            accepting, accepting});
  }

  // `deterministic`: with at most one edge per symbol, unless that takes many more states than the rule has; then `fits`
  // becomes false.
  Status add_rule(const GrammarNfa::Rule& rule, bool deterministic, bool& fits) {
    std::unordered_map<StateSet, int32_t, SetHash> ids;
    std::vector<const StateSet*> sets;
    const int32_t base = int32_t(out_.states_.size());
    const auto id_of = [&](StateSet set) {
      const auto [at, added] = ids.try_emplace(std::move(set), base + int32_t(sets.size()));
      if (added) sets.push_back(&at->first);
      return at->second;
    };
    StateSet start{rule.start};
    LINNET_CHECK(close(start, rule.end));
    out_.rules_.resize(size_t(&rule - nfa_.rules.data()) + 1);
    out_.rules_.back() = {id_of(std::move(start)), rank_[size_t(&rule - nfa_.rules.data())]};
    // Sets of one rule have states of that rule only, so their number bounds what its automaton may grow to.
    size_t most = kLeastGrowth;
    fits = true;
    StateSet target;
    for (size_t i = 0; i < sets.size(); ++i) {
      edges_.clear();
      for (const int32_t state : *sets[i]) {
        for (int32_t e = nfa_.begin[size_t(state)]; e < nfa_.begin[size_t(state) + 1]; ++e) {
          if (nfa_.edges[size_t(e)].kind != NfaEdge::Kind::empty) edges_.push_back(nfa_.edges[size_t(e)]);
        }
        if (std::exchange(entered_[size_t(state)], base) != base) most += kGrowth;
      }
      std::sort(edges_.begin(), edges_.end());
      edges_.erase(std::unique(edges_.begin(), edges_.end()), edges_.end());
      const size_t edges_before = out_.bytes_.size() + out_.tokens_.size() + out_.calls_.size();
      add_state(std::binary_search(sets[i]->begin(), sets[i]->end(), rule.end));

      const auto emit = [&](const NfaEdge& edge, StateSet& targets) -> Status {
        LINNET_CHECK(close(targets, rule.end));
        const int32_t id = id_of(targets);
        switch (edge.kind) {
          case NfaEdge::Kind::byte:
            out_.bytes_.push_back({edge.first, edge.last, id});
            break;
          case NfaEdge::Kind::call:
            out_.calls_.push_back({edge.value, id});
            break;
          default:
            out_.tokens_.push_back({edge.value, edge.kind == NfaEdge::Kind::not_token, id});
        }
        return {};
      };
      if (!deterministic) {
        for (const NfaEdge& edge : edges_) {
          target = {edge.target};
          LINNET_CHECK(emit(edge, target));
        }
      } else {
        LINNET_CHECK(emit_bytes(emit));
        // Calls of one rule and edges of one token, in groups.
        for (size_t e = 0; e < edges_.size();) {
          const NfaEdge& edge = edges_[e];
          target.clear();
          for (; e < edges_.size() && edges_[e].kind == edge.kind && edges_[e].value == edge.value; ++e) {
            target.push_back(edges_[e].target);
          }
          if (edge.kind != NfaEdge::Kind::byte) LINNET_CHECK(emit(edge, target));
        }
      }
      const size_t edges = out_.bytes_.size() + out_.tokens_.size() + out_.calls_.size();
      out_.states_.back().tail = out_.states_.back().accepting && edges == edges_before;
      if (deterministic && sets.size() > most) {
        fits = false;
        return {};
      }
      if (int64_t(out_.states_.size()) > Limits::kStates || int64_t(edges) > Limits::kEdges) return too_large();
    }
    return {};
  }

  // The byte edges of edges_, cut where one of them begins or ends.
  template <class Emit>
  Status emit_bytes(const Emit& emit) {
    std::array<bool, 257> cut{};
    size_t count = 0;
    for (const NfaEdge& edge : edges_) {
      if (edge.kind != NfaEdge::Kind::byte) continue;
      cut[edge.first] = cut[size_t(edge.last) + 1] = true;
      ++count;
    }
    if (count == 0) return {};
    StateSet target, previous;
    for (int first = 0; first < 256;) {
      int next = first + 1;
      while (next < 256 && !cut[size_t(next)]) ++next;
      target.clear();
      spent_ += int64_t(count);
      if (spent_ > Limits::kCompileWork) return too_large();
      for (const NfaEdge& edge : edges_) {
        if (edge.kind == NfaEdge::Kind::byte && edge.first <= first && edge.last >= next - 1)
          target.push_back(edge.target);
      }
      if (!target.empty()) {
        std::sort(target.begin(), target.end());
        LINNET_CHECK(emit({.kind = NfaEdge::Kind::byte, .first = uint8_t(first), .last = uint8_t(next - 1)}, target));
      }
      first = next;
    }
    return {};
  }

  // Rules that a rule may enter before any text. A cycle among them would be entered without end; without one they have
  // an order, which becomes their rank.
  Status check_left_recursion() {
    const size_t count = nfa_.rules.size();
    std::vector<std::vector<int32_t>> callees(count);
    for (size_t r = 0; r < count; ++r) {
      StateSet start{nfa_.rules[r].start};
      LINNET_CHECK(close(start, nfa_.rules[r].end));
      for (const int32_t state : start) {
        for (int32_t e = nfa_.begin[size_t(state)]; e < nfa_.begin[size_t(state) + 1]; ++e) {
          if (nfa_.edges[size_t(e)].kind == NfaEdge::Kind::call) callees[r].push_back(nfa_.edges[size_t(e)].value);
        }
      }
      std::sort(callees[r].begin(), callees[r].end());
      callees[r].erase(std::unique(callees[r].begin(), callees[r].end()), callees[r].end());
    }
    enum : uint8_t { unknown, open, done };
    std::vector<uint8_t> state(count, unknown);
    struct Frame {
      int32_t rule;
      size_t callee;
    };
    std::vector<Frame> path;
    rank_.assign(count, 0);
    int32_t next_rank = int32_t(count);
    for (size_t r = 0; r < count; ++r) {
      if (state[r] != unknown) continue;
      path.push_back({int32_t(r), 0});
      state[r] = open;
      while (!path.empty()) {
        Frame& top = path.back();
        if (top.callee == callees[size_t(top.rule)].size()) {
          state[size_t(top.rule)] = done;
          rank_[size_t(top.rule)] = --next_rank;
          path.pop_back();
          continue;
        }
        const int32_t callee = callees[size_t(top.rule)][top.callee++];
        if (state[size_t(callee)] == open) {
          std::string cycle;
          const auto from = std::find_if(path.begin(), path.end(), [&](const Frame& f) { return f.rule == callee; });
          const size_t shown = std::min<size_t>(size_t(path.end() - from), kNamesShown);
          for (size_t i = 0; i < shown; ++i) cycle += quoted(nfa_.rules[size_t(from[ptrdiff_t(i)].rule)].name) + " -> ";
          if (shown < size_t(path.end() - from)) cycle += "... -> ";
          return fail(Code::grammar_syntax,
                      "rule {} is left-recursive: it can enter itself before any text ({}{}); put the repeated part "
                      "behind, or use * or +",
                      quoted(nfa_.rules[size_t(callee)].name), cycle, quoted(nfa_.rules[size_t(callee)].name));
        }
        if (state[size_t(callee)] == done) continue;
        state[size_t(callee)] = open;
        path.push_back({callee, 0});
      }
    }
    return {};
  }

  void make_classes() {
    std::array<bool, 257> cut{};
    for (const auto& edge : out_.bytes_) cut[edge.first] = cut[size_t(edge.last) + 1] = true;
    int32_t id = 0;
    for (size_t byte = 0; byte < 256; ++byte) {
      if (byte > 0 && cut[byte]) ++id;
      out_.class_of_[byte] = uint8_t(id);
    }
    out_.classes_ = id + 1;
  }

  static constexpr size_t kGrowth = 4;         // states per state of the rule as written
  static constexpr size_t kLeastGrowth = 256;  // and so many more
  static constexpr size_t kNamesShown = 8;

  const GrammarNfa nfa_;
  GrammarAutomaton out_;
  std::vector<int32_t> rank_;
  std::vector<int32_t> seen_;  // [NFA states] mark_ of the last closure that reached it
  int32_t mark_ = 0;
  std::vector<int32_t> entered_;  // [NFA states] the last rule whose sets had it
  std::vector<int32_t> work_;
  std::vector<NfaEdge> edges_;
  int64_t spent_ = 0;
};

Result<GrammarAutomaton> GrammarAutomaton::build(const GrammarRules& rules, int32_t vocabulary) {
  LINNET_TRY(GrammarNfa nfa, GrammarNfa::build(rules, vocabulary));
  return Determinizer(std::move(nfa)).build();
}

size_t GrammarAutomaton::memory() const {
  return states_.capacity() * sizeof(State) + bytes_.capacity() * sizeof(ByteEdge) +
         tokens_.capacity() * sizeof(TokenEdge) + calls_.capacity() * sizeof(Call) + rules_.capacity() * sizeof(Rule);
}

}  // namespace linnet
