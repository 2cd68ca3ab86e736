// The page pool: the memory of the KV cache, in reference-counted pages of 64 tokens per layer group.
//
// A page is free, held (by one or more sequences), or cached: held by nobody, but still found by its tokens
// (runtime/prefix_index.h). take() uses free pages first, then memory not yet allocated, then the cached page that was
// let go longest ago. Memory is allocated in chunks when first needed and given back with the pool, or by trim(); a page
// is all zeros when it is taken, so nothing of one sequence reaches another.
//
// A page may be written while exactly one sequence holds it and it is not in the index; content that can be found by
// its tokens is final. Not thread-safe: the engine's thread owns it. docs/kv-cache.md tells the whole story.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/layer_group.h"
#include "runtime/prefix_index.h"

namespace linnet {

struct Page {
  std::byte* data = nullptr;  // [page_bytes of the group], 64-byte aligned, owned by the pool
  int32_t group = 0;
  int32_t refs = 0;            // sequences that hold it
  PrefixNode* node = nullptr;  // where the index has it, or null
  bool zero = true;            // nothing was written since the memory was zeroed
  bool discarded = false;      // its memory went back to the system, until it is taken again
  int64_t let_go = 0;          // when the last sequence dropped it (PagePool::set_time)
  Page* older = nullptr;       // neighbours in the group's list of cached (or free) pages
  Page* newer = nullptr;

  bool writable() const { return refs == 1 && node == nullptr; }
};

class PagePool {
 public:
  // Up to `pages_per_group` pages for each group. `groups` must outlive the pool. `identity` names the model: the
  // beginning of every hash chain. Allocates no page memory.
  PagePool(std::span<const LayerGroup> groups, int64_t pages_per_group, uint64_t identity,
           PrefixIndex::Hash hash = PrefixIndex::default_hash);
  PagePool(const PagePool&) = delete;
  PagePool& operator=(const PagePool&) = delete;

  // A page of zeros, held once. Fails with cache_full when all pages are held, out_of_memory when the system gives none
  // and none can be evicted.
  Result<Page*> take(int32_t group);
  // The same with the content of `page`, which is not let go.
  Result<Page*> copy(const Page& page);
  void hold(Page* page);
  void drop(Page* page);

  // Pages that are let go from now on count as let go at this time, in any unit; it may not go back.
  void set_time(int64_t now) { now_ = now; }
  // Forgets cached pages that were let go before `time`.
  void expire(int64_t time);
  // Forgets cached pages, those that were let go longest ago first, until `bytes` of memory that nobody holds have gone
  // back to the system, or all of it has. Returns how many.
  int64_t trim(int64_t bytes);

  PrefixIndex& index() { return index_; }
  std::span<const LayerGroup> groups() const { return groups_; }
  int64_t capacity() const { return capacity_; }               // pages per group
  int64_t available(int32_t group) const;                      // pages that take() can give
  int64_t held() const;                                        // pages of all groups that some sequence holds
  int64_t cached() const;                                      // pages of all groups that only the index knows
  int64_t bytes() const { return bytes_ - discarded_bytes_; }  // allocated, all groups

 private:
  struct List {  // intrusive, oldest first
    Page* oldest = nullptr;
    Page* newest = nullptr;
    int64_t size = 0;
    void push(Page* page);
    void remove(Page* page);
  };
  struct Group {
    std::deque<Page> pages;  // addresses stay
    List free, cached;
  };
  struct Free {
    void operator()(void* memory) const;
  };

  Result<Page*> claim(int32_t group);
  void discard(Page* page);
  Page* forget_oldest(Group& state);
  bool grow(int32_t group);

  std::span<const LayerGroup> groups_;
  int64_t capacity_;
  int64_t bytes_ = 0, discarded_bytes_ = 0;
  int64_t now_ = 0;
  std::vector<std::unique_ptr<void, Free>> chunks_;
  std::vector<Group> state_;  // [groups]
  PrefixIndex index_;
};

}  // namespace linnet
