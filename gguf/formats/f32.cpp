#include "gguf/formats/f32.h"

namespace linnet {

void F32::encode(const float* x, Block& b) { b.x = *x; }

}  // namespace linnet
