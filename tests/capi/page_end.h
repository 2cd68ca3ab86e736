// Bytes that end where memory ends: whoever reads one too many crashes.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <string_view>

#include <gtest/gtest.h>

namespace linnet {

class PageEnd {
 public:
  explicit PageEnd(std::string_view bytes) {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t pages = bytes.size() / page + 1;
    size_ = (pages + 1) * page;
    base_ = ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base_ == MAP_FAILED) {
      ADD_FAILURE() << "no memory";
      return;
    }
    char* end = static_cast<char*>(base_) + pages * page;
    EXPECT_EQ(::mprotect(end, page, PROT_NONE), 0);
    begin_ = end - bytes.size();
    std::memcpy(begin_, bytes.data(), bytes.size());
  }
  PageEnd(const PageEnd&) = delete;
  PageEnd& operator=(const PageEnd&) = delete;
  ~PageEnd() { ::munmap(base_, size_); }

  char* text() const { return begin_; }
  uint8_t* bytes() const { return reinterpret_cast<uint8_t*>(begin_); }

 private:
  void* base_ = nullptr;
  char* begin_ = nullptr;
  size_t size_ = 0;
};

}  // namespace linnet
