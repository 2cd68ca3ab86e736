// Finds an item by its name: positions sorted by name. O(n log n) whatever the names are (a hash table could be fed
// names that collide), one allocation of 4 bytes per item.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet {

class NameIndex {
 public:
  NameIndex() = default;
  // `name` is the member that holds the name: NameIndex(values, &Value::key). Items may move; their order may not.
  template <class Item>
  NameIndex(std::span<const Item> items, std::string_view Item::*name) : order_(items.size()) {
    std::iota(order_.begin(), order_.end(), 0u);
    // Equal names stay in their order, so that duplicate() reports the later one as the duplicate.
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
      const int order = (items[a].*name).compare(items[b].*name);
      return order != 0 ? order < 0 : a < b;
    });
  }

  template <class Item>
  const Item* find(std::span<const Item> items, std::string_view Item::*name, std::string_view wanted) const {
    const auto found = std::lower_bound(order_.begin(), order_.end(), wanted,
                                        [&](uint32_t i, std::string_view w) { return items[i].*name < w; });
    if (found == order_.end() || items[*found].*name != wanted) return nullptr;
    return &items[*found];
  }

  // Two positions with the same name, the lower one first.
  template <class Item>
  std::optional<std::pair<uint32_t, uint32_t>> duplicate(std::span<const Item> items,
                                                         std::string_view Item::*name) const {
    const auto same = [&](uint32_t a, uint32_t b) { return items[a].*name == items[b].*name; };
    const auto found = std::adjacent_find(order_.begin(), order_.end(), same);
    if (found == order_.end()) return std::nullopt;
    return std::pair(*found, *(found + 1));
  }

 private:
  std::vector<uint32_t> order_;
};

}  // namespace linnet
