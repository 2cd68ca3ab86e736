// Sorting of whole vocabularies: numbers by digits, texts by their bytes.
#include <algorithm>
#include <cstdio>
#include <limits>
#include <thread>

#include <gtest/gtest.h>

#include "sampling/sort_numbers.h"
#include "sampling/text_order.h"
#include "tests/sampling/letter_vocabulary.h"
#include "tests/support.h"

namespace linnet {
namespace {

TEST(SortNumbers, EqualsAStableSort) {
  Random random(3);
  std::vector<uint64_t> spare;
  for (const int64_t n : {0, 1, 2, 100, 2047, 2048, 5000, 100000}) {
    for (const int64_t kinds : {int64_t{1}, int64_t{50}, int64_t{1} << 32}) {
      std::vector<uint64_t> numbers;
      for (int64_t i = 0; i < n; ++i) numbers.push_back(uint64_t(random.below(kinds)) << 32 | uint64_t(i));
      std::vector<uint64_t> expected = numbers;
      std::stable_sort(expected.begin(), expected.end(), [](uint64_t a, uint64_t b) { return a >> 32 < b >> 32; });
      sort_numbers(numbers, spare);
      ASSERT_EQ(numbers, expected) << n << " of " << kinds;
    }
  }
}

TEST(SortNumbers, DescendingIsTheOrderOfFloats) {
  constexpr float kMost = std::numeric_limits<float>::max(), kInfinity = std::numeric_limits<float>::infinity();
  const float ordered[] = {kInfinity, kMost, 2, 1, 0x1p-126f, 0x1p-149f, 0, -0x1p-149f, -1, -2, -kMost, -kInfinity};
  for (size_t i = 0; i + 1 < std::size(ordered); ++i) EXPECT_LT(descending(ordered[i]), descending(ordered[i + 1]));
  EXPECT_EQ(descending(0.0f), descending(-0.0f));
}

TEST(TextOrder, IsTheOrderOfBytesWithRangesOfContinuations) {
  Random random(4);
  int64_t continued = 0, equal = 0;
  for (int round = 0; round < test_count(100); ++round) {
    const LetterVocabulary vocabulary(random, 1 + random.below(120));
    const TextOrder order(vocabulary);
    // The first use may be of several threads at once.
    std::thread other([&] { (void)order.places(); });
    const auto places = order.places();
    other.join();
    ASSERT_EQ(places.size(), size_t(vocabulary.size()));
    for (int32_t a = 0; a < vocabulary.size(); ++a) {
      const std::string_view text = vocabulary.bytes(a);
      const TextOrder::Place place = places[size_t(a)];
      ASSERT_EQ(place.at == TextOrder::kNone, text.empty());
      if (text.empty()) continue;
      for (int32_t b = 0; b < vocabulary.size(); ++b) {
        const std::string_view longer = vocabulary.bytes(b);
        if (longer.empty()) continue;
        const uint32_t at = places[size_t(b)].at;
        ASSERT_EQ(at == place.at, longer == text) << text << " " << longer;
        ASSERT_EQ(at < place.at, longer < text) << text << " " << longer;
        ASSERT_EQ(at >= place.at && at < place.end, longer.starts_with(text)) << text << " " << longer;
        equal += a != b && longer == text;
        continued += longer != text && longer.starts_with(text);
      }
    }
  }
  std::printf("%ld pairs of equal texts, %ld of which one begins the other\n", long(equal), long(continued));
  EXPECT_GT(equal, 0);
  EXPECT_GT(continued, 0);
}

}  // namespace
}  // namespace linnet
