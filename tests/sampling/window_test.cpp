#include "sampling/window.h"

#include <cstdio>
#include <deque>
#include <map>

#include <gtest/gtest.h>

#include "tests/support.h"

namespace linnet {
namespace {

std::map<int32_t, int32_t> counts(const CountedWindow& window) {
  std::map<int32_t, int32_t> result;
  for (const CountedWindow::Entry& e : window.entries()) {
    EXPECT_TRUE(result.emplace(e.token, e.count).second) << "token " << e.token << " twice";
  }
  return result;
}

TEST(CountedWindow, EqualsRecount) {
  Random random(1);
  int64_t compared = 0;
  for (const int64_t length : {0, 1, 2, 3, 7, 64, 1000, 3000}) {
    for (const int64_t kinds : {1, 2, 5, 100, 100000}) {
      CountedWindow window(length);
      std::deque<int32_t> last;
      std::vector<int32_t> text;
      const int steps = test_count(int(length) * 3 + 200);
      for (int i = 0; i < steps; ++i) {
        // Multiples of a large power of two: neighbours in any weak hash.
        const auto token = int32_t(random.below(kinds) * (i % 2 ? 1 : 16384) % (int64_t{1} << 31));
        text.push_back(token);
        window.add(text);
        if (i % 5 == 0) {
          window.remove(text);
          window.add(text);
        }
        last.push_back(token);
        if (int64_t(last.size()) > length) last.pop_front();
        if (length > 100 && i % 97 != 0) continue;
        std::map<int32_t, int32_t> naive;
        for (const int32_t t : last) ++naive[t];
        ASSERT_EQ(counts(window), naive) << "length " << length << ", step " << i;
        ++compared;
      }
    }
  }
  std::printf("%ld windows recounted\n", long(compared));
}

}  // namespace
}  // namespace linnet
