#include "sampling/language_rules.h"

#include <algorithm>
#include <map>
#include <utility>

namespace linnet {
namespace {

// A rule for every state that several ways lead to; the others stand where they are used. The rules are right-linear,
// and a state's steps to itself are a repetition, so that reading a text never goes deep.
class LanguageWriter {
 public:
  LanguageWriter(GrammarRules& rules, const Language& language, const Spelling& spell, const std::string& name)
      : rules_(rules), states_(language.states()), spell_(spell), name_(name), rule_of_(states_.size(), -1) {}

  int32_t write() {
    std::vector<int32_t> ways(states_.size());
    for (size_t i = 0; i < states_.size(); ++i) {
      for (const auto& [target, set] : steps(i)) ways[size_t(target)] += size_t(target) == i ? 0 : 1;
    }
    ++ways[0];
    for (size_t i = 0; i < states_.size(); ++i) shared_.push_back(ways[i] > 1);
    const int32_t start = shared_[0] ? follow(0, 0) : body(0, 0);
    while (!open_.empty()) {
      const int32_t state = open_.back();
      open_.pop_back();
      const int32_t node = body(size_t(state), 0);
      rules_.rules[size_t(rule_of_[size_t(state)])].node = node;
    }
    return start;
  }

 private:
  static constexpr int kMaxNesting = 16;  // states written inside each other before the next becomes a rule

  std::map<int32_t, CharacterSet> steps(size_t state) const {
    std::map<int32_t, CharacterSet> to;
    for (const Language::Edge& e : states_[state].edges) to[e.target].push_back(e.characters);
    return to;
  }

  int32_t follow(int32_t state, int depth) {
    int32_t& rule = rule_of_[size_t(state)];
    if (rule < 0 && !shared_[size_t(state)] && depth < kMaxNesting) return body(size_t(state), depth + 1);
    if (rule < 0) {
      rule = rules_.add_rule(name_);
      open_.push_back(state);
    }
    return rules_.reference(rule);
  }

  int32_t body(size_t state, int depth) {
    int32_t loop = -1;
    std::vector<int32_t> ways;
    if (states_[state].accepts) ways.push_back(rules_.text(""));
    for (const auto& [target, set] : steps(state)) {
      const int32_t step = spell_(rules_, set);
      if (size_t(target) == state) {
        loop = rules_.repeat(step, 0, -1);
      } else {
        const bool ends = states_[size_t(target)].accepts && states_[size_t(target)].edges.empty();
        ways.push_back(ends ? step : rules_.sequence({step, follow(target, depth)}));
      }
    }
    const bool only_loop = loop >= 0 && ways.size() == 1 && states_[state].accepts;
    if (only_loop) return loop;
    const int32_t way = ways.size() == 1 ? ways[0] : rules_.choice(std::move(ways));
    return loop < 0 ? way : rules_.sequence({loop, way});
  }

  GrammarRules& rules_;
  const std::vector<Language::State>& states_;
  const Spelling& spell_;
  const std::string& name_;
  std::vector<bool> shared_;
  std::vector<int32_t> rule_of_;
  std::vector<int32_t> open_;  // states whose rule has no node yet
};

// A copy of a pattern's node. Recursion is as deep as its groups nest.
int32_t copy_node(GrammarRules& rules, const Regex& regex, int32_t node, const Spelling& spell) {
  const GrammarNode& n = regex.grammar.nodes[size_t(node)];
  if (n.kind == GrammarNode::Kind::characters) return spell(rules, n.ranges);
  GrammarNode copy = n;
  for (int32_t& child : copy.children) child = copy_node(rules, regex, child, spell);
  return rules.add(std::move(copy));
}

int32_t copy_regex(GrammarRules& rules, const Regex& regex, bool search, const Spelling& spell) {
  const auto anything = [&] { return rules.repeat(spell(rules, all_characters()), 0, -1); };
  std::vector<int32_t> ways;
  for (const Regex::Branch& branch : regex.branches) {
    std::vector<int32_t> parts;
    if (search && !branch.from_start) parts.push_back(anything());
    parts.push_back(copy_node(rules, regex, branch.node, spell));
    if (search && !branch.to_end) parts.push_back(anything());
    ways.push_back(rules.sequence(std::move(parts)));
  }
  return rules.choice(std::move(ways));
}

}  // namespace

int32_t spell_plainly(GrammarRules& rules, const CharacterSet& set) { return rules.characters(set); }

int32_t add_language(GrammarRules& rules, const Language& language, const Spelling& spell, const std::string& name) {
  return LanguageWriter(rules, language, spell, name).write();
}

Result<int32_t> add_regex(GrammarRules& rules, const Regex& regex, bool search, const Spelling& spell,
                          const std::string& name, WorkBudget& budget) {
  constexpr int64_t kWorthIt = 200'000;  // steps for one automaton, when there is another way
  WorkBudget part{.steps = std::min(budget.steps, kWorthIt)};
  const int64_t before = part.steps;
  const Result<Language> language = Language::of_regex(regex, search, part);
  LINNET_CHECK(budget.spend(before - part.steps));
  if (language) return add_language(rules, *language, spell, name);
  return copy_regex(rules, regex, search, spell);
}

}  // namespace linnet
