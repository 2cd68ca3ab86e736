#include "runtime/loader.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <numbers>

#include "gguf/base/math.h"
#include "gguf/codec.h"
#include "kernels/kv_layout.h"
#include "runtime/arch/arch.h"

namespace linnet {
namespace {

std::string shape(std::span<const uint64_t> dims) { return fmt::format("[{}]", fmt::join(dims, " x ")); }

std::string known_architectures() {
  std::string names;
  for (const Architecture& a : architectures()) names += (names.empty() ? "" : ", ") + std::string(a.name);
  return names;
}

Result<Facts> read_facts(const Gguf& file) {
  LINNET_TRY(const std::string_view name, file.string("general.architecture"));
  LINNET_TRY(const std::string_view kind, file.string_or("general.type", "model"));
  if (kind != "model")
    return fail(Code::gguf_not_a_model,
                "general.type is \"{}\", expected \"model\"; adapters and projectors are not models", kind);
  for (const Architecture& a : architectures())
    if (a.name == name) return a.facts(Keys(file, name));
  return fail(Code::gguf_architecture, "general.architecture is \"{}\", which is not supported; supported: {}", name,
              known_architectures());
}

// Rows [first, first + count) of a matrix, as one of its own.
Linear rows_of(const Linear& all, int64_t first, int64_t count) {
  Linear part = all;
  part.w.data = static_cast<const std::byte*>(all.w.data) + first * row_bytes(*type_info(all.w.type), all.w.cols);
  part.w.rows = count;
  if (all.bias) part.bias = all.bias + first;
  return part;
}

// The slopes of Press et al. 2021: 2^(-bias h / n) for h = 1..n, n the greatest power of two; further heads take the
// odd steps of half that exponent.
std::vector<float> alibi_slopes(int64_t heads, float bias) {
  int64_t n = 1;
  while (2 * n <= heads) n *= 2;
  std::vector<float> slopes;
  for (int64_t h = 0; h < heads; ++h) {
    const double step = h < n ? static_cast<double>(h + 1) : static_cast<double>(2 * (h - n) + 1) / 2;
    slopes.push_back(static_cast<float>(math::exp(-double{bias} * step / static_cast<double>(n) * std::numbers::ln2)));
  }
  return slopes;
}

// A factor beside a matrix that changes nothing.
bool neutral_scale(const Tensor& t) {
  if (!t.name.ends_with(".scale") || t.type != Type::f32) return false;
  for (uint64_t i = 0; i < t.bytes / sizeof(float); ++i) {
    float v;
    std::memcpy(&v, t.data + i * sizeof(float), sizeof v);
    if (v != 1.0f) return false;
  }
  return true;
}

}  // namespace

Result<std::shared_ptr<const Model>> Loader::load(Gguf file, const ModelOptions& options) {
  LINNET_TRY(Facts facts, read_facts(file));
  LINNET_TRY(Tokenizer tokenizer, Tokenizer::load(file));
  auto model = std::shared_ptr<Model>(new Model(std::move(file), std::move(tokenizer)));
  model->facts = std::move(facts);
  if (model->tokenizer_.model() == "gpt2" && model->file_.find("tokenizer.ggml.pre") == nullptr)
    model->warnings.push_back(
        "tokenizer.ggml.pre is missing, so words are cut as by \"default\"; if the text is strange, convert the model "
        "again");
  Loader loader(*model, options);
  LINNET_CHECK(loader.read_global_tensors());
  // One by one: a wrong number of layers costs nothing before the first missing one is found.
  for (int64_t i = 0; i < model->facts.layers; ++i) LINNET_CHECK(loader.read_layer(i));
  loader.make_groups();
  LINNET_CHECK(loader.check_unknown_tensors());
  return std::shared_ptr<const Model>(std::move(model));
}

Result<const Tensor*> Loader::optional(const std::string& name, std::initializer_list<uint64_t> dims) {
  const Tensor* t = model_.file_.tensor(name);
  if (!t) return t;
  std::array<uint64_t, 4> expected = {1, 1, 1, 1};
  std::copy(dims.begin(), dims.end(), expected.begin());
  if (t->dims != expected)
    return fail(Code::gguf_tensor_shape, "tensor {} is {}, expected {} from the model's hyperparameters", name,
                shape(std::span(t->dims).first(t->n_dims)), shape(std::span(dims.begin(), dims.size())));
  used_.insert(t->name);
  return t;
}

Result<const Tensor*> Loader::require(const std::string& name, std::initializer_list<uint64_t> dims) {
  LINNET_TRY(const Tensor* t, optional(name, dims));
  if (!t) return missing(name, dims);
  return t;
}

Error Loader::missing(const std::string& name, std::initializer_list<uint64_t> dims) const {
  return fail(Code::gguf_tensor_missing, "tensor {} is missing (expected {}); the file is incomplete or not a {} model",
              name, shape(std::span(dims.begin(), dims.size())), model_.facts.architecture);
}

Result<Weight> Loader::matrix(const Tensor& t) const {
  if (!codec(t.type))
    return fail(Code::gguf_tensor_type_unsupported,
                "tensor {} has type {}, which cannot be computed with yet; take "
                "the model in one of the types listed by linnet quantize --help",
                t.name, type_info(t.type)->name);
  return Weight{t.data, t.type, 0, static_cast<int64_t>(t.rows()), static_cast<int64_t>(t.dims[0])};
}

Result<const float*> Loader::vector(const Tensor& t) {
  if (t.type != Type::f32 && t.type != Type::f16 && t.type != Type::bf16)
    return fail(Code::gguf_norm_type, "tensor {} has type {}, expected F32, F16 or BF16 for a norm, bias or factor",
                t.name, type_info(t.type)->name);
  const auto n = static_cast<int64_t>(t.dims[0] * t.rows());
  LINNET_TRY(Aligned<float> values, Aligned<float>::make(n));
  codec(t.type)->decode(t.data, values.data(), n);
  const float* data = values.data();
  model_.vectors_.push_back(std::move(values));
  return data;
}

Result<const float*> Loader::required_vector(const std::string& name, std::initializer_list<uint64_t> dims) {
  LINNET_TRY(const Tensor* t, require(name, dims));
  return vector(*t);
}

Result<const float*> Loader::optional_vector(const std::string& name, std::initializer_list<uint64_t> dims) {
  LINNET_TRY(const Tensor* t, optional(name, dims));
  if (!t) return static_cast<const float*>(nullptr);
  return vector(*t);
}

Result<const float*> Loader::bias(const std::string& name, std::initializer_list<uint64_t> dims, uint32_t kind) {
  return model_.facts.biases & kind ? required_vector(name, dims) : optional_vector(name, dims);
}

Status Loader::read_linear(const std::string& name, int64_t rows, int64_t cols, uint32_t bias_kind, Linear& out) {
  LINNET_TRY(const Tensor* t, require(name + ".weight", {uint64_t(cols), uint64_t(rows)}));
  LINNET_TRY(out.w, matrix(*t));
  LINNET_TRY(out.bias, bias(name + ".bias", {uint64_t(rows)}, bias_kind));
  LINNET_TRY(const std::vector<float> scale, scales(name, 1));
  out.scale = scale[0];
  return {};
}

// The factors of `count` matrices of one tensor, which files in NVFP4 have beside them. Those of inputs are for kernels
// that round activations to four bits.
Result<std::vector<float>> Loader::scales(const std::string& name, int64_t count) {
  LINNET_TRY(const float* inputs, optional_vector(name + ".input_scale", {uint64_t(count)}));
  (void)inputs;
  for (const char* suffix : {".scale", ".weight.scale"}) {
    LINNET_TRY(const float* factors, optional_vector(name + suffix, {uint64_t(count)}));
    if (!factors) continue;
    std::vector<float> found(factors, factors + count);
    for (const float factor : found)
      if (!std::isfinite(factor))
        return fail(Code::gguf_hparams, "tensor {}{} holds {}, expected a finite factor", name, suffix, factor);
    return found;
  }
  return std::vector<float>(static_cast<size_t>(count), 1.0f);
}

Status Loader::read_norm(const std::string& name, NormWeights& out) {
  const Facts& f = model_.facts;
  out.kind = f.norm;
  if (!f.norm_weights) return {};
  LINNET_TRY(out.weight, required_vector(name + ".weight", {uint64_t(f.dim)}));
  LINNET_TRY(out.bias, bias(name + ".bias", {uint64_t(f.dim)}, kNormBias));
  return {};
}

Status Loader::read_global_tensors() {
  Facts& f = model_.facts;
  const Tensor* embd = model_.file_.tensor("token_embd.weight");
  f.vocab = model_.tokenizer_.size();
  if (embd && embd->n_dims == 2 && embd->dims[1] != static_cast<uint64_t>(f.vocab))
    return fail(Code::gguf_vocabulary,
                "tokenizer.ggml.tokens has {} entries but token_embd.weight has {} rows; they must agree", f.vocab,
                embd->dims[1]);
  LINNET_TRY(embd, require("token_embd.weight", {uint64_t(f.dim), uint64_t(f.vocab)}));
  LINNET_TRY(model_.token_embd, matrix(*embd));
  if (f.embd_norm) LINNET_CHECK(read_norm("token_embd_norm", model_.embd_norm));
  if (f.positions) {
    LINNET_TRY(const Tensor* t, require("position_embd.weight", {uint64_t(f.dim), uint64_t(f.context)}));
    LINNET_TRY(model_.position_embd, matrix(*t));
  }
  if (f.token_types) {
    LINNET_TRY(const Tensor* t, require("token_types.weight", {uint64_t(f.dim), 2}));
    LINNET_TRY(model_.token_types, matrix(*t));
  }
  if (f.alibi > 0) model_.alibi_slopes = alibi_slopes(f.heads, f.alibi);
  LINNET_CHECK(read_rope_factors());
  if (!f.logits) return {};
  LINNET_CHECK(read_norm("output_norm", model_.output_norm));
  if (has("output.weight")) {
    LINNET_CHECK(read_linear("output", f.vocab, f.dim, kOutputBias, model_.output));
  } else {
    model_.output.w = model_.token_embd;  // tied
    LINNET_TRY(model_.output.bias, bias("output.bias", {uint64_t(f.vocab)}, kOutputBias));
  }
  return {};
}

Status Loader::read_rope_factors() {
  const Facts& f = model_.facts;
  if (f.rope == Rope::none) return {};
  const auto pairs = uint64_t(f.ropes[0].dims / 2);
  const bool lengths = has("rope_factors_long.weight") || has("rope_factors_short.weight");
  const auto read = [&](const char* name, bool required, std::vector<float>& out) -> Status {
    LINNET_TRY(const float* factors, required ? required_vector(name, {pairs}) : optional_vector(name, {pairs}));
    if (factors) out.assign(factors, factors + pairs);
    for (const float factor : out)
      if (!(factor > 0 && factor < 1e9f))
        return fail(Code::gguf_hparams, "tensor {} holds {}, expected positive frequency divisors", name, factor);
    return {};
  };
  LINNET_CHECK(read(lengths ? "rope_factors_short.weight" : "rope_freqs.weight", lengths, model_.rope_factors));
  if (lengths) LINNET_CHECK(read("rope_factors_long.weight", true, model_.rope_factors_long));
  return {};
}

Status Loader::read_layer(int64_t index) {
  const Facts& f = model_.facts;
  const LayerFacts& facts = f.layer[static_cast<size_t>(index)];
  LayerWeights& l = model_.layers.emplace_back();
  const std::string blk = fmt::format("blk.{}.", index);
  if (f.recurrent.inner > 0) return read_recurrent(blk, l);
  if (f.pre_norms) {
    LINNET_CHECK(read_norm(blk + "attn_norm", l.attn_norm));
    // Two norms of the same input: attention's is the second.
    if (f.parallel && has(blk + "attn_norm_2.weight")) {
      l.ffn_norm = l.attn_norm;
      LINNET_CHECK(read_norm(blk + "attn_norm_2", l.attn_norm));
    } else if (!f.ffn_norm_optional || has(blk + f.ffn_norm + ".weight")) {
      LINNET_CHECK(read_norm(blk + f.ffn_norm, l.ffn_norm));
    }
  }
  if (f.post_norms) {
    LINNET_CHECK(read_norm(blk + f.attn_post_norm, l.attn_post_norm));
    LINNET_CHECK(read_norm(blk + f.ffn_post_norm, l.ffn_post_norm));
  }
  const int64_t value_dim = f.latent.kv_rank > 0 ? f.latent.v_dim : f.v_dim;
  LINNET_CHECK(f.latent.kv_rank > 0 ? read_latent(blk, facts, l) : read_attention(blk, facts, l));
  LINNET_CHECK(read_linear(blk + "attn_output", f.dim, facts.heads * value_dim, kAttnOutputBias, l.o));
  if (f.sinks) { LINNET_TRY(l.sinks, required_vector(blk + "attn_sinks.weight", {uint64_t(facts.heads)})); }
  return facts.ffn > 0 ? read_ffn(blk, facts, l) : read_experts(blk, l);
}

Status Loader::read_attention(const std::string& blk, const LayerFacts& facts, LayerWeights& l) {
  const Facts& f = model_.facts;
  const int64_t q_rows = facts.heads * f.k_dim, k_rows = facts.kv_heads * f.k_dim, v_rows = facts.kv_heads * f.v_dim;
  if (has(blk + "attn_qkv.weight")) {
    Linear all;
    LINNET_CHECK(read_linear(blk + "attn_qkv", q_rows + k_rows + v_rows, f.dim, kQkvBias, all));
    l.q = rows_of(all, 0, q_rows);
    l.k = rows_of(all, q_rows, k_rows);
    l.v = rows_of(all, q_rows + k_rows, v_rows);
  } else if (!has(blk + "attn_q.weight")) {
    return missing(fmt::format("{0}attn_qkv.weight or {0}attn_q.weight", blk), {uint64_t(f.dim), uint64_t(q_rows)});
  } else {
    LINNET_CHECK(read_linear(blk + "attn_q", q_rows, f.dim, kQkvBias, l.q));
    LINNET_CHECK(read_linear(blk + "attn_k", k_rows, f.dim, kQkvBias, l.k));
    LINNET_CHECK(read_linear(blk + "attn_v", v_rows, f.dim, kQkvBias, l.v));
  }
  return read_qk_norms(blk, facts, l);
}

Status Loader::read_qk_norms(const std::string& blk, const LayerFacts& facts, LayerWeights& l) {
  const Facts& f = model_.facts;
  if (f.qk_norm == QkNorm::none || (f.qk_norm_optional && !has(blk + "attn_q_norm.weight"))) return {};
  l.qk_norm = f.qk_norm;
  const auto read = [&](const char* name, int64_t heads) -> Result<const float*> {
    const auto dim = uint64_t(f.k_dim), count = uint64_t(heads);
    if (f.qk_norm == QkNorm::own_head) return required_vector(blk + name, {dim, count});
    return required_vector(blk + name, {f.qk_norm == QkNorm::whole ? dim * count : dim});
  };
  LINNET_TRY(l.q_norm, read("attn_q_norm.weight", facts.heads));
  LINNET_TRY(l.k_norm, read("attn_k_norm.weight", facts.kv_heads));
  return {};
}

Status Loader::read_latent(const std::string& blk, const LayerFacts& facts, LayerWeights& l) {
  const Facts& f = model_.facts;
  const int64_t rope = f.ropes[0].dims, plain = f.latent.k_dim - rope, q_rows = facts.heads * f.latent.k_dim;
  if (f.latent.q_rank > 0) {
    LINNET_CHECK(read_linear(blk + "attn_q_a", f.latent.q_rank, f.dim, 0, l.latent.q_a));
    LINNET_TRY(l.latent.q_a_norm, required_vector(blk + "attn_q_a_norm.weight", {uint64_t(f.latent.q_rank)}));
    LINNET_CHECK(read_linear(blk + "attn_q_b", q_rows, f.latent.q_rank, 0, l.q));
  } else {
    LINNET_CHECK(read_linear(blk + "attn_q", q_rows, f.dim, 0, l.q));
  }
  Linear kv_a;
  LINNET_CHECK(read_linear(blk + "attn_kv_a_mqa", f.latent.kv_rank + rope, f.dim, 0, kv_a));
  l.latent.kv_a = rows_of(kv_a, 0, f.latent.kv_rank);
  l.latent.k_rope = rows_of(kv_a, f.latent.kv_rank, rope);
  LINNET_TRY(l.latent.kv_a_norm, required_vector(blk + "attn_kv_a_norm.weight", {uint64_t(f.latent.kv_rank)}));
  if (!f.latent.absorbed)
    return read_linear(blk + "attn_kv_b", facts.heads * (plain + f.latent.v_dim), f.latent.kv_rank, 0, l.latent.kv_b);
  LINNET_CHECK(read_stack(blk + "attn_k_b", facts.heads, f.latent.kv_rank, plain, 0, l.latent.k_b));
  return read_stack(blk + "attn_v_b", facts.heads, f.latent.v_dim, f.latent.kv_rank, 0, l.latent.v_b);
}

// A tensor of `count` matrices.
Status Loader::read_stack(const std::string& name, int64_t count, int64_t rows, int64_t cols, uint32_t bias_kind,
                          std::vector<Linear>& out) {
  LINNET_TRY(const Tensor* t, require(name + ".weight", {uint64_t(cols), uint64_t(rows), uint64_t(count)}));
  Linear all;
  LINNET_TRY(all.w, matrix(*t));
  LINNET_TRY(all.bias, bias(name + ".bias", {uint64_t(rows), uint64_t(count)}, bias_kind));
  LINNET_TRY(const std::vector<float> scale, scales(name, count));
  for (int64_t i = 0; i < count; ++i) {
    out.push_back(rows_of(all, i * rows, rows));
    out.back().scale = scale[static_cast<size_t>(i)];
  }
  return {};
}

Status Loader::read_recurrent(const std::string& blk, LayerWeights& l) {
  const RecurrentFacts& r = model_.facts.recurrent;
  LayerWeights::Recurrent& out = l.recurrent;
  LINNET_CHECK(read_norm(blk + "attn_norm", l.attn_norm));
  Linear in, low;
  LINNET_CHECK(read_linear(blk + "ssm_in", 2 * r.inner, model_.facts.dim, 0, in));
  out.x = rows_of(in, 0, r.inner);
  out.z = rows_of(in, r.inner, r.inner);
  LINNET_CHECK(read_linear(blk + "ssm_x", r.rank + 2 * r.states, r.inner, 0, low));
  out.dt_low = rows_of(low, 0, r.rank);
  out.b = rows_of(low, r.rank, r.states);
  out.c = rows_of(low, r.rank + r.states, r.states);
  LINNET_CHECK(read_linear(blk + "ssm_dt", r.inner, r.rank, kQkvBias, out.dt));
  LINNET_CHECK(read_linear(blk + "ssm_out", model_.facts.dim, r.inner, 0, out.out));
  const auto inner = uint64_t(r.inner);
  LINNET_TRY(const float* taps, required_vector(blk + "ssm_conv1d.weight", {uint64_t(r.taps), inner}));
  LINNET_TRY(Aligned<float> turned, Aligned<float>::make(r.taps * r.inner));  // tap by tap, so that channels are lanes
  for (int64_t c = 0; c < r.inner; ++c)
    for (int64_t j = 0; j < r.taps; ++j) turned[j * r.inner + c] = taps[c * r.taps + j];
  out.conv = turned.data();
  model_.vectors_.push_back(std::move(turned));
  LINNET_TRY(out.conv_bias, required_vector(blk + "ssm_conv1d.bias", {inner}));
  LINNET_TRY(out.a, required_vector(blk + "ssm_a", {uint64_t(r.states), inner}));
  LINNET_TRY(out.d, required_vector(blk + "ssm_d", {inner}));
  return {};
}

Status Loader::read_ffn(const std::string& blk, const LayerFacts& facts, LayerWeights& l) {
  const Facts& f = model_.facts;
  if (f.gate_in_up) {
    Linear both;
    LINNET_CHECK(read_linear(blk + "ffn_up", 2 * facts.ffn, f.dim, kFfnBias, both));
    l.gate = rows_of(both, 0, facts.ffn);
    l.up = rows_of(both, facts.ffn, facts.ffn);
  } else {
    if (f.gate) LINNET_CHECK(read_linear(blk + "ffn_gate", facts.ffn, f.dim, kFfnBias, l.gate));
    LINNET_CHECK(read_linear(blk + "ffn_up", facts.ffn, f.dim, kFfnBias, l.up));
  }
  return read_linear(blk + "ffn_down", f.dim, facts.ffn, kFfnBias, l.down);
}

Status Loader::read_experts(const std::string& blk, LayerWeights& l) {
  const Facts& f = model_.facts;
  const ExpertFacts& e = f.experts;
  LINNET_CHECK(read_linear(blk + "ffn_gate_inp", e.count, f.dim, kRouterBias, l.router));
  LINNET_TRY(l.choice_bias, optional_vector(blk + "exp_probs_b.bias", {uint64_t(e.count)}));
  if (has(blk + "ffn_gate_up_exps.weight")) {
    std::vector<Linear> both;
    LINNET_CHECK(read_stack(blk + "ffn_gate_up_exps", e.count, 2 * e.ffn, f.dim, kExpertBias, both));
    for (const Linear& expert : both) {
      l.expert_gate.push_back(rows_of(expert, 0, e.ffn));
      l.expert_up.push_back(rows_of(expert, e.ffn, e.ffn));
    }
  } else {
    LINNET_CHECK(read_expert_matrices(blk + "ffn_gate", e.ffn, f.dim, l.expert_gate));
    LINNET_CHECK(read_expert_matrices(blk + "ffn_up", e.ffn, f.dim, l.expert_up));
  }
  LINNET_CHECK(read_expert_matrices(blk + "ffn_down", f.dim, e.ffn, l.expert_down));
  if (e.shared_ffn == 0) return {};
  LINNET_CHECK(read_linear(blk + "ffn_gate_shexp", e.shared_ffn, f.dim, 0, l.gate));
  LINNET_CHECK(read_linear(blk + "ffn_up_shexp", e.shared_ffn, f.dim, 0, l.up));
  LINNET_CHECK(read_linear(blk + "ffn_down_shexp", f.dim, e.shared_ffn, 0, l.down));
  LINNET_TRY(const Tensor* gate, optional(blk + "ffn_gate_inp_shexp.weight", {uint64_t(f.dim)}));
  if (gate) { LINNET_TRY(l.shared_gate.w, matrix(*gate)); }
  return {};
}

// All experts in one tensor, or, in older files, one tensor each.
Status Loader::read_expert_matrices(const std::string& name, int64_t rows, int64_t cols, std::vector<Linear>& out) {
  const int64_t count = model_.facts.experts.count;
  if (!has(name + ".0.weight")) return read_stack(name + "_exps", count, rows, cols, kExpertBias, out);
  out.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    LINNET_CHECK(read_linear(fmt::format("{}.{}", name, i), rows, cols, kExpertBias, out[static_cast<size_t>(i)]));
  return {};
}

void Loader::make_recurrent_group() {
  const RecurrentFacts& r = model_.facts.recurrent;
  LayerGroup g;
  g.recurrent = true;
  g.window = 2;
  for (size_t i = 0; i < model_.layers.size(); ++i) {
    model_.layers[i].index_in_group = static_cast<int32_t>(i);
    const int64_t conv_bytes = ((r.taps - 1) * r.inner * 4 + 63) / 64 * 64;
    g.layers.push_back({KvType::f32, 0, 0, 0, g.page_bytes, g.page_bytes + conv_bytes});
    g.page_bytes += conv_bytes + (r.inner * r.states * 4 + 63) / 64 * 64;
  }
  model_.groups_.push_back(std::move(g));
}

// Layers of the same window and heads share pages.
void Loader::make_groups() {
  const Facts& f = model_.facts;
  if (f.recurrent.inner > 0) return make_recurrent_group();
  std::vector<LayerGroup>& groups = model_.groups_;
  KvType type = options_.kv_type;
  if (type == KvType::q8_0 && (f.k_dim % 32 != 0 || f.v_dim % 32 != 0)) {
    type = KvType::f16;
    model_.warnings.push_back(
        fmt::format("q8_0 pages need heads of a multiple of 32 values, this model's have {} and {}; "
                    "f16 pages are used",
                    f.k_dim, f.v_dim));
  }
  for (size_t i = 0; i < f.layer.size(); ++i) {
    const LayerFacts& l = f.layer[i];
    const auto same = [&](const LayerGroup& g) { return g.window == l.window && g.kv_heads == l.kv_heads; };
    auto g = std::find_if(groups.begin(), groups.end(), same);
    if (g == groups.end()) {
      g = groups.emplace(groups.end());
      g->window = l.window;
      g->causal = f.causal;
      g->kv_heads = static_cast<int32_t>(l.kv_heads);
      g->k_dim = static_cast<int32_t>(f.k_dim);
      g->v_dim = static_cast<int32_t>(f.v_dim);
      g->type = type;
    }
    model_.layers[i].group = static_cast<int32_t>(g - groups.begin());
    model_.layers[i].index_in_group = static_cast<int32_t>(g->layers.size());
    KvLayer kv{g->type, g->kv_heads, g->k_dim, g->v_dim, g->page_bytes, 0};
    kv.v_offset = kv.k_offset + kv_part_bytes(kv.type, kv.kv_heads, kv.k_dim);
    g->page_bytes = kv.v_offset + kv_part_bytes(kv.type, kv.kv_heads, kv.v_dim);
    g->layers.push_back(kv);
  }
}

Status Loader::check_unknown_tensors() {
  for (const Tensor& t : model_.file_.tensors()) {
    if (used_.contains(t.name) || neutral_scale(t)) continue;
    // Beside a matrix that is not multiplied (an embedding): without it the values would be wrong.
    std::string matrix = t.name.ends_with(".scale") ? std::string(t.name.substr(0, t.name.size() - 6)) : "";
    if (!matrix.ends_with(".weight")) matrix += ".weight";
    if (used_.contains(matrix))
      return fail(
          Code::unsupported,
          "tensor {} is a factor of {}, which cannot be applied there; take the model in a file that has the factor in "
          "the blocks of the tensor",
          t.name, matrix);
    model_.warnings.push_back(
        fmt::format("tensor {} is not used by the {} architecture", t.name, model_.facts.architecture));
  }
  return {};
}

}  // namespace linnet
