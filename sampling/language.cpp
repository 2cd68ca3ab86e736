#include "sampling/language.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "gguf/base/utf8.h"

namespace linnet {

Status WorkBudget::spend(int64_t count) {
  steps -= count;
  if (steps >= 0) return {};
  return fail(Code::grammar_limit,
              "working out which texts are allowed takes too many steps; use simpler patterns, fewer alternatives or "
              "smaller counts");
}

namespace {

Status check_states(size_t count) {
  if (count <= size_t(Language::kMaxStates)) return {};
  return fail(Code::grammar_limit,
              "a set of strings needs more than {} states; use smaller counts, shorter lists or simpler patterns",
              Language::kMaxStates);
}

void add_edge(std::vector<Language::Edge>& edges, CharacterRange characters, int32_t target) {
  if (!edges.empty() && edges.back().target == target && edges.back().characters.last + 1 == characters.first) {
    edges.back().characters.last = characters.last;
  } else {
    edges.push_back({characters, target});
  }
}

// Thompson's construction (1968): a pattern as an automaton with empty steps.
struct Nfa {
  struct State {
    CharacterSet characters;  // steps to `next`; none: only empty steps
    int32_t next = -1;
    std::vector<int32_t> empty;
  };
  std::vector<State> states;
  int32_t start = -1, end = -1;
  int32_t anything = -1;  // accepts whatever follows

  int32_t add() {
    states.emplace_back();
    return int32_t(states.size()) - 1;
  }

  // Ways from `from` to the state returned that spell texts of the node. Recursion is as deep as groups nest.
  int32_t build(const GrammarRules& grammar, int32_t node, int32_t from) {
    const GrammarNode& n = grammar.nodes[size_t(node)];
    switch (n.kind) {
      case GrammarNode::Kind::characters: {
        const int32_t to = add();
        const int32_t step = add();
        states[size_t(step)].characters = n.ranges;
        states[size_t(step)].next = to;
        states[size_t(from)].empty.push_back(step);
        return to;
      }
      case GrammarNode::Kind::sequence:
        for (const int32_t child : n.children) from = build(grammar, child, from);
        return from;
      case GrammarNode::Kind::choice: {
        const int32_t to = add();
        for (const int32_t child : n.children) {
          const int32_t begin = add();
          states[size_t(from)].empty.push_back(begin);
          const int32_t done = build(grammar, child, begin);
          states[size_t(done)].empty.push_back(to);
        }
        return to;
      }
      default: {  // repeat
        for (int32_t i = 0; i < n.least; ++i) from = build(grammar, n.children[0], from);
        const int32_t to = add();
        if (n.most < 0) {
          const int32_t loop = add();
          states[size_t(from)].empty.push_back(loop);
          states[size_t(loop)].empty.push_back(to);
          const int32_t done = build(grammar, n.children[0], loop);
          states[size_t(done)].empty.push_back(loop);
          return to;
        }
        for (int32_t i = n.least; i < n.most; ++i) {
          states[size_t(from)].empty.push_back(to);
          from = build(grammar, n.children[0], from);
        }
        states[size_t(from)].empty.push_back(to);
        return to;
      }
    }
  }

  // A state that any characters lead back to.
  int32_t loop_of_all() {
    const int32_t loop = add();
    const int32_t step = add();
    states[size_t(step)].characters = all_characters();
    states[size_t(step)].next = loop;
    states[size_t(loop)].empty.push_back(step);
    return loop;
  }
};

// Rabin and Scott's construction (1959) of a deterministic automaton.
class Subsets {
 public:
  Subsets(const Nfa& nfa, WorkBudget& budget) : nfa_(nfa), budget_(budget), seen_(nfa.states.size()) {}

  Result<std::vector<Language::State>> run() {
    LINNET_CHECK(state_of({nfa_.start}));
    for (size_t i = 0; i < states_.size(); ++i) {
      LINNET_CHECK(expand(i));
      LINNET_CHECK(check_states(states_.size()));
    }
    return std::move(states_);
  }

 private:
  struct Step {
    CharacterRange characters;
    int32_t next;
  };

