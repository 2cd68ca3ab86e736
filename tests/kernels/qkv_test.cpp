// Q, K, V with head norms, rope and the store into pages; turning the keys of a page; rows in and out of pages.
#include <gtest/gtest.h>

#include "tests/kernels/pages_support.h"

namespace linnet {
namespace {

struct Case {
  KvType type;
  Type weight;
  int32_t heads, kv_heads, k_dim, v_dim;
  int64_t cols;
  Rope rope;
  int32_t rope_dims;
  bool added;  // bias and delta
  QkNorm norm = QkNorm::none;
  Norm norm_kind = Norm::rms;
  bool norm_after_rope = false;
  float clamp = 0;
  bool scaled = false;
};

struct Problem {
  Case c;
  KvLayer kv;
  int64_t n;
  Held x;
  Matrix q, k, v;
  Array<float> q_bias, k_bias, v_bias, q_delta, v_delta, q_norm, k_norm, q_scale, cos, sin;
  std::vector<int64_t> position;

  Problem(const Case& which, int64_t rows, uint64_t seed)
      : c(which), kv(make_layer(c.type, c.kv_heads, c.k_dim, c.v_dim)), n(rows), x(rows, c.cols) {
    Random random(seed);
    for (float& value : x.f32) value = random.normal();
    x.quantize();
    q = random_matrix(random, c.weight, c.heads * c.k_dim, c.cols);
    k = random_matrix(random, c.weight, c.kv_heads * c.k_dim, c.cols);
    v = random_matrix(random, c.weight, c.kv_heads * c.v_dim, c.cols);
    q_bias = random_floats(random, q.w.rows), k_bias = random_floats(random, k.w.rows);
    v_bias = random_floats(random, v.w.rows);
    q_delta = random_floats(random, n * q.w.rows), v_delta = random_floats(random, n * v.w.rows);
    q_norm = random_floats(random, q.w.rows), k_norm = random_floats(random, k.w.rows);
    q_scale = random_floats(random, n);
    for (int64_t i = 0; i < n * (c.rope_dims / 2); ++i) {
      const double angle = random.uniform() * 100;
      cos.push_back(static_cast<float>(std::cos(angle)));
      sin.push_back(static_cast<float>(std::sin(angle)));
    }
    for (int64_t t = 0; t < n; ++t) position.push_back(60 + t);  // across a page's end
  }
  // Rows [r0, r1) of the batch.
  void run(const Kernels& kernels, Exec& exec, int64_t r0, int64_t r1, const Sequence& s, float* q_out) const {
    std::vector<RowPlace> rows;
    for (int64_t t = r0; t < r1; ++t) rows.push_back(s.place(position[static_cast<size_t>(t)], 0, 1));
    Held part(r1 - r0, c.cols);
    std::copy(x.f32.begin() + r0 * c.cols, x.f32.begin() + r1 * c.cols, part.f32.begin());
    part.quantize();
    const auto bias = [&](const Array<float>& b) { return c.added ? b.data() : nullptr; };
    const Linear lq{q.w, bias(q_bias), c.added ? q_delta.data() + r0 * q.w.rows : nullptr};
    const Linear lk{k.w, bias(k_bias), nullptr};
    const Linear lv{v.w, bias(v_bias), c.added ? v_delta.data() + r0 * v.w.rows : nullptr};
    const int64_t pairs = c.rope_dims / 2;
    kernels.qkv(exec, {.n = r1 - r0,
                       .x = part.a,
                       .q = lq,
                       .k = lk,
                       .v = lv,
                       .heads = c.heads,
                       .clamp = c.clamp,
                       .qk_norm = c.norm,
                       .norm_kind = c.norm_kind,
                       .norm_after_rope = c.norm_after_rope,
                       .q_norm = q_norm.data(),
                       .k_norm = k_norm.data(),
                       .norm_eps = 1e-6f,
                       .rope = c.rope,
                       .rope_dims = c.rope_dims,
                       .cos = cos.data() + r0 * pairs,
                       .sin = sin.data() + r0 * pairs,
                       .q_scale = c.scaled ? q_scale.data() + r0 : nullptr,
                       .kv = kv,
                       .rows = rows.data(),
                       .q_out = q_out});
  }
  ScratchNeed need() const { return {n, c.cols, q.w.rows + k.w.rows + v.w.rows, c.heads, c.v_dim, 1, 1}; }
  Sequence pages() const { return Sequence(kv, 0, 60 + n); }

