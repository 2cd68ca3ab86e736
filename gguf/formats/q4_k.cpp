#include "gguf/formats/q4_k.h"

#include "gguf/formats/super_fit.h"

namespace linnet {

void Q4_K::encode(const float* x, Block& b, const float* importance) {
  const SuperFit fit = SuperScaleMin(x, importance, sub, Steps{0, 15}, 63, kSearch4).fit();
  b.d = fit.d;
  b.dmin = fit.dmin;
  k_pack_scales(fit.scale, fit.min, b.scales);
  for (int i = 0; i < 128; ++i) {
    const int8_t* q = fit.q + i / 32 * 64 + i % 32;
    b.qs[i] = uint8_t(q[0] | q[32] << 4);
  }
}

}  // namespace linnet
