// Rotary embedding in double precision with the system's math library, written apart from runtime/rope.cpp: what rope and
// the forward pass are tested against.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/rope.h"

namespace linnet {

struct RopeReference {
  std::vector<double> frequencies;  // [dims/2] radians per position
  double magnitude = 1;             // of the rotated vectors

  RopeReference(const RopeFacts& f, std::span<const float> factors) {
    const double pi = std::acos(-1.0), d = f.dims;
    // YaRN: pairs below `low` turn more than beta_fast times in the original context and stay as they are, those above
    // `high` turn less than beta_slow times and are slowed down by the factor.
    const auto pair_with = [&](double turns) {
      return d * std::log(double(f.original_context) / (2 * pi * turns)) / (2 * std::log(f.base));
    };
    double low = 0, high = 0;
    if (f.scaling == RopeFacts::Scaling::yarn) {
      low = std::max(0.0, std::floor(pair_with(f.beta_fast)));
      high = std::min(d - 1, std::ceil(pair_with(f.beta_slow)));
    }
    for (int32_t i = 0; i < f.dims / 2; ++i) {
      double own = std::pow(f.base, -2.0 * i / d);
      if (!factors.empty()) own /= double(factors[size_t(i)]);
      const double slow = own / f.factor;
      if (f.scaling == RopeFacts::Scaling::none) frequencies.push_back(own);
      if (f.scaling == RopeFacts::Scaling::linear) frequencies.push_back(slow);
      if (f.scaling == RopeFacts::Scaling::yarn) {
        const double slowed = std::min(1.0, std::max(0.0, (i - low) / std::max(0.001, high - low)));
        const double kept = (1 - slowed) * f.extrapolation;
        frequencies.push_back(kept * own + (1 - kept) * slow);
      }
    }
    if (f.scaling != RopeFacts::Scaling::none) magnitude = f.attention_factor;
    if (f.scaling == RopeFacts::Scaling::yarn && f.extrapolation > 0) magnitude *= 0.1 * std::log(f.factor) + 1;
  }
};

}  // namespace linnet
