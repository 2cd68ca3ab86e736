// The levels of E2M1 floats for the searches of fit.h: what the encoders of MXFP4 and NVFP4 share.
#pragma once

#include "gguf/formats/fit.h"
#include "gguf/formats/mxfp4.h"

namespace linnet {

struct Fp4Levels {
  float lo = -12, hi = 12;
  // Levels are 1 apart up to 4, then 2, then 4: rounded in the step of their octave. Ties go to the even code or away
  // from zero; either is as near.
  Float4 nearest(Float4 v) const {
    const Float4 magnitude = clamp4(v < 0 ? -v : v, 0, hi);
    const Float4 step = magnitude < 3.5f ? Float4{} + 1 : magnitude < 7 ? Float4{} + 2 : Float4{} + 4;
    const Float4 inverse = magnitude < 3.5f ? Float4{} + 1 : magnitude < 7 ? Float4{} + 0.5f : Float4{} + 0.25f;
    const Float4 level = ((magnitude * inverse + 0x1.8p23f) - 0x1.8p23f) * step;
    return v < 0 ? -level : level;
  }
  // The code of a level.
  static uint8_t code(int level) {
    for (uint8_t c = 0; c < 16; ++c)
      if (kFp4Table[c] == level) return c;
    return 0;
  }
};

}  // namespace linnet
