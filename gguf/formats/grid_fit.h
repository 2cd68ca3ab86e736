// The levels of IQ formats for the searches of fit.h and super_fit.h: the nearest values to a group of x are those of
// the grid point (grids.h) with the least weighted error, found exactly.
//
// The error of a point q at scale s is  sum w (x - s q)^2 = sum w x^2 - 2 s (sum w x q) + s^2 (sum w q^2):  its sums do
// not depend on s, and each is that of the point's lower half plus that of its upper half, of which there are only 81
// (or 64) different ones. They are made once per group. At each s, the points are looked at by upper half; a half whose
// own error, together with the least error of any lower half, is no better than the best point so far is passed over.
// The first best is the point found for the scale before, which is mostly near.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "gguf/formats/fit.h"
#include "gguf/formats/grids.h"

namespace linnet {

// Searches a grid G whose values have L levels.
template <class G, int L>
class GridSearch {
 public:
  static constexpr int dims = int(sizeof(typename G::Group)), half = dims / 2;
  static constexpr int halves = L == 3 ? 81 : 64;
  static constexpr int padded = (halves + 3) / 4 * 4;
  using Levels = int[L];

  // `levels` as they stand in the grid.
  GridSearch(const G& grid, const Levels& levels) {
    const auto number = [&](typename G::Group group) {
      int n = 0;
      for (int d = dims - 1; d >= 0; --d)
        n = n * L + int(std::find(levels, levels + L, int(group >> (8 * d) & 255)) - levels);
      return n;
    };
    for (int i = 0; i < G::count; ++i) {
      lower_[i] = uint8_t(number(grid.at[i]) % halves);
      upper_[i] = uint8_t(number(grid.at[i]) / halves);
    }
    for (int u = 0; u <= halves; ++u) first_[u] = uint16_t(std::lower_bound(upper_, upper_ + G::count, u) - upper_);
  }

  // Sums over the values of a half, for all halves q.
  struct Half {
    float xq[padded], qq[padded];
    float turn[padded];  // the least w x q of one value: what turning its sign takes from xq, twice
  };
  // A group of `dims` values. `last` is the point of the last search.
  struct Group {
    Half low, high;
    int last;
  };
  static void prepare(const float* x, const float* w, const Levels& levels, Group& group) {
    prepare(x, w, levels, group.low);
    prepare(x + half, w + half, levels, group.high);
    group.last = 0;
  }

  // A point and its share of the error, without w x^2. `turned`: no sign is, one of the lower, of the upper half.
  enum class Turned { none, low, high };
  struct Point {
    float error;
    int index;
    Turned turned;
  };
  Point nearest(Group& group, float s) const {
    Errors low, high;
    errors(group.low, s, low);
    errors(group.high, s, high);
    const Point best = look(low, high, Turned::none, start(low, high, Turned::none, group));
    group.last = best.index;
    return best;
  }
  // With exactly one sign turned.
  Point nearest_turned(Group& group, float s) const {
    Errors low, high, low_turned, high_turned;
    errors(group.low, s, low, &low_turned);
    errors(group.high, s, high, &high_turned);
    const Point first = look(low_turned, high, Turned::low, start(low_turned, high, Turned::low, group));
    const Point best = look(low, high_turned, Turned::high, first);
    group.last = best.index;
    return best;
  }

  float xq(const Group& group, const Point& p) const {
    const int l = lower_[p.index], u = upper_[p.index];
    const float turn = p.turned == Turned::none ? 0 : p.turned == Turned::low ? group.low.turn[l] : group.high.turn[u];
    return group.low.xq[l] + group.high.xq[u] - 2 * turn;
  }
  float qq(const Group& group, const Point& p) const {
    return group.low.qq[lower_[p.index]] + group.high.qq[upper_[p.index]];
  }

  // Which level value d of a point has.
  int digit(int index, int d) const {
    int n = d < half ? lower_[index] : upper_[index];
    for (int i = d % half; i > 0; --i) n /= L;
    return n % L;
  }
  // The point with the levels number digit(0), digit(1), ..., which is in the grid.
  template <class Digit>
  int index_of(const Digit& digit) const {
    int low = 0, high = 0;
    for (int d = half - 1; d >= 0; --d) low = low * L + digit(d), high = high * L + digit(half + d);
    for (int i = first_[high]; i < first_[high + 1]; ++i)
      if (lower_[i] == low) return i;
    return 0;
  }

 private:
  using Errors = float[padded];

