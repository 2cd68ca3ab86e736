// y = scale * (W x + delta + bias) (+ y), several matrices that share x. Each member computes and finishes its own rows:
// no barrier.
#pragma once

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/matmul.h"
#include "kernels/cpu/work.h"

namespace linnet {
namespace {

// Where a verb's products lie in scratch: [products floats], then one matrix-product area per member.
template <class S>
struct MatrixScratch {
  float* products;
  std::byte* areas;
  int64_t area_bytes;

  MatrixScratch(const Exec& exec, int64_t n, int64_t cols, int64_t product_count)
      : products(reinterpret_cast<float*>(exec.scratch)),
        areas(exec.scratch + round_up(product_count * 4, 64)),
        area_bytes(round_up(Matmul<S>::scratch_bytes(n, cols), 64)) {}
  std::byte* area(Team team) const { return areas + team.rank * area_bytes; }
};

// The rows of `x` from one on.
LINNET_INLINE Activations rows_from(const Activations& x, int64_t row) {
  const int64_t c = x.cols;
  return {.cols = c,
          .f32 = x.f32 + row * c,
          .q32 = x.q32 ? x.q32 + row * c : nullptr,
          .d32 = x.d32 ? x.d32 + row * (c / 32) : nullptr,
          .sum32 = x.sum32 ? x.sum32 + row * (c / 32) : nullptr,
          .q256 = x.q256 ? x.q256 + row * c : nullptr,
          .d256 = x.d256 ? x.d256 + row * (c / 256) : nullptr,
          .sum16 = x.sum16 ? x.sum16 + row * (c / 16) : nullptr};
}

// v[0..count) *= scale, += delta, += bias: rows [r0, r0 + count) of token t.
LINNET_INLINE void finish_products(const Linear& l, int64_t t, int64_t r0, int64_t count, float* v) {
  if (l.scale != 1.0f)
    for (int64_t r = 0; r < count; ++r) v[r] *= l.scale;
  if (l.delta) {
    const float* delta = l.delta + t * l.w.rows + r0;
    for (int64_t r = 0; r < count; ++r) v[r] += delta[r];
  }
  if (l.bias) {
    const float* bias = l.bias + r0;
    for (int64_t r = 0; r < count; ++r) v[r] += bias[r];
  }
}

template <class S>
struct LinearJob {
  const LinearArgs& a;
  MatrixScratch<S> scratch;

  void work(Team team) const {
    float* product = scratch.products;
    for (int32_t j = 0; j < a.count; ++j) {
      const Linear& l = a.linears[j];
      const Range rows = share_rows(l.w.rows, team);
      float* out = a.add ? product : a.y[j];
      if (rows.begin < rows.end) {
        Matmul<S>::rows(out, l.w.rows, l.w, a.x, a.n, rows.begin, rows.end, scratch.area(team));
        for (int64_t t = 0; t < a.n; ++t) finish(l, t, rows, out + t * l.w.rows, a.y[j] + t * l.w.rows);
      }
      product += round_up(a.n * l.w.rows, 16);
    }
  }

  void finish(const Linear& l, int64_t t, Range rows, float* v, float* y) const {
    const int64_t count = rows.end - rows.begin;
    v += rows.begin;
    y += rows.begin;
    finish_products(l, t, rows.begin, count, v);
    if (a.scale != 1.0f)
      for (int64_t r = 0; r < count; ++r) v[r] *= a.scale;
    if (a.gate) {
      const float open = 1.0f / (1.0f + math::exp_of<math::ScalarMath>(-a.gate[t]));
      for (int64_t r = 0; r < count; ++r) v[r] *= open;
    }
    if (a.softcap != 0.0f)
      for (int64_t r = 0; r < count; r += S::width) {
        const auto x = S::div(S::load_n(v + r, lanes_left<S>(r, count)), S::set(a.softcap));
        S::store_n(v + r, S::mul(S::set(a.softcap), math::tanh_of<S>(x)), lanes_left<S>(r, count));
      }
    if (a.add)
      for (int64_t r = 0; r < count; ++r) y[r] += v[r];
  }
};

template <class S>
void linear(Exec& exec, const LinearArgs& a) {
  int64_t products = 0, rows = 0;
  for (int32_t j = 0; j < a.count; ++j) {
    rows += a.linears[j].w.rows;
    if (a.add) products += round_up(a.n * a.linears[j].w.rows, 16);
  }
  LinearJob<S> job{a, {exec, a.n, a.x.cols, products}};
  start_job(exec, job, a.n * rows * a.x.cols);
}

}  // namespace
}  // namespace linnet
