#include "gguf/formats/bf16.h"

namespace linnet {

void BF16::encode(const float* x, Block& b, const float*) {
  // The last floats would round to infinity: they become the largest bfloat16.
  constexpr float largest = 0x1.fep127f;
  b.x = to_bfloat16(*x > largest ? largest : *x < -largest ? -largest : *x);
}

}  // namespace linnet
