// All tokens that stand for text, as a prefix tree of bytes: what a grammar walks to find the tokens that may follow.
//
// Nodes lie in one array in the order of a depth-first walk, children in the order of their bytes, so that a walk is a
// linear scan and leaving a subtree out is a jump to `end`. Tokens are ranked in the same order: those of a subtree are
// one range of ranks. Tokens without bytes and end-of-generation tokens are not in the tree.
//
// Immutable and thread-safe; it keeps copies of the bytes and does not need the vocabulary any more.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/vocabulary.h"

namespace linnet {

class TokenTrie {
 public:
  struct Node {
    uint32_t end;     // the first node after the subtree; node + 1 == end: no children
    uint32_t first;   // rank of the first token at or below the node; those at it end where the next node's begin
    int32_t summary;  // index for summary(), or -1 where the subtree is small
    uint8_t byte;     // the last byte of the node's prefix
  };
  // What is below a node with many descendants, itself not counted: enough to tell that a loop over a class of
  // characters takes all of it.
  struct Summary {
    std::array<uint64_t, 2> ascii{};  // the ASCII bytes
    bool wide = false;                // bytes of longer characters too
    // The node's prefix and all below are UTF-8 (at the end of a token a character may be unfinished), and the prefix
    // ends with a whole character.
    bool whole = false;
    uint32_t depth = 0;  // bytes of the longest way down
  };

  explicit TokenTrie(const SamplingVocabulary& vocabulary);

  int32_t vocabulary_size() const { return size_; }
  size_t mask_words() const { return (size_t(size_) + 63) / 64; }
  // nodes()[0] is the empty prefix; one more node at the end closes the ranks.
  std::span<const Node> nodes() const { return nodes_; }
  const Summary& summary(int32_t index) const { return summaries_[size_t(index)]; }
  std::span<const int32_t> ranked() const { return ranked_; }  // [tokens in the tree] token ids by rank
  std::span<const uint64_t> all() const { return all_; }       // [mask_words()] a bit per token: those in the tree
  // Of tokens outside the tree: nothing.
  std::string_view bytes(int32_t token) const;
  bool is_eog(int32_t token) const { return is_eog_[size_t(token)]; }
  std::span<const int32_t> eog() const { return eog_; }
  size_t memory() const;  // bytes

 private:
  void build();
  void summarize();

  int32_t size_ = 0;
  std::string text_;              // bytes of all tokens of the tree, by token id
  std::vector<uint32_t> offset_;  // [vocabulary + 1] into text_
  std::vector<bool> is_eog_;
  std::vector<int32_t> eog_;
  std::vector<int32_t> ranked_;
  std::vector<uint64_t> all_;
  std::vector<Node> nodes_;
  std::vector<Summary> summaries_;
};

}  // namespace linnet