  // Row t of q, k or v in double: bias, delta, clamp, norm and rope in their order. norm null: a value, without norm and
  // rope. `error` becomes the most that float32 may be off by.
  std::vector<double> defined(const Matrix& m, int64_t t, int64_t dim, const float* bias, const float* delta,
                              const float* norm, double* error) const {
    std::vector<double> row;
    double worst = 0;
    for (int64_t r = 0; r < m.w.rows; ++r) {
      Expected e = product(m, x, t, r);
      if (c.added && delta) e.value += delta[t * m.w.rows + r];
      if (c.added && bias) e.value += bias[r];
      worst = std::max(worst, e.error + std::fabs(e.value) * 0x1p-22);
      if (c.clamp != 0) e.value = std::clamp(e.value, -double{c.clamp}, double{c.clamp});
      row.push_back(e.value);
    }
    if (norm && !c.norm_after_rope) normalize(row, dim, norm, &worst);
    const int64_t pairs = c.rope_dims / 2;
    for (int64_t h = 0; norm && h < m.w.rows / dim; ++h)
      turn(row.data() + h * dim, c.rope, c.rope_dims, cos.data() + t * pairs, sin.data() + t * pairs);
    worst = worst * 2 + 1e-6;
    if (norm && c.norm_after_rope) normalize(row, dim, norm, &worst);
    *error = worst;
    return row;
  }

