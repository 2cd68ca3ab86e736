#include "gguf/formats/iq3_s.h"

#include "gguf/formats/grid_fit.h"
#include "gguf/formats/super_fit.h"

namespace linnet {

void IQ3_S::encode(const float* x, Block& b, const float* importance) {
  static const GridSearch search(kIq3SGrid, kIq3SLevels);
  const SignedLevels levels(search, kIq3SLevels, Signs::any, x, importance);
  const SuperFit fit = SuperScale(x, importance, sub, levels, {1, 31, 2}, kSearchGrid, step).fit();
  b.d = fit.d;
  std::memset(b.qh, 0, sizeof(b.qh));
  for (int k = 0; k < values / 4; ++k) {
    const int code = levels.code(fit.q + 4 * k);
    b.qs[k] = uint8_t(code);
    b.qh[k / 8] = uint8_t(b.qh[k / 8] | code >> 8 << k % 8);
  }
  for (int k = 0; k < values / 8; ++k) b.signs[k] = uint8_t(signs_of(fit.q + 8 * k));
  for (int j = 0; j < 4; ++j) b.scales[j] = uint8_t(fit.scale[2 * j] / 2 | fit.scale[2 * j + 1] / 2 << 4);
}

}  // namespace linnet
