// Attention inside one page: lanes are tokens for q k^T and dimensions for p v.
//
// Definition, per query, page by page inside a segment of 8 pages (docs/canonical-arithmetic.md):
//   s[j] = fma(q[d], k[d][j], s[j]) for d in order        Q8_0: s[j] = fma(dq * dk[j], float(isum[j]), s[j]) per 32-block
//   s[j] = s[j] * scale, then cap * tanh(s[j] / cap), then fma(-slope, |position - j|, s[j])
//   m' = max(m, page maximum), l *= exp(m - m'), o *= exp(m - m') unless m is -infinity or m' is m
//   p[j] = exp(s[j] - m'), +0 where not visible; l += sum of p (lane j mod 32 and the tree)
//   o[d] = fma(p[j], v[j][d], o[d]) for visible j in order   Q8_0: o[d] = fma(p[j] * dv[j], float(q[j][d]), o[d])
// Q queries are computed side by side so that they share each load; every query's operations stay the same.
#pragma once

#include "kernels/cpu/lanes.h"
#include "kernels/cpu/quantize_activations.h"
#include "kernels/kv_layout.h"

namespace linnet {
namespace {

// One head of one row, and its state.
struct Query {
  const float* q;         // [k_dim]
  const int8_t* q8;       // [k_dim], unit 32; only for Q8_0 pages
  const float* q8_scale;  // [k_dim/32]
  const int32_t* q8_sum;  // [k_dim/32]
  int64_t begin, end;     // absolute positions
  float m, l;             // running maximum and sum of exponentials
  float* o;               // [v_dim]
  int64_t position;       // absolute
  float slope;            // ALiBi; 0: none
};

// A query on one page: visible slots [lo, hi), its scores and then probabilities.
struct PageQuery {
  Query* query;
  int64_t lo, hi;
  float* p;       // [64], aligned
  int64_t first;  // absolute position of slot 0
};

template <class S>
LINNET_INLINE typename S::F load_as(const float* p) {
  return S::load(p);
}
template <class S>
LINNET_INLINE typename S::F load_as(const Half* p) {
  return S::load_half(p);
}
template <class S>
LINNET_INLINE typename S::F load_as_n(const float* p, int64_t n) {
  return S::load_n(p, n);
}
template <class S>
LINNET_INLINE typename S::F load_as_n(const Half* p, int64_t n) {
  return S::load_half_n(p, n);
}

// Vectors per query that Q queries may keep in registers (half of the register file), at most `most`.
template <class S, int Q>
constexpr int tile_vectors(int most) {
  const int registers = S::width == 16 ? 16 : 8;
  const int vectors = registers / Q;
  return vectors < most ? vectors : most;
}

// k: [dims][64]
template <class S, int Q, class T>
void scores_float(const T* k, int64_t dims, PageQuery* at) {
  constexpr int tile = tile_vectors<S, Q>(kPageTokens / S::width);
  for (int64_t j = 0; j < kPageTokens; j += tile * S::width) {
    typename S::F s[Q][tile];
    for (int i = 0; i < Q; ++i)
      for (int v = 0; v < tile; ++v) s[i][v] = S::set(0.0f);
    for (int64_t d = 0; d < dims; ++d) {
      typename S::F keys[tile];
      for (int v = 0; v < tile; ++v) keys[v] = load_as<S>(k + d * kPageTokens + j + v * S::width);
      for (int i = 0; i < Q; ++i) {
        const auto q = S::set(at[i].query->q[d]);
        for (int v = 0; v < tile; ++v) s[i][v] = S::fma(q, keys[v], s[i][v]);
      }
    }
    for (int i = 0; i < Q; ++i)
      for (int v = 0; v < tile; ++v) S::store(at[i].p + j + v * S::width, s[i][v]);
  }
}

// k: [dims/4][64][4], scales: [dims/32][64]
template <class S, int Q>
void scores_q8(const int8_t* k, const Half* scales, int64_t dims, PageQuery* at) {
  constexpr int tile = tile_vectors<S, Q>(kPageTokens / S::width) > 4 ? 4 : tile_vectors<S, Q>(kPageTokens / S::width);
  for (int64_t j = 0; j < kPageTokens; j += tile * S::width) {
    typename S::F s[Q][tile];
    for (int i = 0; i < Q; ++i)
      for (int v = 0; v < tile; ++v) s[i][v] = S::set(0.0f);
    for (int64_t b = 0; b < dims / 32; ++b) {
      typename S::I sum[Q][tile];
      for (int i = 0; i < Q; ++i)
        for (int v = 0; v < tile; ++v) sum[i][v] = S::dot4_start(at[i].query->q8_sum[b]);
      for (int quad = 0; quad < 8; ++quad)
        for (int v = 0; v < tile; ++v) {
          const int8_t* keys = k + ((b * 8 + quad) * kPageTokens + j + v * S::width) * 4;
          for (int i = 0; i < Q; ++i) sum[i][v] = S::dot4(sum[i][v], keys, at[i].query->q8 + b * 32 + quad * 4);
        }
      for (int v = 0; v < tile; ++v) {
        const auto scale = S::load_half(scales + b * kPageTokens + j + v * S::width);
        for (int i = 0; i < Q; ++i)
          s[i][v] = S::fma(S::mul(S::set(at[i].query->q8_scale[b]), scale), S::to_float(sum[i][v]), s[i][v]);
      }
    }
    for (int i = 0; i < Q; ++i)
      for (int v = 0; v < tile; ++v) S::store(at[i].p + j + v * S::width, s[i][v]);
  }
}

// Scores to probabilities; moves m and l, and o to the new maximum.
template <class S>
void soften(const PageQuery& at, float scale, float softcap, int64_t v_dim) {
  constexpr int vectors = kPageTokens / S::width;
  constexpr int registers = Lanes<S>::registers;
  Query& query = *at.query;
  alignas(64) float distances[kPageTokens];
  for (int64_t j = 0; j < kPageTokens && query.slope != 0.0f; ++j) {
    const int64_t d = query.position - at.first - j;
    distances[j] = static_cast<float>(d < 0 ? -d : d);
  }
  Lanes<S> lanes;
  for (int v = 0; v < vectors; ++v) {
    auto s = S::mul(S::load(at.p + v * S::width), S::set(scale));
    if (softcap != 0.0f) s = S::mul(S::set(softcap), math::tanh_of<S>(S::div(s, S::set(softcap))));
    if (query.slope != 0.0f) s = S::fma(S::set(-query.slope), S::load(distances + v * S::width), s);
    S::store(at.p + v * S::width, s);
    const auto visible = S::range(at.lo - v * S::width, at.hi - v * S::width);
    const auto seen = S::select(visible, s, S::set(-__builtin_inff()));
    lanes.a[v % registers] = v < registers ? seen : S::max(lanes.a[v % registers], seen);
  }
  const float page_max = lanes.max();
  const float m = query.m > page_max ? query.m : page_max;
  if (m != query.m) {
    if (query.m != -__builtin_inff()) {
      const float r = math::exp_of<math::ScalarMath>(query.m - m);
      query.l *= r;
      for (int64_t d = 0; d < v_dim; ++d) query.o[d] *= r;
    }
    query.m = m;
  }
  for (int v = 0; v < vectors; ++v) {
    const auto visible = S::range(at.lo - v * S::width, at.hi - v * S::width);
    const auto e = math::exp_of<S>(S::sub(S::load(at.p + v * S::width), S::set(m)));
    const auto p = S::select(visible, e, S::set(0.0f));
    S::store(at.p + v * S::width, p);
    lanes.a[v % registers] = v < registers ? p : S::add(lanes.a[v % registers], p);
  }
  query.l += lanes.sum();
}

// o[d] += p[j] v[j][d] for j in [lo, hi) and d in [d0, d0 + tile*width); n lanes of the last vector.
template <class S, int Q, int tile, class T>
LINNET_INLINE void values_tile(const T* v, int64_t dims, int64_t d0, const PageQuery* at, int64_t lo, int64_t hi) {
  typename S::F o[Q][tile];
  for (int i = 0; i < Q; ++i)
    for (int c = 0; c < tile; ++c) o[i][c] = S::load(at[i].query->o + d0 + c * S::width);
  for (int64_t j = lo; j < hi; ++j) {
    typename S::F value[tile];
    for (int c = 0; c < tile; ++c) value[c] = load_as<S>(v + j * dims + d0 + c * S::width);
    for (int i = 0; i < Q; ++i) {
      const auto p = S::set(at[i].p[j]);
      for (int c = 0; c < tile; ++c) o[i][c] = S::fma(p, value[c], o[i][c]);
    }
  }
  for (int i = 0; i < Q; ++i)
    for (int c = 0; c < tile; ++c) S::store(at[i].query->o + d0 + c * S::width, o[i][c]);
}

// v: [64][dims]. o is padded to a multiple of 16, so that the last vector may be stored whole.
template <class S, int Q, class T>
void values_float(const T* v, int64_t dims, const PageQuery* at, int64_t lo, int64_t hi) {
  constexpr int tile = tile_vectors<S, Q>(8);
  int64_t d = 0;
  for (; d + tile * S::width <= dims; d += tile * S::width) values_tile<S, Q, tile>(v, dims, d, at, lo, hi);
  for (; d + S::width <= dims; d += S::width) values_tile<S, Q, 1>(v, dims, d, at, lo, hi);
  if (d == dims) return;
  for (int i = 0; i < Q; ++i) {
    auto o = S::load_n(at[i].query->o + d, dims - d);
    for (int64_t j = lo; j < hi; ++j) o = S::fma(S::set(at[i].p[j]), load_as_n<S>(v + j * dims + d, dims - d), o);
    S::store_n(at[i].query->o + d, o, dims - d);
  }
}

// v: [64][dims], scales: [dims/32][64]
template <class S, int Q>
void values_q8(const int8_t* v, const Half* scales, int64_t dims, const PageQuery* at, int64_t lo, int64_t hi) {
  constexpr int tile = tile_vectors<S, Q>(32 / S::width);
  for (int64_t b = 0; b < dims / 32; ++b) {
    alignas(64) float w[Q][kPageTokens];
    for (int64_t j = 0; j < kPageTokens; j += S::width)
      for (int i = 0; i < Q; ++i)
        S::store(w[i] + j, S::mul(S::load(at[i].p + j), S::load_half(scales + b * kPageTokens + j)));
    for (int64_t d = b * 32; d < b * 32 + 32; d += tile * S::width) {
      typename S::F o[Q][tile];
      for (int i = 0; i < Q; ++i)
        for (int c = 0; c < tile; ++c) o[i][c] = S::load(at[i].query->o + d + c * S::width);
      for (int64_t j = lo; j < hi; ++j) {
        typename S::F value[tile];
        for (int c = 0; c < tile; ++c) value[c] = S::to_float(S::load_i8(v + j * dims + d + c * S::width));
        for (int i = 0; i < Q; ++i)
          for (int c = 0; c < tile; ++c) o[i][c] = S::fma(S::set(w[i][j]), value[c], o[i][c]);
      }
      for (int i = 0; i < Q; ++i)
        for (int c = 0; c < tile; ++c) S::store(at[i].query->o + d + c * S::width, o[i][c]);
    }
  }
}

// One page's blocks of one kv_head, and what attention does with them.
struct PageBlocks {
  KvType type;
  int64_t k_dim, v_dim;
  std::byte* k;
  std::byte* v;
};

template <class S, int Q>
LINNET_INLINE void scores(const PageBlocks& page, PageQuery* at) {
  if (page.type == KvType::f32) return scores_float<S, Q>(reinterpret_cast<const float*>(page.k), page.k_dim, at);
  if (page.type == KvType::f16) return scores_float<S, Q>(reinterpret_cast<const Half*>(page.k), page.k_dim, at);
  scores_q8<S, Q>(reinterpret_cast<const int8_t*>(page.k), kv_scales(page.k, page.k_dim), page.k_dim, at);
}

template <class S, int Q>
LINNET_INLINE void values(const PageBlocks& page, const PageQuery* at, int64_t lo, int64_t hi) {
  if (lo >= hi) return;
  if (page.type == KvType::f32)
    return values_float<S, Q>(reinterpret_cast<const float*>(page.v), page.v_dim, at, lo, hi);
  if (page.type == KvType::f16)
    return values_float<S, Q>(reinterpret_cast<const Half*>(page.v), page.v_dim, at, lo, hi);
  values_q8<S, Q>(reinterpret_cast<const int8_t*>(page.v), kv_scales(page.v, page.v_dim), page.v_dim, at, lo, hi);
}

// Q queries on one page. Slots that all of them see go together; what only some see, before and after, one by one.
template <class S, int Q>
void attend_page(const PageBlocks& page, PageQuery* at, float scale, float softcap) {
  scores<S, Q>(page, at);
  int64_t lo = 0, hi = kPageTokens;
  for (int i = 0; i < Q; ++i) {
    soften<S>(at[i], scale, softcap, page.v_dim);
    lo = at[i].lo > lo ? at[i].lo : lo;
    hi = at[i].hi < hi ? at[i].hi : hi;
  }
  if (lo >= hi) {
    for (int i = 0; i < Q; ++i) values<S, 1>(page, at + i, at[i].lo, at[i].hi);
    return;
  }
  for (int i = 0; i < Q; ++i) values<S, 1>(page, at + i, at[i].lo, lo);
  values<S, Q>(page, at, lo, hi);
  for (int i = 0; i < Q; ++i) values<S, 1>(page, at + i, hi, at[i].hi);
}

}  // namespace
}  // namespace linnet
