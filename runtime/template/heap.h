// What one rendering may use, and what it uses: memory of its values and work done on them. Everything a rendering
// makes is owned here and goes when it ends, so that no cycle of lists leaks and no long chain is freed by recursion.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gguf/base/error.h"

namespace linnet::jinja {

class Value;
class Object;
struct Text;
struct List;
class Dict;
enum class ListKind : uint8_t;

// Work of evaluating a node, or of visiting a value inside a list or dict, in bytes looked at.
inline constexpr uint64_t kVisit = 64;

struct Limits {
  uint64_t steps = 300'000;    // statements, loop turns and calls
  uint64_t work = 64 << 20;    // bytes looked at; see kVisit
  uint64_t memory = 24 << 20;  // bytes of values alive at a time; lists and dicts stay alive to the end
  uint64_t output = 4 << 20;   // bytes of text written, captured text included
  uint32_t calls = 64;         // macros inside each other
  uint32_t nesting = 1000;     // nodes being evaluated inside each other
};

class Heap {
 public:
  explicit Heap(const Limits& limits);
  ~Heap();
  Heap(const Heap&) = delete;
  Heap& operator=(const Heap&) = delete;

  // A text, freed when its last value goes.
  Value text(std::string bytes, bool markup = false);
  List* list(ListKind kind);
  List* list(ListKind kind, std::vector<Value> items);
  Value list_value(std::vector<Value> items);  // of kind list
  Dict* dict();
  template <class T, class... Args>
  T* object(Args&&... args) {
    auto made = std::make_unique<T>(std::forward<Args>(args)...);
    T* result = made.get();
    keep(std::move(made), sizeof(T));
    return result;
  }

  void charge(uint64_t bytes) { memory_ += bytes; }
  void release(uint64_t bytes) { memory_ -= bytes; }
  // Whether `more` bytes of values still fit; asked before making much, and after every little.
  Status room(uint64_t more = 0) const;
  // Counts work; an error when the limit is reached.
  Status spend(uint64_t bytes) {
    work_ += bytes;
    return work_ <= limits_.work ? Status() : exhausted();
  }

  const Limits& limits() const { return limits_; }

 private:
  void keep(std::unique_ptr<Object> object, uint64_t bytes);
  Error exhausted() const;

  Limits limits_;
  uint64_t memory_ = 0, work_ = 0;
  std::vector<std::unique_ptr<List>> lists_;
  std::vector<std::unique_ptr<Dict>> dicts_;
  std::vector<std::unique_ptr<Object>> objects_;
};

}  // namespace linnet::jinja
