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
  bool extras;  // bias, delta and head norms
};

struct Problem {
  Case c;
  KvLayer kv;
  int64_t n;
  Held x;
  Matrix q, k, v;
  Array<float> q_bias, k_bias, v_bias, q_delta, v_delta, q_norm, k_norm, cos, sin;
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
    q_norm = random_floats(random, c.k_dim), k_norm = random_floats(random, c.k_dim);
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
    const auto bias = [&](const Array<float>& b) { return c.extras ? b.data() : nullptr; };
    const Linear lq{q.w, bias(q_bias), c.extras ? q_delta.data() + r0 * q.w.rows : nullptr};
    const Linear lk{k.w, bias(k_bias), nullptr};
    const Linear lv{v.w, bias(v_bias), c.extras ? v_delta.data() + r0 * v.w.rows : nullptr};
    const int64_t pairs = c.rope_dims / 2;
    kernels.qkv(exec, {.n = r1 - r0,
                       .x = part.a,
                       .q = lq,
                       .k = lk,
                       .v = lv,
                       .heads = c.heads,
                       .clamp = 0,
                       .qk_norm = c.extras ? QkNorm::head : QkNorm::none,
                       .norm_kind = Norm::rms,
                       .norm_after_rope = false,
                       .q_norm = bias(q_norm),
                       .k_norm = bias(k_norm),
                       .norm_eps = 1e-6f,
                       .rope = c.rope,
                       .rope_dims = c.rope_dims,
                       .cos = cos.data() + r0 * pairs,
                       .sin = sin.data() + r0 * pairs,
                       .q_scale = nullptr,
                       .kv = kv,
                       .rows = rows.data(),
                       .q_out = q_out});
  }
  ScratchNeed need() const { return {n, c.cols, q.w.rows + k.w.rows + v.w.rows, c.heads, c.v_dim, 1, 1}; }
  Sequence pages() const { return Sequence(kv, 0, 60 + n); }

  // Head `head` of row t in double, after bias, delta, norm and rope.
  std::vector<double> defined(const Matrix& m, int64_t t, int64_t head, int64_t dim, const float* bias,
                              const float* delta, const float* norm, bool turn, double* error) const {
    std::vector<double> h;
    double square = 0, worst = 0;
    for (int64_t d = 0; d < dim; ++d) {
      const int64_t r = head * dim + d;
      Expected e = product(m, x, t, r);
      if (c.extras && delta) e.value += delta[t * m.w.rows + r];
      if (c.extras && bias) e.value += bias[r];
      h.push_back(e.value);
      square += e.value * e.value;
      worst = std::max(worst, e.error + std::fabs(e.value) * 0x1p-22);
    }
    if (c.extras && norm) {
      const double r = 1 / std::sqrt(square / static_cast<double>(dim) + 1e-6);
      double largest = 0;
      for (int64_t d = 0; d < dim; ++d) {
        h[static_cast<size_t>(d)] *= r * norm[d];
        largest = std::max(largest, std::fabs(static_cast<double>(norm[d])));
      }
      worst = worst * r * largest * (2 + std::sqrt(static_cast<double>(dim))) + 0x1p-20 * largest;
    }
    for (int64_t i = 0; turn && c.rope != Rope::none && i < c.rope_dims / 2; ++i) {
      const auto a = static_cast<size_t>(c.rope == Rope::half ? i : 2 * i);
      const auto b = static_cast<size_t>(c.rope == Rope::half ? i + c.rope_dims / 2 : 2 * i + 1);
      const auto at = static_cast<size_t>(t * (c.rope_dims / 2) + i);
      const double x0 = h[a], x1 = h[b];
      h[a] = x0 * cos[at] - x1 * sin[at];
      h[b] = x1 * cos[at] + x0 * sin[at];
    }
    *error = worst * 2 + 1e-6;
    return h;
  }
};

