#include "sampling/string_automaton.h"

#include <algorithm>
#include <utility>

namespace linnet {

StringAutomaton::StringAutomaton(std::vector<std::string> strings) : strings_(std::move(strings)) {
  nodes_.emplace_back();
  for (size_t i = 0; i < strings_.size(); ++i) add(int32_t(i));
  link();
}

int32_t StringAutomaton::child(int32_t node, uint8_t byte) const {
  int32_t c = nodes_[size_t(node)].child;
  while (c >= 0 && nodes_[size_t(c)].byte != byte) c = nodes_[size_t(c)].sibling;
  return c;
}

void StringAutomaton::add(int32_t string) {
  int32_t node = 0;
  for (const char c : strings_[size_t(string)]) {
    int32_t next = child(node, uint8_t(c));
    if (next < 0) {
      next = int32_t(nodes_.size());
      Node& parent = nodes_[size_t(node)];
      const Node made{.byte = uint8_t(c), .depth = uint16_t(parent.depth + 1), .sibling = parent.child};
      parent.child = next;
      nodes_.push_back(made);
    }
    node = next;
  }
  nodes_[size_t(node)].string = string;
}

// Breadth first, so that a node's fallback, which is shorter, is done before it.
void StringAutomaton::link() {
  std::vector<int32_t> order{0};
  for (size_t i = 0; i < order.size(); ++i) {
    const int32_t at = order[i];
    Node& node = nodes_[size_t(at)];
    const Node& fallback = nodes_[size_t(node.fallback)];
    node.longest = node.string >= 0 ? node.string : fallback.longest;
    node.live = node.child >= 0 ? at : fallback.live;
    for (int32_t c = node.child; c >= 0; c = nodes_[size_t(c)].sibling) {
      order.push_back(c);
      if (at == 0) continue;
      const uint8_t byte = nodes_[size_t(c)].byte;
      int32_t shorter = node.fallback;
      while (shorter != 0 && child(shorter, byte) < 0) shorter = nodes_[size_t(shorter)].fallback;
      nodes_[size_t(c)].fallback = std::max(child(shorter, byte), 0);
    }
  }
}

int32_t StringAutomaton::next(int32_t node, uint8_t byte) const {
  int32_t found = child(node, byte);
  while (found < 0 && node != 0) {
    node = nodes_[size_t(node)].fallback;
    found = child(node, byte);
  }
  return std::max(found, 0);
}

}  // namespace linnet
