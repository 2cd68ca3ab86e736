// Scales for super-blocks of 256 values: one or two half scales over sub-blocks with integer sub-scales.
//
// The objective is that of fit.h over all sub-blocks j, with s_j = d * scale_j and m_j = dmin * min_j:
//   1. every sub-block alone gives real numbers s_j, m_j (fit.h);
//   2. d and dmin put the largest of them at the end of the integers, or a few before it: that changes how well the
//      other sub-blocks' integers fall, as luck would have it, so the best of a few is kept;
//   3. every sub-block picks, by measured error, the best pair of integers around s_j / d and m_j / dmin;
//   4. with codes and integers fixed, E is a quadratic in (d, dmin): its minimum, rounded to halves, starts 3 again,
//      as long as the error falls.
// Codes are made last, for the numbers that a decoder will see.
#pragma once

#include <cmath>
#include <limits>

#include "gguf/formats/fit.h"

namespace linnet {

inline constexpr int kSuper = 256;

// What a super-block stores, not yet packed. Sub-minimums and dmin are 0 in formats without.
struct SuperFit {
  Half d{}, dmin{};
  int scale[16] = {}, min[16] = {};
  float error = std::numeric_limits<float>::infinity();
  int8_t q[kSuper] = {};  // levels
};

// Sub-scales lo, lo + step, ..., hi.
struct IntRange {
  int lo, hi, step = 1;
  // The one nearest to v; lo for NaN.
  int nearest(float v) const {
    const float last = float((hi - lo) / step);
    float k = (v - float(lo)) / float(step);
    k = k > 0 ? k : 0;
    k = k < last ? k : last;
    return lo + step * int(k + 0.5f);
  }
  // The k-th from the end of larger magnitude.
  int from_end(int k) const { return -lo > hi ? lo + step * k : hi - step * k; }
};

// Rounds a super-block's scale away from zero, so that the largest sub-scale stays within its integers; matters for
// subnormal halves only.
inline Half half_outward(float v) {
  const Half h = finite_half(v);
  return std::abs(to_float(h)) < std::abs(v) ? half_near(h, 1) : h;
}

// For formats with x ~ d * unit * scale_j * q.
template <class Levels>
class SuperScale {
 public:
  // x [256] and its importance or null; `sub` values per sub-block; sub-scales in `range`; `unit` is a power of two.
  SuperScale(const float* x, const float* importance, int sub, const Levels& levels, IntRange range,
             const Search& search, float unit = 1)
      : run_{x_, weights_or_ones(importance), kSuper},
        sub_(sub),
        levels_(levels),
        range_(range),
        ends_(search.ends),
        unit_(unit) {
    saturate(x, kSuper, x_);
    for (int j = 0; j < kSuper / sub_; ++j) target_[j] = fit_scale(part(j), levels_, search).s;
  }
  SuperScale(const SuperScale&) = delete;

  SuperFit fit() {
    float top = 0;
    for (int j = 0; j < kSuper / sub_; ++j)
      if (std::abs(target_[j]) > std::abs(top)) top = target_[j];
    for (int end = 0; end < ends_; ++end) {
      Half d = half_outward(top / (unit_ * float(range_.from_end(end))));
      for (int round = 0; round < 3; ++round) {
        const Half next = finite_half(pick(d));
        if (next.bits == d.bits) break;
        d = next;
      }
    }
    if (to_float(best_.d) == 0) best_.d = {};  // no negative zero
    for (int j = 0; j < kSuper / sub_; ++j)
      quantize(part(j), levels_, to_float(best_.d) * unit_ * float(best_.scale[j]), 0.0f, best_.q + j * sub_);
    return best_;
  }

 private:
  // Step 3 for one d; gives the least-squares d for what was picked.
  float pick(Half d) {
    SuperFit tried;
    tried.error = 0;
    tried.d = d;
    const float unit = to_float(d) * unit_;
    float weights = 0, product = 0;
    for (int j = 0; j < kSuper / sub_; ++j) {
      const int middle = range_.nearest(unit == 0 ? 0 : target_[j] / unit), step = range_.step;
      Measure least{};
      least.error = std::numeric_limits<float>::infinity();
      for (int k = std::max(middle - step, range_.lo); k <= std::min(middle + step, range_.hi); k += step) {
        const Measure at = measure(part(j), levels_, unit * float(k), 0.0f);
        if (at.error < least.error) least = at, tried.scale[j] = k;
      }
      const float k = float(tried.scale[j]);
      tried.error += least.error;
      weights += k * k * least.qq;
      product += k * least.xq;
    }
    if (tried.error < best_.error) best_ = tried;
    return weights > 0 ? product / (weights * unit_) : 0.0f;
  }
  Run part(int j) const { return run_.part(j * sub_, sub_); }