void expect_close(const std::vector<double>& want, const float* got, double error, KvType type, const char* what) {
  double amax = 0;
  for (double v : want) amax = std::max(amax, std::fabs(v));
  for (size_t d = 0; d < want.size(); ++d) {
    // Half an ulp of binary16, or half a step of a block's scale and the rounding of that scale.
    const double stored = type == KvType::f32   ? 0
                          : type == KvType::f16 ? std::fabs(want[d]) * 0x1p-11 + 1e-7
                                                : amax / 127;
    if (!(std::fabs(got[d] - want[d]) <= error + stored))
      FAIL() << what << "[" << d << "]: " << got[d] << " is not " << want[d];
  }
}

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
    for (int64_t h = 0; h < c.heads; ++h) {
      const auto want = p.defined(p.q, t, h, c.k_dim, p.q_bias.data(), p.q_delta.data(), p.q_norm.data(), true, &error);
      expect_close(want, all[0].values.data() + t * p.q.w.rows + h * c.k_dim, error, KvType::f32, "q");
    }
    const Array<float> k = pages.key(60 + t), v = pages.value(60 + t);
    for (int64_t h = 0; h < c.kv_heads; ++h) {
      const auto key = p.defined(p.k, t, h, c.k_dim, p.k_bias.data(), nullptr, p.k_norm.data(), true, &error);
      expect_close(key, k.data() + h * c.k_dim, error, c.type, "k");
      const auto value = p.defined(p.v, t, h, c.v_dim, p.v_bias.data(), p.v_delta.data(), nullptr, false, &error);
      expect_close(value, v.data() + h * c.v_dim, error, c.type, "v");
    }
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

INSTANTIATE_TEST_SUITE_P(Shapes, Qkv,
                         testing::Values(Case{KvType::f16, Type::f32, 4, 2, 64, 64, 96, Rope::half, 64, false},
                                         Case{KvType::f16, Type::q8_0, 4, 2, 64, 64, 128, Rope::adjacent, 64, true},
                                         Case{KvType::f32, Type::f16, 3, 1, 43, 20, 43, Rope::half, 10, true},
                                         Case{KvType::f32, Type::f32, 2, 2, 16, 16, 33, Rope::none, 0, false},
                                         Case{KvType::q8_0, Type::q4_k, 4, 2, 64, 32, 256, Rope::adjacent, 48, true},
                                         Case{KvType::q8_0, Type::f32, 2, 1, 96, 64, 64, Rope::half, 96, false}));

TEST(Rotate, TurnsTheKeysOfAPage) {
  for (KvType type : {KvType::f32, KvType::f16, KvType::q8_0})
    for (Rope rope : {Rope::half, Rope::adjacent}) {
      const KvLayer kv = make_layer(type, 2, 96, 32);
      const int32_t dims = 40;
      Random random(22);
      Sequence before(kv, 0, 64);
      before.fill(random, 0, 64);
      Array<float> cos, sin;
      for (int i = 0; i < dims / 2; ++i) {
        cos.push_back(static_cast<float>(std::cos(i * 0.3)));
        sin.push_back(static_cast<float>(std::sin(i * 0.3)));
      }
      std::vector<std::byte> first;
      for (const Kernels* k : backends())
        for (int32_t threads : {1, 2}) {
          Bench bench(*k, threads, {1, 1, 4 * 96, 4, 32, 64, 1});
          Sequence turned(kv, 0, 64);
          std::memcpy(turned.page(0), before.page(0), before.bytes().size());
          k->rotate(bench.exec(), {turned.page(0), kv, rope, 0, dims, cos.data(), sin.data()});
          if (first.empty()) first = turned.bytes();
          ASSERT_EQ(turned.bytes(), first) << k->name;
          for (int64_t slot = 0; slot < 64; ++slot) {
            const Array<float> old = before.key(slot), now = turned.key(slot);
            for (int64_t h = 0; h < 2; ++h) {
              std::vector<double> want(old.begin() + h * 96, old.begin() + (h + 1) * 96);
              for (int i = 0; i < dims / 2; ++i) {
                const auto a = static_cast<size_t>(rope == Rope::half ? i : 2 * i);
                const auto b = static_cast<size_t>(rope == Rope::half ? i + dims / 2 : 2 * i + 1);
                const auto at = static_cast<size_t>(i);
                const double x0 = want[a], x1 = want[b];
                want[a] = x0 * cos[at] - x1 * sin[at];
                want[b] = x1 * cos[at] + x0 * sin[at];
              }
              expect_close(want, now.data() + h * 96, 1e-6, type, "key");
              for (int64_t d = 64; d < 96; ++d)  // beyond the turned dimensions and their block nothing changes
                ASSERT_EQ(now[static_cast<size_t>(h * 96 + d)], old[static_cast<size_t>(h * 96 + d)]);
            }
          }
        }
    }
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
