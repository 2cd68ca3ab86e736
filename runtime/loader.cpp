#include "runtime/loader.h"

#include <fmt/ranges.h>

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

}  // namespace

Result<std::shared_ptr<const Model>> Loader::load(Gguf file, const ModelOptions& options) {
  LINNET_TRY(Facts facts, read_facts(file));
  LINNET_TRY(Tokenizer tokenizer, Tokenizer::load(file));
  auto model = std::shared_ptr<Model>(new Model(std::move(file), std::move(tokenizer)));
  model->facts = std::move(facts);
  Loader loader(*model, options);
  LINNET_CHECK(loader.read_global_tensors());
  // One by one: a wrong number of layers costs nothing before the first missing one is found.
  for (int64_t i = 0; i < model->facts.layers; ++i) LINNET_CHECK(loader.read_layer(i));
  LINNET_CHECK(loader.make_group());
  loader.note_unknown_tensors();
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
  if (!t)
    return fail(Code::gguf_tensor_missing,
                "tensor {} is missing (expected {}); the file is incomplete or not a {} model", name,
                shape(std::span(dims.begin(), dims.size())), model_.facts.architecture);
  return t;
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
  const auto n = static_cast<int64_t>(t.dims[0]);
  LINNET_TRY(Aligned<float> values, Aligned<float>::make(n));
  codec(t.type)->decode(t.data, values.data(), n);
  const float* data = values.data();
  model_.vectors_.push_back(std::move(values));
  return data;
}

Result<const float*> Loader::required_vector(const std::string& name, int64_t size) {
  LINNET_TRY(const Tensor* t, require(name, {static_cast<uint64_t>(size)}));
  return vector(*t);
}

Result<const float*> Loader::optional_vector(const std::string& name, int64_t size) {
  LINNET_TRY(const Tensor* t, optional(name, {static_cast<uint64_t>(size)}));
  if (!t) return static_cast<const float*>(nullptr);
  return vector(*t);
}

Status Loader::read_linear(const std::string& name, int64_t rows, int64_t cols, Linear& out) {
  LINNET_TRY(const Tensor* t, require(name + ".weight", {static_cast<uint64_t>(cols), static_cast<uint64_t>(rows)}));
  LINNET_TRY(out.w, matrix(*t));
  LINNET_TRY(out.bias, optional_vector(name + ".bias", rows));
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
  LINNET_TRY(embd, require("token_embd.weight", {static_cast<uint64_t>(f.dim), static_cast<uint64_t>(f.vocab)}));
  LINNET_TRY(model_.token_embd, matrix(*embd));
  LINNET_TRY(model_.output_norm, required_vector("output_norm.weight", f.dim));
  if (model_.file_.tensor("output.weight")) {
    LINNET_CHECK(read_linear("output", f.vocab, f.dim, model_.output));
  } else {
    model_.output.w = model_.token_embd;  // tied
  }
  const int64_t pairs = f.rope_facts.dims / 2;
  LINNET_TRY(const float* factors, optional_vector("rope_freqs.weight", pairs));
  if (factors) model_.rope_factors.assign(factors, factors + pairs);
  for (const float factor : model_.rope_factors)
    if (!(factor > 0 && factor < 1e9f))
      return fail(Code::gguf_hparams, "tensor rope_freqs.weight holds {}, expected positive frequency divisors",
                  factor);
  return {};
}

Status Loader::read_layer(int64_t index) {
  const Facts& f = model_.facts;
  LayerWeights& l = model_.layers.emplace_back();
  const std::string blk = fmt::format("blk.{}.", index);
  LINNET_TRY(l.attn_norm, required_vector(blk + "attn_norm.weight", f.dim));
  LINNET_CHECK(read_linear(blk + "attn_q", f.heads * f.k_dim, f.dim, l.q));
  LINNET_CHECK(read_linear(blk + "attn_k", f.kv_heads * f.k_dim, f.dim, l.k));
  LINNET_CHECK(read_linear(blk + "attn_v", f.kv_heads * f.v_dim, f.dim, l.v));
  LINNET_CHECK(read_linear(blk + "attn_output", f.dim, f.heads * f.v_dim, l.o));
  LINNET_TRY(l.ffn_norm, required_vector(blk + "ffn_norm.weight", f.dim));
  LINNET_CHECK(read_linear(blk + "ffn_gate", f.ffn, f.dim, l.gate));
  LINNET_CHECK(read_linear(blk + "ffn_up", f.ffn, f.dim, l.up));
  LINNET_CHECK(read_linear(blk + "ffn_down", f.dim, f.ffn, l.down));
  l.group = 0;
  l.index_in_group = static_cast<int32_t>(index);
  return {};
}

Status Loader::make_group() {
  const Facts& f = model_.facts;
  LayerGroup g;
  g.window = f.window;
  g.kv_heads = static_cast<int32_t>(f.kv_heads);
  g.k_dim = static_cast<int32_t>(f.k_dim);
  g.v_dim = static_cast<int32_t>(f.v_dim);
  g.type = options_.kv_type;
  if (g.type == KvType::q8_0 && (f.k_dim % 32 != 0 || f.v_dim % 32 != 0)) {
    g.type = KvType::f16;
    model_.warnings.push_back(
        fmt::format("q8_0 pages need heads of a multiple of 32 values, this model's have {} and {}; "
                    "f16 pages are used",
                    f.k_dim, f.v_dim));
  }
  for (int64_t i = 0; i < f.layers; ++i) {
    KvLayer l{g.type, g.kv_heads, g.k_dim, g.v_dim, g.page_bytes, 0};
    l.v_offset = l.k_offset + kv_part_bytes(l.type, l.kv_heads, l.k_dim);
    g.page_bytes = l.v_offset + kv_part_bytes(l.type, l.kv_heads, l.v_dim);
    g.layers.push_back(l);
  }
  model_.groups_.push_back(std::move(g));
  return {};
}

void Loader::note_unknown_tensors() {
  for (const Tensor& t : model_.file_.tensors())
    if (!used_.contains(t.name))
      model_.warnings.push_back(
          fmt::format("tensor {} is not used by the {} architecture", t.name, model_.facts.architecture));
}

}  // namespace linnet
