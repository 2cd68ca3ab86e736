#include "gguf/formats/iq2_xs.h"

#include "gguf/formats/grid_fit.h"
#include "gguf/formats/super_fit.h"

namespace linnet {

void IQ2_XS::encode(const float* x, Block& b, const float* importance) {
  static const GridSearch search(kIq2XsGrid, kIq2Levels);
  const SignedLevels levels(search, kIq2Levels, Signs::even, x, importance);
  const SuperFit fit = SuperScale(x, importance, sub, levels, {1, 31, 2}, kSearchGrid, step).fit();
  b.d = fit.d;
  for (int k = 0; k < values / 8; ++k) {
    const int8_t* q = fit.q + 8 * k;
    b.qs[k] = uint16_t(unsigned(levels.code(q)) | (signs_of(q) & 127) << 9);
  }
  for (int j = 0; j < 8; ++j) b.scales[j] = uint8_t(fit.scale[2 * j] / 2 | fit.scale[2 * j + 1] / 2 << 4);
}

}  // namespace linnet
