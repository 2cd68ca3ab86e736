#include "gguf/formats/q1_0.h"

#include "gguf/formats/fit.h"

namespace linnet {
namespace {

// Levels -1 and 1.
struct Sign {
  float lo = -1, hi = 1;
  Float4 nearest(Float4 v) const { return v < 0 ? Float4{} - 1 : Float4{} + 1; }
};

}  // namespace

void Q1_0::encode(const float* x, Block& b, const float* importance) {
  int8_t q[values];
  b.d = fit_half({x, weights_or_ones(importance), values}, Sign{}, kSearch2, q);
  for (int i = 0; i < 16; ++i) {
    unsigned bits = 0;
    for (int k = 0; k < 8; ++k) bits |= unsigned(q[8 * i + k] > 0) << k;
    b.qs[i] = uint8_t(bits);
  }
}

}  // namespace linnet
