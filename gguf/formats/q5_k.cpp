#include "gguf/formats/q5_k.h"

#include <cstring>

#include "gguf/formats/super_fit.h"

namespace linnet {

void Q5_K::encode(const float* x, Block& b, const float* importance) {
  const SuperFit fit = SuperScaleMin(x, importance, sub, Steps{0, 31}, 63, kSearch5).fit();
  b.d = fit.d;
  b.dmin = fit.dmin;
  k_pack_scales(fit.scale, fit.min, b.scales);
  for (int i = 0; i < 128; ++i) {
    const int8_t* q = fit.q + i / 32 * 64 + i % 32;
    b.qs[i] = uint8_t((q[0] & 15) | (q[32] & 15) << 4);
  }
  std::memset(b.qh, 0, sizeof(b.qh));
  for (int i = 0; i < values; ++i) b.qh[i % 32] = uint8_t(b.qh[i % 32] | fit.q[i] >> 4 << (i / 32));
}

}  // namespace linnet
