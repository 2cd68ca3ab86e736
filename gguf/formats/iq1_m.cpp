#include "gguf/formats/iq1_m.h"

#include <cstring>

#include "gguf/formats/grid_fit.h"
#include "gguf/formats/super_fit.h"

namespace linnet {

void IQ1_M::encode(const float* x, Block& b, const float* importance) {
  static const ShiftedLevels::Search search(kIq1Grid, kIq1Levels);
  const ShiftedLevels levels(search, 8, x, importance);
  const SuperFit fit = SuperScale(x, importance, sub, levels, {1, 15, 2}, kSearchGrid, step).fit();
  std::memset(b.qh, 0, sizeof(b.qh));
  for (int k = 0; k < values / 8; ++k) {
    const int8_t* q = fit.q + 8 * k;
    const int code = levels.code(q);
    b.qs[k] = uint8_t(code);
    b.qh[k / 2] = uint8_t(b.qh[k / 2] | (code >> 8 | ShiftedLevels::shifted_down(q) << 3) << k % 2 * 4);
  }
  for (int i = 0; i < 4; ++i) {
    unsigned word = (fit.d.bits >> (4 * i) & 15u) << 12;
    for (int j = 0; j < 4; ++j) word |= unsigned(fit.scale[4 * i + j] / 2) << (3 * j);
    b.scales[i] = uint16_t(word);
  }
}

}  // namespace linnet