  static void prepare(const float* x, const float* w, const Levels& levels, Half& out) {
    int n = 1;  // halves of the values so far
    out.xq[0] = out.qq[0] = 0;
    out.turn[0] = std::numeric_limits<float>::infinity();
    for (int d = 0; d < half; ++d, n *= L) {
      for (int l = L - 1; l >= 0; --l) {  // downwards: [0, n) are read by all
        const float q = float(levels[l]), xq = w[d] * x[d] * q, qq = w[d] * q * q;
        for (int i = 0; i < n; ++i) {
          out.xq[l * n + i] = out.xq[i] + xq;
          out.qq[l * n + i] = out.qq[i] + qq;
          out.turn[l * n + i] = std::min(out.turn[i], xq);
        }
      }
    }
    for (; n < padded; ++n) out.xq[n] = 0, out.qq[n] = std::numeric_limits<float>::infinity(), out.turn[n] = 0;
  }

  static void errors(const Half& h, float s, Errors& kept, Errors* turned = nullptr) {
    for (int i = 0; i < padded; ++i) kept[i] = s * s * h.qq[i] - 2 * s * h.xq[i];
    if (!turned) return;
    for (int i = 0; i < padded; ++i) (*turned)[i] = kept[i] + 4 * s * h.turn[i];
  }

  Point start(const Errors& low, const Errors& high, Turned turned, const Group& group) const {
    return {low[lower_[group.last]] + high[upper_[group.last]], group.last, turned};
  }
  // The point of least low + high, if it is below `best`.
  Point look(const Errors& low, const Errors& high, Turned turned, Point best) const {
    Float4 least4 = Float4{} + std::numeric_limits<float>::infinity();
    for (int i = 0; i < padded; i += 4) {
      Float4 v;
      std::memcpy(&v, low + i, sizeof(v));
      least4 = v < least4 ? v : least4;
    }
    const float least = std::min(std::min(least4[0], least4[1]), std::min(least4[2], least4[3]));
    for (int u = 0; u < halves; ++u) {
      if (!(high[u] + least < best.error)) continue;
      for (int i = first_[u]; i < first_[u + 1]; ++i) {
        const float error = low[lower_[i]] + high[u];
        if (error < best.error) best = {error, i, turned};
      }
    }
    return best;
  }

  uint16_t first_[halves + 1];                 // points of this upper half and on
  uint8_t lower_[G::count], upper_[G::count];  // the halves of a point
};

inline float weighted_power(const Run& run) {
  float sum = 0;
  for (int i = 0; i < run.n; ++i) sum += run.w[i] * run.x[i] * run.x[i];
  return sum;
}

enum class Signs { any, even };  // even: of eight values an even number is negative

// IQ2 and IQ3, bound to the values of one block. Members that search remember where they looked.
template <class G, int L>
class SignedLevels {
 public:
  using Search = GridSearch<G, L>;
  static constexpr int dims = Search::dims, groups = 8 / dims;
  const float hi, lo, least;

  SignedLevels(const Search& search, const int (&levels)[L], Signs signs, const float* x, const float* importance)
      : hi(float(levels[L - 1])), lo(-hi), least(float(levels[0])), search_(search), levels_(levels), signs_(signs) {
    float v[kMostValues];
    saturate(x, kMostValues, v);
    for (int i = 0; i < kMostValues; ++i) {
      negative_[i / 8][i % 8] = v[i] < 0;
      v[i] = std::abs(v[i]);
    }
    for (int i = 0; i < kMostValues; i += dims)
      Search::prepare(v + i, weights_or_ones(importance) + i, levels, groups_[i / dims]);
  }

  // Sums of error (without w x^2), q^2 and x q.
  Measure measure(const Run& run, float s) const {
    Measure m{};
    m.error = weighted_power(run);
    typename Search::Point points[groups];
    for (int i = run.first; i < run.first + run.n; i += 8) {
      octet(i / 8, s, points);
      for (int g = 0; g < groups; ++g) {
        const auto& group = groups_[i / dims + g];
        m.error += points[g].error;
        m.xq += search_.xq(group, points[g]);
        m.qq += search_.qq(group, points[g]);
      }
    }
    return m;
  }
  void quantize(const Run& run, float s, int8_t* out) const {
    for (int i = 0; i < run.n; i += 8) write((run.first + i) / 8, run, i, s, out);
  }

  // The code of the group of magnitudes that starts at q.
  int code(const int8_t* q) const {
    return search_.index_of([&](int d) { return std::find(levels_, levels_ + L, std::abs(int(q[d]))) - levels_; });
  }

