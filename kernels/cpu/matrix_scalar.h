// Matrix products of the scalar backend: the definition, row by row.
#pragma once

#include "kernels/cpu/matmul_definition.h"
#include "kernels/cpu/matrix.h"
#include "kernels/cpu/simd_scalar.h"

namespace linnet {
namespace {

struct ScalarMatrix {
  template <class F>
  static constexpr int64_t scratch(int64_t, int64_t cols) {
    return is_quantized<F> ? cols * kIntegerRowBytes : 0;
  }

  template <class F>
  static void rows(float* y, int64_t stride, const Weight& w, const Activations& x, int64_t n, int64_t r0, int64_t r1,
                   std::byte* scratch) {
    const typename F::Block* blocks = static_cast<const typename F::Block*>(w.data);
    for (int64_t r = r0; r < r1; ++r) {
      const typename F::Block* row = blocks + r * (w.cols / F::values);
      if constexpr (is_quantized<F>) {
        const IntegerRow integers = IntegerRow::in(scratch, w.cols);
        unpack_row<F>(row, w.cols, integers);
        const QuantRows q = quant_rows<F>(x);
        for (int64_t t = 0; t < n; ++t)
          y[t * stride + r] =
              dot_quantized<UnitFormat<F>>(integers, q.q + t * q.q_stride, q.d + t * q.d_stride, w.cols);
      } else {
        for (int64_t t = 0; t < n; ++t) y[t * stride + r] = dot_float<F>(row, x.f32 + t * w.cols, w.cols);
      }
    }
  }
};

template <>
struct MatrixOf<Scalar> {
  using type = ScalarMatrix;
};

}  // namespace
}  // namespace linnet
