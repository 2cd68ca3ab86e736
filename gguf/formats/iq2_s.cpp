#include "gguf/formats/iq2_s.h"

#include "gguf/formats/grid_fit.h"
#include "gguf/formats/super_fit.h"

namespace linnet {

void IQ2_S::encode(const float* x, Block& b, const float* importance) {
  static const GridSearch search(kIq2SGrid, kIq2Levels);
  const SignedLevels levels(search, kIq2Levels, Signs::any, x, importance);
  const SuperFit fit = SuperScale(x, importance, sub, levels, {1, 31, 2}, kSearchGrid, step).fit();
  b.d = fit.d;
  std::memset(b.qh, 0, sizeof(b.qh));
  for (int k = 0; k < values / 8; ++k) {
    const int8_t* q = fit.q + 8 * k;
    const int code = levels.code(q);
    b.qs[k] = uint8_t(code);
    b.qh[k / 4] = uint8_t(b.qh[k / 4] | code >> 8 << k % 4 * 2);
    b.signs[k] = uint8_t(signs_of(q));
  }
  for (int j = 0; j < 8; ++j) b.scales[j] = uint8_t(fit.scale[2 * j] / 2 | fit.scale[2 * j + 1] / 2 << 4);
}

}  // namespace linnet
