#include "gguf/formats/q3_k.h"

#include <cstring>

#include "gguf/formats/super_fit.h"

namespace linnet {

void Q3_K::encode(const float* x, Block& b, const float* importance) {
  const SuperFit fit = SuperScale(x, importance, sub, Steps{-4, 3}, {-32, 31}, kSearch4).fit();
  b.d = fit.d;
  std::memset(b.hmask, 0, sizeof(b.hmask));
  std::memset(b.qs, 0, sizeof(b.qs));
  std::memset(b.scales, 0, sizeof(b.scales));
  for (int i = 0; i < values; ++i) {
    const int code = fit.q[i] + 4;
    uint8_t& low = b.qs[i / 128 * 32 + i % 32];
    low = uint8_t(low | (code & 3) << i % 128 / 32 * 2);
    b.hmask[i % 32] = uint8_t(b.hmask[i % 32] | code >> 2 << i / 32);
  }
  for (int j = 0; j < values / sub; ++j) {
    const int code = fit.scale[j] + 32;
    b.scales[j % 8] = uint8_t(b.scales[j % 8] | (code & 15) << j / 8 * 4);
    b.scales[8 + j % 4] = uint8_t(b.scales[8 + j % 4] | code >> 4 << j / 4 * 2);
  }
}

}  // namespace linnet
