// Python's operators on values.
#pragma once

#include <optional>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/template/value.h"

namespace linnet::jinja {

enum class Arithmetic : uint8_t { add, subtract, multiply, divide, floor_divide, modulo, power };
enum class Comparison : uint8_t { equal, not_equal, less, less_equal, greater, greater_equal, in, not_in };

bool truthy(const Value& value);

Result<Value> arithmetic(Heap& heap, Arithmetic op, const Value& a, const Value& b);
Result<Value> negate(const Value& value);
Result<Value> unary_plus(const Value& value);

Result<bool> compare(Heap& heap, Comparison op, const Value& a, const Value& b);
Result<bool> less(Heap& heap, const Value& a, const Value& b);
Result<bool> contains(Heap& heap, const Value& container, const Value& item);

// container[item] of a list or text by a whole number, which counts from the end when negative; absent when there is
// no such item.
Value item_at(Heap& heap, const Value& container, int64_t index);
// container[start:stop:step]; none for a part that is left out.
Result<Value> slice(Heap& heap, const Value& container, const Value& start, const Value& stop, const Value& step);

// All that iterating over a value gives; an iterator is used up by it. `what` needs them, for the error sentence.
Result<std::vector<Value>> elements(Heap& heap, const Value& value);

// The error for a value of a wrong type: "expected a whole number, found str".
Error wrong_type(std::string_view expected, const Value& found);

// Python's sort: stable, asks only less(a, b), which may fail.
template <class T, class Less>
Status stable_sort(std::vector<T>& items, Less less_than) {
  std::vector<T> merged(items.size());
  for (size_t width = 1; width < items.size(); width *= 2) {
    for (size_t start = 0; start < items.size(); start += 2 * width) {
      const size_t middle = std::min(start + width, items.size()), end = std::min(start + 2 * width, items.size());
      for (size_t left = start, right = middle, to = start; to < end; ++to) {
        bool take_right = left == middle;
        if (!take_right && right < end) { LINNET_TRY(take_right, less_than(items[right], items[left])); }
        merged[to] = take_right ? items[right++] : items[left++];
      }
    }
    std::swap(items, merged);
  }
  return {};
}

}  // namespace linnet::jinja
