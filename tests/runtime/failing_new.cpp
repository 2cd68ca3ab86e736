#include "tests/runtime/failing_new.h"

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LINNET_FIXED_NEW
#endif
#endif

namespace {
std::atomic<int64_t> left = -1;  // until one fails; negative: none fails
thread_local uint64_t allocated = 0;
}  // namespace

#ifndef LINNET_FIXED_NEW
// All forms without an alignment, so that none falls through to another allocator (a sanitizer's, for example).
void* operator new(std::size_t bytes) {
  if (left.load(std::memory_order_relaxed) >= 0 && left.fetch_sub(1) == 0) throw std::bad_alloc();
  allocated += bytes;
  if (void* memory = std::malloc(bytes > 0 ? bytes : 1)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes);
  } catch (const std::bad_alloc&) { return nullptr; }
}
void* operator new[](std::size_t bytes) { return operator new(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t& t) noexcept { return operator new(bytes, t); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
#endif

namespace linnet {

void fail_allocation(int64_t n) { left = n; }
bool none_failed() { return left.exchange(-1) >= 0; }

uint64_t allocated_bytes() { return allocated; }

bool can_fail_allocations() {
#ifdef LINNET_FIXED_NEW
  return false;
#else
  return true;
#endif
}

}  // namespace linnet