  // The state for these states of the NFA and all that empty steps reach from them.
  Result<int32_t> state_of(std::vector<int32_t> reached) {
    std::vector<int32_t> set;
    bool anything = false;
    for (const int32_t s : reached) seen_[size_t(s)] = true;
    for (size_t i = 0; i < reached.size(); ++i) {
      const Nfa::State& s = nfa_.states[size_t(reached[i])];
      anything |= reached[i] == nfa_.anything;
      if (s.next >= 0 || reached[i] == nfa_.end) set.push_back(reached[i]);
      for (const int32_t e : s.empty) {
        if (!seen_[size_t(e)]) {
          seen_[size_t(e)] = true;
          reached.push_back(e);
        }
      }
    }
    for (const int32_t s : reached) seen_[size_t(s)] = false;
    LINNET_CHECK(budget_.spend(int64_t(reached.size())));
    // Whatever comes is accepted, so nothing else matters any more.
    if (anything) set = {nfa_.anything};
    std::sort(set.begin(), set.end());
    const auto [at, added] = ids_.try_emplace(set, int32_t(states_.size()));
    if (added) {
      states_.push_back({.accepts = anything || std::binary_search(set.begin(), set.end(), nfa_.end), .edges = {}});
      sets_.push_back(std::move(set));
    }
    return at->second;
  }

  Status expand(size_t state) {
    std::vector<Step> steps;
    std::vector<uint32_t> cuts;  // where the set of possible steps may change
    for (const int32_t s : sets_[state]) {
      const bool anything = s == nfa_.anything;
      const CharacterSet characters = anything ? all_characters() : nfa_.states[size_t(s)].characters;
      for (const CharacterRange r : characters) {
        steps.push_back({r, anything ? s : nfa_.states[size_t(s)].next});
        cuts.push_back(r.first);
        cuts.push_back(r.last + 1);
      }
    }
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    std::sort(steps.begin(), steps.end(),
              [](const Step& a, const Step& b) { return a.characters.first < b.characters.first; });
    std::vector<Step> open;
    size_t next = 0;
    for (size_t i = 0; i + 1 < cuts.size(); ++i) {
      while (next < steps.size() && steps[next].characters.first == cuts[i]) open.push_back(steps[next++]);
      std::erase_if(open, [&](const Step& s) { return s.characters.last < cuts[i]; });
      LINNET_CHECK(budget_.spend(1 + int64_t(open.size())));
      if (open.empty()) continue;
      std::vector<int32_t> targets;
      for (const Step& s : open) targets.push_back(s.next);
      std::sort(targets.begin(), targets.end());
      targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
      LINNET_TRY(const int32_t target, state_of(std::move(targets)));
      add_edge(states_[state].edges, {cuts[i], cuts[i + 1] - 1}, target);
    }
    return {};
  }

  const Nfa& nfa_;
  WorkBudget& budget_;
  std::vector<bool> seen_;
  std::map<std::vector<int32_t>, int32_t> ids_;
  std::vector<std::vector<int32_t>> sets_;
  std::vector<Language::State> states_;
};

// Which states accept the same texts: Moore's refinement (1956) of groups, but only states whose steps lead to a group
// that was just cut are looked at again, and the largest part of a group stays (Hopcroft 1971). So a state is looked at
// about log(states) times for each of its steps, also where the states are one long chain.
class Refinement {
 public:
  // The first groups, numbered from 0; -1 for states that lead to no accepting one.
  Refinement(const std::vector<Language::State>& states, std::vector<int32_t> group)
      : states_(states),
        group_(std::move(group)),
        place_(states.size()),
        is_open_(states.size()),
        before_(states.size()) {
    for (size_t i = 0; i < states.size(); ++i) {
      for (const Language::Edge& e : states[i].edges) before_[size_t(e.target)].push_back(int32_t(i));
      if (group_[i] < 0) continue;
      members_.resize(std::max(members_.size(), size_t(group_[i]) + 1));
      enter(int32_t(i), group_[i]);
      open(int32_t(i));
    }
  }

