// Finds any of several strings in a byte stream in time linear in the stream, whatever the strings are (Aho and Corasick,
// "Efficient string matching: an aid to bibliographic search", CACM 1975). It never changes once made: who reads a stream
// keeps the node it is at.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace linnet {

class StringAutomaton {
 public:
  static constexpr int32_t kStart = 0;  // the node before the stream

  // No string may be empty; at most 65535 bytes each.
  explicit StringAutomaton(std::vector<std::string> strings);

  int32_t next(int32_t node, uint8_t byte) const;
  // The longest string that ends here (so the one that starts first), or -1. Of equal strings, the last.
  int32_t longest(int32_t node) const { return nodes_[size_t(node)].longest; }
  // How many of the last bytes may still be the beginning of a longer string.
  uint64_t open(int32_t node) const { return nodes_[size_t(nodes_[size_t(node)].live)].depth; }
  const std::vector<std::string>& strings() const { return strings_; }

 private:
  // A prefix of one or more strings. Children are a linked list: at most as many as there are strings.
  struct Node {
    uint8_t byte = 0;      // the last of the prefix
    uint16_t depth = 0;    // its length
    int32_t string = -1;   // the one it is, if any
    int32_t child = -1;    // first child
    int32_t sibling = -1;  // next child of its parent
    int32_t fallback = 0;  // longest proper suffix of the prefix that is a prefix too
    int32_t longest = -1;  // longest string that ends here: it or a fallback's
    int32_t live = 0;      // longest suffix, itself included, that can go on
  };

  void add(int32_t string);
  void link();
  int32_t child(int32_t node, uint8_t byte) const;

  std::vector<std::string> strings_;
  std::vector<Node> nodes_;  // [0] is the empty prefix
};

}  // namespace linnet
