// What a vocabulary S brings for matrix products: MatrixOf<S>::type, a struct with
//
//   template <class F> static void rows(float* y, int64_t stride, const Weight& w, const Activations& x, int64_t n,
//                                       int64_t r0, int64_t r1, std::byte* scratch);      as Matmul<S>::rows
//   template <class F> static constexpr int64_t scratch(int64_t n, int64_t cols);         bytes that it needs
//
// matrix_scalar.h runs the definition; vector_matrix.h has what vector instruction sets share, and says what they add.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/codes.h"
#include "kernels/kernels.h"

namespace linnet {
namespace {

template <class S>
struct MatrixOf;

// The activations in the 8-bit form that F wants, from those of a verb.
template <class F>
LINNET_INLINE QuantRows quant_rows(const Activations& x) {
  if constexpr (F::unit == 32)
    return {x.q32, x.sum32, x.d32, x.cols, x.cols / 32, x.cols / 32};
  else
    return {x.q256, x.sum16, x.d256, x.cols, x.cols / 16, x.cols / 256};
}

}  // namespace
}  // namespace linnet
