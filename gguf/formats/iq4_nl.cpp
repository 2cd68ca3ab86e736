#include "gguf/formats/iq4_nl.h"

#include "gguf/formats/fit.h"

namespace linnet {

void IQ4_NL::encode(const float* x, Block& b, const float* importance) {
  int8_t q[32];
  b.d = fit_half({x, weights_or_ones(importance), values}, Iq4Levels{}, kSearch4, q);
  for (int i = 0; i < 16; ++i) b.qs[i] = uint8_t(Iq4Levels::code(q[i]) | Iq4Levels::code(q[i + 16]) << 4);
}

}  // namespace linnet
