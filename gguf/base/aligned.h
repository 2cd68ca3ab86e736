// Memory aligned to cache lines, left untouched until it is used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "gguf/base/error.h"

namespace linnet {

// Owns `size` values of T on a 64-byte boundary, uninitialized. Large blocks cost no memory before they are written.
template <class T>
class Aligned {
 public:
  Aligned() = default;
  static Result<Aligned> make(int64_t size) {
    const int64_t bytes = (size * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    Aligned a;
    a.data_.reset(static_cast<T*>(std::aligned_alloc(64, static_cast<size_t>(bytes > 0 ? bytes : 64))));
    if (!a.data_)
      return fail(Code::out_of_memory, "cannot allocate {} bytes of working memory; use a smaller batch or context",
                  bytes);
    a.size_ = size;
    return a;
  }
  T* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) const { return data_.get()[i]; }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  int64_t size_ = 0;
};

}  // namespace linnet
