#include "gguf/formats/q2_k.h"

#include "gguf/formats/super_fit.h"

namespace linnet {

void Q2_K::encode(const float* x, Block& b, const float* importance) {
  const SuperFit fit = SuperScaleMin(x, importance, sub, Steps{0, 3}, 15, kSearch4).fit();
  b.d = fit.d;
  b.dmin = fit.dmin;
  for (int j = 0; j < values / sub; ++j) b.scales[j] = uint8_t(fit.scale[j] | fit.min[j] << 4);
  for (int i = 0; i < 64; ++i) {
    const int8_t* q = fit.q + i / 32 * 128 + i % 32;
    b.qs[i] = uint8_t(q[0] | q[32] << 2 | q[64] << 4 | q[96] << 6);
  }
}

}  // namespace linnet