  Result<std::vector<int32_t>> run(WorkBudget& budget) {
    while (!open_.empty()) {
      std::map<Signature, std::vector<int32_t>> alike;
      for (const int32_t s : open_) {
        LINNET_CHECK(budget.spend(1 + int64_t(states_[size_t(s)].edges.size())));
        alike[signature(size_t(s))].push_back(s);
      }
      // Signatures of one group are neighbours.
      std::vector<int32_t> moved;
      for (auto at = alike.begin(); at != alike.end();) {
        const int32_t group = at->first.first;
        std::vector<std::vector<int32_t>> parts;
        for (; at != alike.end() && at->first.first == group; ++at) parts.push_back(std::move(at->second));
        cut(group, std::move(parts), moved);
      }
      for (const int32_t s : open_) is_open_[size_t(s)] = false;
      open_.clear();
      for (const int32_t s : moved) {
        for (const int32_t b : before_[size_t(s)]) open(b);
      }
    }
    // Numbered in their order of appearance, so that the start stays first.
    std::vector<int32_t> number(members_.size(), -1);
    int32_t next = 0;
    for (int32_t& group : group_) {
      if (group < 0) continue;
      int32_t& known = number[size_t(group)];
      if (known < 0) known = next++;
      group = known;
    }
    return std::move(group_);
  }

 private:
  using Signature = std::pair<int32_t, std::vector<std::pair<uint32_t, int32_t>>>;  // steps as (last, group), gaps -1

  void open(int32_t state) {
    if (group_[size_t(state)] < 0 || is_open_[size_t(state)]) return;
    is_open_[size_t(state)] = true;
    open_.push_back(state);
  }
  void enter(int32_t state, int32_t group) {
    group_[size_t(state)] = group;
    place_[size_t(state)] = members_[size_t(group)].size();
    members_[size_t(group)].push_back(state);
  }
  void leave(int32_t state) {
    std::vector<int32_t>& from = members_[size_t(group_[size_t(state)])];
    place_[size_t(from.back())] = place_[size_t(state)];
    from[place_[size_t(state)]] = from.back();
    from.pop_back();
  }

  Signature signature(size_t state) const {
    Signature out{group_[state], {}};
    const auto push = [&steps = out.second](uint32_t last, int32_t target) {
      if (!steps.empty() && steps.back().second == target) steps.pop_back();
      steps.emplace_back(last, target);
    };
    uint32_t at = 0;
    for (const Language::Edge& e : states_[state].edges) {
      if (e.characters.first > at) push(e.characters.first - 1, -1);
      push(e.characters.last, group_[size_t(e.target)]);
      at = e.characters.last + 1;
    }
    push(UINT32_MAX, -1);
    return out;
  }

  // Into these parts, and the members that are not open: their steps lead where they led before.
  void cut(int32_t group, std::vector<std::vector<int32_t>> parts, std::vector<int32_t>& moved) {
    size_t rest = members_[size_t(group)].size();
    for (const auto& part : parts) rest -= part.size();
    auto& largest =
        *std::max_element(parts.begin(), parts.end(), [](const auto& a, const auto& b) { return a.size() < b.size(); });
    if (rest < largest.size()) {
      largest.clear();  // stays, and the rest goes
      if (rest > 0) {
        std::copy_if(members_[size_t(group)].begin(), members_[size_t(group)].end(), std::back_inserter(largest),
                     [&](int32_t s) { return !is_open_[size_t(s)]; });
      }
    }
    for (const auto& part : parts) {
      if (part.empty()) continue;
      members_.emplace_back();
      for (const int32_t s : part) {
        leave(s);
        enter(s, int32_t(members_.size()) - 1);
      }
      moved.insert(moved.end(), part.begin(), part.end());
    }
  }

