#include <gtest/gtest.h>

#include "gguf/base/math.h"
#include "tests/kernels/pages_support.h"

namespace linnet {
namespace {

struct Shape {
  KvType type;
  int32_t heads, kv_heads, k_dim, v_dim;
  float softcap = 0;
  bool sinks = false;
  int64_t window = 0;  // 0: all before
  bool slopes = false;
  bool both_ways = false;  // rows see what follows them, too
};

std::string describe(const testing::TestParamInfo<Shape>& info) {
  const Shape& s = info.param;
  const char* types[] = {"F32", "F16", "Q8_0"};
  return std::string(types[static_cast<int>(s.type)]) + "_" + std::to_string(s.heads) + "_" +
         std::to_string(s.kv_heads) + "_" + std::to_string(s.k_dim) + "_" + std::to_string(s.v_dim) +
         (s.softcap != 0 ? "_cap" : "") + (s.sinks ? "_sinks" : "") + (s.window ? "_window" : "") +
         (s.slopes ? "_slopes" : "") + (s.both_ways ? "_both_ways" : "");
}

// What a sequence's cache holds, from position `first` on: [position][kv_heads * dim].
struct Decoded {
  int64_t first;
  std::vector<Array<float>> keys, values;
};

// Rows of some sequences against their caches.
struct Problem {
  Shape shape;
  KvLayer kv;
  std::vector<Sequence> sequences;
  std::vector<Decoded> decoded;
  std::vector<RowPlace> rows;
  std::vector<size_t> sequence_of;
  Array<float> q, sinks, slopes;
  float scale;

  explicit Problem(const Shape& s)
      : shape(s), kv(make_layer(s.type, s.kv_heads, s.k_dim, s.v_dim)), scale(1.0f / std::sqrt(float(s.k_dim))) {}

  // A sequence whose last `count` positions before `end` are rows; pages before the window are not there.
  void add(Random& random, int64_t end, int64_t count) {
    const int64_t first = shape.window ? std::max<int64_t>(0, end - count + 1 - shape.window) : 0;
    sequences.emplace_back(kv, first / kPageTokens, end);
    sequences.back().fill(random, first, end);
    decoded.push_back({first, {}, {}});
    for (int64_t p = first; p < end; ++p) {
      decoded.back().keys.push_back(sequences.back().key(p));
      decoded.back().values.push_back(sequences.back().value(p));
    }
    for (int64_t p = end - count; p < end; ++p) {
      const int64_t begin = shape.window ? std::max<int64_t>(0, p + 1 - shape.window) : 0;
      rows.push_back(sequences.back().place(p, begin, shape.both_ways ? end : p + 1));
      sequence_of.push_back(sequences.size() - 1);
    }
    const Array<float> more = random_floats(random, count * shape.heads * shape.k_dim, 1.5f);
    q.insert(q.end(), more.begin(), more.end());
    if (shape.sinks) sinks = random_floats(random, shape.heads);
    slopes.clear();  // 1/2, 1/4, ...; the last head has none
    for (int32_t h = 0; h < shape.heads; ++h) slopes.push_back(h + 1 < shape.heads ? std::ldexp(1.0f, -1 - h) : 0.0f);
  }
  int64_t n() const { return static_cast<int64_t>(rows.size()); }
  int64_t cols() const { return int64_t{shape.heads} * shape.v_dim; }
  ScratchNeed need() const {
    int64_t context = 0;
    for (const RowPlace& r : rows) context = std::max(context, r.end);
    return {n(), 1, int64_t{shape.heads + 2 * shape.kv_heads} * shape.k_dim, shape.heads, shape.v_dim, context, 1};
  }
  // Rows [r0, r1) in one call.
  void run(const Kernels& k, Exec& exec, int64_t r0, int64_t r1, Held& out) const {
    k.attention(exec, {r1 - r0, q.data() + r0 * shape.heads * shape.k_dim, shape.heads, kv, rows.data() + r0, scale,
                       shape.softcap, shape.sinks ? sinks.data() : nullptr, shape.slopes ? slopes.data() : nullptr,
                       out.forms, out.a});
  }
  Array<float> run(const Kernels& k, Exec& exec) const {
    Held out(n(), cols());
    run(k, exec, 0, n(), out);
    out.expect_forms();
    Array<float> values;
    out.append_to(values);
    return values;
  }