  // An error e of every value turns into e * r * weight, and, over r, into up to sqrt(count) times that.
  void normalize(std::vector<double>& row, int64_t dim, const float* weight, double* worst) const {
    if (c.norm == QkNorm::none) return;
    const size_t count = c.norm == QkNorm::whole ? row.size() : static_cast<size_t>(dim);
    const auto values = static_cast<double>(count);
    double most = 0;
    for (size_t h = 0; h < row.size(); h += count) {
      double mean = 0, square = 0, largest = 0;
      for (size_t d = h; d < h + count && c.norm_kind == Norm::layer; ++d) mean += row[d] / values;
      for (size_t d = h; d < h + count; ++d) square += (row[d] - mean) * (row[d] - mean);
      const double r = 1 / std::sqrt(square / values + 1e-6);
      for (size_t d = h; d < h + count; ++d) {
        const double w = weight[c.norm == QkNorm::head ? d - h : d];
        row[d] = (row[d] - mean) * r * w;
        largest = std::max(largest, std::fabs(w));
      }
      const double centred = c.norm_kind == Norm::layer ? 2 * *worst : *worst;
      most = std::max(most, largest * (centred * r * (2 + std::sqrt(values)) + 0x1p-20 * (1 + std::fabs(mean) * r)));
    }
    *worst = most;
  }
};

class Qkv : public testing::TestWithParam<Case> {};

TEST_P(Qkv, IsTheDefinitionOnEveryBackend) {
  const Problem p(GetParam(), 9, 20);
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
  const Case& c = p.c;
  double error;
  for (int64_t t = 0; t < p.n; ++t) {
    auto q = p.defined(p.q, t, c.k_dim, p.q_bias.data(), p.q_delta.data(), p.q_norm.data(), &error);
    const double scale = c.scaled ? p.q_scale[static_cast<size_t>(t)] : 1;
    for (double& value : q) value *= scale;
    expect_close(q, all[0].values.data() + t * p.q.w.rows, error * std::fabs(scale) + 1e-6, KvType::f32, "q");
    const auto k = p.defined(p.k, t, c.k_dim, p.k_bias.data(), nullptr, p.k_norm.data(), &error);
    expect_heads_close(k, pages.key(60 + t), c.k_dim, error, c.type, "k");
    const auto v = p.defined(p.v, t, c.v_dim, p.v_bias.data(), p.v_delta.data(), nullptr, &error);
    expect_heads_close(v, pages.value(60 + t), c.v_dim, error, c.type, "v");
  }
}

TEST_P(Qkv, PromptChunksAreTheTokensOneByOne) {
  const Problem p(GetParam(), 23, 21);
  for (const Kernels* k : backends()) {
    Bench bench(*k, 2, p.need());
    Sequence whole = p.pages(), single = p.pages();
    Array<float> q(static_cast<size_t>(p.n * p.q.w.rows)), one(q.size());
    p.run(*k, bench.exec(), 0, p.n, whole, q.data());
    for (int64_t t = 0; t < p.n; ++t) p.run(*k, bench.exec(), t, t + 1, single, one.data() + t * p.q.w.rows);
    expect_same(q, one, k->name);
    ASSERT_EQ(whole.bytes(), single.bytes()) << k->name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Qkv,
    testing::Values(Case{KvType::f16, Type::f32, 4, 2, 64, 64, 96, Rope::half, 64, false},
                    Case{KvType::f16, Type::q8_0, 4, 2, 64, 64, 128, Rope::adjacent, 64, true, QkNorm::head},
                    Case{KvType::f32, Type::f16, 3, 1, 43, 20, 43, Rope::half, 10, true, QkNorm::head},
                    Case{KvType::f32, Type::f32, 2, 2, 16, 16, 33, Rope::none, 0, false},
                    Case{KvType::q8_0, Type::q4_k, 4, 2, 64, 32, 256, Rope::adjacent, 48, true, QkNorm::head},
                    Case{KvType::q8_0, Type::f32, 2, 1, 96, 64, 64, Rope::half, 96, false}));

INSTANTIATE_TEST_SUITE_P(
    Norms, Qkv,
    testing::Values(
        Case{KvType::f32, Type::f32, 4, 2, 48, 32, 64, Rope::half, 48, false, QkNorm::head, Norm::layer},
        Case{KvType::f16, Type::f32, 4, 2, 32, 32, 64, Rope::half, 32, true, QkNorm::own_head, Norm::rms},
        Case{KvType::f32, Type::q8_0, 3, 3, 43, 7, 64, Rope::half, 20, true, QkNorm::own_head, Norm::layer, true},
        Case{KvType::f16, Type::f32, 4, 2, 32, 32, 64, Rope::adjacent, 32, true, QkNorm::whole, Norm::rms},
        Case{KvType::f32, Type::f16, 5, 1, 20, 32, 40, Rope::half, 20, false, QkNorm::whole, Norm::layer},
        Case{KvType::f16, Type::f32, 4, 2, 64, 32, 64, Rope::half, 64, false, QkNorm::head, Norm::rms, true}));

// A clamp that half of the values meet, alone and before the norms; scaled queries.
INSTANTIATE_TEST_SUITE_P(Others, Qkv,
                         testing::Values(Case{KvType::f32, Type::f32, 4, 2, 32, 32, 64, Rope::half, 32, true,
                                              QkNorm::none, Norm::rms, false, 1.5f},
                                         Case{KvType::f16, Type::q8_0, 4, 4, 32, 32, 64, Rope::half, 32, false,
                                              QkNorm::none, Norm::rms, false, 0, true},
                                         Case{KvType::q8_0, Type::f32, 4, 2, 32, 32, 64, Rope::half, 32, true,
                                              QkNorm::head, Norm::rms, true, 2, true},
                                         Case{KvType::f32, Type::f32, 3, 1, 24, 9, 64, Rope::half, 24, true,
                                              QkNorm::whole, Norm::layer, false, 1, true}));

// 64 keys of 2 heads; the scales of Q8_0 keys as small as 3e-4 are subnormal, and encoding them anew may change them.
void expect_turned(KvType type, Rope rope, int32_t rope_first, float size) {
  const KvLayer kv = make_layer(type, 2, 96, 32);
  const int32_t dims = 40;
  Random random(22);
  Sequence before(kv, 0, 64);
  for (int64_t p = 0; p < 64; ++p)
    before.store(p, random_floats(random, 2 * 96, size).data(), random_floats(random, 2 * 32).data());
  Array<float> cos, sin;
  for (int i = 0; i < dims / 2; ++i) {
    cos.push_back(static_cast<float>(std::cos(i * 0.3)));
    sin.push_back(static_cast<float>(std::sin(i * 0.3)));
  }
  const int64_t block = type == KvType::q8_0 ? 32 : 1;
  const int64_t touched = rope_first / block * block, end = (rope_first + dims + block - 1) / block * block;
  std::vector<std::byte> first;
  for (const Kernels* k : backends())
    for (int32_t threads : {1, 2}) {
      Bench bench(*k, threads, {1, 1, 4 * 96, 4, 32, 64, 1});
      Sequence turned(kv, 0, 64);
      std::memcpy(turned.page(0), before.page(0), before.bytes().size());
      k->rotate(bench.exec(), {turned.page(0), kv, rope, rope_first, dims, cos.data(), sin.data()});
      if (first.empty()) first = turned.bytes();
      ASSERT_EQ(turned.bytes(), first) << k->name;
      for (int64_t slot = 0; slot < 64; ++slot) {
        const Array<float> old = before.key(slot), now = turned.key(slot);
        ASSERT_EQ(turned.value(slot), before.value(slot));
        std::vector<double> want(old.begin(), old.end());
        for (int64_t h = 0; h < 2; ++h) {
          turn(want.data() + h * 96 + rope_first, rope, dims, cos.data(), sin.data());
          for (int64_t d = 0; d < 96; ++d) {  // outside of the turned dimensions and their blocks nothing changes
            const auto at = static_cast<size_t>(h * 96 + d);
            if (d < touched || d >= end) { ASSERT_EQ(now[at], old[at]); }
          }
        }
        expect_heads_close(want, now, 96, 1e-6, type, "key");
      }
    }
}

TEST(Rotate, TurnsTheKeysOfAPage) {
  for (KvType type : {KvType::f32, KvType::f16, KvType::q8_0})
    for (Rope rope : {Rope::half, Rope::adjacent})
      for (int32_t rope_first : {0, 20, 56})
        for (float size : {1.0f, 3e-4f}) expect_turned(type, rope, rope_first, size);
}

TEST(KvLayout, RowsMoveBetweenPagesExactly) {
  for (KvType type : {KvType::f32, KvType::f16, KvType::q8_0}) {
    const KvLayer kv = make_layer(type, 3, 64, 32);
    Random random(23);
    Sequence a(kv, 0, 64), b(kv, 0, 64);
    a.fill(random, 0, 64);
    std::vector<std::byte> k(static_cast<size_t>(3 * kv_row_bytes(type, 64)));
    std::vector<std::byte> v(static_cast<size_t>(3 * kv_row_bytes(type, 32)));
    for (int64_t slot = 0; slot < 64; ++slot) {
      read_k_row(a.page(0), kv, slot, k.data());
      read_v_row(a.page(0), kv, slot, v.data());
      write_k_row(b.page(0), kv, slot, k.data());
      write_v_row(b.page(0), kv, slot, v.data());
    }
    EXPECT_EQ(a.bytes(), b.bytes());
    EXPECT_EQ(kv_part_bytes(type, 3, 64) % 64, 0);
    EXPECT_EQ(kv_head_bytes(type, 64), kPageTokens * kv_row_bytes(type, 64));
  }
}

// Q8_0 keeps each value within half a step of its block, the scale rounded to binary16 beforehand.
TEST(KvLayout, Q8_0RoundsToTheNearestCode) {
  const KvLayer kv = make_layer(KvType::q8_0, 1, 128, 128);
  Random random(24);
  Sequence s(kv, 0, 64);
  for (int64_t slot = 0; slot < 64; ++slot) {
    const Array<float> x = random_floats(random, 128, slot % 2 ? 0.01f : 4.0f);
    s.store(slot, x.data(), x.data());
    const Array<float> k = s.key(slot), v = s.value(slot);
    for (size_t b = 0; b < 128; b += 32) {
      float amax = 0;
      for (size_t i = b; i < b + 32; ++i) amax = std::max(amax, std::fabs(x[i]));
      for (size_t i = b; i < b + 32; ++i) {
        ASSERT_LE(std::fabs(k[i] - x[i]), amax / 127 * 0.51f + amax * 0x1p-11f);
        ASSERT_EQ(k[i], v[i]);
      }
    }
  }
}

}  // namespace
}  // namespace linnet
