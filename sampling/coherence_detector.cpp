#include "sampling/coherence_detector.h"

#include <algorithm>

#include "gguf/base/math.h"

namespace linnet {

CoherenceDetector::CoherenceDetector(int32_t vocabulary_size) : largest_(math::log(float(vocabulary_size))) {}

void CoherenceDetector::add(double entropy) {
  if (!(entropy >= 0)) return;
  double& slot = recent_[size_t(count_ % kRecent)];
  before_ += slot;  // 0 at first
  slot = std::min(entropy / largest_, 1.0);
  ++count_;
}

double CoherenceDetector::incoherence() const {
  if (count_ < kLeastTokens) return 0;
  double recent = 0;
  for (const double h : recent_) recent += h;
  recent /= kRecent;
  const double baseline = std::max(before_ / double(count_ - kRecent), kLeastBaseline);
  return recent > baseline ? 1 - baseline / recent : 0;
}

}  // namespace linnet
