#include "gguf/formats/q8_k.h"

#include <cmath>

#include "gguf/formats/fit.h"

namespace linnet {

// The scale is a float32, so the block's whole range is reachable: the search runs on values brought near 1 by an exact
// power of two, and codes are made in double with the scale as stored (it may be subnormal).
void Q8_K::encode(const float* x, Block& b, const float* importance) {
  const Range r = range(x, values);
  int exponent = 0;
  std::frexp(r.top(), &exponent);
  float v[values];
  for (int i = 0; i < values; ++i) v[i] = std::ldexp(x[i], -exponent);
  const Fit fit = fit_scale({v, weights_or_ones(importance), values}, Steps{-127, 127}, kSearch8);
  // No further than 127 d stays finite.
  b.d = std::min(std::max(std::ldexp(fit.s, exponent), -0x1.02p121f), 0x1.02p121f);
  for (int i = 0; i < values; ++i) {
    const double q = b.d == 0 ? 0 : std::nearbyint(double(x[i]) / double(b.d));
    b.qs[i] = int8_t(q > -127 ? (q < 127 ? q : 127) : -127);
  }
  for (int j = 0; j < 16; ++j) {
    int sum = 0;
    for (int i = 0; i < 16; ++i) sum += b.qs[j * 16 + i];
    b.sums[j] = int16_t(sum);
  }
}

}  // namespace linnet
