// Puts scales into blocks of any format, for tests and benchmarks that fill the rest with arbitrary bytes.
#pragma once

#include <cmath>

#include "gguf/formats/formats.h"

namespace linnet {

// d as a format stores it: the same, a float, or the nearest smaller float of its kind; `low` where there is a minimum,
// and as every second scale of a block that has several.
template <class F>
void set_scales(typename F::Block& b, Half d, Half low) {
  if constexpr (F::type == Type::iq1_m) {
    for (int i = 0; i < 4; ++i) b.scales[i] = uint16_t((b.scales[i] & 0xfff) | (d.bits >> (4 * i) & 15) << 12);
  } else if constexpr (F::type == Type::mxfp4) {
    b.e = uint8_t(d.bits & 0x7fff ? 128 + std::ilogb(to_float(d)) : 0);
  } else if constexpr (F::type == Type::nvfp4) {
    for (int j = 0; j < 4; ++j) {
      b.d[j] = 0;
      while (b.d[j] < 126 && half_ue4m3(uint8_t(b.d[j] + 1)) <= std::abs(to_float(j % 2 ? low : d))) ++b.d[j];
    }
  } else if constexpr (requires { b.d; }) {
    if constexpr (sizeof(b.d) == sizeof(float))
      b.d = to_float(d);
    else
      b.d = d;
  }
  if constexpr (requires { b.dmin; }) b.dmin = low;
  if constexpr (requires { b.m; }) b.m = low;
}

}  // namespace linnet
