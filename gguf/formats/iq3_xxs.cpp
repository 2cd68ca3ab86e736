#include "gguf/formats/iq3_xxs.h"

#include "gguf/formats/grid_fit.h"
#include "gguf/formats/super_fit.h"

namespace linnet {

void IQ3_XXS::encode(const float* x, Block& b, const float* importance) {
  static const GridSearch search(kIq3XxsGrid, kIq3XxsLevels);
  const SignedLevels levels(search, kIq3XxsLevels, Signs::even, x, importance);
  const SuperFit fit = SuperScale(x, importance, sub, levels, {1, 31, 2}, kSearchGrid, step).fit();
  b.d = fit.d;
  for (int k = 0; k < values / 4; ++k) b.qs[k] = uint8_t(levels.code(fit.q + 4 * k));
  for (int j = 0; j < values / sub; ++j) {
    uint32_t bits = uint32_t(fit.scale[j] / 2) << 28;
    for (int g = 0; g < 4; ++g) bits |= (signs_of(fit.q + 32 * j + 8 * g) & 127) << (7 * g);
    std::memcpy(b.signs + 4 * j, &bits, 4);
  }
}

}  // namespace linnet
