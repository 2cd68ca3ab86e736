// The feed-forward networks of chosen experts.
#include <gtest/gtest.h>

#include "tests/kernels/experts_support.h"

namespace linnet {
namespace {

struct Case {
  Type type, down_type;
  int64_t n, dim, ffn;
  int32_t experts, used;
  Glu kind;
  bool gate = true, bias = false, add = false;
  float scale = 1;
};

struct Matrices {
  std::vector<Matrix> matrices;
  std::vector<Array<float>> biases;
  std::vector<Linear> linears;

  Matrices(Random& random, Type type, int32_t experts, int64_t rows, int64_t cols, bool bias) {
    for (int32_t e = 0; e < experts; ++e) {
      matrices.push_back(random_matrix(random, type, rows, cols));
      biases.push_back(random_floats(random, rows));
    }
    for (size_t e = 0; e < matrices.size(); ++e)
      linears.push_back({matrices[e].w, bias ? biases[e].data() : nullptr, nullptr});
  }
  Expected element(int32_t expert, const Held& x, int64_t t, int64_t r) const {
    const auto e = static_cast<size_t>(expert);
    Expected v = product(matrices[e], x, t, r);
    if (linears[e].bias) v.value += biases[e][static_cast<size_t>(r)];
    v.error += std::fabs(v.value) * 0x1p-22;
    return v;
  }
};

// What a call leaves behind besides y.
struct Work {
  Held gathered, hidden;
  Array<float> products;
  Work(const Case& c, int64_t n)
      : gathered(n * c.used, c.dim),
        hidden(n * c.used, c.ffn),
        products(static_cast<size_t>(n * c.used * std::max(c.dim, c.ffn)), NAN) {}
};

struct Problem {
  Case c;
  Random random{42};
  Matrices gate, up, down;
  Held x;
  Array<float> logits, before;

  explicit Problem(const Case& which)
      : c(which),
        gate(random, c.type, c.experts, c.ffn, c.dim, c.bias),
        up(random, c.type, c.experts, c.ffn, c.dim, c.bias),
        down(random, c.down_type, c.experts, c.dim, c.ffn, c.bias),
        x(c.n, c.dim),
        logits(random_floats(random, c.n * c.experts)),
        before(random_floats(random, c.n * c.dim)) {
    for (float& v : x.f32) v = random.normal();
    x.quantize();
    // An expert without rows among the others, as far as there are others.
    for (int64_t t = 0; t < c.n && c.experts > c.used; ++t) logits[static_cast<size_t>(t * c.experts + 1)] = -100;
  }
  ScratchNeed need() const { return {c.n, std::max(c.dim, c.ffn), c.ffn + c.dim, 1, 1, 1, 1}; }

  // Rows [r0, r1) in one call; y: [r1 - r0][dim].
  void run(const Kernels& k, Exec& exec, int64_t r0, int64_t r1, Routed& routed, Work& work, float* y) const {
    const int64_t n = r1 - r0;
    k.route(exec, {n, logits.data() + r0 * c.experts, nullptr, c.experts, c.used, 1, 1, Gating::softmax, false, 1,
                   routed.routes});
    Held part(n, c.dim);
    std::copy(x.f32.begin() + r0 * c.dim, x.f32.begin() + r1 * c.dim, part.f32.begin());
    part.quantize();
    std::copy(before.begin() + r0 * c.dim, before.begin() + r1 * c.dim, y);
    if (!c.add) std::fill(y, y + n * c.dim, NAN);
    k.experts(exec, {.n = n,
                     .x = part.a,
                     .experts = c.experts,
                     .used = c.used,
                     .gate = c.gate ? gate.linears.data() : nullptr,
                     .up = up.linears.data(),
                     .down = down.linears.data(),
                     .kind = c.kind,
                     .routes = routed.routes,
                     .x_forms = part.forms,
                     .forms = work.hidden.forms,
                     .gathered = work.gathered.a,
                     .hidden = work.hidden.a,
                     .products = work.products.data(),
                     .y = y,
                     .add = c.add,
                     .scale = c.scale});
  }

