// The forward pass of the llama family against one in double precision, written from the definitions in plain loops, over
// the same weights: random tiny models of every shape the family has.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include "runtime/engine.h"
#include "tests/runtime/llama_file.h"
#include "tests/runtime/relative_error.h"
#include "tests/runtime/rope_reference.h"
#include "tests/support.h"

namespace linnet {
namespace {

using Rows = std::vector<std::vector<double>>;  // [n][size]

struct Variant {
  std::string name;
  LlamaShape shape;
  RopeFacts rope = {};  // dims come from the shape
  int64_t tokens = 70;
};

// The definition. Everything is looked up by name and nothing is fused or cached.
class Definition {
 public:
  Definition(const LlamaFile& file, const Variant& v) : file_(file), s_(v.shape), rope_(rope_of(file, v)) {}

  std::vector<float> logits(const std::vector<int32_t>& tokens) const {
    Rows x;
    for (const int32_t token : tokens) {
      const float* row = &find("token_embd.weight")->values[size_t(token * s_.dim)];
      x.emplace_back(row, row + s_.dim);
    }
    for (int64_t i = 0; i < s_.layers; ++i) {
      const std::string blk = "blk." + std::to_string(i) + ".";
      add(x, attention(blk, norm(x, blk + "attn_norm.weight")));
      add(x, feed_forward(blk, norm(x, blk + "ffn_norm.weight")));
    }
    std::vector<float> out;
    for (const auto& row : linear(norm(x, "output_norm.weight"), s_.tied ? "token_embd" : "output"))
      out.insert(out.end(), row.begin(), row.end());
    return out;
  }

 private:
  static RopeReference rope_of(const LlamaFile& file, const Variant& v) {
    RopeFacts facts = v.rope;
    facts.dims = static_cast<int32_t>(v.shape.rope_dims);
    std::vector<float> factors;
    for (const FileTensor& t : file.tensors)
      if (t.name == "rope_freqs.weight") factors = t.values;
    return RopeReference(facts, factors);
  }

  const FileTensor* find(const std::string& name) const {
    for (const FileTensor& t : file_.tensors)
      if (t.name == name) return &t;
    return nullptr;
  }

  static void add(Rows& x, const Rows& y) {
    for (size_t i = 0; i < x.size(); ++i)
      for (size_t j = 0; j < x[i].size(); ++j) x[i][j] += y[i][j];
  }

  Rows norm(Rows x, const std::string& weight) const {
    const std::vector<float>& w = find(weight)->values;
    for (auto& row : x) {
      double squares = 0;
      for (const double v : row) squares += v * v;
      const double scale = 1 / std::sqrt(squares / double(row.size()) + double(s_.norm_eps));
      for (size_t j = 0; j < row.size(); ++j) row[j] *= scale * double(w[j]);
    }
    return x;
  }

  Rows linear(const Rows& x, const std::string& name) const {
    const FileTensor& w = *find(name + ".weight");
    const FileTensor* bias = find(name + ".bias");
    const size_t cols = w.dims[0], rows = w.dims[1];
    Rows y(x.size(), std::vector<double>(rows));
    for (size_t i = 0; i < x.size(); ++i)
      for (size_t r = 0; r < rows; ++r) {
        double sum = bias ? double(bias->values[r]) : 0.0;
        for (size_t c = 0; c < cols; ++c) sum += double(w.values[r * cols + c]) * x[i][c];
        y[i][r] = sum;
      }
    return y;
  }

  // Turns the pairs (2i, 2i+1) of every head of row p by p times their frequency.
  void rotate(Rows& x, int64_t head_size) const {
    for (size_t p = 0; p < x.size(); ++p)
      for (size_t head = 0; head < x[p].size(); head += size_t(head_size))
        for (size_t i = 0; i < rope_.frequencies.size(); ++i) {
          const double angle = double(p) * rope_.frequencies[i];
          const double cos = rope_.magnitude * std::cos(angle), sin = rope_.magnitude * std::sin(angle);
          double &a = x[p][head + 2 * i], &b = x[p][head + 2 * i + 1];
          const double turned = a * cos - b * sin;
          b = a * sin + b * cos;
          a = turned;
        }
  }

