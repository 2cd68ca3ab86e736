#include "runtime/histogram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace linnet {
namespace {

TEST(Histogram, CountsTimesInItsBuckets) {
  Histogram h;
  EXPECT_EQ(h.quantile(0.5), 0);
  for (const double ms : {0.0, 0.1, 0.15, 3.0, 3.0, 2e6}) h.add(ms);
  h.add(-1);
  h.add(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(h.count(), 6);
  EXPECT_DOUBLE_EQ(h.sum(), 2000006.25);
  EXPECT_EQ(h.buckets()[0], 2);  // 0.1 belongs to the bucket that ends there
  EXPECT_EQ(h.buckets()[1], 1);
  EXPECT_EQ(h.buckets()[5], 2);
  EXPECT_EQ(h.buckets()[h.bounds().size()], 1);
  EXPECT_EQ(h.quantile(1), 2e6);
}

TEST(Histogram, QuantilesAreWithinTheBucketOfTheTrueOne) {
  Histogram h;
  for (int i = 1; i <= 1000; ++i) h.add(i);
  for (const double share : {0.1, 0.5, 0.9, 0.99}) EXPECT_NEAR(h.quantile(share), share * 1000, 1);
  EXPECT_EQ(h.quantile(1), 1000);
}

}  // namespace
}  // namespace linnet
