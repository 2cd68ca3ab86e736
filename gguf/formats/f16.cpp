#include "gguf/formats/f16.h"

namespace linnet {

void F16::encode(const float* x, Block& b, const float*) {
  // Values beyond the largest half become it, not infinity: one such weight would make every result NaN.
  b.x = to_half(*x > 65504.0f ? 65504.0f : *x < -65504.0f ? -65504.0f : *x);
}

}  // namespace linnet
