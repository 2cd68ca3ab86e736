#include "gguf/formats/q8_0.h"

#include <cstring>

#include "gguf/formats/fit.h"

namespace linnet {

void Q8_0::encode(const float* x, Block& b, const float* importance) {
  int8_t q[32];
  b.d = fit_half({x, weights_or_ones(importance), values}, Steps{-127, 127}, kSearch8, q);
  std::memcpy(b.qs, q, sizeof(q));
}

}  // namespace linnet
