#include "gguf/formats/iq2_xxs.h"

#include "gguf/formats/grid_fit.h"
#include "gguf/formats/super_fit.h"

namespace linnet {

void IQ2_XXS::encode(const float* x, Block& b, const float* importance) {
  static const GridSearch search(kIq2XxsGrid, kIq2Levels);
  const SignedLevels levels(search, kIq2Levels, Signs::even, x, importance);
  const SuperFit fit = SuperScale(x, importance, sub, levels, {1, 31, 2}, kSearchGrid, step).fit();
  b.d = fit.d;
  for (int j = 0; j < values / sub; ++j) {
    uint32_t bits = uint32_t(fit.scale[j] / 2) << 28;
    for (int g = 0; g < 4; ++g) {
      const int8_t* q = fit.q + 32 * j + 8 * g;
      b.qs[8 * j + g] = uint8_t(levels.code(q));
      bits |= (signs_of(q) & 127) << (7 * g);
    }
    std::memcpy(b.qs + 8 * j + 4, &bits, 4);
  }
}

}  // namespace linnet
