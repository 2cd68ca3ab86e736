#include "gguf/formats/tq1_0.h"

#include "gguf/formats/fit.h"

namespace linnet {

void TQ1_0::encode(const float* x, Block& b, const float* importance) {
  int8_t q[values];
  b.d = fit_half({x, weights_or_ones(importance), values}, Steps{-1, 1}, kSearch2, q);
  // `digits` digits, the first at q[at], `apart` values from one to the next: as a fraction of 256 in base 3, rounded up
  // so that no digit is lost.
  const auto byte = [&](int at, int apart, int digits) {
    int n = 0;
    for (int i = 0; i < 5; ++i) n = 3 * n + (i < digits ? q[at + i * apart] + 1 : 0);
    return uint8_t((n * 256 + 242) / 243);
  };
  for (int m = 0; m < 32; ++m) b.qs[m] = byte(m, 32, 5);
  for (int m = 0; m < 16; ++m) b.qs[32 + m] = byte(160 + m, 16, 5);
  for (int m = 0; m < 4; ++m) b.qh[m] = byte(240 + m, 4, 4);
}

}  // namespace linnet