  const std::vector<Language::State>& states_;
  std::vector<int32_t> group_;
  std::vector<std::vector<int32_t>> members_;  // [groups]
  std::vector<size_t> place_;                  // of a state among the members of its group
  std::vector<int32_t> open_;                  // states to look at
  std::vector<bool> is_open_;                  // [states]
  std::vector<std::vector<int32_t>> before_;   // [states] those that step there
};

}  // namespace

Result<Language> Language::of_regex(const Regex& regex, bool search, WorkBudget& budget) {
  Nfa nfa;
  nfa.start = nfa.add();
  nfa.end = nfa.add();
  const int32_t anywhere = search ? nfa.loop_of_all() : -1;
  if (search) {
    nfa.anything = nfa.add();
    nfa.states[size_t(nfa.start)].empty.push_back(anywhere);
  }
  for (const Regex::Branch& branch : regex.branches) {
    const int32_t from = nfa.add();
    nfa.states[size_t(search && !branch.from_start ? anywhere : nfa.start)].empty.push_back(from);
    const int32_t to = nfa.build(regex.grammar, branch.node, from);
    nfa.states[size_t(to)].empty.push_back(search && !branch.to_end ? nfa.anything : nfa.end);
  }
  // `anything` takes part in sets of states by its number alone.
  if (search) nfa.states[size_t(nfa.anything)].next = nfa.anything;
  LINNET_CHECK(budget.spend(int64_t(nfa.states.size())));
  Language language;
  LINNET_TRY(language.states_, Subsets(nfa, budget).run());
  LINNET_CHECK(language.tidy(budget));
  return language;
}

Language Language::everything() {
  Language language;
  State state{.accepts = true, .edges = {}};
  for (const CharacterRange r : all_characters()) state.edges.push_back({r, 0});
  language.states_.push_back(std::move(state));
  return language;
}

Result<Language> Language::of_lengths(int64_t least, int64_t most, WorkBudget& budget) {
  Language language;
  if (most >= 0 && most < least) return language;
  const int64_t last = most < 0 ? least : most;
  LINNET_CHECK(check_states(size_t(std::min<int64_t>(last, kMaxStates)) + 1));
  LINNET_CHECK(budget.spend(last));
  for (int64_t i = 0; i <= last; ++i) {
    State state{.accepts = i >= least, .edges = {}};
    if (i < last || most < 0) {
      for (const CharacterRange r : all_characters()) state.edges.push_back({r, int32_t(std::min(i + 1, last))});
    }
    language.states_.push_back(std::move(state));
  }
  return language;
}

Result<Language> Language::of_strings(std::span<const std::string_view> strings, WorkBudget& budget) {
  std::vector<std::map<uint32_t, int32_t>> trie(1);
  std::vector<bool> ends(1);
  for (const std::string_view s : strings) {
    LINNET_CHECK(budget.spend(int64_t(s.size()) + 1));
    int32_t at = 0;
    for (size_t i = 0; i < s.size();) {
      const Utf8Char u = utf8_decode(s, i);
      i += u.bytes;
      const auto [edge, added] = trie[size_t(at)].try_emplace(u.code_point, int32_t(trie.size()));
      at = edge->second;
      if (added) {
        trie.emplace_back();
        ends.push_back(false);
        LINNET_CHECK(check_states(trie.size()));
      }
    }
    ends[size_t(at)] = true;
  }
  Language language;
  for (size_t i = 0; i < trie.size(); ++i) {
    State state{.accepts = ends[i], .edges = {}};
    for (const auto& [code_point, target] : trie[i]) state.edges.push_back({{code_point, code_point}, target});
    language.states_.push_back(std::move(state));
  }
  LINNET_CHECK(language.tidy(budget));
  return language;
}

Result<Language> Language::intersection(const Language& other, WorkBudget& budget) const {
  return product(other, Keep::both, budget);
}
Result<Language> Language::difference(const Language& other, WorkBudget& budget) const {
  return product(other, Keep::only_first, budget);
}
Result<Language> Language::join(const Language& other, WorkBudget& budget) const {
  return product(other, Keep::either, budget);
}

// Both automata side by side; -1 is the state of one that can accept no more.
Result<Language> Language::product(const Language& other, Keep keep, WorkBudget& budget) const {
  using Pair = std::pair<int32_t, int32_t>;
  Language result;
  std::map<Pair, int32_t> ids;
  std::vector<Pair> pairs;
  const auto state_of = [&](Pair p) {
    const bool dead = keep == Keep::either ? p.first < 0 && p.second < 0
                      : keep == Keep::both ? p.first < 0 || p.second < 0
                                           : p.first < 0;
    if (dead) return -1;
    const auto [at, added] = ids.try_emplace(p, int32_t(pairs.size()));
    if (added) {
      const bool a = p.first >= 0 && states_[size_t(p.first)].accepts;
      const bool b = p.second >= 0 && other.states_[size_t(p.second)].accepts;
      pairs.push_back(p);
      result.states_.push_back({.accepts = keep == Keep::either ? a || b
                                           : keep == Keep::both ? a && b
                                                                : a && !b,
                                .edges = {}});
    }
    return at->second;
  };
  static const std::vector<Edge> kNone;
  state_of({empty() ? -1 : 0, other.empty() ? -1 : 0});
  for (size_t i = 0; i < pairs.size(); ++i) {
    LINNET_CHECK(check_states(pairs.size()));
    const Pair pair = pairs[i];
    const std::vector<Edge>& a = pair.first < 0 ? kNone : states_[size_t(pair.first)].edges;
    const std::vector<Edge>& b = pair.second < 0 ? kNone : other.states_[size_t(pair.second)].edges;
    LINNET_CHECK(budget.spend(1 + int64_t(a.size() + b.size())));
    size_t x = 0, y = 0;
    for (uint32_t at = 0; x < a.size() || y < b.size();) {
      const auto ahead = [at](const Edge& e) { return std::max(at, e.characters.first); };
      const uint32_t first_a = x < a.size() ? ahead(a[x]) : UINT32_MAX;
      const uint32_t first_b = y < b.size() ? ahead(b[y]) : UINT32_MAX;
      const uint32_t first = std::min(first_a, first_b);
      // The longest run of characters over which the same edges are there.
      uint32_t last = UINT32_MAX;
      if (x < a.size()) last = std::min(last, first_a == first ? a[x].characters.last : first_a - 1);
      if (y < b.size()) last = std::min(last, first_b == first ? b[y].characters.last : first_b - 1);
      const int32_t target = state_of(
          {x < a.size() && first_a == first ? a[x].target : -1, y < b.size() && first_b == first ? b[y].target : -1});
      if (target >= 0) add_edge(result.states_[i].edges, {first, last}, target);
      at = last + 1;
      if (x < a.size() && a[x].characters.last < at) ++x;
      if (y < b.size() && b[y].characters.last < at) ++y;
    }
  }
  LINNET_CHECK(check_states(pairs.size()));
  LINNET_CHECK(result.tidy(budget));
  return result;
}

Status Language::tidy(WorkBudget& budget) {
  const size_t count = states_.size();
  // Which states can still accept: backwards from those that do.
  std::vector<std::vector<int32_t>> before(count);
  std::vector<bool> alive(count);
  std::vector<int32_t> open;
  for (size_t i = 0; i < count; ++i) {
    for (const Edge& e : states_[i].edges) before[size_t(e.target)].push_back(int32_t(i));
    if (states_[i].accepts) {
      alive[i] = true;
      open.push_back(int32_t(i));
    }
  }
  while (!open.empty()) {
    const int32_t s = open.back();
    open.pop_back();
    for (const int32_t b : before[size_t(s)]) {
      if (!alive[size_t(b)]) {
        alive[size_t(b)] = true;
        open.push_back(b);
      }
    }
  }
  if (count == 0 || !alive[0]) {
    states_.clear();
    return {};
  }
  std::vector<int32_t> group(count);
  for (size_t i = 0; i < count; ++i) group[i] = alive[i] ? states_[i].accepts : -1;
  LINNET_TRY(group, Refinement(states_, std::move(group)).run(budget));
  const auto groups = size_t(*std::max_element(group.begin(), group.end()) + 1);
  std::vector<State> merged(groups);
  size_t edges = 0;
  std::vector<bool> done(merged.size());
  for (size_t i = 0; i < count; ++i) {
    if (group[i] < 0 || done[size_t(group[i])]) continue;
    State& state = merged[size_t(group[i])];
    done[size_t(group[i])] = true;
    state.accepts = states_[i].accepts;
    for (const Edge& e : states_[i].edges) {
      if (group[size_t(e.target)] >= 0) add_edge(state.edges, e.characters, group[size_t(e.target)]);
    }
    edges += state.edges.size();
  }
  states_ = std::move(merged);
  if (edges <= kMaxEdges) return {};
  return fail(Code::grammar_limit, "a set of strings needs more than {} steps; use simpler patterns or shorter lists",
              kMaxEdges);
}

bool Language::accepts(std::string_view text) const {
  if (empty()) return false;
  int32_t at = 0;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char u = utf8_decode(text, i);
    i += u.bytes;
    const std::vector<Edge>& edges = states_[size_t(at)].edges;
    const auto edge = std::find_if(edges.begin(), edges.end(), [&](const Edge& e) {
      return u.code_point >= e.characters.first && u.code_point <= e.characters.last;
    });
    if (edge == edges.end()) return false;
    at = edge->target;
  }
  return states_[size_t(at)].accepts;
}

}  // namespace linnet
