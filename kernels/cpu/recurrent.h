// The two steps of a selective state space layer (Mamba) that look back: a short convolution, and the scan.
//   conv: v = bias, v = fma(w[j], x of `taps - 1 - j` tokens ago, v) for j in order; out = silu(v)
//   scan: dt = log(1 + exp(dt)) (dt itself above 20), h = fma(h, exp(dt * a), (dt * x) * b), y = +0,
//         y = fma(h[s], c[s], y) for s in order, y = fma(d, x, y); out = y * silu(z)
// A sequence's state after a token lies in that token's page, so that a full page holds the state at its end: rows start
// from the page before when they begin a page, and go on in their own otherwise.
#pragma once

#include "gguf/base/math.h"
#include "kernels/cpu/glu.h"
#include "kernels/cpu/qkv.h"

namespace linnet {
namespace {

LINNET_INLINE float* state_of(std::byte* page, int64_t offset) { return reinterpret_cast<float*>(page + offset); }

// Channels [c0, c1) of `count` vectors of `channels`: what row r's state starts from, laid into its page.
LINNET_INLINE float* begin_state(const RowPlace& r, int64_t offset, int64_t count, int64_t channels, int64_t c0,
                                 int64_t c1) {
  float* state = state_of(page_of(r), offset);
  if (r.position % kPageTokens != 0) return state;
  const float* before =
      r.position == 0 ? nullptr : state_of(r.pages[r.position / kPageTokens - 1 - r.first_page], offset);
  for (int64_t i = 0; i < count; ++i)
    for (int64_t c = c0; c < c1; ++c) state[i * channels + c] = before ? before[i * channels + c] : 0.0f;
  return state;
}

// Quantizes what all members have written.
template <class S>
void quantize_together(const Activations& out, uint32_t forms, int64_t n, Team team) {
  if (!forms) return;
  team.barrier();
  const int64_t unit = form_unit(forms), units = out.cols / unit;
  const Range mine = share(n * units, 1, team);
  for (int64_t i = mine.begin; i < mine.end; ++i)
    quantize_columns<S>(out, forms, i / units, i % units * unit, (i % units + 1) * unit);
}

template <class S>
struct ConvJob {
  const ConvArgs& a;

  void work(Team team) const {
    const Range mine = share(a.channels, 16, team);
    for (int64_t t = 0; t < a.n; ++t) {
      float* state = begin_state(a.rows[t], a.state_offset, a.taps - 1, a.channels, mine.begin, mine.end);
      const float* x = a.x + t * a.channels;
      for (int64_t c = mine.begin; c < mine.end; c += S::width) {
        const int64_t left = lanes_left<S>(c, mine.end);
        auto v = S::load_n(a.bias + c, left);
        for (int64_t j = 0; j + 1 < a.taps; ++j) {
          const auto past = S::load_n(state + j * a.channels + c, left);
          v = S::fma(S::load_n(a.weight + j * a.channels + c, left), past, v);
          if (j > 0) S::store_n(state + (j - 1) * a.channels + c, past, left);
        }
        const auto now = S::load_n(x + c, left);
        v = S::fma(S::load_n(a.weight + (a.taps - 1) * a.channels + c, left), now, v);
        if (a.taps > 1) S::store_n(state + (a.taps - 2) * a.channels + c, now, left);
        S::store_n(a.out.f32 + t * a.channels + c, silu_of<S>(v), left);
      }
    }
    quantize_together<S>(a.out, a.forms, a.n, team);
  }
};

template <class S>
void conv(Exec& exec, const ConvArgs& a) {
  ConvJob<S> job{a};
  start_job(exec, job, a.n * a.channels * a.taps);
}

LINNET_INLINE float softplus(float x) {
  return x > 20.0f ? x : static_cast<float>(math::log(1.0 + static_cast<double>(math::exp_of<math::ScalarMath>(x))));
}

template <class S>
struct ScanJob {
  const ScanArgs& a;

  void work(Team team) const {
    const Range mine = share(a.channels, 16, team);
    for (int64_t t = 0; t < a.n; ++t) {
      // [channels][states]: a channel's states lie together.
      float* state =
          begin_state(a.rows[t], a.state_offset, 1, a.channels * a.states, mine.begin * a.states, mine.end * a.states);
      for (int64_t c = mine.begin; c < mine.end; ++c) {
        const int64_t at = t * a.channels + c;
        const float dt = softplus(a.dt[at]), x = a.x[at];
        const float y = __builtin_fmaf(a.d[c], x, step(state + c * a.states, a.a + c * a.states, t, dt, dt * x));
        a.out.f32[at] = y * silu_of<math::ScalarMath>(a.z[at]);
      }
    }
    quantize_together<S>(a.out, a.forms, a.n, team);
  }

  // One channel's states, and what they say.
  LINNET_INLINE float step(float* h, const float* rates, int64_t t, float dt, float dt_x) const {
    const float *b = a.b + t * a.states, *c = a.c + t * a.states;
    for (int64_t s = 0; s < a.states; s += S::width) {
      const int64_t left = lanes_left<S>(s, a.states);
      const auto kept = math::exp_of<S>(S::mul(S::set(dt), S::load_n(rates + s, left)));
      const auto more = S::mul(S::set(dt_x), S::load_n(b + s, left));
      S::store_n(h + s, S::fma(S::load_n(h + s, left), kept, more), left);
    }
    float y = 0.0f;
    for (int64_t s = 0; s < a.states; ++s) y = __builtin_fmaf(h[s], c[s], y);
    return y;
  }
};

template <class S>
void scan(Exec& exec, const ScanArgs& a) {
  ScanJob<S> job{a};
  start_job(exec, job, a.n * a.channels * a.states * 4);
}

}  // namespace
}  // namespace linnet