  Rows attention(const std::string& blk, const Rows& h) const {
    Rows q = linear(h, blk + "attn_q"), k = linear(h, blk + "attn_k");
    const Rows v = linear(h, blk + "attn_v");
    rotate(q, s_.k_dim);
    rotate(k, s_.k_dim);
    Rows out(h.size(), std::vector<double>(size_t(s_.heads * s_.v_dim)));
    for (int64_t p = 0; p < int64_t(h.size()); ++p)
      for (int64_t head = 0; head < s_.heads; ++head) {
        const int64_t shared = head / (s_.heads / s_.kv_heads);
        const int64_t first = s_.window > 0 ? std::max<int64_t>(0, p - s_.window + 1) : 0;
        std::vector<double> weight;
        double total = 0;
        for (int64_t j = first; j <= p; ++j) {
          double dot = 0;
          for (int64_t d = 0; d < s_.k_dim; ++d)
            dot += q[size_t(p)][size_t(head * s_.k_dim + d)] * k[size_t(j)][size_t(shared * s_.k_dim + d)];
          weight.push_back(std::exp(dot / std::sqrt(double(s_.k_dim))));
          total += weight.back();
        }
        for (int64_t j = first; j <= p; ++j)
          for (int64_t d = 0; d < s_.v_dim; ++d)
            out[size_t(p)][size_t(head * s_.v_dim + d)] +=
                weight[size_t(j - first)] / total * v[size_t(j)][size_t(shared * s_.v_dim + d)];
      }
    return linear(out, blk + "attn_output");
  }

  Rows feed_forward(const std::string& blk, const Rows& h) const {
    Rows gate = linear(h, blk + "ffn_gate");
    const Rows up = linear(h, blk + "ffn_up");
    for (size_t i = 0; i < gate.size(); ++i)
      for (size_t j = 0; j < gate[i].size(); ++j) gate[i][j] = gate[i][j] / (1 + std::exp(-gate[i][j])) * up[i][j];
    return linear(gate, blk + "ffn_down");
  }

