// Q, K and V: three products, head norms, rope, and the store into pages. One barrier, between rows and heads.
#pragma once

#include "kernels/cpu/kv_store.h"
#include "kernels/cpu/linear.h"
#include "kernels/cpu/norm.h"
#include "kernels/cpu/rope.h"

namespace linnet {
namespace {

LINNET_INLINE std::byte* page_of(const RowPlace& r) { return r.pages[r.position / kPageTokens - r.first_page]; }

template <class S>
struct QkvJob {
  const QkvArgs& a;
  MatrixScratch<S> scratch;

  void work(Team team) const {
    float* k = scratch.products;
    float* v = k + round_up(a.n * a.k.w.rows, 16);
    multiply(a.q, a.q_out, team);
    multiply(a.k, k, team);
    multiply(a.v, v, team);
    team.barrier();
    if (a.qk_norm == QkNorm::whole) {
      norm_whole_rows(k, team);
      team.barrier();
    }
    // Head by head, tokens inner: neighbouring tokens write the same cache lines of a page.
    const int64_t heads = a.heads + 2 * a.kv.kv_heads;
    const Range mine = share(heads * a.n, 1, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const int64_t head = i / a.n, t = i % a.n;
      if (head < a.heads)
        finish_query(t, head);
      else if (head < a.heads + a.kv.kv_heads)
        finish_key(t, head - a.heads, k);
      else
        finish_value(t, head - a.heads - a.kv.kv_heads, v);
    }
  }

  void multiply(const Linear& l, float* out, Team team) const {
    const Range rows = share_rows(l.w.rows, team);
    if (rows.begin < rows.end) Matmul<S>::rows(out, l.w.rows, l.w, a.x, a.n, rows.begin, rows.end, scratch.area(team));
  }

  // Rows [r0, r0 + count) of token t's products, with all that comes before the norm.
  void add_and_clamp(const Linear& l, int64_t t, int64_t r0, int64_t count, float* x) const {
    finish_products(l, t, r0, count, x);
    for (int64_t r = 0; a.clamp != 0.0f && r < count; ++r) {
      x[r] = x[r] < -a.clamp ? -a.clamp : x[r];
      x[r] = x[r] > a.clamp ? a.clamp : x[r];
    }
  }

  void norm_whole_rows(float* k, Team team) const {
    const Range mine = share(2 * a.n, 1, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const Linear& l = i % 2 ? a.k : a.q;
      float* x = (i % 2 ? k : a.q_out) + i / 2 * l.w.rows;
      add_and_clamp(l, i / 2, 0, l.w.rows, x);
      norm_row<S>(a.norm_kind, x, i % 2 ? a.k_norm : a.q_norm, l.w.rows, a.norm_eps, x);
    }
  }

  // Query or key: returns where its [k_dim] values are.
  float* finish_head(const Linear& l, int64_t t, int64_t head, const float* norm_weight, float* products) const {
    const int64_t dim = a.kv.k_dim;
    float* x = products + t * l.w.rows + head * dim;
    if (a.qk_norm != QkNorm::whole) add_and_clamp(l, t, head * dim, dim, x);
    const bool own = a.qk_norm == QkNorm::own_head, normed = own || a.qk_norm == QkNorm::head;
    const float* weight = own ? norm_weight + head * dim : norm_weight;
    if (normed && !a.norm_after_rope) norm_row<S>(a.norm_kind, x, weight, dim, a.norm_eps, x);
    const int64_t pairs = a.rope_dims / 2;
    rope_head(a.rope, a.rope_dims, a.cos + t * pairs, a.sin + t * pairs, x);
    if (normed && a.norm_after_rope) norm_row<S>(a.norm_kind, x, weight, dim, a.norm_eps, x);
    return x;
  }

  void finish_query(int64_t t, int64_t head) const {
    float* x = finish_head(a.q, t, head, a.q_norm, a.q_out);
    for (int64_t d = 0; a.q_scale && d < a.kv.k_dim; ++d) x[d] *= a.q_scale[t];
  }

  void finish_key(int64_t t, int64_t head, float* k) const {
    const float* x = finish_head(a.k, t, head, a.k_norm, k);
    store_key<S>(k_head(page_of(a.rows[t]), a.kv, head), a.kv.type, a.kv.k_dim, 0, a.kv.k_dim,
                 a.rows[t].position % kPageTokens, x);
  }

  void finish_value(int64_t t, int64_t head, float* v) const {
    const int64_t dim = a.kv.v_dim;
    float* x = v + t * a.v.w.rows + head * dim;
    add_and_clamp(a.v, t, head * dim, dim, x);
    store_value<S>(v_head(page_of(a.rows[t]), a.kv, head), a.kv.type, dim, a.rows[t].position % kPageTokens, x);
  }
};

template <class S>
void qkv(Exec& exec, const QkvArgs& a) {
  const int64_t products = round_up(a.n * a.k.w.rows, 16) + round_up(a.n * a.v.w.rows, 16);
  QkvJob<S> job{a, {exec, a.n, a.x.cols, products}};
  start_job(exec, job, a.n * (a.q.w.rows + a.k.w.rows + a.v.w.rows) * a.x.cols);
}

// Turns the keys of one page (context shift). Q8_0 blocks that hold a turned dimension are encoded anew, others stay.
template <class S>
struct RotateJob {
  const RotateArgs& a;
  std::byte* scratch;  // [members][k_dim] floats, padded

  void work(Team team) const {
    const int64_t block_size = a.kv.type == KvType::q8_0 ? 32 : 1;
    const int64_t d0 = a.rope_first / block_size * block_size;
    const int64_t d1 = round_up(a.rope_first + a.rope_dims, block_size);
    auto* x = reinterpret_cast<float*>(scratch + team.rank * round_up(a.kv.k_dim * 4, 64));
    const Range mine = share(a.kv.kv_heads * kPageTokens, 16, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const int64_t slot = i % kPageTokens;
      std::byte* block = k_head(a.page, a.kv, i / kPageTokens);
      for (int64_t d = d0; d < d1; ++d) x[d] = key_at(block, a.kv.type, a.kv.k_dim, slot, d);
      rope_head(a.rope, a.rope_dims, a.cos, a.sin, x + a.rope_first);
      store_key<S>(block, a.kv.type, a.kv.k_dim, d0, d1, slot, x);
    }
  }
};

template <class S>
void rotate(Exec& exec, const RotateArgs& a) {
  RotateJob<S> job{a, exec.scratch};
  start_job(exec, job, a.kv.kv_heads * kPageTokens * a.rope_dims);
}

}  // namespace
}  // namespace linnet
