// Which path a matrix product takes on a vector instruction set: few tokens stream the matrix row by row (gemv.h), many
// share unpacked slabs (slab.h), floats have their own tiles (float_dot.h). All give the same bits.
//
// M, the instruction set's part, brings
//   Simd                          its vocabulary
//   lanes, vectors, tokens        rows per register, registers and tokens per slab tile
//   slab_from                     tokens from which slabs are faster
//   start_sums, signed_bytes      how it deals with offsets (slab.h)
//   float_rows, float_tokens      the tile of float products
//   load_bfloat16                 `lanes` of them to float
//   group                         the integer sums of a group of units with N tokens
//   unit_bytes, unit_words, transpose4, put_scales, put_min_pairs, put_offset_pairs   a slab's parts
//   unit_sums, unit_min_sums      its products
#pragma once

#include "kernels/cpu/float_dot.h"
#include "kernels/cpu/gemv.h"
#include "kernels/cpu/matrix.h"
#include "kernels/cpu/slab.h"

namespace linnet {
namespace {

template <class M>
struct VectorMatrix {
  template <class F>
  static constexpr int64_t scratch(int64_t n, int64_t cols) {
    if constexpr (is_quantized<F>)
      return n < M::template slab_from<F> ? 0 : slab_scratch<M, F>(cols);
    else
      return n < kManyTokens ? 0 : float_scratch<M>(cols);
  }

  template <class F>
  static void rows(float* y, int64_t stride, const Weight& w, const Activations& x, int64_t n, int64_t r0, int64_t r1,
                   std::byte* scratch) {
    if constexpr (!is_quantized<F>) {
      float_rows<M, F>(y, stride, w, x.f32, n, r0, r1, scratch);
    } else {
      const QuantRows q = quant_rows<F>(x);
      if (n >= M::template slab_from<F>) return slab_rows<M, F>(y, stride, w, q, n, r0, r1, scratch);
      const int64_t passes = (n + 3) / 4;  // of about equally many tokens, at most four
      for (int64_t pass = 0; pass < passes; ++pass) {
        const int64_t t = n * pass / passes, tokens = n * (pass + 1) / passes - t;
        const QuantRows at = {q.q + t * q.q_stride, q.sums + t * q.sums_stride,
                              q.d + t * q.d_stride, q.q_stride,
                              q.sums_stride,        q.d_stride};
        float* out = y + t * stride;
        if (tokens == 1)
          gemv<M, F, 1>(out, stride, w, at, r0, r1);
        else if (tokens == 2)
          gemv<M, F, 2>(out, stride, w, at, r0, r1);
        else if (tokens == 3)
          gemv<M, F, 3>(out, stride, w, at, r0, r1);
        else
          gemv<M, F, 4>(out, stride, w, at, r0, r1);
      }
    }
  }
};

}  // namespace
}  // namespace linnet
