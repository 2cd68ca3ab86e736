#include "gguf/formats/q5_0.h"

#include <cstring>

#include "gguf/formats/fit.h"

namespace linnet {

void Q5_0::encode(const float* x, Block& b, const float* importance) {
  int8_t q[32];
  b.d = fit_half({x, weights_or_ones(importance), values}, Steps{-16, 15}, kSearch5, q);
  std::memset(b.qh, 0, sizeof(b.qh));
  for (int i = 0; i < 32; ++i) b.qh[i / 8] = uint8_t(b.qh[i / 8] | (q[i] + 16) >> 4 << (i % 8));
  for (int i = 0; i < 16; ++i) b.qs[i] = uint8_t(((q[i] + 16) & 15) | ((q[i + 16] + 16) & 15) << 4);
}

}  // namespace linnet
