// The 8-bit forms of activations (kernels.h): per unit amax, d = amax/127, q = round(x * (127/amax)).
// A NaN does not count for amax and becomes 0; an infinity makes d infinite and every q 0.
#pragma once

#include <cstdint>

#include "kernels/cpu/simd_scalar.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

// x rounded to the nearest even integer in -127..127, NaN to 0.
template <class S>
LINNET_INLINE typename S::I round_code(typename S::F x) {
  x = S::min(S::set(127.0f), S::max(S::set(-127.0f), x));
  x = S::select(S::unordered(x), S::set(0.0f), x);
  return S::isub(S::bits(S::add(x, S::set(math::kRound))), S::iset(math::kRoundBits));
}

// Largest |x| of n values, n a multiple of 16; NaN is passed over.
template <class S>
LINNET_INLINE float amax_of(const float* x, int64_t n) {
  typename S::F a = S::set(0.0f);
  for (int64_t k = 0; k < n; k += S::width)
    a = S::max(S::from_bits(S::iand(S::bits(S::load(x + k)), S::iset(INT32_MAX))), a);
  return S::max_tree(a);
}

// Codes of n values (a multiple of 16) and their exact sum.
template <class S>
LINNET_INLINE int32_t quantize_codes(const float* x, int64_t n, float inverse, int8_t* q) {
  typename S::I sum = S::iset(0);
  for (int64_t k = 0; k < n; k += S::width) {
    const auto code = round_code<S>(S::mul(S::load(x + k), S::set(inverse)));
    S::store_i8(q + k, code);
    sum = S::iadd(sum, code);
  }
  return S::sum_int(sum);
}

// Rounded to 11 significant bits, half to even: what a binary16 scale of normal size keeps. The product with a weight's
// binary16 scale is then exact in float32, and the numbers are those of the field's other engines, which store d so.
LINNET_INLINE float eleven_bits(float d) {
  const uint32_t bits = __builtin_bit_cast(uint32_t, d);
  return __builtin_bit_cast(float, (bits + 0xfffu + ((bits >> 13) & 1u)) & ~0x1fffu);
}

// One unit of 32: returns d.
template <class S>
LINNET_INLINE float quantize_32(const float* x, int8_t* q, int32_t* sum) {
  const float amax = amax_of<S>(x, 32);
  *sum = quantize_codes<S>(x, 32, amax > 0.0f ? 127.0f / amax : 0.0f, q);
  return eleven_bits(amax / 127.0f);
}

// Fills the forms of columns [c0, c1) of one row from its float32 form; c0 and c1 are multiples of the forms' units.
template <class S>
LINNET_INLINE void quantize_columns(const Activations& a, uint32_t forms, int64_t row, int64_t c0, int64_t c1) {
  const float* x = a.f32 + row * a.cols;
  if (forms & kForm32)
    for (int64_t c = c0; c < c1; c += 32) {
      int32_t sum;
      a.d32[(row * a.cols + c) / 32] = quantize_32<S>(x + c, a.q32 + row * a.cols + c, &sum);
      a.sum32[(row * a.cols + c) / 32] = static_cast<int16_t>(sum);
    }
  if (forms & kForm256)
    for (int64_t c = c0; c < c1; c += 256) {
      const float amax = amax_of<S>(x + c, 256);
      const float inverse = amax > 0.0f ? 127.0f / amax : 0.0f;
      a.d256[(row * a.cols + c) / 256] = amax / 127.0f;
      for (int64_t k = c; k < c + 256; k += 16)
        a.sum16[(row * a.cols + k) / 16] =
            static_cast<int16_t>(quantize_codes<S>(x + k, 16, inverse, a.q256 + row * a.cols + k));
    }
}

// Columns that one piece of quantizing work must be a multiple of.
LINNET_INLINE int64_t form_unit(uint32_t forms) { return forms & kForm256 ? 256 : forms & kForm32 ? 32 : 1; }

}  // namespace
}  // namespace linnet
