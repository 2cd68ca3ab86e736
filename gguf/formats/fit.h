// Scales for one run of values: what the encoders of all formats are made of.
//
// The objective everywhere is the weighted squared error of the decoded values, E(s, m) = sum w (x - (s q - m))^2, where
// every q is the level nearest to (x + m) / s and w says how much the value matters (an importance matrix; else 1). For
// fixed codes E is a quadratic with a closed-form minimum; for a fixed scale the codes are a rounding. E has many local
// minima, so a search starts from a row of scales that put the largest value at, inside and beyond the end of the levels
// (beyond: it is clipped, which pays when a coarse code meets an outlier), alternates the two steps, and keeps the best
// it has measured.
//
// Included by encoders only; nothing here is seen by kernels.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "gguf/base/half.h"
#include "gguf/formats/iq4_nl.h"

namespace linnet {

// Four floats in a register on every target (a vector extension of gcc and clang).
using Float4 = float __attribute__((vector_size(16)));

// `v` within [lo, hi]; lo for NaN.
inline Float4 clamp4(Float4 v, float lo, float hi) {
  const Float4 low = Float4{} + lo, high = Float4{} + hi;
  v = v > low ? v : low;
  return v < high ? v : high;
}

// n values and what an error in each of them weighs.
struct Run {
  const float* x;
  const float* w;
  int n;
  int first = 0;  // where x lies in the block
  Run part(int at, int count) const { return {x + at, w + at, count, first + at}; }
};

inline constexpr int kMostValues = 256;  // of a block
struct Ones {
  float at[kMostValues];
  constexpr Ones() : at() {
    for (float& one : at) one = 1;
  }
};
inline constexpr Ones kOnes;
inline const float* weights_or_ones(const float* importance) { return importance ? importance : kOnes.at; }

// Levels lo, lo + 1, ..., hi; |lo|, |hi| < 2^22.
struct Steps {
  float lo, hi;
  // Adding 1.5 * 2^23 leaves no bits for a fraction: the sum rounds to nearest even.
  Float4 nearest(Float4 v) const { return (clamp4(v, lo, hi) + 0x1.8p23f) - 0x1.8p23f; }
};

// The levels of IQ4_NL and IQ4_XS by look-up. All points halfway between two levels are multiples of one half, so the
// level nearest to v depends on floor(2 v) alone.
struct Iq4Lookup {
  static constexpr int first = kIq4Table[0], span = kIq4Table[15] - kIq4Table[0];
  float level[2 * span + 1];
  uint8_t code[span + 1];
  constexpr Iq4Lookup() : level(), code() {
    for (int k = 0, c = 0; k <= 2 * span; ++k) {
      while (c < 15 && k + 2 * first >= kIq4Table[c] + kIq4Table[c + 1]) ++c;
      level[k] = kIq4Table[c];
      if (k % 2 == 0) code[k / 2] = uint8_t(c);
    }
  }
};
inline constexpr Iq4Lookup kIq4Lookup;

struct Iq4Levels {
  static constexpr float lo = kIq4Table[0], hi = kIq4Table[15];
  Float4 nearest(Float4 v) const {
    using Int4 = int32_t __attribute__((vector_size(16)));
    const Int4 at = __builtin_convertvector((clamp4(v, lo, hi) - lo) * 2, Int4);
    const float* level = kIq4Lookup.level;
    return Float4{level[at[0]], level[at[1]], level[at[2]], level[at[3]]};
  }
  // The code of a level.
  static uint8_t code(int level) { return kIq4Lookup.code[level - Iq4Lookup::first]; }
};

// One pass over a run for scale s and minimum m.
struct Measure {
  float error;            // sum w (x - (s q - m))^2
  float w, q, qq, x, xq;  // sums of w, w q, w q^2, w x and w x q
};

// n is a multiple of 4. Four lanes, summed in one order on every target.
template <class Levels>
Measure measure(const Run& run, const Levels& levels, float s, float m) {
  const float inverse = s == 0 ? 0 : 1 / s;
  Float4 error{}, weight{}, q{}, qq{}, sum{}, xq{};
  for (int i = 0; i < run.n; i += 4) {
    Float4 v, w;
    std::memcpy(&v, run.x + i, sizeof(v));
    std::memcpy(&w, run.w + i, sizeof(w));
    const Float4 code = levels.nearest((v + m) * inverse);
    const Float4 off = v - (s * code - m), weighed = w * code;
    error += w * off * off;
    weight += w;
    q += weighed;
    qq += weighed * code;
    sum += w * v;
    xq += weighed * v;
  }
  const auto total = [](Float4 a) { return (a[0] + a[2]) + (a[1] + a[3]); };
  return {total(error), total(weight), total(q), total(qq), total(sum), total(xq)};
}

// The levels themselves, for the scales that were chosen. Clamped, so any x gives legal codes.
template <class Levels>
void quantize(const Run& run, const Levels& levels, float s, float m, int8_t* out) {
  const float inverse = s == 0 ? 0 : 1 / s;
  for (int i = 0; i < run.n; i += 4) {
    Float4 v;
    std::memcpy(&v, run.x + i, sizeof(v));
    const Float4 code = levels.nearest((v + m) * inverse);
    for (int l = 0; l < 4; ++l) out[i + l] = int8_t(code[l]);
  }
}

struct Range {
  float min, max;
  // The value of largest magnitude.
  float top() const { return max > -min ? max : min; }
};

inline Range range(const float* x, int n) {
  Range r{x[0], x[0]};
  for (int i = 1; i < n; ++i) {
    r.min = x[i] < r.min ? x[i] : r.min;
    r.max = x[i] > r.max ? x[i] : r.max;
  }
  return r;
}

// A scale, a minimum, and the error they were measured to have.
struct Fit {
  float s, m;
  float error;
};

// Where a search starts: the largest value is put at `first`, `first` + `step`, ... times the end of the levels.
struct Search {
  float first, step;
  int count;
  int polish = 3;  // least-squares rounds after the best start is known
  int ends = 4;    // super-blocks: how many sub-scales from the last the largest one is tried at
};

// The longer the code, the narrower the range that pays, and the finer the row through it.
inline constexpr Search kSearch2{1.0f, 0.35f, 12,
                                 6};  // one or two bits: most values of a long run are small beside the largest
inline constexpr Search kSearch4{0.8f, 0.05f, 8};  // up to four bits, and runs of 16
inline constexpr Search kSearch5{0.9f, 0.02f, 8};
inline constexpr Search kSearch8{0.96f, 0.005f, 9};

// min over s of E(s, 0); s may have either sign.
template <class Levels>
Fit fit_scale(const Run& run, const Levels& levels, const Search& search) {
  const bool symmetric = levels.lo == -levels.hi;  // then the other sign of s gives the same values
  const float extreme = range(run.x, run.n).top(), top = symmetric ? -std::abs(extreme) : extreme;
  Fit best{0, 0, measure(run, levels, 0.0f, 0.0f).error};
  if (!(std::abs(top) > 0x1p-60f)) return best;
  const auto attempt = [&](float s) {
    const Measure at = measure(run, levels, s, 0.0f);
    if (at.error < best.error) best = {s, 0, at.error};
    return at.qq > 0 ? at.xq / at.qq : 0.0f;
  };
  for (const float end : {levels.lo, levels.hi}) {
    for (int k = 0; k < search.count; ++k) attempt(attempt(top / (end * (search.first + search.step * float(k)))));
    if (symmetric) break;
  }
  // Values all of one magnitude: grids have their least level everywhere, the greatest not.
  if constexpr (requires { levels.least; }) attempt(attempt(std::abs(top) / levels.least));
  for (int k = 0; k < search.polish; ++k) attempt(attempt(best.s));
  return best;
}

// Whether a minimum may lie above zero.
enum class Offset { any, below_zero };

// The least-squares scale and minimum for the codes that were measured.
inline Fit solve(const Measure& at, Offset offset) {
  const float determinant = at.w * at.qq - at.q * at.q;
  if (determinant > 0) {
    const float s = (at.w * at.xq - at.x * at.q) / determinant;
    const float m = (s * at.q - at.x) / at.w;
    if (s >= 0 && (m >= 0 || offset == Offset::any)) return {s, m, 0};
  }
  if (at.w > 0 && (offset == Offset::any || at.qq == 0))
    return {0, offset == Offset::any || at.x < 0 ? -at.x / at.w : 0, 0};
  return {at.qq > 0 ? std::max(at.xq / at.qq, 0.0f) : 0, 0, 0};
}

// min over s >= 0 and m of E(s, m), for levels from 0.
template <class Levels>
Fit fit_scale_min(const Run& run, const Levels& levels, Offset offset, const Search& search) {
  Range r = range(run.x, run.n);
  if (offset == Offset::below_zero) r = {std::min(r.min, 0.0f), std::max(r.max, 0.0f)};
  Fit best = solve(measure(run, levels, 0.0f, 0.0f), offset);
  best.error = measure(run, levels, best.s, best.m).error;
  if (!(r.max - r.min > 0x1p-60f)) return best;
  const auto attempt = [&](const Fit& f) {
    const Measure at = measure(run, levels, f.s, f.m);
    if (at.error < best.error) best = {f.s, f.m, at.error};
    return solve(at, offset);
  };
  for (int k = 0; k < search.count; ++k) {
    const float s = (r.max - r.min) / (levels.hi * (search.first + search.step * float(k)));
    const float m = 0.5f * (s * levels.hi - (r.max + r.min));
    attempt(attempt(attempt({s, offset == Offset::any ? m : std::max(m, 0.0f), 0})));
  }
  for (int k = 0; k < search.polish; ++k) attempt(attempt(best));
  return best;
}

// The nearest finite half.
inline Half finite_half(float v) { return to_half(std::min(std::max(v, -65504.0f), 65504.0f)); }

// The half `steps` away in magnitude: 1 is the next larger one. Stays finite and keeps its sign.
inline Half half_near(Half h, int steps) {
  const int magnitude = (h.bits & 0x7fff) + steps;
  return {uint16_t((h.bits & 0x8000) | std::min(std::max(magnitude, 0), 0x7bff))};
}

// Copies n values, cut to a bound that no block reaches (65504 * 128 * 32 < 2^29) and whose squares can be summed.
inline void saturate(const float* x, int n, float* out) {
  for (int i = 0; i < n; ++i) out[i] = std::min(std::max(x[i], -0x1p30f), 0x1p30f);
}

// Encoder of a run as d * q: gives d with minimal E(d, 0) and writes the levels. Around the least-squares scale the
// neighbouring halves are measured too: among the subnormal ones they are far apart.
template <class Levels>
Half fit_half(const Run& values, const Levels& levels, const Search& search, int8_t* q) {
  float v[kMostValues];
  saturate(values.x, values.n, v);
  const Run run{v, values.w, values.n};
  const Half middle = finite_half(fit_scale(run, levels, search).s);
  Half best = middle;
  float least = measure(run, levels, to_float(middle), 0.0f).error;
  for (const int step : {-1, 1}) {
    const Half d = half_near(middle, step);
    const float error = measure(run, levels, to_float(d), 0.0f).error;
    if (error < least) best = d, least = error;
  }
  quantize(run, levels, to_float(best), 0.0f, q);
  return best;
}

// The half scale and offset of a run, x ~ d * q + offset.
struct HalfPair {
  Half d, offset;
};

// As fit_half, for both numbers: an offset far from zero is a coarse one, and moves the best scale with it.
template <class Levels>
HalfPair fit_half_pair(const Run& values, const Levels& levels, const Search& search, int8_t* q) {
  float v[kMostValues];
  saturate(values.x, values.n, v);
  const Run run{v, values.w, values.n};
  const Fit fit = fit_scale_min(run, levels, Offset::any, search);
  HalfPair best{};
  float least = measure(run, levels, 0.0f, 0.0f).error;
  for (const int offset_step : {0, -1, 1}) {
    const Half offset = half_near(finite_half(-fit.m), offset_step);
    const float m = -to_float(offset);
    const Measure at = measure(run, levels, fit.s, m);
    const Half middle = finite_half(at.qq > 0 ? std::max((at.xq + m * at.q) / at.qq, 0.0f) : 0.0f);
    for (const int step : {0, -1, 1}) {
      const Half d = half_near(middle, step);
      const float error = measure(run, levels, to_float(d), m).error;
      if (error < least) best = {d, offset}, least = error;
    }
  }
  quantize(run, levels, to_float(best.d), -to_float(best.offset), q);
  return best;
}

}  // namespace linnet
