// embed, linear and glu.
#include <gtest/gtest.h>

#include "gguf/base/math.h"
#include "tests/kernels/kernels_support.h"

namespace linnet {
namespace {

struct Case {
  Type type;
  int64_t n, cols, rows;
  bool delta, bias, add;
  float scale;
  bool gate = false;
  float softcap = 0;
};

class Linears : public testing::TestWithParam<Case> {};

TEST_P(Linears, AreTheDefinitionOnEveryBackend) {
  const Case c = GetParam();
  Random random(static_cast<uint64_t>(c.cols + c.rows));
  Held x(c.n, c.cols);
  x.f32 = random_floats(random, c.n * c.cols);
  x.a.f32 = x.f32.data();
  x.quantize();
  // Two matrices of different heights share x.
  const int64_t heights[2] = {c.rows, c.rows / 2 + 3};
  const Array<float> gate = random_floats(random, c.n, 2);
  Matrix m[2];
  Linear linears[2];
  Array<float> bias[2], delta[2], before[2];
  for (int j = 0; j < 2; ++j) {
    m[j] = random_matrix(random, c.type, heights[j], c.cols);
    bias[j] = random_floats(random, heights[j]);
    delta[j] = random_floats(random, c.n * heights[j]);
    before[j] = random_floats(random, c.n * heights[j]);
    linears[j] = {m[j].w, c.bias ? bias[j].data() : nullptr, c.delta ? delta[j].data() : nullptr};
  }
  const auto all = everywhere({c.n, c.cols, heights[0] + heights[1], 1, 1, 1, 1}, [&](const Kernels& k, Exec& exec) {
    Array<float> y0 = before[0], y1 = before[1];
    if (!c.add) y0.assign(y0.size(), NAN), y1.assign(y1.size(), NAN);
    float* const y[2] = {y0.data(), y1.data()};
    k.linear(exec, {c.n, x.a, 2, linears, y, c.add, c.scale, c.gate ? gate.data() : nullptr, c.softcap});
    y0.insert(y0.end(), y1.begin(), y1.end());
    return y0;
  });
  expect_all_same(all);
  size_t i = 0;
  for (int j = 0; j < 2; ++j)
    for (int64_t t = 0; t < c.n; ++t)
      for (int64_t r = 0; r < heights[j]; ++r, ++i) {
        Expected e = product(m[j], x, t, r);
        const auto at = static_cast<size_t>(t * heights[j] + r);
        if (c.delta) e.value += delta[j][at];
        if (c.bias) e.value += bias[j][static_cast<size_t>(r)];
        e.value *= static_cast<double>(c.scale);
        if (c.gate) e.value /= 1 + std::exp(-static_cast<double>(gate[static_cast<size_t>(t)]));
        if (c.softcap != 0) e.value = c.softcap * std::tanh(e.value / c.softcap);
        e.error = e.error * static_cast<double>(c.scale) + 0x1p-20 * (1 + std::fabs(e.value));
        if (c.add) e.value += before[j][at];
        const double error = std::fabs(all[0].values[i] - e.value);
        if (!(error <= e.error)) FAIL() << "matrix " << j << " row " << t << "," << r << ": off by " << error;
      }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Linears,
                         testing::Values(Case{Type::f32, 1, 172, 64, false, false, false, 1},
                                         Case{Type::f32, 3, 43, 37, true, true, true, 0.5f},
                                         Case{Type::f16, 2, 172, 100, true, false, true, 1},
                                         Case{Type::q8_0, 1, 96, 1, false, true, false, 1},
                                         Case{Type::q8_0, 17, 288, 130, true, true, true, 2},
                                         Case{Type::q4_k, 1, 512, 300, false, false, true, 1},
                                         Case{Type::q4_k, 40, 256, 66, true, true, false, 1},
                                         Case{Type::q6_k, 5, 768, 40, false, true, true, 1},
                                         Case{Type::q4_0, 8, 64, 32, false, false, false, 1},
                                         Case{Type::f32, 3, 64, 100, false, false, false, 1, true},
                                         Case{Type::q8_0, 17, 64, 130, true, true, true, 0.5f, true},
                                         Case{Type::f16, 1, 96, 1000, false, false, false, 2, false, 3},
                                         Case{Type::q4_k, 6, 256, 37, true, true, true, 0.1f, true, 30}));

TEST(Linear, ARowAloneIsTheRowInTheBatch) {
  Random random(5);
  for (Type type : {Type::f32, Type::q8_0, Type::q4_k}) {
    const int64_t n = 35, cols = 256, rows = 70;
    const Matrix m = random_matrix(random, type, rows, cols);
    const Array<float> gate = random_floats(random, n);
    Linear l;
    l.w = m.w;
    Held x(n, cols);
    for (float& v : x.f32) v = random.normal();
    x.quantize();
    for (const Kernels* k : backends()) {
      Bench bench(*k, 2, {n, cols, rows, 1, 1, 1, 1});
      Array<float> y(n * rows);
      float* const all[1] = {y.data()};
      k->linear(bench.exec(), {n, x.a, 1, &l, all, false, 1, gate.data(), 5});
      for (int64_t t = 0; t < n; ++t) {
        Held one(1, cols);
        std::copy_n(x.f32.begin() + t * cols, cols, one.f32.begin());
        one.quantize();
        Array<float> z(rows);
        float* const alone[1] = {z.data()};
        k->linear(bench.exec(), {1, one.a, 1, &l, alone, false, 1, gate.data() + t, 5});
        expect_same(z, Array<float>(y.begin() + t * rows, y.begin() + (t + 1) * rows), k->name);
      }
    }
  }
}

struct GluCase {
  Glu kind;
  Type type;
  int64_t n, cols, rows;
  bool delta;
  bool gate = true;
};

class Glus : public testing::TestWithParam<GluCase> {};

TEST_P(Glus, AreTheDefinitionOnEveryBackend) {
  const GluCase c = GetParam();
  Random random(static_cast<uint64_t>(c.rows));
  Held x(c.n, c.cols);
  for (float& v : x.f32) v = random.normal();
  x.quantize();
  const Matrix gate = random_matrix(random, c.type, c.rows, c.cols), up = random_matrix(random, c.type, c.rows, c.cols);
  const Array<float> bias = random_floats(random, c.rows), delta = random_floats(random, c.n * c.rows);
  const Linear g{c.gate ? gate.w : Weight{}, c.delta ? bias.data() : nullptr, nullptr};
  const Linear u{up.w, nullptr, c.delta ? delta.data() : nullptr};
  const auto all = everywhere({c.n, c.cols, 2 * c.rows, 1, 1, 1, 1}, [&](const Kernels& k, Exec& exec) {
    Held out(c.n, c.rows);
    k.glu(exec, {c.n, x.a, g, u, c.kind, out.forms, out.a});
    out.expect_forms();
    Array<float> values;
    out.append_to(values);
    return values;
  });
  expect_all_same(all);
  for (int64_t t = 0; t < c.n; ++t)
    for (int64_t r = 0; r < c.rows; ++r) {
      const auto at = static_cast<size_t>(t * c.rows + r);
      Expected a = product(up, x, t, r), b = product(gate, x, t, r);
      if (c.delta) a.value += delta[at], b.value += bias[static_cast<size_t>(r)];
      const Expected want = activated(c.kind, c.gate ? &b : nullptr, a);
      const double error = std::fabs(all[0].values[at] - want.value);
      if (!(error <= want.error)) FAIL() << t << "," << r << ": " << all[0].values[at] << " is not " << want.value;
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Glus,
                         testing::Values(GluCase{Glu::silu, Type::f32, 1, 64, 172, false},
                                         GluCase{Glu::silu, Type::q8_0, 3, 96, 512, true},
                                         GluCase{Glu::gelu_tanh, Type::q4_k, 1, 256, 768, true},
                                         GluCase{Glu::gelu_tanh, Type::f16, 2, 43, 37, false},
                                         GluCase{Glu::silu, Type::f32, 2, 33, 96, true, false},
                                         GluCase{Glu::relu_squared, Type::f32, 2, 64, 96, true, false},
                                         GluCase{Glu::clamped_swish, Type::f16, 3, 64, 96, true},
                                         // enough units for every member to quantize its own
                                         GluCase{Glu::silu, Type::f32, 2, 32, 256 * 41, false}));

TEST(Embed, DecodesRowsScalesAndAdds) {
  Random random(6);
  for_each_format([&]<class F>() {
    const int64_t vocab = 50, dim = 512;
    const Matrix m = random_matrix(random, F::type, vocab, dim);
    const int32_t tokens[] = {49, 0, 7, 7, 31, 2};
    const Array<float> before = random_floats(random, 6 * dim);
    for (float scale : {1.0f, 11.3f})
      for (bool add : {false, true})
        for (const Kernels* k : backends()) {
          Bench bench(*k, 2, {6, dim, 1, 1, 1, 1, 1});
          Array<float> out = before;
          if (!add) out.assign(out.size(), NAN);
          k->embed(bench.exec(), {6, tokens, m.w, scale, out.data(), add});
          for (int64_t t = 0; t < 6; ++t)
            for (int64_t i = 0; i < dim; ++i) {
              const auto at = static_cast<size_t>(t * dim + i);
              const float row = static_cast<float>(m.at(tokens[t], i)) * scale;
              ASSERT_EQ(out[at], add ? before[at] + row : row) << type_info(F::type)->name << " on " << k->name;
            }
        }
  });
}

}  // namespace
}  // namespace linnet
