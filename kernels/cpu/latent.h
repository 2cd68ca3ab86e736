// Multi-head latent attention. Expanded: two products, rope, and the store into pages; one barrier, between rows and
// heads. Absorbed: products of each head's own matrix before and after attention over the latent vectors.
#pragma once

#include "kernels/cpu/qkv.h"

namespace linnet {
namespace {

template <class S>
struct LatentJob {
  const LatentArgs& a;
  MatrixScratch<S> scratch;

  void work(Team team) const {
    multiply(a.q, a.x, a.q_out, team);
    multiply(a.kv, a.latent, scratch.products, team);
    team.barrier();
    const int64_t heads = a.cache.kv_heads;
    const Range mine = share(heads * a.n, 1, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) finish(i % a.n, i / a.n);
  }

  void multiply(const Linear& l, const Activations& x, float* out, Team team) const {
    const Range rows = share_rows(l.w.rows, team);
    if (rows.begin == rows.end) return;
    Matmul<S>::rows(out, l.w.rows, l.w, x, a.n, rows.begin, rows.end, scratch.area(team));
    for (int64_t t = 0; t < a.n; ++t)
      finish_products(l, t, rows.begin, rows.end - rows.begin, out + t * l.w.rows + rows.begin);
  }

  void finish(int64_t t, int64_t head) const {
    const KvLayer& kv = a.cache;
    const int64_t plain = kv.k_dim - a.rope_dims, pairs = a.rope_dims / 2, slot = a.rows[t].position % kPageTokens;
    float* q = a.q_out + t * a.q.w.rows + head * kv.k_dim;
    rope_head(a.rope, a.rope_dims, a.cos + t * pairs, a.sin + t * pairs, q + plain);
    const float* head_kv = scratch.products + t * a.kv.w.rows + head * (plain + kv.v_dim);
    float key[kMostLatentKey];
    for (int64_t d = 0; d < plain; ++d) key[d] = head_kv[d];
    for (int64_t d = 0; d < a.rope_dims; ++d) key[plain + d] = a.k_rope[t * a.rope_dims + d];
    rope_head(a.rope, a.rope_dims, a.cos + t * pairs, a.sin + t * pairs, key + plain);
    std::byte* page = page_of(a.rows[t]);
    store_key<S>(k_head(page, kv, head), kv.type, kv.k_dim, 0, kv.k_dim, slot, key);
    store_value<S>(v_head(page, kv, head), kv.type, kv.v_dim, slot, head_kv + plain);
  }
};

template <class S>
void latent(Exec& exec, const LatentArgs& a) {
  const int64_t cols = a.x.cols > a.latent.cols ? a.x.cols : a.latent.cols;
  LatentJob<S> job{a, {exec, a.n, cols, round_up(a.n * a.kv.w.rows, 16)}};
  start_job(exec, job, a.n * (a.q.w.rows * a.x.cols + a.kv.w.rows * a.latent.cols));
}

template <class S>
struct HeadsJob {
  const HeadsArgs& a;
  MatrixScratch<S> scratch;

  void work(Team team) const {
    gather(team);
    team.barrier();
    const Range rows = share_rows(a.w[0].w.rows, team);
    for (int64_t h = 0; h < a.heads && rows.begin < rows.end; ++h) {
      float* y = a.y + h * a.y_head;
      Matmul<S>::rows(y, a.y_row, a.w[h].w, rows_from(a.gathered, h * a.n), a.n, rows.begin, rows.end,
                      scratch.area(team));
      for (int64_t t = 0; t < a.n; ++t)
        finish_products(a.w[h], t, rows.begin, rows.end - rows.begin, y + t * a.y_row + rows.begin);
    }
  }

  void gather(Team team) const {
    const int64_t cols = a.gathered.cols;
    const Range mine = share(a.heads * a.n, 1, team);
    for (int64_t i = mine.begin; i < mine.end; ++i) {
      const float* x = a.x + i % a.n * a.x_row + i / a.n * a.x_head;
      for (int64_t d = 0; d < cols; ++d) a.gathered.f32[i * cols + d] = x[d];
      quantize_columns<S>(a.gathered, a.form, i, 0, cols);
    }
  }
};

template <class S>
void heads(Exec& exec, const HeadsArgs& a) {
  HeadsJob<S> job{a, {exec, a.n, a.gathered.cols, 0}};
  start_job(exec, job, a.n * a.heads * a.w[0].w.rows * a.gathered.cols);
}

template <class S>
struct SharedLatentJob {
  const SharedLatentArgs& a;

  void work(Team team) const {
    const Range mine = share(a.n, 1, team);
    for (int64_t t = mine.begin; t < mine.end; ++t) {
      for (int64_t h = 0; h < a.heads; ++h)
        turned(t, a.q + (t * a.heads + h + 1) * a.q_dim - a.rope_dims,
               a.q_out + (t * a.heads + h + 1) * a.cache.k_dim - a.rope_dims);
      store(t);
    }
  }

  void turned(int64_t t, const float* from, float* to) const {
    for (int64_t d = 0; d < a.rope_dims; ++d) to[d] = from[d];
    rope_head(a.rope, a.rope_dims, a.cos + t * (a.rope_dims / 2), a.sin + t * (a.rope_dims / 2), to);
  }

  void store(int64_t t) const {
    const KvLayer& kv = a.cache;
    const float* latent = a.latent + t * kv.v_dim;
    const int64_t slot = a.rows[t].position % kPageTokens;
    float key[kMostLatentKey];
    for (int64_t d = 0; d < kv.v_dim; ++d) key[d] = latent[d];
    turned(t, a.k_rope + t * a.rope_dims, key + kv.v_dim);
    std::byte* page = page_of(a.rows[t]);
    store_key<S>(k_head(page, kv, 0), kv.type, kv.k_dim, 0, kv.k_dim, slot, key);
    store_value<S>(v_head(page, kv, 0), kv.type, kv.v_dim, slot, latent);
  }
};

template <class S>
void shared_latent(Exec& exec, const SharedLatentArgs& a) {
  SharedLatentJob<S> job{a};
  start_job(exec, job, a.n * a.heads * a.rope_dims * 4);
}

}  // namespace
}  // namespace linnet
