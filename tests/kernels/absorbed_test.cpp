// The absorbed form of latent attention: products of each head's own matrix, and the one key and value of all heads.
#include <gtest/gtest.h>

#include "tests/kernels/pages_support.h"

namespace linnet {
namespace {

struct HeadsCase {
  Type type;
  int32_t heads;
  int64_t cols, rows, x_gap, y_gap;  // gaps: values between the heads' parts
};

class Heads : public testing::TestWithParam<HeadsCase> {};

TEST_P(Heads, IsTheProductOfEachHeadOnEveryBackend) {
  const HeadsCase& c = GetParam();
  const int64_t n = 7, x_head = c.cols + c.x_gap, y_head = c.rows + c.y_gap;
  Random random(3);
  const Matrix all = random_matrix(random, c.type, c.heads * c.rows, c.cols);
  const int64_t matrix_bytes = static_cast<int64_t>(all.bytes.size()) / c.heads;
  std::vector<Linear> w(static_cast<size_t>(c.heads));
  for (int64_t h = 0; h < c.heads; ++h) {
    w[static_cast<size_t>(h)].w = all.w;
    w[static_cast<size_t>(h)].w.rows = c.rows;
    w[static_cast<size_t>(h)].w.data = all.bytes.data() + h * matrix_bytes;
  }
  const Array<float> x = random_floats(random, n * c.heads * x_head);
  const auto run = [&](const Kernels& k, Exec& exec, int64_t t0, int64_t t1, float* y) {
    Held gathered(c.heads * (t1 - t0), c.cols);
    k.heads(exec, {.n = t1 - t0,
                   .heads = c.heads,
                   .w = w.data(),
                   .x = x.data() + t0 * c.heads * x_head,
                   .x_row = c.heads * x_head,
                   .x_head = x_head,
                   .form = k.form(c.type),
                   .gathered = gathered.a,
                   .y = y + t0 * c.heads * y_head,
                   .y_row = c.heads * y_head,
                   .y_head = y_head});
  };
  const ScratchNeed need{n, c.cols, c.heads * c.rows, c.heads, 1, 1, 1};
  const auto results = everywhere(need, [&](const Kernels& k, Exec& exec) {
    Array<float> y(static_cast<size_t>(n * c.heads * y_head), -1);
    run(k, exec, 0, n, y.data());
    Array<float> single(y.size(), -1);
    for (int64_t t = 0; t < n; ++t) run(k, exec, t, t + 1, single.data());
    expect_same(y, single, std::string(k.name) + ": rows alone");
    return y;
  });
  expect_all_same(results);
  for (int64_t t = 0; t < n; ++t)
    for (int64_t h = 0; h < c.heads; ++h) {
      Held row(1, c.cols);
      std::copy_n(x.begin() + (t * c.heads + h) * x_head, c.cols, row.f32.begin());
      row.quantize();
      const float* y = results[0].values.data() + (t * c.heads + h) * y_head;
      for (int64_t r = 0; r < c.rows; ++r) {
        const Expected e = product(all, row, 0, h * c.rows + r);
        ASSERT_LE(std::fabs(y[r] - e.value), e.error) << t << " " << h << " " << r;
      }
      for (int64_t r = c.rows; r < y_head; ++r) ASSERT_EQ(y[r], -1) << "a gap was written";
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Heads,
                         testing::Values(HeadsCase{Type::f32, 3, 13, 20, 4, 8}, HeadsCase{Type::f16, 2, 40, 7, 0, 0},
                                         HeadsCase{Type::q8_0, 5, 96, 33, 32, 16},
                                         HeadsCase{Type::q4_k, 2, 512, 24, 0, 5}));

struct SharedCase {
  KvType type;
  int32_t heads, v_dim, rope_dims, q_dim;
  Rope rope;
};

class SharedLatent : public testing::TestWithParam<SharedCase> {};

TEST_P(SharedLatent, StoresTheLatentVectorAndTurnsWhatFollows) {
  const SharedCase& c = GetParam();
  const int32_t k_dim = c.v_dim + c.rope_dims;
  const int64_t n = 9, pairs = c.rope_dims / 2;
  const KvLayer kv = make_layer(c.type, 1, k_dim, c.v_dim);
  Random random(4);
  const Array<float> latent = random_floats(random, n * c.v_dim), k_rope = random_floats(random, n * c.rope_dims);
  const Array<float> q = random_floats(random, n * c.heads * c.q_dim), untouched(1, -1);
  Array<float> cos, sin;
  for (int64_t i = 0; i < n * pairs; ++i) {
    const double angle = random.uniform() * 100;
    cos.push_back(static_cast<float>(std::cos(angle)));
    sin.push_back(static_cast<float>(std::sin(angle)));
  }
  std::vector<std::vector<std::byte>> stored;
  Sequence pages(kv, 0, 60 + n);
  const auto all = everywhere({n, k_dim, c.heads * k_dim, c.heads, c.v_dim, 1, 1}, [&](const Kernels& k, Exec& exec) {
    Sequence mine(kv, 0, 60 + n);
    std::vector<RowPlace> rows;
    for (int64_t t = 0; t < n; ++t) rows.push_back(mine.place(60 + t, 0, 1));
    Array<float> out(static_cast<size_t>(n * c.heads * k_dim), -1);
    k.shared_latent(exec, {.n = n,
                           .heads = c.heads,
                           .latent = latent.data(),
                           .k_rope = k_rope.data(),
                           .q = q.data(),
                           .q_dim = c.q_dim,
                           .rope = c.rope,
                           .rope_dims = c.rope_dims,
                           .cos = cos.data(),
                           .sin = sin.data(),
                           .cache = kv,
                           .rows = rows.data(),
                           .q_out = out.data()});
    stored.push_back(mine.bytes());
    if (&k == &scalar()) pages = std::move(mine);
    return out;
  });
  expect_all_same(all);
  for (const auto& bytes : stored) ASSERT_EQ(bytes, stored[0]);
  for (int64_t t = 0; t < n; ++t) {
    const auto turned = [&](std::vector<double> values) {
      turn(values.data() + values.size() - c.rope_dims, c.rope, c.rope_dims, cos.data() + t * pairs,
           sin.data() + t * pairs);
      return values;
    };
    std::vector<double> key(latent.begin() + t * c.v_dim, latent.begin() + (t + 1) * c.v_dim);
    const std::vector<double> value = key;
    key.insert(key.end(), k_rope.begin() + t * c.rope_dims, k_rope.begin() + (t + 1) * c.rope_dims);
    expect_heads_close(turned(key), pages.key(60 + t), k_dim, 1e-5, c.type, "k");
    expect_heads_close(value, pages.value(60 + t), c.v_dim, 0, c.type, "v");
    for (int32_t h = 0; h < c.heads; ++h) {
      const float* from = q.data() + (t * c.heads + h) * c.q_dim;
      const float* got = all[0].values.data() + (t * c.heads + h) * k_dim;
      for (int32_t d = 0; d < c.v_dim; ++d) ASSERT_EQ(got[d], -1) << "the product's place was written";
      expect_close(turned({from + c.q_dim - c.rope_dims, from + c.q_dim}), got + c.v_dim, 1e-5, KvType::f32, "q");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, SharedLatent,
                         testing::Values(SharedCase{KvType::f32, 3, 20, 8, 12, Rope::adjacent},
                                         SharedCase{KvType::f16, 16, 512, 64, 192, Rope::adjacent},
                                         SharedCase{KvType::q8_0, 2, 64, 32, 48, Rope::half}));

}  // namespace
}  // namespace linnet
