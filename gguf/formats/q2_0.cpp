#include "gguf/formats/q2_0.h"

#include "gguf/formats/fit.h"

namespace linnet {

void Q2_0::encode(const float* x, Block& b, const float* importance) {
  int8_t q[values];
  b.d = fit_half({x, weights_or_ones(importance), values}, Steps{-1, 2}, kSearch2, q);
  for (int i = 0; i < 16; ++i) {
    const int8_t* from = q + 4 * i;
    b.qs[i] = uint8_t((from[0] + 1) | (from[1] + 1) << 2 | (from[2] + 1) << 4 | (from[3] + 1) << 6);
  }
}

}  // namespace linnet
