#include "sampling/prune_rules.h"

#include <algorithm>

namespace linnet {
namespace {

using Kind = GrammarNode::Kind;

// Nodes that some text completes: those that need nothing first, then whatever they complete.
std::vector<bool> productive_nodes(const GrammarRules& grammar) {
  const size_t count = grammar.nodes.size();
  std::vector<std::vector<int32_t>> used_by(count);
  std::vector<std::vector<int32_t>> references(grammar.rules.size());
  std::vector<size_t> missing(count);  // children of a sequence that are not known to be productive
  std::vector<bool> productive(count);
  std::vector<int32_t> open;
  const auto mark = [&](int32_t node) {
    if (productive[size_t(node)]) return;
    productive[size_t(node)] = true;
    open.push_back(node);
  };
  for (size_t i = 0; i < count; ++i) {
    const GrammarNode& n = grammar.nodes[i];
    for (const int32_t child : n.children) used_by[size_t(child)].push_back(int32_t(i));
    if (n.kind == Kind::rule) references[size_t(n.value)].push_back(int32_t(i));
    missing[i] = n.children.size();
    const bool at_once = n.kind == Kind::text || n.kind == Kind::characters || n.kind == Kind::token ||
                         (n.kind == Kind::sequence && n.children.empty()) || (n.kind == Kind::repeat && n.least == 0);
    if (at_once) mark(int32_t(i));
  }
  std::vector<std::vector<int32_t>> rules_of(count);
  for (size_t r = 0; r < grammar.rules.size(); ++r) rules_of[size_t(grammar.rules[r].node)].push_back(int32_t(r));
  while (!open.empty()) {
    const int32_t node = open.back();
    open.pop_back();
    for (const int32_t user : used_by[size_t(node)]) {
      if (grammar.nodes[size_t(user)].kind != Kind::sequence || --missing[size_t(user)] == 0) mark(user);
    }
    for (const int32_t rule : rules_of[size_t(node)]) {
      for (const int32_t reference : references[size_t(rule)]) mark(reference);
    }
  }
  return productive;
}

}  // namespace

bool prune_rules(GrammarRules& rules) {
  const std::vector<bool> productive = productive_nodes(rules);
  if (!productive[size_t(rules.rules[size_t(rules.root)].node)]) return false;
  for (GrammarNode& n : rules.nodes) {
    if (n.kind == Kind::choice) {
      std::erase_if(n.children, [&](int32_t child) { return !productive[size_t(child)]; });
    } else if (n.kind == Kind::repeat && !productive[size_t(n.children[0])]) {
      n = {.kind = Kind::text};
    }
  }
  // What the root reaches is copied, rules in the order in which they are met.
  GrammarRules kept;
  std::vector<int32_t> node_of(rules.nodes.size(), -1), rule_of(rules.rules.size(), -1);
  std::vector<int32_t> nodes, rule_order;
  const auto keep_node = [&](int32_t node) {
    if (node_of[size_t(node)] < 0) {
      node_of[size_t(node)] = int32_t(nodes.size());
      nodes.push_back(node);
    }
    return node_of[size_t(node)];
  };
  const auto keep_rule = [&](int32_t rule) {
    if (rule_of[size_t(rule)] < 0) {
      rule_of[size_t(rule)] = int32_t(rule_order.size());
      rule_order.push_back(rule);
    }
    return rule_of[size_t(rule)];
  };
  keep_rule(rules.root);
  for (size_t r = 0, n = 0; r < rule_order.size(); ++r) {
    GrammarRule& rule = rules.rules[size_t(rule_order[r])];
    kept.rules.push_back({std::move(rule.name), keep_node(rule.node)});
    for (; n < nodes.size(); ++n) {
      GrammarNode node = std::move(rules.nodes[size_t(nodes[n])]);
      for (int32_t& child : node.children) child = keep_node(child);
      if (node.kind == Kind::rule) node.value = keep_rule(node.value);
      kept.nodes.push_back(std::move(node));
    }
  }
  kept.root = 0;
  rules = std::move(kept);
  return true;
}

}  // namespace linnet