  const LlamaFile& file_;
  const LlamaShape& s_;
  RopeReference rope_;
};

void set_rope(LlamaFile& file, const RopeFacts& r) {
  using Scaling = RopeFacts::Scaling;
  file.set("llama.rope.freq_base", static_cast<float>(r.base));
  if (r.scaling == Scaling::none) return;
  file.set("llama.rope.scaling.type", std::string(r.scaling == Scaling::linear ? "linear" : "yarn"));
  file.set("llama.rope.scaling.factor", static_cast<float>(r.factor));
  if (r.attention_factor != 1) file.set("llama.rope.scaling.attn_factor", static_cast<float>(r.attention_factor));
  if (r.scaling != Scaling::yarn) return;
  file.set("llama.rope.scaling.original_context_length", static_cast<uint32_t>(r.original_context));
  if (r.beta_fast != 32) file.set("llama.rope.scaling.yarn_beta_fast", static_cast<float>(r.beta_fast));
  if (r.beta_slow != 1) file.set("llama.rope.scaling.yarn_beta_slow", static_cast<float>(r.beta_slow));
  if (r.extrapolation != 1) file.set("llama.rope.scaling.yarn_ext_factor", static_cast<float>(r.extrapolation));
}

std::vector<Variant> head_variants() {
  return {
      {"plain", {}},
      {"one token", {.seed = 2}, {}, 1},
      {"more than a segment", {.layers = 1, .seed = 3}, {}, 600},
      {"one kv head", {.heads = 8, .kv_heads = 1, .k_dim = 8, .v_dim = 8, .rope_dims = 8, .seed = 4}},
      {"groups of 3", {.heads = 6, .kv_heads = 2, .seed = 5}},
      {"a kv head per head", {.heads = 4, .kv_heads = 4, .seed = 6}},
      {"one head", {.heads = 1, .kv_heads = 1, .k_dim = 64, .v_dim = 64, .rope_dims = 64, .seed = 7}},
      {"biases", {.biases = true, .seed = 8}},
      {"tied", {.tied = true, .seed = 9}},
      {"tied, biases", {.tied = true, .biases = true, .seed = 10}},
      {"heads of 32 in 64", {.k_dim = 32, .v_dim = 32, .rope_dims = 32, .seed = 11}},
      {"heads of 24 in 64", {.k_dim = 24, .v_dim = 24, .rope_dims = 24, .seed = 12}},
      {"keys 32, values 64", {.k_dim = 32, .v_dim = 64, .rope_dims = 32, .seed = 13}},
      {"keys 40, values 12", {.k_dim = 40, .v_dim = 12, .rope_dims = 40, .seed = 14}},
      {"uneven sizes",
       {.dim = 61, .heads = 3, .kv_heads = 1, .k_dim = 10, .v_dim = 7, .ffn = 83, .vocab = 263, .rope_dims = 10}},
      {"four layers", {.layers = 4, .seed = 15}},
      {"large eps", {.norm_eps = 0.25f, .seed = 16}},
  };
}

std::vector<Variant> rope_variants() {
  using Scaling = RopeFacts::Scaling;
  LlamaShape wide = {.k_dim = 32, .v_dim = 32, .rope_dims = 32, .seed = 20};
  LlamaShape factors = wide, partial = wide;
  factors.rope_factors = true;
  partial.rope_dims = 10;
  return {
      {"rope of 10 in 32", partial},
      {"rope of 2 in 16", {.rope_dims = 2}},
      {"base 500000", wide, {.base = 500000}},
      {"linear 4", wide, {.scaling = Scaling::linear, .factor = 4}},
      {"linear 0.5, factor 0.8", wide, {.scaling = Scaling::linear, .factor = 0.5, .attention_factor = 0.8}},
      {"yarn 4 of 32", wide, {.scaling = Scaling::yarn, .factor = 4, .original_context = 32}, 130},
      {"yarn 40 of 4096", wide, {.scaling = Scaling::yarn, .factor = 40, .original_context = 4096}},
      {"yarn, all its keys",
       wide,
       {.base = 150000,
        .scaling = Scaling::yarn,
        .factor = 8,
        .original_context = 64,
        .beta_fast = 8,
        .beta_slow = 2,
        .extrapolation = 0.5,
        .attention_factor = 0.75}},
      {"yarn, no extrapolation",
       wide,
       {.scaling = Scaling::yarn, .factor = 4, .original_context = 32, .extrapolation = 0}},
      {"frequency factors", factors, {.base = 500000}},
      {"factors, yarn", factors, {.scaling = Scaling::yarn, .factor = 4, .original_context = 32}},
  };
}

std::vector<Variant> window_variants() {
  std::vector<Variant> all;
  for (const int64_t window : {1, 2, 20, 63, 64, 65, 127, 128, 199, 200, 1000})
    all.push_back({"window " + std::to_string(window), {.window = window, .seed = 30}, {}, 200});
  all.push_back({"window 64 of 65", {.window = 64, .seed = 31}, {}, 65});
  all.push_back({"window 500 of 600", {.layers = 1, .window = 500, .seed = 32}, {}, 600});
  all.push_back({"window 33, wide heads",
                 {.k_dim = 32, .v_dim = 32, .rope_dims = 32, .window = 33, .biases = true, .seed = 33},
                 {},
                 150});
  return all;
}

std::vector<int32_t> random_tokens(const Variant& v) {
  Random random(v.shape.seed + 100);
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < v.tokens; ++i) tokens.push_back(static_cast<int32_t>(random.below(v.shape.vocab)));
  return tokens;
}

// Logits of every backend, in steps of 96 rows, so that pages fill up and windows move between them.
void compare(const std::string& bytes, KvType kv, const std::vector<int32_t>& tokens,
             const std::vector<float>& expected, double bound, double& worst) {
  const auto model = Model::load(std::as_bytes(std::span(bytes)), {.kv_type = kv});
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_TRUE((*model)->warnings.empty()) << (*model)->warnings.front();
  const KernelList list = all_kernels();
  for (int32_t i = 0; i < list.count; ++i) {
    const Kernels& k = *list.items[i];
    if (!k.supported()) continue;
    EngineOptions options;
    options.forward = {.threads = 2, .backend = k.name};
    options.context = 640;
    options.batch_tokens = 96;
    auto engine = Engine::create(*model, options);
    ASSERT_TRUE(engine) << engine.error().message;
    ASSERT_STREQ((*engine)->forward().kernels().name, k.name);
    const auto logits = (*engine)->logits(tokens, true);
    ASSERT_TRUE(logits) << logits.error().message;
    const double error = relative_l2(*logits, expected);
    EXPECT_TRUE(error <= bound) << k.name << ": " << error;
    if (!(error <= worst)) worst = error;
  }
}

void PrintTo(const Variant& v, std::ostream* out) { *out << v.name; }

class ForwardPass : public testing::TestWithParam<Variant> {};

TEST_P(ForwardPass, IsTheDefinition) {
  Variant v = GetParam();
  const std::vector<int32_t> tokens = random_tokens(v);
  const bool whole_blocks = v.shape.k_dim % 32 == 0 && v.shape.v_dim % 32 == 0;
  for (const Type type : {Type::f32, Type::f16}) {
    v.shape.weights = type;
    LlamaFile file = random_llama(v.shape);
    set_rope(file, v.rope);
    const std::string bytes = file.encode();
    const std::vector<float> expected = Definition(file, v).logits(tokens);
    double exact = 0, half = 0, eighth = 0;
    compare(bytes, KvType::f32, tokens, expected, 1e-4, exact);
    compare(bytes, KvType::f16, tokens, expected, 1e-3, half);
    if (whole_blocks) compare(bytes, KvType::q8_0, tokens, expected, 3e-2, eighth);
    std::printf("%-24s %s weights: worst relative l2 error %.1e with F32 pages, %.1e with F16", v.name.c_str(),
                type_info(type)->name.data(), exact, half);
    if (whole_blocks) std::printf(", %.1e with Q8_0", eighth);
    std::printf("\n");
  }
}

std::string test_name(const testing::TestParamInfo<Variant>& info) {
  std::string name;
  for (const char c : info.param.name) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Shapes, ForwardPass, testing::ValuesIn(head_variants()), test_name);
INSTANTIATE_TEST_SUITE_P(Ropes, ForwardPass, testing::ValuesIn(rope_variants()), test_name);
INSTANTIATE_TEST_SUITE_P(Windows, ForwardPass, testing::ValuesIn(window_variants()), test_name);

}  // namespace
}  // namespace linnet
