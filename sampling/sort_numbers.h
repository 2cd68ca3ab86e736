// Sorting of many numbers at once, in linear time.
#pragma once

#include <cstdint>
#include <vector>

namespace linnet {

// Ascending by the upper halves; where these are equal, the lower ones must already be ascending. `spare` is working
// memory.
void sort_numbers(std::vector<uint64_t>& numbers, std::vector<uint64_t>& spare);

// For an upper half: the greater the number, the less this is. +0 and -0 are equal. Not for NaN.
inline uint32_t descending(float x) {
  const auto bits = __builtin_bit_cast(uint32_t, x + 0.0f);
  return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

}  // namespace linnet
