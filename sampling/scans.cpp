#include "sampling/scans.h"

#include <limits>

#include "gguf/base/math.h"

namespace linnet {
namespace {

constexpr int64_t kLanes = 32;

float scan_max(const float* x, int64_t n) {
  // Separate lanes, so that the compiler may use vectors without reordering anything that matters.
  float lanes[kLanes];
  uint32_t nans[kLanes] = {};
  for (float& lane : lanes) lane = -std::numeric_limits<float>::infinity();
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t j = 0; j < kLanes; ++j) {
      const float v = x[i + j];
      lanes[j] = v > lanes[j] ? v : lanes[j];
      nans[j] |= v != v;
    }
  }
  for (int64_t j = 0; i + j < n; ++j) {
    const float v = x[i + j];
    lanes[j] = v > lanes[j] ? v : lanes[j];
    nans[j] |= v != v;
  }
  float best = lanes[0];
  uint32_t nan = nans[0];
  for (int64_t j = 1; j < kLanes; ++j) {
    best = lanes[j] > best ? lanes[j] : best;
    nan |= nans[j];
  }
  return nan ? std::numeric_limits<float>::quiet_NaN() : best;
}

int64_t scan_above(const float* x, int64_t n, float threshold, int32_t* ids, int64_t capacity) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!(x[i] >= threshold)) continue;
    if (count < capacity) ids[count] = int32_t(i);
    ++count;
  }
  return count;
}

float scan_sum_exp(const float* x, int64_t n, float shift) {
  float lanes[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) lanes[i % kLanes] += math::exp(x[i] - shift);
  for (int64_t half = kLanes / 2; half > 0; half /= 2) {
    for (int64_t j = 0; j < half; ++j) lanes[j] += lanes[j + half];
  }
  return lanes[0];
}

void scan_exp(const float* x, int64_t n, float shift, float* y) {
  for (int64_t i = 0; i < n; ++i) y[i] = math::exp(x[i] - shift);
}

}  // namespace

Scans Scans::scalar() { return {scan_max, scan_above, scan_sum_exp, scan_exp}; }

}  // namespace linnet
