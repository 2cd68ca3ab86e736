// RMS and layer norm, with the 8-bit forms of the result.
//   rms:   r = 1/sqrt(sum(x^2)/n + eps),                 out = (x * r) * weight
//   layer: mean = sum(x)/n, c = x - mean, r = 1/sqrt(sum(c^2)/n + eps), out = (c * r) * weight + bias
#pragma once

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/quantize_activations.h"
#include "kernels/cpu/work.h"

namespace linnet {
namespace {

LINNET_INLINE float inverse_root(float sum, int64_t n, float eps) {
  return 1.0f / __builtin_sqrtf(sum / static_cast<float>(n) + eps);
}

// out may be x.
template <class S>
void rms_norm_row(const float* x, const float* weight, int64_t n, float eps, float* out) {
  const float r = inverse_root(sum_of_squares<S>(x, n), n, eps);
  if (weight)
    for (int64_t k = 0; k < n; ++k) out[k] = x[k] * r * weight[k];
  else
    for (int64_t k = 0; k < n; ++k) out[k] = x[k] * r;
}

template <class S>
void layer_norm_row(const float* x, const float* weight, int64_t n, float eps, float* out) {
  const float mean = sum_of<S>(x, n) / static_cast<float>(n);
  for (int64_t k = 0; k < n; ++k) out[k] = x[k] - mean;
  rms_norm_row<S>(out, weight, n, eps, out);
}

// out may be x.
template <class S>
void norm_row(Norm kind, const float* x, const float* weight, int64_t n, float eps, float* out) {
  if (kind == Norm::rms) return rms_norm_row<S>(x, weight, n, eps, out);
  if (kind == Norm::layer) return layer_norm_row<S>(x, weight, n, eps, out);
  for (int64_t k = 0; k < n; ++k) out[k] = x[k];
}

template <class S>
struct NormJob {
  const NormArgs& a;

  void work(Team team) const {
    const int64_t cols = a.out.cols;
    const Range rows = share(a.n, 1, team);
    for (int64_t t = rows.begin; t < rows.end; ++t) {
      const float* x = a.x + t * cols;
      float* out = a.out.f32 + t * cols;
      norm_row<S>(a.kind, x, a.weight, cols, a.eps, out);
      for (int64_t k = 0; a.bias && k < cols; ++k) out[k] += a.bias[k];
      quantize_columns<S>(a.out, a.forms, t, 0, cols);
      if (!a.add_to) continue;
      float* sum = a.add_to + t * cols;
      for (int64_t k = 0; k < cols; ++k) sum[k] += a.add_scale * out[k];
    }
  }
};

template <class S>
void norm(Exec& exec, const NormArgs& a) {
  NormJob<S> job{a};
  start_job(exec, job, a.n == 1 ? 0 : a.n * a.out.cols);
}

}  // namespace
}  // namespace linnet
