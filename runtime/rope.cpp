#include "runtime/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "gguf/base/math.h"

namespace linnet {
namespace {

// The pair index whose wavelength makes `turns` rotations over the original context (YaRN, section 3.2).
double pair_of_turns(const RopeFacts& f, double turns) {
  const double context = static_cast<double>(f.original_context);
  return f.dims * math::log(context / (turns * 2 * std::numbers::pi)) / (2 * math::log(f.base));
}

// 1 where a pair keeps its own frequency (many turns), 0 where it is interpolated; a ramp between.
double yarn_share(const RopeFacts& f, int32_t pair) {
  const double low = std::max(0.0, std::floor(pair_of_turns(f, f.beta_fast)));
  const double high = std::min(static_cast<double>(f.dims - 1), std::ceil(pair_of_turns(f, f.beta_slow)));
  const double ramp = (pair - low) / std::max(0.001, high - low);
  return (1 - std::clamp(ramp, 0.0, 1.0)) * f.extrapolation;
}

}  // namespace

RopeTable::RopeTable(const RopeFacts& f, std::span<const float> factors) {
  using Scaling = RopeFacts::Scaling;
  frequencies_.resize(static_cast<size_t>(f.dims / 2));
  const double log_base = math::log(f.base);
  for (int32_t i = 0; i < f.dims / 2; ++i) {
    double frequency = math::exp(-2.0 * i / f.dims * log_base);
    if (!factors.empty()) frequency /= static_cast<double>(factors[static_cast<size_t>(i)]);
    if (f.scaling == Scaling::linear) frequency /= f.factor;
    if (f.scaling == Scaling::yarn) {
      const double share = yarn_share(f, i);
      frequency = frequency / f.factor * (1 - share) + frequency * share;
    }
    frequencies_[static_cast<size_t>(i)] = frequency;
  }
  magnitude_ = f.attention_factor;
  if (f.scaling == Scaling::yarn && f.extrapolation != 0) magnitude_ *= 1 + 0.1 * math::log(f.factor);
}

void RopeTable::fill(double position, float* cos, float* sin) const {
  for (size_t i = 0; i < frequencies_.size(); ++i) {
    const double angle = position * frequencies_[i];
    cos[i] = static_cast<float>(static_cast<double>(math::cos(angle)) * magnitude_);
    sin[i] = static_cast<float>(static_cast<double>(math::sin(angle)) * magnitude_);
  }
}

void RopeTable::fill_delta(double delta, float* cos, float* sin) const {
  for (size_t i = 0; i < frequencies_.size(); ++i) {
    cos[i] = math::cos(delta * frequencies_[i]);
    sin[i] = math::sin(delta * frequencies_[i]);
  }
}

}  // namespace linnet
