#include "runtime/pages.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "gguf/base/os.h"

namespace linnet {
namespace {

constexpr int64_t kChunkBytes = 4 << 20;  // small enough that a short prompt on a small model costs little
constexpr int64_t kAlignment = 64;

// Nodes outlive pages only as ancestors of nodes that have some. In models whose every group has a window a chain of
// many nodes can hang on few pages; this bounds it.
int64_t node_limit(int64_t pages_per_group) { return 4 * pages_per_group + 4096; }

}  // namespace

void PagePool::Free::operator()(void* memory) const { std::free(memory); }

void PagePool::List::push(Page* page) {
  page->older = newest;
  page->newer = nullptr;
  (newest ? newest->newer : oldest) = page;
  newest = page;
  ++size;
}

void PagePool::List::remove(Page* page) {
  (page->older ? page->older->newer : oldest) = page->newer;
  (page->newer ? page->newer->older : newest) = page->older;
  page->older = page->newer = nullptr;
  --size;
}

PagePool::PagePool(std::span<const LayerGroup> groups, int64_t pages_per_group, uint64_t identity,
                   PrefixIndex::Hash hash)
    : groups_(groups),
      capacity_(pages_per_group),
      state_(groups.size()),
      index_(static_cast<int32_t>(groups.size()), identity, node_limit(pages_per_group), hash) {}

Result<Page*> PagePool::claim(int32_t group) {
  Group& state = state_[static_cast<size_t>(group)];
  const bool all_allocated = static_cast<int64_t>(state.pages.size()) == capacity_;
  Page* page = nullptr;
  if (state.free.size > 0 || (!all_allocated && grow(group))) {
    page = state.free.newest;  // the one most likely to be in a processor cache
    state.free.remove(page);
  } else if (state.cached.size > 0) {
    page = forget_oldest(state);
  } else if (all_allocated) {
    return fail(
        Code::cache_full,
        "the KV cache is full: all {} pages ({} tokens) of layer group {} are in use; wait for running requests, "
        "or open the engine with a larger cache",
        capacity_, capacity_ * kPageTokens, group);
  } else {
    return fail(Code::out_of_memory, "no memory for another {} bytes of KV cache, beside the {} bytes in use",
                groups_[static_cast<size_t>(group)].page_bytes, bytes_);
  }
  page->refs = 1;
  if (page->discarded) {
    page->discarded = false;
    discarded_bytes_ -= groups_[static_cast<size_t>(group)].page_bytes;
  }
  return page;
}

void PagePool::discard(Page* page) {
  const int64_t bytes = groups_[static_cast<size_t>(page->group)].page_bytes;
  os::discard({page->data, static_cast<size_t>(bytes)});
  page->zero = page->discarded = true;
  discarded_bytes_ += bytes;
}

// A cached page that nobody has any more: neither cached nor free, the caller says what becomes of it.
Page* PagePool::forget_oldest(Group& state) {
  Page* const page = state.cached.oldest;
  state.cached.remove(page);
  index_.detach(page);
  return page;
}

void PagePool::expire(int64_t time) {
  for (Group& state : state_) {
    while (state.cached.size > 0 && state.cached.oldest->let_go < time) state.free.push(forget_oldest(state));
  }
}

int64_t PagePool::trim(int64_t bytes) {
  const int64_t before = discarded_bytes_;
  const auto enough = [&] { return discarded_bytes_ - before >= bytes; };
  for (Group& state : state_) {
    for (Page* page = state.free.oldest; page && !enough(); page = page->newer) {
      if (!page->discarded && !page->zero) discard(page);
    }
  }
  for (Group& state : state_) {
    while (state.cached.size > 0 && !enough()) {
      Page* const page = forget_oldest(state);
      state.free.push(page);
      discard(page);
    }
  }
  return discarded_bytes_ - before;
}

Result<Page*> PagePool::take(int32_t group) {
  LINNET_TRY(Page * page, claim(group));
  if (!page->zero) std::memset(page->data, 0, static_cast<size_t>(groups_[static_cast<size_t>(group)].page_bytes));
  page->zero = false;
  return page;
}

Result<Page*> PagePool::copy(const Page& page) {
  LINNET_TRY(Page * result, claim(page.group));
  std::memcpy(result->data, page.data, static_cast<size_t>(groups_[static_cast<size_t>(page.group)].page_bytes));
  result->zero = false;
  return result;
}

void PagePool::hold(Page* page) {
  if (page->refs == 0) state_[static_cast<size_t>(page->group)].cached.remove(page);
  ++page->refs;
}

void PagePool::drop(Page* page) {
  if (--page->refs > 0) return;
  page->let_go = now_;
  Group& state = state_[static_cast<size_t>(page->group)];
  (page->node ? state.cached : state.free).push(page);
}

bool PagePool::grow(int32_t group) {
  Group& state = state_[static_cast<size_t>(group)];
  const int64_t page_bytes = groups_[static_cast<size_t>(group)].page_bytes;
  const int64_t count =
      std::min(std::max<int64_t>(1, kChunkBytes / page_bytes), capacity_ - static_cast<int64_t>(state.pages.size()));
  const int64_t chunk_bytes = count * page_bytes + kAlignment;
  chunks_.reserve(chunks_.size() + 1);
  // calloc hands out untouched zero pages of the system for large sizes: memory is used when it is written.
  std::unique_ptr<void, Free> memory(std::calloc(1, static_cast<size_t>(chunk_bytes)));
  if (!memory) return false;
  const auto address = reinterpret_cast<uintptr_t>(memory.get());
  auto* data = static_cast<std::byte*>(memory.get()) + (kAlignment - address % kAlignment) % kAlignment;
  chunks_.push_back(std::move(memory));
  bytes_ += count * page_bytes;
  for (int64_t i = 0; i < count; ++i) {
    Page& page = state.pages.emplace_back();
    page.data = data + i * page_bytes;
    page.group = group;
    state.free.push(&page);
  }
  return true;
}

int64_t PagePool::available(int32_t group) const {
  const Group& state = state_[static_cast<size_t>(group)];
  return capacity_ - static_cast<int64_t>(state.pages.size()) + state.free.size + state.cached.size;
}

int64_t PagePool::held() const {
  int64_t n = 0;
  for (const Group& g : state_) n += static_cast<int64_t>(g.pages.size()) - g.free.size - g.cached.size;
  return n;
}

int64_t PagePool::cached() const {
  int64_t n = 0;
  for (const Group& g : state_) n += g.cached.size;
  return n;
}

}  // namespace linnet
