#include "gguf/formats/f32.h"

namespace linnet {

void F32::encode(const float* x, Block& b, const float*) { b.x = *x; }

}  // namespace linnet
