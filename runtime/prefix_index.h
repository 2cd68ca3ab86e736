// Which pages hold the keys and values of which tokens: a tree whose edges are full pages of tokens.
//
// The keys of a page depend on every token before it, so a page is named by the whole chain: its key is
// hash(key of the page before, its 64 tokens), and the chain begins with hash(model identity, salt). A key only finds a
// candidate; a hit is taken after comparing the 64 token ids, and because a node's parent was found in the same way,
// the whole prefix is verified. Two chains with equal keys live side by side: a collision costs time, never truth.
//
// A node has at most one page per layer group: groups with a window let go of pages that full groups keep.
// Pure bookkeeping; not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "kernels/kernels.h"

namespace linnet {

struct Page;

struct PrefixNode {
  PrefixNode* parent = nullptr;  // null: the root of a salt
  uint64_t key = 0;
  uint64_t salt = 0;
  int64_t pages_deep = 0;  // pages from the beginning up to and with this one; 0 for a root
  int64_t refs = 0;        // children + pages + holders; a node without any is deleted
  std::array<int32_t, kPageTokens> tokens = {};
  std::vector<Page*> pages;  // [groups], null where a group has none
};

class PrefixIndex {
 public:
  using Hash = uint64_t (*)(uint64_t before, std::span<const int32_t> tokens);
  static uint64_t default_hash(uint64_t before, std::span<const int32_t> tokens);

  // At most `max_nodes` nodes, roots included.
  PrefixIndex(int32_t groups, uint64_t identity, int64_t max_nodes, Hash hash = default_hash);
  PrefixIndex(const PrefixIndex&) = delete;
  PrefixIndex& operator=(const PrefixIndex&) = delete;

  uint64_t identity() const { return identity_; }
  int64_t nodes() const { return static_cast<int64_t>(nodes_.size()); }

  // These return a node that the caller holds (release() it), or null when the index is full.
  PrefixNode* root(uint64_t salt);
  PrefixNode* extend(PrefixNode* parent, std::span<const int32_t> page_tokens);
  // Not held: valid until the next call that changes the index.
  PrefixNode* find(const PrefixNode* parent, std::span<const int32_t> page_tokens) const;

  void hold(PrefixNode* node) { ++node->refs; }
  void release(PrefixNode* node);

  // The node must have no page in the page's group.
  void attach(PrefixNode* node, Page* page);
  void detach(Page* page);

 private:
  PrefixNode* lookup(uint64_t key, const PrefixNode* parent, uint64_t salt, std::span<const int32_t> tokens) const;
  PrefixNode* insert(uint64_t key, PrefixNode* parent, uint64_t salt, std::span<const int32_t> tokens);

  int32_t groups_;
  uint64_t identity_;
  int64_t max_nodes_;
  Hash hash_;
  std::unordered_multimap<uint64_t, std::unique_ptr<PrefixNode>> nodes_;
};

}  // namespace linnet
