// How often a time was how long: fixed buckets, three to a factor of ten, from 0.1 ms to 1000 s. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace linnet {

class Histogram {
 public:
  // Upper ends of the buckets, in ms; the last bucket has none.
  static std::span<const double> bounds();

  void add(double ms);
  int64_t count() const { return count_; }
  double sum() const { return sum_; }
  std::span<const int64_t> buckets() const { return buckets_; }  // [bounds().size() + 1]
  // The time below which this share of all lies, linear inside a bucket; 0 for no values.
  double quantile(double share) const;

 private:
  static constexpr size_t kBounds = 22;
  std::array<int64_t, kBounds + 1> buckets_ = {};
  int64_t count_ = 0;
  double sum_ = 0;
  double most_ = 0;
};

}  // namespace linnet
