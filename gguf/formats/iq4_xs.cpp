#include "gguf/formats/iq4_xs.h"

#include <cstring>

#include "gguf/formats/super_fit.h"

namespace linnet {

void IQ4_XS::encode(const float* x, Block& b, const float* importance) {
  const SuperFit fit = SuperScale(x, importance, sub, Iq4Levels{}, {-32, 31}, kSearch4).fit();
  b.d = fit.d;
  unsigned high = 0;
  std::memset(b.scales_l, 0, sizeof(b.scales_l));
  for (int j = 0; j < values / sub; ++j) {
    const unsigned code = unsigned(fit.scale[j] + 32);
    b.scales_l[j / 2] = uint8_t(b.scales_l[j / 2] | (code & 15) << j % 2 * 4);
    high |= code >> 4 << 2 * j;
  }
  b.scales_h = uint16_t(high);
  for (int i = 0; i < 128; ++i) {
    const int8_t* q = fit.q + i / 16 * 32 + i % 16;
    b.qs[i] = uint8_t(Iq4Levels::code(q[0]) | Iq4Levels::code(q[16]) << 4);
  }
}

}  // namespace linnet
