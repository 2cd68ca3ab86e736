#include "runtime/prefix_index.h"

#include <algorithm>

#include "runtime/pages.h"

namespace linnet {
namespace {

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): every input bit reaches every output bit.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

uint64_t PrefixIndex::default_hash(uint64_t before, std::span<const int32_t> tokens) {
  uint64_t h = mix(before + 0x9e3779b97f4a7c15u);
  for (const int32_t token : tokens) h = mix(h + 0x9e3779b97f4a7c15u + static_cast<uint32_t>(token));
  return h;
}

PrefixIndex::PrefixIndex(int32_t groups, uint64_t identity, int64_t max_nodes, Hash hash)
    : groups_(groups), identity_(identity), max_nodes_(max_nodes), hash_(hash) {}

PrefixNode* PrefixIndex::root(uint64_t salt) {
  const uint64_t key = hash_(identity_ ^ mix(salt), {});
  PrefixNode* node = lookup(key, nullptr, salt, {});
  if (!node) node = insert(key, nullptr, salt, {});
  if (node) hold(node);
  return node;
}

PrefixNode* PrefixIndex::find(const PrefixNode* parent, std::span<const int32_t> page_tokens) const {
  return lookup(hash_(parent->key, page_tokens), parent, parent->salt, page_tokens);
}

PrefixNode* PrefixIndex::extend(PrefixNode* parent, std::span<const int32_t> page_tokens) {
  const uint64_t key = hash_(parent->key, page_tokens);
  PrefixNode* node = lookup(key, parent, parent->salt, page_tokens);
  if (!node) node = insert(key, parent, parent->salt, page_tokens);
  if (node) hold(node);
  return node;
}

PrefixNode* PrefixIndex::lookup(uint64_t key, const PrefixNode* parent, uint64_t salt,
                                std::span<const int32_t> tokens) const {
  const auto [first, last] = nodes_.equal_range(key);
  for (auto it = first; it != last; ++it) {
    PrefixNode* node = it->second.get();
    if (node->parent == parent && node->salt == salt && std::equal(tokens.begin(), tokens.end(), node->tokens.begin()))
      return node;
  }
  return nullptr;
}

PrefixNode* PrefixIndex::insert(uint64_t key, PrefixNode* parent, uint64_t salt, std::span<const int32_t> tokens) {
  if (nodes() >= max_nodes_) return nullptr;
  auto node = std::make_unique<PrefixNode>();
  node->parent = parent;
  node->key = key;
  node->salt = salt;
  node->pages_deep = parent ? parent->pages_deep + 1 : 0;
  node->pages.resize(static_cast<size_t>(groups_), nullptr);
  std::copy(tokens.begin(), tokens.end(), node->tokens.begin());
  PrefixNode* result = nodes_.emplace(key, std::move(node))->second.get();
  if (parent) hold(parent);
  return result;
}

void PrefixIndex::release(PrefixNode* node) {
  while (node && --node->refs == 0) {
    PrefixNode* parent = node->parent;
    const auto [first, last] = nodes_.equal_range(node->key);
    nodes_.erase(std::find_if(first, last, [&](const auto& entry) { return entry.second.get() == node; }));
    node = parent;
  }
}

void PrefixIndex::attach(PrefixNode* node, Page* page) {
  node->pages[static_cast<size_t>(page->group)] = page;
  page->node = node;
  hold(node);
}

void PrefixIndex::detach(Page* page) {
  PrefixNode* node = page->node;
  node->pages[static_cast<size_t>(page->group)] = nullptr;
  page->node = nullptr;
  release(node);
}

}  // namespace linnet
