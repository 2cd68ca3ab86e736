#include "gguf/formats/q8_1.h"

#include <cstring>

#include "gguf/formats/fit.h"

namespace linnet {

void Q8_1::encode(const float* x, Block& b, const float* importance) {
  int8_t q[32];
  b.d = fit_half({x, weights_or_ones(importance), values}, Steps{-127, 127}, kSearch8, q);
  std::memcpy(b.qs, q, sizeof(q));
  int sum = 0;
  for (const int8_t code : q) sum += code;
  b.s = finite_half(to_float(b.d) * float(sum));
}

}  // namespace linnet
