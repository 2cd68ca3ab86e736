// out = act(gate x) * (up x), and its 8-bit forms.
//   silu(x) = x / (1 + exp(-x)), relu_squared(x) = max(x, 0)^2
//   clamped_swish: g = min(gate, 7), u = clamp(up): g / (1 + exp(-1.702 g)) * (u + 1)       (gpt-oss)
//   gelu(x) = (0.5 x) * (1 + tanh(0.79788456 * fma(x^2 * 0.044715, x, x)))    (Hendrycks and Gimpel's tanh form)
#pragma once

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/quantize_activations.h"

namespace linnet {
namespace {

template <class S>
LINNET_INLINE typename S::F silu_of(typename S::F x) {
  const auto e = math::exp_of<S>(S::sub(S::set(0.0f), x));
  return S::div(x, S::add(S::set(1.0f), e));
}

template <class S>
LINNET_INLINE typename S::F gelu_tanh_of(typename S::F x) {
  const auto cubic = S::fma(S::mul(S::mul(x, x), S::set(0.044715f)), x, x);
  const auto t = math::tanh_of<S>(S::mul(S::set(0.7978845608f), cubic));
  return S::mul(S::mul(S::set(0.5f), x), S::add(S::set(1.0f), t));
}

template <class S>
LINNET_INLINE typename S::F relu_squared_of(typename S::F x) {
  const auto positive = S::max(x, S::set(0.0f));
  return S::mul(positive, positive);
}

template <class S>
LINNET_INLINE typename S::F clamped_swish_of(typename S::F gate, typename S::F up) {
  const auto g = S::min(S::set(7.0f), gate);
  const auto u = S::min(S::set(7.0f), S::max(S::set(-7.0f), up));
  const auto e = math::exp_of<S>(S::mul(S::set(-1.702f), g));
  return S::mul(S::div(g, S::add(S::set(1.0f), e)), S::add(u, S::set(1.0f)));
}

// out[k] = act(gate[k]) * up[k], or act(up[k]) without a gate. out may be gate or up.
template <class S>
void activate(Glu kind, const float* gate, const float* up, int64_t n, float* out) {
  for (int64_t k = 0; k < n; k += S::width) {
    const int64_t left = lanes_left<S>(k, n);
    const auto u = S::load_n(up + k, left);
    const auto g = gate ? S::load_n(gate + k, left) : u;
    const auto activated = kind == Glu::gelu_tanh       ? gelu_tanh_of<S>(g)
                           : kind == Glu::relu_squared  ? relu_squared_of<S>(g)
                           : kind == Glu::clamped_swish ? clamped_swish_of<S>(g, u)
                                                        : silu_of<S>(g);
    const bool product = gate && kind != Glu::clamped_swish;
    S::store_n(out + k, product ? S::mul(activated, u) : activated, left);
  }
}

template <class S>
struct GluJob {
  const GluArgs& a;
  MatrixScratch<S> scratch;

  void work(Team team) const {
    const int64_t rows = a.up.w.rows;
    float* up = scratch.products;
    float* gate = a.gate.w.data ? up + round_up(a.n * rows, 16) : nullptr;
    // With enough units to share, each member quantizes what it computed; else all wait and share anew.
    const int64_t unit = form_unit(a.forms);
    const bool own = unit == 1 || rows / unit >= 8 * team.size || team.size == 1;
    const Range mine = own && unit > 1 ? share(rows, unit, team) : share_rows(rows, team);
    if (mine.begin < mine.end) {
      if (gate) Matmul<S>::rows(gate, rows, a.gate.w, a.x, a.n, mine.begin, mine.end, scratch.area(team));
      Matmul<S>::rows(up, rows, a.up.w, a.x, a.n, mine.begin, mine.end, scratch.area(team));
      for (int64_t t = 0; t < a.n; ++t) finish(t, mine, up + t * rows, gate ? gate + t * rows : nullptr, own);
    }
    if (own) return;
    team.barrier();
    const int64_t units = rows / unit;
    const Range pieces = share(a.n * units, 1, team);
    for (int64_t i = pieces.begin; i < pieces.end; ++i)
      quantize_columns<S>(a.out, a.forms, i / units, i % units * unit, (i % units + 1) * unit);
  }

  void finish(int64_t t, Range mine, float* up, float* gate, bool quantize) const {
    const int64_t count = mine.end - mine.begin;
    finish_products(a.up, t, mine.begin, count, up + mine.begin);
    if (gate) {
      finish_products(a.gate, t, mine.begin, count, gate + mine.begin);
      gate += mine.begin;
    }
    activate<S>(a.kind, gate, up + mine.begin, count, a.out.f32 + t * a.out.cols + mine.begin);
    if (quantize) quantize_columns<S>(a.out, a.forms, t, mine.begin, mine.end);
  }
};

template <class S>
void glu(Exec& exec, const GluArgs& a) {
  const int64_t product = round_up(a.n * a.up.w.rows, 16);
  GluJob<S> job{a, {exec, a.n, a.x.cols, a.gate.w.data ? 2 * product : product}};
  start_job(exec, job, 2 * a.n * a.up.w.rows * a.x.cols);
}

}  // namespace
}  // namespace linnet