 private:
  // The groups of eight values; where signs must be even and are not, with one turned where it costs least.
  void octet(int at, float s, typename Search::Point (&points)[groups]) const {
    for (int g = 0; g < groups; ++g) points[g] = search_.nearest(groups_[at * groups + g], s);
    if (signs_ == Signs::any || !odd(at)) return;
    int where = 0;
    typename Search::Point turned[groups];
    for (int g = 0; g < groups; ++g) {
      turned[g] = search_.nearest_turned(groups_[at * groups + g], s);
      if (turned[g].error - points[g].error < turned[where].error - points[where].error) where = g;
    }
    points[where] = turned[where];
  }
  bool odd(int at) const {
    bool odd = false;
    for (const bool negative : negative_[at]) odd ^= negative;
    return odd;
  }
  void write(int at, const Run& run, int first, float s, int8_t* out) const {
    typename Search::Point points[groups];
    octet(at, s, points);
    for (int g = 0; g < groups; ++g) {
      const int start = g * dims;
      int flipped = -1;
      const auto level = [&](int k) { return levels_[search_.digit(points[g].index, k - start)]; };
      const auto cost = [&](int k) { return run.w[first + k] * std::abs(run.x[first + k]) * float(level(k)); };
      if (points[g].turned != Search::Turned::none) {
        const int first_turned = start + (points[g].turned == Search::Turned::high ? dims / 2 : 0);
        flipped = first_turned;
        for (int k = first_turned; k < first_turned + dims / 2; ++k)
          if (cost(k) < cost(flipped)) flipped = k;
      }
      for (int k = start; k < start + dims; ++k)
        out[first + k] = int8_t(negative_[at][k] != (k == flipped) ? -level(k) : level(k));
    }
  }

  const Search& search_;
  const int (&levels_)[L];
  Signs signs_;
  bool negative_[kMostValues / 8][8];
  mutable typename Search::Group groups_[kMostValues / dims];
};

// IQ1, bound to the values of one block: levels 8 v + shift, v from the grid, shift 1 or -1 the same over `shared` values.
class ShiftedLevels {
 public:
  using Search = GridSearch<Grid<uint64_t, 2048>, 3>;
  const float hi = 9, lo = -9, least = 1;

  ShiftedLevels(const Search& search, int shared, const float* x, const float* importance)
      : search_(search), shared_(shared) {
    float v[kMostValues];
    saturate(x, kMostValues, v);
    for (int down = 0; down < 2; ++down)
      for (int i = 0; i < kMostValues; i += 8)
        Search::prepare(v + i, weights_or_ones(importance) + i, kLevels[down], groups_[down][i / 8]);
  }

  Measure measure(const Run& run, float s) const {
    Measure m{};
    m.error = weighted_power(run);
    for (int i = run.first; i < run.first + run.n; i += shared_) {
      const Choice best = choose(i / 8, s);
      for (int g = 0; g < shared_ / 8; ++g) {
        const auto& group = groups_[best.down][i / 8 + g];
        m.error += best.points[g].error;
        m.xq += search_.xq(group, best.points[g]);
        m.qq += search_.qq(group, best.points[g]);
      }
    }
    return m;
  }
  void quantize(const Run& run, float s, int8_t* out) const {
    for (int i = 0; i < run.n; i += shared_) {
      const Choice best = choose((run.first + i) / 8, s);
      for (int k = 0; k < shared_; ++k)
        out[i + k] = int8_t(kLevels[best.down][search_.digit(best.points[k / 8].index, k % 8)]);
    }
  }

  // The code of the group that starts at q, and whether its shift is negative.
  int code(const int8_t* q) const {
    return search_.index_of([&](int d) { return (q[d] + 9) / 8; });
  }
  static bool shifted_down(const int8_t* q) { return (q[0] & 7) == 7; }

 private:
  static constexpr int kLevels[2][3] = {{-7, 1, 9}, {-9, -1, 7}};
  struct Choice {
    Search::Point points[4];
    int down;
  };
  // For `shared` values from octet `first` on.
  Choice choose(int first, float s) const {
    Choice tried[2];
    float error[2] = {};
    for (int down = 0; down < 2; ++down) {
      tried[down].down = down;
      for (int g = 0; g < shared_ / 8; ++g) {
        tried[down].points[g] = search_.nearest(groups_[down][first + g], s);
        error[down] += tried[down].points[g].error;
      }
    }
    return tried[error[1] < error[0]];
  }

  const Search& search_;
  int shared_;
  mutable Search::Group groups_[2][kMostValues / 8];
};

// What fit.h calls.
template <class Levels>
concept GridLevels = requires(const Levels& levels, const Run& run) {
  levels.measure(run, 0.0f);
};

template <GridLevels Levels>
Measure measure(const Run& run, const Levels& levels, float s, float) {
  return levels.measure(run, s);
}
template <GridLevels Levels>
void quantize(const Run& run, const Levels& levels, float s, float, int8_t* out) {
  levels.quantize(run, s, out);
}

// The signs of eight levels.
inline unsigned signs_of(const int8_t* q) {
  unsigned bits = 0;
  for (int k = 0; k < 8; ++k) bits |= unsigned(q[k] < 0) << k;
  return bits;
}

inline constexpr Search kSearchGrid{0.85f, 0.2f, 4, 2, 2};

}  // namespace linnet
