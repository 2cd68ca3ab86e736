#include "gguf/formats/tq2_0.h"

#include "gguf/formats/fit.h"

namespace linnet {

void TQ2_0::encode(const float* x, Block& b, const float* importance) {
  int8_t q[values];
  b.d = fit_half({x, weights_or_ones(importance), values}, Steps{-1, 2}, kSearch2, q);
  for (int i = 0; i < 64; ++i) {
    const int8_t* from = q + i / 32 * 128 + i % 32;
    b.qs[i] = uint8_t((from[0] + 1) | (from[32] + 1) << 2 | (from[64] + 1) << 4 | (from[96] + 1) << 6);
  }
}

}  // namespace linnet