  float x_[kSuper];
  Run run_;
  int sub_;
  const Levels& levels_;
  IntRange range_;
  int ends_;
  float unit_;
  float target_[16];
  SuperFit best_;
};

// For formats with x ~ d * scale_j * q - dmin * min_j, all of them >= 0, and levels from 0.
template <class Levels>
class SuperScaleMin {
 public:
  // x [256] and its importance or null; `sub` values per sub-block; sub-scales and sub-minimums in 0..top.
  SuperScaleMin(const float* x, const float* importance, int sub, const Levels& levels, int top, const Search& search)
      : run_{x_, weights_or_ones(importance), kSuper}, sub_(sub), levels_(levels), range_{0, top} {
    saturate(x, kSuper, x_);
    for (int j = 0; j < kSuper / sub_; ++j) target_[j] = fit_scale_min(part(j), levels_, Offset::below_zero, search);
  }
  SuperScaleMin(const SuperScaleMin&) = delete;

  SuperFit fit() {
    float most_s = 0, most_m = 0;
    for (int j = 0; j < kSuper / sub_; ++j) {
      most_s = std::max(most_s, target_[j].s);
      most_m = std::max(most_m, target_[j].m);
    }
    for (int end = range_.hi; end > range_.hi - 2; --end) {
      Scales scales{half_outward(most_s / float(end)), half_outward(most_m / float(end))};
      for (int round = 0; round < 3; ++round) {
        const Scales next = pick(scales);
        if (next.d.bits == scales.d.bits && next.dmin.bits == scales.dmin.bits) break;
        scales = next;
      }
    }
    for (int j = 0; j < kSuper / sub_; ++j)
      quantize(part(j), levels_, to_float(best_.d) * float(best_.scale[j]), to_float(best_.dmin) * float(best_.min[j]),
               best_.q + j * sub_);
    return best_;
  }

 private:
  struct Scales {
    Half d, dmin;
  };

  // Step 3; gives the least-squares d and dmin for what was picked.
  Scales pick(Scales scales) {
    SuperFit tried;
    tried.error = 0;
    tried.d = scales.d;
    tried.dmin = scales.dmin;
    const float d = to_float(scales.d), dmin = to_float(scales.dmin);
    // With a = scale_j q and b = min_j: weighted sums over all values of a^2, a b, b^2, x a, x b.
    float aa = 0, ab = 0, bb = 0, xa = 0, xb = 0;
    for (int j = 0; j < kSuper / sub_; ++j) {
      const int s0 = d == 0 ? 0 : range_.nearest(target_[j].s / d);
      const int m0 = dmin == 0 ? 0 : range_.nearest(target_[j].m / dmin);
      Measure least{};
      least.error = std::numeric_limits<float>::infinity();
      for (int s = std::max(s0 - 1, 0); s <= std::min(s0 + 1, range_.hi); ++s) {
        for (int m = std::max(m0 - 1, 0); m <= std::min(m0 + 1, range_.hi); ++m) {
          const Measure at = measure(part(j), levels_, d * float(s), dmin * float(m));
          if (at.error < least.error) least = at, tried.scale[j] = s, tried.min[j] = m;
        }
      }
      const float s = float(tried.scale[j]), m = float(tried.min[j]);
      tried.error += least.error;
      aa += s * s * least.qq;
      ab += s * m * least.q;
      bb += m * m * least.w;
      xa += s * least.xq;
      xb += m * least.x;
    }
    if (tried.error < best_.error) best_ = tried;
    const float determinant = aa * bb - ab * ab;
    if (determinant > 0) {
      return {finite_half(std::max((xa * bb - xb * ab) / determinant, 0.0f)),
              finite_half(std::max((xa * ab - xb * aa) / determinant, 0.0f))};
    }
    return {finite_half(aa > 0 ? std::max(xa / aa, 0.0f) : 0.0f), scales.dmin};
  }

  Run part(int j) const { return run_.part(j * sub_, sub_); }

  float x_[kSuper];
  Run run_;
  int sub_;
  Levels levels_;
  IntRange range_;
  Fit target_[16];
  SuperFit best_;
};

}  // namespace linnet
