#include "gguf/formats/q4_0.h"

#include "gguf/formats/fit.h"

namespace linnet {

void Q4_0::encode(const float* x, Block& b, const float* importance) {
  int8_t q[32];
  b.d = fit_half({x, weights_or_ones(importance), values}, Steps{-8, 7}, kSearch4, q);
  for (int i = 0; i < 16; ++i) b.qs[i] = uint8_t((q[i] + 8) | (q[i + 16] + 8) << 4);
}

}  // namespace linnet
