// The scalar vocabulary: one lane. It is the definition; the others do the same on more lanes.
//
// Every member of a vocabulary is one or a few instructions. The float part is what gguf/base/math.h lists, and:
//   load, store              width floats, any address
//   load_n, store_n          the first n of them, 0 <= n <= width; lanes beyond n load as +0
//   load_half, store_half    the same for binary16, rounded to nearest even; load_half_n, store_half_n
//   load_i8, load_i8_n       width int8s to int32
//   store_i8                 int32s within -128..127 to int8
//   le                       mask: a <= b
//   range(lo, hi)            the mask of lanes lo <= i < hi (lo and hi may lie outside of the vector)
//   any, mask_bits, mask_or  masks as truth, bits, union
//   sum_tree, max_tree       halving trees: a[i] = a[i] op a[i + w], w = width/2 .. 1
//   sum_int                  exact sum of the lanes
//   int8_step                four int8 multiply-adds a lane from registers: the unit of the measured peak (peak.h)
//   dot4_start, dot4         the exact sum of k*q over 4 bytes per lane: acc = dot4_start(sum of all q of the chain), then
//                            acc = dot4(acc, k [width][4], q 4 bytes repeated), at the end of the chain acc is sum k*q
#pragma once

#include <cstring>

#include "gguf/base/half.h"
#include "gguf/base/inline.h"
#include "gguf/base/math.h"

namespace linnet {
namespace {

struct Scalar : math::ScalarMath {
  static constexpr int width = 1;

  LINNET_INLINE static M le(F a, F b) { return a <= b; }
  LINNET_INLINE static F load(const float* p) { return *p; }
  LINNET_INLINE static void store(float* p, F x) { *p = x; }
  LINNET_INLINE static F load_n(const float* p, int64_t n) { return n > 0 ? *p : 0.0f; }
  LINNET_INLINE static void store_n(float* p, F x, int64_t n) {
    if (n > 0) *p = x;
  }
  LINNET_INLINE static F load_half(const Half* p) { return linnet::to_float(*p); }
  LINNET_INLINE static F load_half_n(const Half* p, int64_t n) { return n > 0 ? linnet::to_float(*p) : 0.0f; }
  LINNET_INLINE static void store_half(Half* p, F x) { *p = to_half(x); }
  LINNET_INLINE static void store_half_n(Half* p, F x, int64_t n) {
    if (n > 0) *p = to_half(x);
  }
  LINNET_INLINE static I load_i8(const int8_t* p) { return *p; }
  LINNET_INLINE static I load_i8_n(const int8_t* p, int64_t n) { return n > 0 ? *p : 0; }
  LINNET_INLINE static void store_i8(int8_t* p, I x) { *p = static_cast<int8_t>(x); }
  LINNET_INLINE static M range(int64_t lo, int64_t hi) { return lo <= 0 && hi > 0; }
  LINNET_INLINE static bool any(M m) { return m; }
  LINNET_INLINE static uint32_t mask_bits(M m) { return m; }
  LINNET_INLINE static M mask_or(M a, M b) { return a || b; }
  LINNET_INLINE static float sum_tree(F x) { return x; }
  LINNET_INLINE static float max_tree(F x) { return x; }
  LINNET_INLINE static int32_t sum_int(I x) { return x; }
  LINNET_INLINE static I int8_step(I acc, I a, I b) {  // a chain that no compiler shortens
    for (int i = 0; i < 4; ++i) acc = iadd(I(uint32_t(acc) * uint32_t(a)), b);
    return acc;
  }
  LINNET_INLINE static I dot4_start(int32_t) { return 0; }
  LINNET_INLINE static I dot4(I acc, const int8_t* k, const int8_t* q) {
    for (int i = 0; i < 4; ++i) acc += k[i] * q[i];
    return acc;
  }
};

}  // namespace
}  // namespace linnet
