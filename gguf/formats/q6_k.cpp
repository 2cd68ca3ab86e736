#include "gguf/formats/q6_k.h"

#include <cstring>

#include "gguf/formats/super_fit.h"

namespace linnet {

void Q6_K::encode(const float* x, Block& b, const float* importance) {
  const SuperFit fit = SuperScale(x, importance, sub, Steps{-32, 31}, {-128, 127}, kSearch4).fit();
  b.d = fit.d;
  for (int j = 0; j < values / sub; ++j) b.scales[j] = int8_t(fit.scale[j]);
  std::memset(b.ql, 0, sizeof(b.ql));
  std::memset(b.qh, 0, sizeof(b.qh));
  for (int i = 0; i < values; ++i) {
    const int code = fit.q[i] + 32, quarter = i % 128 / 32, l = i % 32;
    uint8_t& low = b.ql[i / 128 * 64 + quarter % 2 * 32 + l];
    uint8_t& high = b.qh[i / 128 * 32 + l];
    low = uint8_t(low | (code & 15) << quarter / 2 * 4);
    high = uint8_t(high | code >> 4 << quarter * 2);
  }
}

}  // namespace linnet
