#include "gguf/formats/mxfp4.h"

#include <cmath>
#include <limits>

#include "gguf/formats/fp4_fit.h"

namespace linnet {

// The scales are powers of two: of those around the one that puts the largest value at the end of the levels, the one of
// least error. The search runs on values brought near 1 by an exact power of two.
void MXFP4::encode(const float* x, Block& b, const float* importance) {
  int exponent = 0;
  std::frexp(range(x, values).top(), &exponent);
  float v[values];
  for (int i = 0; i < values; ++i) v[i] = std::ldexp(x[i], -exponent);
  const Run run{v, weights_or_ones(importance), values};
  float least = std::numeric_limits<float>::infinity();
  int e = 0;
  float scale = 0;
  for (int k = -6; k <= -2; ++k) {  // the largest value is between 1/2 and 1
    const float error = measure(run, Fp4Levels{}, std::ldexp(1.0f, k), 0.0f).error;
    // 12 * 2^(e - 128) is finite up to e = 252.
    const int code = k + exponent + 128;
    if (error < least && code >= 0 && code <= 252) least = error, e = code, scale = std::ldexp(1.0f, k);
  }
  b.e = uint8_t(e);
  int8_t q[values] = {};
  if (scale > 0) quantize(run, Fp4Levels{}, scale, 0.0f, q);
  for (int i = 0; i < 16; ++i) b.qs[i] = uint8_t(Fp4Levels::code(q[i]) | Fp4Levels::code(q[i + 16]) << 4);
}

}  // namespace linnet
