#include "sampling/loop_detector.h"

#include <algorithm>

#include "sampling/ngram.h"

namespace linnet {

void LoopDetector::add(int32_t token) {
  const auto at = [](int64_t i) { return size_t(i % kReach); };
  const auto reach = [&](int64_t most) { return std::min(count_, most); };
  for (int64_t p = 1; p <= reach(kPeriods); ++p) {
    int32_t& run = run_[size_t(p)];
    run = tokens_[at(count_ - p)] == token ? std::min(run + 1, 1 << 30) : 0;
  }
  bool repeats = false;
  uint64_t gram = 0;
  if (count_ + 1 >= kGram) {
    gram = ngram_hash(kGram, [&](int i) { return i == 0 ? token : tokens_[at(count_ - i)]; });
    const int64_t earlier = std::min<int64_t>(count_ - (kGram - 1), kReach);
    for (int64_t d = 1; d <= earlier && !repeats; ++d) repeats = grams_[at(count_ - d)] == gram;
  }
  tokens_[at(count_)] = token;
  grams_[at(count_)] = gram;
  bool& slot = repeats_[size_t(count_ % kWindow)];
  repeated_ += int32_t(repeats) - int32_t(slot);
  slot = repeats;
  ++count_;
}

int64_t LoopDetector::rounds() const {
  int64_t most = 1;
  for (int64_t p = 1; p <= kPeriods; ++p) {
    const int64_t run = run_[size_t(p)];
    if (run >= kLeastRun) most = std::max(most, 1 + run / p);
  }
  return most;
}

}  // namespace linnet
