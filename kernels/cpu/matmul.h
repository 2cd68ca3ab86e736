// Matrix products on the CPU: y = W x for a weight matrix as it lies in the file. Results are canonical
// (matmul_definition.h): the same bits on every instruction set, for any n and any split of the rows.
//
//   codes.h, quads.h                 the integer view that vector paths share
//   gemv.h, slab.h, float_dot.h      one to four tokens; many tokens; float matrices
//   decode_*.h, dot_*.h, matrix_*.h  what one instruction set adds; an instruction set's source includes its matrix_*.h
#pragma once

#include "kernels/cpu/matrix.h"

namespace linnet {
namespace {

template <class S>
struct Matmul {
  static bool can(Type type) {
    bool found = false;
    for_each_format([&]<class F>() { found |= F::type == type; });
    return found;
  }

  // The activation form that a weight type wants: 0 (float32), kForm32 or kForm256.
  static uint32_t form(Type type) {
    uint32_t form = 0;
    for_each_format([&]<class F>() {
      if (F::type == type) form = F::unit == 32 ? uint32_t(kForm32) : F::unit == 256 ? uint32_t(kForm256) : 0u;
    });
    return form;
  }

  // Bytes of scratch that one thread needs for n tokens of `cols` values, whatever the weight type.
  static int64_t scratch_bytes(int64_t n, int64_t cols) {
    int64_t most = 0;
    for_each_format([&]<class F>() {
      const int64_t padded = (cols + F::values - 1) / F::values * F::values;
      const int64_t bytes = MatrixOf<S>::type::template scratch<F>(n, padded);
      if (bytes > most) most = bytes;
    });
    return most;
  }

  // y[t*stride + r], t in [0, n), r in [r0, r1) = (row r of w) . (activation row t). One thread; any range, best
  // aligned to 32 rows. `scratch` is aligned to 64. x has the form that the type wants, and x.cols == w.cols.
  static void rows(float* y, int64_t stride, const Weight& w, const Activations& x, int64_t n, int64_t r0, int64_t r1,
                   std::byte* scratch) {
    for_each_format([&]<class F>() {
      if (F::type == w.type) MatrixOf<S>::type::template rows<F>(y, stride, w, x, n, r0, r1, scratch);
    });
  }
};

}  // namespace
}  // namespace linnet