  // In two halves, since the second sees the first's result rounded and quantized.
  void expect_hidden(const Routed& routed, const Held& hidden, int64_t t, int32_t j) const {
    const int32_t e = routed.expert(t, j);
    const int64_t slot = routed.slot_of(t, j);
    for (int64_t r = 0; r < c.ffn; ++r) {
      const Expected g = gate.element(e, x, t, r);
      const Expected want = activated(c.kind, c.gate ? &g : nullptr, up.element(e, x, t, r));
      const float got = hidden.f32[static_cast<size_t>(slot * c.ffn + r)];
      if (!(std::fabs(got - want.value) <= want.error))
        FAIL() << "row " << t << " expert " << e << " [" << r << "]: " << got << " is not " << want.value;
    }
  }
  void expect_row(const Routed& routed, const Held& hidden, int64_t t, const float* y) const {
    for (int64_t r = 0; r < c.dim; ++r) {
      Expected want;
      for (int32_t j = 0; j < c.used; ++j) {
        const Expected v = down.element(routed.expert(t, j), hidden, routed.slot_of(t, j), r);
        const double weight = routed.weight[static_cast<size_t>(t * c.used + j)];
        want.value += weight * v.value;
        want.error += weight * (v.error + (c.used + 2) * 0x1p-24 * std::fabs(v.value));
      }
      want.value *= c.scale;
      want.error = want.error * std::fabs(c.scale) + 0x1p-22 * (1 + std::fabs(want.value));
      if (c.add) want.value += before[static_cast<size_t>(t * c.dim + r)];
      if (!(std::fabs(y[r] - want.value) <= want.error))
        FAIL() << "row " << t << " [" << r << "]: " << y[r] << " is not " << want.value;
    }
  }
  // To the bit: the experts' results are summed in the order of the row's choices.
  void expect_order(const Routed& routed, const Array<float>& products, int64_t t, const float* y) const {
    for (int64_t r = 0; r < c.dim; ++r) {
      float sum = 0;
      for (int32_t j = 0; j < c.used; ++j) {
        const float weight = routed.weight[static_cast<size_t>(t * c.used + j)];
        const float v = products[static_cast<size_t>(routed.slot_of(t, j) * c.dim + r)];
        sum = j == 0 ? weight * v : std::fmaf(weight, v, sum);
      }
      sum *= c.scale;
      ASSERT_EQ(y[r], c.add ? before[static_cast<size_t>(t * c.dim + r)] + sum : sum) << "row " << t;
    }
  }
};

class Experts : public testing::TestWithParam<Case> {};

TEST_P(Experts, AreTheDefinitionOnEveryBackend) {
  const Problem p(GetParam());
  const Case& c = p.c;
  const auto all = everywhere(p.need(), [&](const Kernels& k, Exec& exec) {
    Routed routed(c.n, c.experts, c.used);
    Work work(c, c.n);
    Array<float> y(static_cast<size_t>(c.n * c.dim));
    p.run(k, exec, 0, c.n, routed, work, y.data());
    work.hidden.expect_forms();
    return y;
  });
  expect_all_same(all);
  Bench bench(scalar(), 1, p.need());
  Routed routed(c.n, c.experts, c.used);
  Work work(c, c.n);
  Array<float> y(static_cast<size_t>(c.n * c.dim));
  p.run(scalar(), bench.exec(), 0, c.n, routed, work, y.data());
  if (c.experts > c.used) { ASSERT_EQ(routed.first[1], routed.first[2]) << "expert 1 should have no rows"; }
  for (int64_t t = 0; t < c.n; t += t < 4 ? 1 : 8) {
    for (int32_t j = 0; j < c.used; ++j) p.expect_hidden(routed, work.hidden, t, j);
    p.expect_row(routed, work.hidden, t, all[0].values.data() + t * c.dim);
    p.expect_order(routed, work.products, t, all[0].values.data() + t * c.dim);
  }
}

TEST_P(Experts, ARowAloneIsTheRowInTheBatch) {
  const Problem p(GetParam());
  const Case& c = p.c;
  for (const Kernels* k : backends()) {
    Bench bench(*k, 2, p.need());
    Routed routed(c.n, c.experts, c.used), one(1, c.experts, c.used), few(std::min<int64_t>(c.n, 5), c.experts, c.used);
    Work work(c, c.n), alone(c, 1), some(c, few.n);
    Array<float> whole(static_cast<size_t>(c.n * c.dim)), y(static_cast<size_t>(c.dim)),
        head(static_cast<size_t>(few.n * c.dim));
    p.run(*k, bench.exec(), 0, c.n, routed, work, whole.data());
    for (int64_t t = 0; t < c.n; ++t) {
      p.run(*k, bench.exec(), t, t + 1, one, alone, y.data());
      expect_same(Array<float>(whole.begin() + t * c.dim, whole.begin() + (t + 1) * c.dim), y, k->name);
    }
    p.run(*k, bench.exec(), 0, few.n, few, some, head.data());
    expect_same(Array<float>(whole.begin(), whole.begin() + few.n * c.dim), head, k->name);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Experts,
    testing::Values(Case{Type::f32, Type::f32, 1, 43, 37, 4, 2, Glu::silu},
                    Case{Type::f32, Type::f32, 37, 64, 96, 8, 2, Glu::clamped_swish, true, true},
                    Case{Type::f16, Type::f32, 37, 33, 20, 5, 3, Glu::gelu_tanh, true, false, true, 0.5f},
                    Case{Type::q8_0, Type::q8_0, 1, 64, 32, 6, 4, Glu::silu, true, true, true, 2.5f},
                    Case{Type::q8_0, Type::f16, 37, 96, 288, 7, 2, Glu::silu, true, true, true, 2.5f},
                    Case{Type::q4_k, Type::q4_k, 1, 256, 512, 4, 2, Glu::silu},
                    Case{Type::q4_k, Type::q8_0, 37, 512, 256, 5, 2, Glu::gelu_tanh, true, true, false, 16},
                    Case{Type::f32, Type::q8_0, 37, 32, 64, 4, 1, Glu::relu_squared, false, true, true},
                    Case{Type::q8_0, Type::q4_k, 3, 64, 256, 3, 3, Glu::gelu_tanh, false},
                    Case{Type::f32, Type::f32, 2, 300, 8, 64, 6, Glu::silu},
                    Case{Type::mxfp4, Type::mxfp4, 1, 96, 160, 8, 4, Glu::clamped_swish, true, true},
                    Case{Type::mxfp4, Type::mxfp4, 37, 288, 96, 5, 2, Glu::clamped_swish, true, true},
                    Case{Type::nvfp4, Type::q2_0, 37, 64, 192, 5, 2, Glu::silu},
                    Case{Type::q1_0, Type::nvfp4, 1, 384, 64, 4, 2, Glu::silu, true, true, true, 2.5f},
                    Case{Type::iq2_xxs, Type::iq3_xxs, 19, 256, 256, 3, 2, Glu::silu},
                    Case{Type::iq1_m, Type::iq2_s, 3, 256, 256, 3, 2, Glu::silu},
                    Case{Type::iq1_s, Type::iq2_xs, 9, 256, 256, 3, 2, Glu::gelu_tanh},
                    Case{Type::iq3_s, Type::tq2_0, 9, 256, 256, 4, 2, Glu::silu},
                    Case{Type::tq1_0, Type::tq1_0, 9, 256, 256, 4, 2, Glu::relu_squared, false}));

// A row of NaN spoils itself only.
TEST(ExpertsRange, NanStaysInItsRow) {
  const Case c{Type::q8_0, Type::q8_0, 9, 64, 64, 4, 2, Glu::silu};
  Problem p(c);
  std::fill(p.x.f32.begin() + 3 * c.dim, p.x.f32.begin() + 4 * c.dim, NAN);
  std::fill(p.logits.begin() + 3 * c.experts, p.logits.begin() + 4 * c.experts, NAN);
  const auto all = everywhere(p.need(), [&](const Kernels& k, Exec& exec) {
    Routed routed(c.n, c.experts, c.used);
    Work work(c, c.n);
    Array<float> y(static_cast<size_t>(c.n * c.dim));
    p.run(k, exec, 0, c.n, routed, work, y.data());
    return y;
  });
  expect_all_same(all);
  for (int64_t i = 0; i < c.n * c.dim; ++i)
    ASSERT_EQ(std::isnan(all[0].values[static_cast<size_t>(i)]), i / c.dim == 3) << i;
}

}  // namespace
}  // namespace linnet