  // softmax(scale q k^T) v in double for one row and head, and a bound for float32: relative errors of the scores
  // (their products, 2^-24 each) turn into relative errors of the probabilities.
  void expect_row(int64_t row, int64_t head, const float* got) const {
    const Decoded& s = decoded[sequence_of[static_cast<size_t>(row)]];
    const RowPlace& place = rows[static_cast<size_t>(row)];
    const int64_t kv_head = head / (shape.heads / shape.kv_heads);
    const float* query = q.data() + (row * shape.heads + head) * shape.k_dim;
    std::vector<double> seen(query, query + shape.k_dim);
    for (int64_t b = 0; shape.type == KvType::q8_0 && b < shape.k_dim; b += 32) {  // Q8_0 pages meet 8-bit queries
      int8_t codes[32];
      float d;
      Held::define(query + b, 32, codes, &d);
      for (int64_t i = 0; i < 32; ++i) seen[static_cast<size_t>(b + i)] = double(codes[i]) * d;
    }
    std::vector<double> score, value(static_cast<size_t>(shape.v_dim)), magnitude(value.size());
    double worst = 0, best = shape.sinks ? sinks[static_cast<size_t>(head)] : -INFINITY;
    for (int64_t p = place.begin; p < place.end; ++p) {
      const Array<float>& key = s.keys[static_cast<size_t>(p - s.first)];
      double dot = 0, sum = 0;
      for (int64_t d = 0; d < shape.k_dim; ++d) {
        const double term = seen[static_cast<size_t>(d)] * key[static_cast<size_t>(kv_head * shape.k_dim + d)];
        dot += term;
        sum += std::fabs(term);
      }
      dot *= scale;
      if (shape.softcap != 0) dot = shape.softcap * std::tanh(dot / shape.softcap);
      if (shape.slopes)
        dot -= double{slopes[static_cast<size_t>(head)]} * static_cast<double>(std::abs(place.position - p));
      worst =
          std::max(worst, sum * scale * (static_cast<double>(shape.k_dim) + 8) * 0x1p-24 + std::fabs(dot) * 0x1p-21);
      score.push_back(dot);
      best = std::max(best, dot);
    }
    double total = shape.sinks ? std::exp(sinks[static_cast<size_t>(head)] - best) : 0;
    for (size_t i = 0; i < score.size(); ++i) {
      const double p = std::exp(score[i] - best);
      const Array<float>& v = s.values[static_cast<size_t>(place.begin - s.first) + i];
      total += p;
      for (size_t d = 0; d < value.size(); ++d) {
        const double x = p * v[static_cast<size_t>(kv_head * shape.v_dim) + d];
        value[d] += x;
        magnitude[d] += std::fabs(x);
      }
    }
    const double relative = 2 * worst + (static_cast<double>(score.size()) + 64) * 0x1p-24;
    for (size_t d = 0; d < value.size(); ++d) {
      const double error = std::fabs(got[d] - value[d] / total);
      if (!(error <= relative * magnitude[d] / total + 1e-30))
        FAIL() << "row " << row << " head " << head << " [" << d << "]: " << got[d] << " is not " << value[d] / total;
    }
  }
};

class Attention : public testing::TestWithParam<Shape> {};

// A batch of everything: short, one page, several segments, a prompt chunk across a segment's end.
Problem mixed(const Shape& shape, uint64_t seed) {
  Random random(seed);
  Problem problem(shape);
  problem.add(random, 1, 1);
  problem.add(random, 64, 2);
  problem.add(random, 700, 1);
  problem.add(random, 514, test_count(37));
  return problem;
}

TEST_P(Attention, IsTheDefinitionOnEveryBackend) {
  const Problem problem = mixed(GetParam(), 10);
  const auto all = everywhere(problem.need(), [&](const Kernels& k, Exec& exec) { return problem.run(k, exec); });
  expect_all_same(all);
  for (int64_t row = 0; row < problem.n(); row += row < 4 ? 1 : 9)
    for (int64_t head = 0; head < problem.shape.heads; ++head)
      problem.expect_row(row, head, all[0].values.data() + row * problem.cols() + head * problem.shape.v_dim);
}

// One row at a time gives the bits of the chunk; so do segments taken by different threads.
TEST_P(Attention, ARowAloneIsTheRowInTheBatch) {
  const Problem problem = mixed(GetParam(), 11);
  for (const Kernels* k : backends()) {
    Bench one(*k, 1, problem.need()), many(*k, 3, problem.need());
    Held whole(problem.n(), problem.cols());
    problem.run(*k, one.exec(), 0, problem.n(), whole);
    for (int64_t row = 0; row < problem.n(); row += row < 5 ? 1 : 5) {
      const Array<float> want(whole.f32.begin() + row * problem.cols(), whole.f32.begin() + (row + 1) * problem.cols());
      Held alone(1, problem.cols()), split(1, problem.cols());
      problem.run(*k, one.exec(), row, row + 1, alone);
      problem.run(*k, many.exec(), row, row + 1, split);
      expect_same(want, alone.f32, std::string(k->name) + " alone");
      expect_same(want, split.f32, std::string(k->name) + " alone on three threads");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Attention,
    testing::Values(
        Shape{KvType::f32, 4, 2, 64, 64}, Shape{KvType::f32, 2, 2, 20, 20}, Shape{KvType::f32, 3, 1, 1, 7},
        Shape{KvType::f16, 8, 2, 128, 128}, Shape{KvType::f16, 6, 2, 43, 51}, Shape{KvType::f16, 4, 4, 80, 80, 30.0f},
        Shape{KvType::f16, 8, 8, 16, 16, 0, true}, Shape{KvType::f16, 4, 1, 192, 128, 0, true, 128},
        Shape{KvType::f32, 71, 1, 8, 8}, Shape{KvType::q8_0, 8, 2, 64, 64}, Shape{KvType::q8_0, 5, 5, 32, 96},
        Shape{KvType::q8_0, 4, 2, 128, 128, 50.0f, true, 100}, Shape{KvType::f32, 4, 2, 32, 32, 0, false, 600},
        Shape{KvType::f32, 6, 2, 20, 20, 0, false, 0, true}, Shape{KvType::f16, 4, 4, 64, 64, 0, false, 0, true},
        Shape{KvType::f16, 8, 2, 64, 64, 20.0f, true, 100, true}, Shape{KvType::q8_0, 4, 1, 32, 32, 0, true, 0, true},
        Shape{KvType::f32, 3, 1, 16, 16, 0, false, 0, true, true}),
    describe);

// docs/canonical-arithmetic.md, written out for one row and head over decoded keys and values (F32 and F16 pages).
struct State {
  float m = -INFINITY, l = 0;
  std::vector<float> o;
};

void canonical_page(State& state, const float* q, const Problem& p, const Decoded& s, int64_t head_of_q,
                    int64_t position, int64_t begin, int64_t end) {
  const auto k_dim = static_cast<size_t>(p.shape.k_dim), v_dim = static_cast<size_t>(p.shape.v_dim);
  const auto head = static_cast<size_t>(head_of_q / (p.shape.heads / p.shape.kv_heads));
  float score[64], lane[32] = {}, m = state.m;
  for (int64_t j = begin; j < end; ++j) {
    float dot = 0;
    for (size_t d = 0; d < k_dim; ++d)
      dot = std::fmaf(q[d], s.keys[static_cast<size_t>(j - s.first)][head * k_dim + d], dot);
    dot *= p.scale;
    if (p.shape.softcap != 0) dot = p.shape.softcap * math::tanh(dot / p.shape.softcap);
    if (p.shape.slopes)
      dot = std::fmaf(-p.slopes[static_cast<size_t>(head_of_q)], static_cast<float>(std::abs(position - j)), dot);
    score[j % 64] = dot;
    m = std::max(m, dot);
  }
  if (m != state.m && state.m != -INFINITY) {
    const float r = math::exp(state.m - m);
    state.l *= r;
    for (float& o : state.o) o *= r;
  }
  state.m = m;
  float probability[64] = {};
  for (int64_t j = begin; j < end; ++j) probability[j % 64] = math::exp(score[j % 64] - m);
  for (size_t j = 0; j < 32; ++j) lane[j] = probability[j] + probability[j + 32];
  for (size_t w = 16; w >= 1; w /= 2)
    for (size_t j = 0; j < w; ++j) lane[j] += lane[j + w];
  state.l += lane[0];
  for (int64_t j = begin; j < end; ++j)
    for (size_t d = 0; d < v_dim; ++d)
      state.o[d] =
          std::fmaf(probability[j % 64], s.values[static_cast<size_t>(j - s.first)][head * v_dim + d], state.o[d]);
}

Array<float> canonical_row(const Problem& p, int64_t row, int64_t head) {
  const RowPlace& place = p.rows[static_cast<size_t>(row)];
  const Decoded& s = p.decoded[p.sequence_of[static_cast<size_t>(row)]];
  const float* q = p.q.data() + (row * p.shape.heads + head) * p.shape.k_dim;
  State total;
  for (int64_t first = place.begin / 512 * 512; first < place.end; first += 512) {
    State segment;
    segment.o.resize(static_cast<size_t>(p.shape.v_dim));
    for (int64_t page = first; page < first + 512; page += 64) {
      const int64_t begin = std::max(page, place.begin), end = std::min(page + 64, place.end);
      if (begin < end) canonical_page(segment, q, p, s, head, place.position, begin, end);
    }
    if (total.o.empty()) {
      total = segment;
      continue;
    }
    const float m = std::max(total.m, segment.m), a = math::exp(total.m - m), b = math::exp(segment.m - m);
    total.m = m;
    total.l = std::fmaf(segment.l, b, total.l * a);
    for (size_t d = 0; d < total.o.size(); ++d) total.o[d] = std::fmaf(segment.o[d], b, total.o[d] * a);
  }
  if (p.shape.sinks) {
    const float sink = p.sinks[static_cast<size_t>(head)], m = std::max(total.m, sink), a = math::exp(total.m - m);
    total.l = std::fmaf(total.l, a, math::exp(sink - m));
    for (float& o : total.o) o *= a;
  }
  Array<float> out;
  for (float o : total.o) out.push_back(o / total.l);
  return out;
}

TEST_P(Attention, IsTheCanonicalDefinitionToTheBit) {
  if (GetParam().type == KvType::q8_0) return;  // the definition above is that of float pages
  const Problem problem = mixed(GetParam(), 15);
  Bench bench(scalar(), 1, problem.need());
  const Array<float> got = problem.run(scalar(), bench.exec());
  for (int64_t row = 0; row < problem.n(); row += row < 4 ? 1 : 9)
    for (int64_t head = 0; head < problem.shape.heads; ++head) {
      const auto at = got.begin() + row * problem.cols() + head * problem.shape.v_dim;
      expect_same(canonical_row(problem, row, head), Array<float>(at, at + problem.shape.v_dim), "row");
    }
}

// Scores far apart: probabilities underflow to 0, and nothing overflows.
TEST(AttentionRange, LargeScoresStayFinite) {
  const Shape shape{KvType::f32, 2, 1, 16, 16};
  Random random(12);
  Problem problem(shape);
  problem.add(random, 900, 1);
  for (float& v : problem.q) v *= 1000;
  const auto all = everywhere(problem.need(), [&](const Kernels& k, Exec& exec) { return problem.run(k, exec); });
  expect_all_same(all);
  for (float v : all[0].values) EXPECT_TRUE(std::isfinite(v));
}

// One sequence whose value is NaN spoils its own rows only.
TEST(AttentionRange, NanStaysInItsRow) {
  const Shape shape{KvType::f16, 2, 2, 32, 32};
  Problem problem = mixed(shape, 13);
  Array<float> nan(64, NAN);
  problem.sequences[2].store(300, nan.data(), nan.data());
  const auto all = everywhere(problem.need(), [&](const Kernels& k, Exec& exec) { return problem.run(k, exec); });
  expect_all_same(all);
  for (int64_t i = 0; i < problem.n() * 64; ++i)
    EXPECT_EQ(std::isnan(all[0].values[static_cast<size_t>(i)]), problem.sequence_of[static_cast<size_t>(i / 64)] == 2);
}

// Scratch without room for the states of split segments: the same bits, segments one after the other.
TEST(AttentionRange, LittleScratchGivesTheSameBits) {
  const Shape shape{KvType::f16, 8, 1, 32, 128};
  Random random(14);
  Problem problem(shape);
  problem.add(random, 3000, 1);
  ScratchNeed little = problem.need();
  little.context = 1;
  for (const Kernels* k : backends()) {
    Bench roomy(*k, 4, problem.need()), tight(*k, 4, little);
    ASSERT_LT(tight.exec().scratch_bytes, roomy.exec().scratch_bytes);
    expect_same(problem.run(*k, roomy.exec()), problem.run(*k, tight.exec()), k->name);
  }
}

}  // namespace
}  // namespace linnet
