#include "tests/gguf/counting_new.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

thread_local uint64_t allocated_bytes = 0;

constexpr std::align_val_t kDefault = std::align_val_t(__STDCPP_DEFAULT_NEW_ALIGNMENT__);

void* try_allocate(size_t bytes, std::align_val_t alignment = kDefault) {
  allocated_bytes += bytes;
  const size_t to = size_t(alignment);
  if (alignment <= kDefault) return std::malloc(bytes > 0 ? bytes : 1);
  return std::aligned_alloc(to, (bytes + to - 1) / to * to);
}

void* allocate(size_t bytes, std::align_val_t alignment = kDefault) {
  void* memory = try_allocate(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// All forms, so that none falls through to another allocator (a sanitizer's, for example).
void* operator new(size_t bytes) { return allocate(bytes); }
void* operator new[](size_t bytes) { return allocate(bytes); }
void* operator new(size_t bytes, std::align_val_t to) { return allocate(bytes, to); }
void* operator new[](size_t bytes, std::align_val_t to) { return allocate(bytes, to); }
void* operator new(size_t bytes, const std::nothrow_t&) noexcept { return try_allocate(bytes); }
void* operator new[](size_t bytes, const std::nothrow_t&) noexcept { return try_allocate(bytes); }
void* operator new(size_t bytes, std::align_val_t to, const std::nothrow_t&) noexcept {
  return try_allocate(bytes, to);
}
void* operator new[](size_t bytes, std::align_val_t to, const std::nothrow_t&) noexcept {
  return try_allocate(bytes, to);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace linnet {

AllocationCount::AllocationCount() : start_(allocated_bytes) {}
uint64_t AllocationCount::bytes() const { return allocated_bytes - start_; }

}  // namespace linnet
