#include "runtime/histogram.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr double kEnds[] = {0.1, 0.2,  0.5,  1,    2,   5,   10,  20,  50,  100, 200,
                            500, 1000, 2000, 5000, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6};

}  // namespace

std::span<const double> Histogram::bounds() {
  static_assert(std::size(kEnds) == kBounds);
  return kEnds;
}

void Histogram::add(double ms) {
  if (!(ms >= 0)) return;  // a clock that went back tells nothing
  ++buckets_[static_cast<size_t>(std::lower_bound(std::begin(kEnds), std::end(kEnds), ms) - std::begin(kEnds))];
  ++count_;
  sum_ += ms;
  most_ = std::max(most_, ms);
}

double Histogram::quantile(double share) const {
  const double rank = share * static_cast<double>(count_);
  double below = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const auto here = static_cast<double>(buckets_[i]);
    if (here > 0 && below + here >= rank) {
      const double low = i == 0 ? 0 : kEnds[i - 1];
      const double high = i < kBounds ? std::min(kEnds[i], most_) : most_;
      return low + (std::max(high, low) - low) * (rank - below) / here;
    }
    below += here;
  }
  return most_;
}

}  // namespace linnet
