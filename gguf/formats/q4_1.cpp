#include "gguf/formats/q4_1.h"

#include "gguf/formats/fit.h"

namespace linnet {

void Q4_1::encode(const float* x, Block& b, const float* importance) {
  int8_t q[32];
  const HalfPair fit = fit_half_pair({x, weights_or_ones(importance), values}, Steps{0, 15}, kSearch4, q);
  b.d = fit.d;
  b.m = fit.offset;
  for (int i = 0; i < 16; ++i) b.qs[i] = uint8_t(q[i] | q[i + 16] << 4);
}

}  // namespace linnet
