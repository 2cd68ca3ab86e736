// How many int8 multiply-adds a core can do at most: the yardstick of matrix products.
#pragma once

#include <cstdint>

#include "gguf/base/inline.h"

namespace linnet {
namespace {

// Twelve independent chains in registers, enough to hide the latency of two multiply units. Returns the operations done
// by `rounds` rounds, a multiply-add counted as 2.
template <class S>
int64_t int8_peak(int64_t rounds) {
  constexpr int chains = 12;
  typename S::I a[chains];
  for (int c = 0; c < chains; ++c) a[c] = S::iset(c);
  const auto x = S::iset(0x01020304), y = S::iset(0x04030201);
  for (int64_t i = 0; i < rounds; ++i)
    for (int c = 0; c < chains; ++c) a[c] = S::int8_step(a[c], x, y);
  auto sum = a[0];
  for (int c = 1; c < chains; ++c) sum = S::iadd(sum, a[c]);
  volatile int32_t kept = S::sum_int(sum);
  (void)kept;
  return rounds * chains * S::width * 4 * 2;
}

}  // namespace
}  // namespace linnet
