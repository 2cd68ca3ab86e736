#include "sampling/sort_numbers.h"

#include <algorithm>
#include <array>

namespace linnet {
namespace {

constexpr int kDigitBits = 11;
constexpr size_t kDigits = size_t{1} << kDigitBits;
constexpr size_t kFew = 2048;  // below, passes over the counts of digits cost more than comparing

}  // namespace

void sort_numbers(std::vector<uint64_t>& numbers, std::vector<uint64_t>& spare) {
  if (numbers.size() < kFew) return std::sort(numbers.begin(), numbers.end());
  spare.resize(numbers.size());
  for (int shift = 32; shift < 64; shift += kDigitBits) {
    const auto digit = [shift](uint64_t x) { return size_t(x >> shift) % kDigits; };
    std::array<uint32_t, kDigits> places{};
    for (const uint64_t x : numbers) ++places[digit(x)];
    uint32_t before = 0;
    for (uint32_t& place : places) {
      const uint32_t count = place;
      place = before;
      before += count;
    }
    for (const uint64_t x : numbers) spare[places[digit(x)]++] = x;
    numbers.swap(spare);
  }
}

}  // namespace linnet
