#include "gguf/formats/nvfp4.h"

#include <limits>

#include "gguf/formats/fp4_fit.h"

namespace linnet {
namespace {

// The code of the UE4M3 float whose half is next below v, or of the least one.
uint8_t ue4m3_below(float v) {
  int code = 0;
  while (code < 126 && half_ue4m3(uint8_t(code + 1)) <= v) ++code;
  return uint8_t(code);
}

}  // namespace

void NVFP4::encode(const float* x, Block& b, const float* importance) {
  for (int j = 0; j < 4; ++j) {
    float v[16];
    saturate(x + 16 * j, 16, v);
    const Run run{v, weights_or_ones(importance) + 16 * j, 16};
    b.d[j] = 0;
    // The scales that put the largest value between a little beyond the last level and the third: all of them are tried.
    const float top = std::abs(range(v, 16).top());
    const int last = std::min(ue4m3_below(top / 3) + 1, 126);
    float least = std::numeric_limits<float>::infinity();
    for (int code = ue4m3_below(0.7f * top / 12); code <= last; ++code) {
      const float error = measure(run, Fp4Levels{}, half_ue4m3(uint8_t(code)), 0.0f).error;
      if (error < least) b.d[j] = uint8_t(code), least = error;
    }
    int8_t q[16];
    quantize(run, Fp4Levels{}, half_ue4m3(b.d[j]), 0.0f, q);
    for (int i = 0; i < 8; ++i) b.qs[8 * j + i] = uint8_t(Fp4Levels::code(q[i]) | Fp4Levels::code(q[i + 8]) << 4);
  }
}

}  // namespace linnet
