#include "gguf/formats/iq1_s.h"

#include "gguf/formats/grid_fit.h"
#include "gguf/formats/super_fit.h"

namespace linnet {

void IQ1_S::encode(const float* x, Block& b, const float* importance) {
  static const ShiftedLevels::Search search(kIq1Grid, kIq1Levels);
  const ShiftedLevels levels(search, 32, x, importance);
  const SuperFit fit = SuperScale(x, importance, sub, levels, {1, 15, 2}, kSearchGrid, step).fit();
  b.d = fit.d;
  for (int j = 0; j < values / sub; ++j) {
    unsigned high = unsigned(fit.scale[j] / 2) << 12 | unsigned(ShiftedLevels::shifted_down(fit.q + 32 * j)) << 15;
    for (int g = 0; g < 4; ++g) {
      const int code = levels.code(fit.q + 32 * j + 8 * g);
      b.qs[4 * j + g] = uint8_t(code);
      high |= unsigned(code >> 8) << (3 * g);
    }
    b.qh[j] = uint16_t(high);
  }
}

}  // namespace linnet
