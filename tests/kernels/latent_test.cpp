// Multi-head latent attention's Q, K and V, and their store into pages.
#include <gtest/gtest.h>

#include "tests/kernels/pages_support.h"

namespace linnet {
namespace {

struct Case {
  KvType type;
  Type weight;
  int32_t heads, k_dim, v_dim;
  int64_t cols, latent_cols;
  Rope rope;
  int32_t rope_dims;
  bool added;  // bias and delta
};

// Rows at positions 60, 61, ... (across a page's end).
struct Problem {
  Case c;
  KvLayer kv;
  int64_t n;
  Held x, latent;
  Matrix q, kv_weight;
  Array<float> q_bias, kv_delta, k_rope, cos, sin;

  Problem(const Case& which, int64_t rows)
      : c(which), kv(make_layer(c.type, c.heads, c.k_dim, c.v_dim)), n(rows), x(n, c.cols), latent(n, c.latent_cols) {
    Random random(40);
    for (float& value : x.f32) value = random.normal();
    for (float& value : latent.f32) value = random.normal();
    x.quantize();
    latent.quantize();
    q = random_matrix(random, c.weight, c.heads * c.k_dim, c.cols);
    kv_weight = random_matrix(random, c.weight, c.heads * (c.k_dim - c.rope_dims + c.v_dim), c.latent_cols);
    q_bias = random_floats(random, q.w.rows);
    kv_delta = random_floats(random, n * kv_weight.w.rows);
    k_rope = random_floats(random, n * c.rope_dims);
    for (int64_t i = 0; i < n * (c.rope_dims / 2); ++i) {
      const double angle = random.uniform() * 100;
      cos.push_back(static_cast<float>(std::cos(angle)));
      sin.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  // Rows [r0, r1) of the batch.
  void run(const Kernels& k, Exec& exec, int64_t r0, int64_t r1, const Sequence& s, float* q_out) const {
    std::vector<RowPlace> rows;
    for (int64_t t = r0; t < r1; ++t) rows.push_back(s.place(60 + t, 0, 1));
    Held part(r1 - r0, c.cols), part_latent(r1 - r0, c.latent_cols);
    std::copy(x.f32.begin() + r0 * c.cols, x.f32.begin() + r1 * c.cols, part.f32.begin());
    std::copy(latent.f32.begin() + r0 * c.latent_cols, latent.f32.begin() + r1 * c.latent_cols,
              part_latent.f32.begin());
    part.quantize();
    part_latent.quantize();
    const int64_t pairs = c.rope_dims / 2;
    k.latent(exec, {.n = r1 - r0,
                    .x = part.a,
                    .q = {q.w, c.added ? q_bias.data() : nullptr, nullptr},
                    .latent = part_latent.a,
                    .kv = {kv_weight.w, nullptr, c.added ? kv_delta.data() + r0 * kv_weight.w.rows : nullptr},
                    .k_rope = k_rope.data() + r0 * c.rope_dims,
                    .rope = c.rope,
                    .rope_dims = c.rope_dims,
                    .cos = cos.data() + r0 * pairs,
                    .sin = sin.data() + r0 * pairs,
                    .cache = kv,
                    .rows = rows.data(),
                    .q_out = q_out});
  }
  ScratchNeed need() const {
    return {n, std::max(c.cols, c.latent_cols), q.w.rows + kv_weight.w.rows, c.heads, c.v_dim, 1, 1};
  }
  Sequence pages() const { return Sequence(kv, 0, 60 + n); }

  void turn_last(double* head, int64_t t) const {
    const int64_t pairs = c.rope_dims / 2;
    turn(head + c.k_dim - c.rope_dims, c.rope, c.rope_dims, cos.data() + t * pairs, sin.data() + t * pairs);
  }
  // Queries, keys and values of row t, all heads, in double; returns what float32 may be off by.
  double define(int64_t t, std::vector<double>& query, std::vector<double>& key, std::vector<double>& value) const {
    double worst = 0;
    const auto element = [&](const Matrix& m, const Held& input, int64_t r, double added) {
      const Expected e = product(m, input, t, r);
      worst = std::max(worst, e.error + std::fabs(e.value + added) * 0x1p-22);
      return e.value + added;
    };
    const int64_t plain = c.k_dim - c.rope_dims, stride = plain + c.v_dim;
    for (int64_t h = 0; h < c.heads; ++h) {
      for (int64_t d = 0; d < c.k_dim; ++d) {
        const int64_t r = h * c.k_dim + d;
        query.push_back(element(q, x, r, c.added ? q_bias[static_cast<size_t>(r)] : 0));
      }
      turn_last(&query[static_cast<size_t>(h * c.k_dim)], t);
      for (int64_t d = 0; d < stride; ++d) {
        const int64_t r = h * stride + d, at = t * kv_weight.w.rows + r;
        (d < plain ? key : value)
            .push_back(element(kv_weight, latent, r, c.added ? kv_delta[static_cast<size_t>(at)] : 0));
      }
      for (int64_t d = 0; d < c.rope_dims; ++d) key.push_back(k_rope[static_cast<size_t>(t * c.rope_dims + d)]);
      turn_last(&key[static_cast<size_t>(h * c.k_dim)], t);
    }
    return worst * 2 + 1e-6;
  }
};

class Latent : public testing::TestWithParam<Case> {};

TEST_P(Latent, IsTheDefinitionOnEveryBackend) {
  const Problem p(GetParam(), 9);
  std::vector<std::vector<std::byte>> stored;
  Sequence pages = p.pages();
  const auto all = everywhere(p.need(), [&](const Kernels& k, Exec& exec) {
    Sequence mine = p.pages();
    Array<float> out(static_cast<size_t>(p.n * p.q.w.rows), NAN);
    p.run(k, exec, 0, p.n, mine, out.data());
    stored.push_back(mine.bytes());
    if (&k == &scalar()) pages = std::move(mine);
    return out;
  });
  expect_all_same(all);
  for (const auto& bytes : stored) ASSERT_EQ(bytes, stored[0]);  // unused slots keep their poison
  for (int64_t t = 0; t < p.n; ++t) {
    std::vector<double> q, k, v;
    const double error = p.define(t, q, k, v);
    expect_close(q, all[0].values.data() + t * p.q.w.rows, error, KvType::f32, "q");
    expect_heads_close(k, pages.key(60 + t), p.c.k_dim, error, p.c.type, "k");
    expect_heads_close(v, pages.value(60 + t), p.c.v_dim, error, p.c.type, "v");
  }
}

TEST_P(Latent, PromptChunksAreTheTokensOneByOne) {
  const Problem p(GetParam(), 23);
  for (const Kernels* k : backends()) {
    Bench bench(*k, 2, p.need());
    Sequence whole = p.pages(), single = p.pages(), halves = p.pages();
    Array<float> q(static_cast<size_t>(p.n * p.q.w.rows)), one(q.size()), half(q.size());
    p.run(*k, bench.exec(), 0, p.n, whole, q.data());
    for (int64_t t = 0; t < p.n; ++t) p.run(*k, bench.exec(), t, t + 1, single, one.data() + t * p.q.w.rows);
    p.run(*k, bench.exec(), 0, 11, halves, half.data());
    p.run(*k, bench.exec(), 11, p.n, halves, half.data() + 11 * p.q.w.rows);
    expect_same(q, one, k->name);
    expect_same(q, half, k->name);
    ASSERT_EQ(whole.bytes(), single.bytes()) << k->name;
    ASSERT_EQ(whole.bytes(), halves.bytes()) << k->name;
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Latent,
                         testing::Values(Case{KvType::f32, Type::f32, 3, 20, 13, 43, 24, Rope::adjacent, 8, true},
                                         Case{KvType::f16, Type::q8_0, 4, 48, 32, 96, 64, Rope::half, 16, true},
                                         Case{KvType::q8_0, Type::f32, 2, 96, 64, 64, 96, Rope::adjacent, 32, false},
                                         Case{KvType::q8_0, Type::q4_k, 2, 64, 32, 256, 512, Rope::half, 24, true},
                                         Case{KvType::f32, Type::f16, 1, int32_t{kMostLatentKey}, 16, 32, 32,
                                              Rope::half, 64, false},
                                         Case{KvType::f16, Type::f32, 2, 32, 32, 64, 32, Rope::adjacent, 32, false}));

}  // namespace
}  // namespace linnet
