#include "runtime/forward.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "gguf/base/aligned.h"
#include "gguf/base/os.h"
#include "kernels/cpu/pool.h"
#include "runtime/rope.h"

namespace linnet {
namespace {

// Activations of up to n rows in all three forms. Memory is touched only where a form is used.
struct Rows {
  Aligned<float> f32, d32, d256;
  Aligned<int8_t> q32, q256;
  Aligned<int16_t> sum32, sum16;
  Activations view;

  static Result<Rows> make(int64_t n, int64_t cols) {
    Rows r;
    r.view.cols = cols;
    LINNET_TRY(r.f32, Aligned<float>::make(n * cols));
    r.view.f32 = r.f32.data();
    if (cols % 32 == 0) {
      LINNET_TRY(r.q32, Aligned<int8_t>::make(n * cols));
      LINNET_TRY(r.d32, Aligned<float>::make(n * cols / 32));
      LINNET_TRY(r.sum32, Aligned<int16_t>::make(n * cols / 32));
      r.view.q32 = r.q32.data(), r.view.d32 = r.d32.data(), r.view.sum32 = r.sum32.data();
    }
    if (cols % 256 == 0) {
      LINNET_TRY(r.q256, Aligned<int8_t>::make(n * cols));
      LINNET_TRY(r.d256, Aligned<float>::make(n * cols / 256));
      LINNET_TRY(r.sum16, Aligned<int16_t>::make(n * cols / 16));
      r.view.q256 = r.q256.data(), r.view.d256 = r.d256.data(), r.view.sum16 = r.sum16.data();
    }
    return r;
  }

  int64_t bytes() const {
    return 4 * (f32.size() + d32.size() + d256.size()) + q32.size() + q256.size() + 2 * (sum32.size() + sum16.size());
  }
};

Result<const Kernels*> choose_kernels(const std::string& option) {
  const char* environment = std::getenv("LINNET_BACKEND");
  const std::string name = !option.empty() ? option : environment ? environment : "";
  if (const Kernels* k = find_kernels(name.c_str())) return k;
  std::string known;
  bool exists = false;
  const KernelList list = all_kernels();
  for (int32_t i = 0; i < list.count; ++i) {
    known += (known.empty() ? "" : ", ") + std::string(list.items[i]->name);
    exists |= name == list.items[i]->name;
  }
  if (exists)
    return fail(Code::backend_unavailable,
                "backend \"{}\" needs instructions that this processor does not have; use one of: {}", name, known);
  return fail(Code::backend_unknown, "there is no backend \"{}\"; this build has: {}", name, known);
}

}  // namespace

struct Forward::Impl {
  const Model& model;
  const Kernels& k;
  int64_t max_rows = 0;
  int64_t max_context = 0;
  std::unique_ptr<Pool> pool;
  RopeTable rope;
  Rows norm, attended, hidden;  // inputs of: Q K V, gate, up and output; attn_output; down
  Aligned<float> x;             // [max_rows][dim] the residual stream
  Aligned<float> q;             // [max_rows][heads*k_dim]
  Aligned<float> cos, sin;      // [max_rows][rope pairs]
  Aligned<RowPlace> places;     // [groups][max_rows]
  Aligned<int32_t> tokens;      // [max_rows]
  Aligned<std::byte> scratch;
  Exec exec{};

  Impl(const Model& m, const Kernels& kernels) : model(m), k(kernels) {}

  Status check_types() const;
  Status allocate(int32_t threads);
  uint32_t form(const Linear& a) const { return k.form(a.w.type); }
  void prepare(std::span<const BatchRow> rows);
  void attention_block(const LayerWeights& l, int64_t n);
  void feed_forward_block(const LayerWeights& l, int64_t n);
  void output(std::span<const BatchRow> rows, float* logits, float* hidden_out);
};

Status Forward::Impl::check_types() const {
  auto check = [&](const Linear& a) { return k.can(a.w.type); };
  bool good = check(model.output) && k.can(model.token_embd.type);
  for (const LayerWeights& l : model.layers)
    for (const Linear* a : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down}) good = good && check(*a);
  if (good) return {};
  return fail(Code::gguf_tensor_type_unsupported,
              "backend \"{}\" cannot run a tensor type of this model; force another with LINNET_BACKEND", k.name);
}

Status Forward::Impl::allocate(int32_t threads) {
  const Facts& f = model.facts;
  const int64_t n = max_rows;
  LINNET_TRY(norm, Rows::make(n, f.dim));
  LINNET_TRY(attended, Rows::make(n, f.heads * f.v_dim));
  LINNET_TRY(hidden, Rows::make(n, f.ffn));
  LINNET_TRY(x, Aligned<float>::make(n * f.dim));
  LINNET_TRY(q, Aligned<float>::make(n * f.heads * f.k_dim));
  LINNET_TRY(cos, Aligned<float>::make(n * rope.pairs()));
  LINNET_TRY(sin, Aligned<float>::make(n * rope.pairs()));
  LINNET_TRY(places, Aligned<RowPlace>::make(n * static_cast<int64_t>(model.groups().size())));
  LINNET_TRY(tokens, Aligned<int32_t>::make(n));
  const int64_t qkv_rows = f.heads * f.k_dim + f.kv_heads * (f.k_dim + f.v_dim);
  const ScratchNeed need{
      n,      std::max({f.dim, f.ffn, f.heads * f.v_dim}), std::max(qkv_rows, 2 * f.ffn), f.heads, f.v_dim, max_context,
      threads};
  LINNET_TRY(scratch, Aligned<std::byte>::make(k.scratch_bytes(need)));
  exec = {pool.get(), scratch.data(), scratch.size()};
  return {};
}

Result<std::unique_ptr<Forward>> Forward::create(const Model& model, const ForwardOptions& options) {
  LINNET_TRY(const Kernels* kernels, choose_kernels(options.backend));
  auto impl = std::make_unique<Impl>(model, *kernels);
  LINNET_CHECK(impl->check_types());
  const int32_t threads = options.threads > 0 ? options.threads : std::min(8, os::physical_cores());
  if (threads > 256 || options.threads < 0)
    return fail(Code::invalid_argument, "threads is {}, expected 0 (automatic) to 256", options.threads);
  if (options.max_rows < 1 || options.max_rows > 65536)
    return fail(Code::invalid_argument, "the batch size is {}, expected 1 to 65536 rows", options.max_rows);
  if (options.max_context < 0 || options.max_context > int64_t{1} << 31)
    return fail(Code::invalid_argument, "the context is {}, expected 0 (the model's) to {} positions",
                options.max_context, int64_t{1} << 31);
  LINNET_TRY(impl->pool, Pool::create(threads));
  impl->max_rows = options.max_rows;
  impl->max_context = options.max_context > 0 ? options.max_context : model.facts.context;
  impl->rope = RopeTable(model.facts.rope_facts, model.rope_factors);
  LINNET_CHECK(impl->allocate(threads));
  return std::unique_ptr<Forward>(new Forward(std::move(impl)));
}

Forward::Forward(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Forward::~Forward() = default;
const Kernels& Forward::kernels() const { return impl_->k; }
Pool& Forward::pool() { return *impl_->pool; }
int32_t Forward::threads() const { return impl_->pool->size(); }

int64_t Forward::workspace_bytes() const {
  const Impl& m = *impl_;
  return m.norm.bytes() + m.attended.bytes() + m.hidden.bytes() + 4 * (m.x.size() + m.q.size() + 2 * m.cos.size()) +
         m.scratch.size();
}

// Embeds the rows' tokens and lays out what all layers share: rope angles and places.
void Forward::Impl::prepare(std::span<const BatchRow> rows) {
  const auto n = static_cast<int64_t>(rows.size());
  const auto groups = static_cast<int64_t>(model.groups().size());
  for (int64_t i = 0; i < n; ++i) {
    const BatchRow& row = rows[static_cast<size_t>(i)];
    tokens[i] = row.embedding ? 0 : row.token;
    rope.fill(static_cast<double>(row.position[0]), &cos[i * rope.pairs()], &sin[i * rope.pairs()]);
    for (int64_t g = 0; g < groups; ++g) places[g * max_rows + i] = row.places[g];
  }
  k.embed(exec, {n, tokens.data(), model.token_embd, model.facts.embedding_scale, x.data()});
  for (int64_t i = 0; i < n; ++i)
    if (const float* e = rows[static_cast<size_t>(i)].embedding)
      std::memcpy(&x[i * model.facts.dim], e, static_cast<size_t>(model.facts.dim) * sizeof(float));
}

// x += W_o attention(norm(x))
void Forward::Impl::attention_block(const LayerWeights& l, int64_t n) {
  const Facts& f = model.facts;
  const LayerGroup& group = model.groups()[static_cast<size_t>(l.group)];
  const KvLayer& kv = group.layers[static_cast<size_t>(l.index_in_group)];
  const RowPlace* at = &places[l.group * max_rows];
  k.norm(exec, {n, f.norm, f.norm_eps, x.data(), l.attn_norm, nullptr, form(l.q) | form(l.k) | form(l.v), norm.view});
  k.qkv(exec, {n, norm.view, l.q, l.k, l.v, static_cast<int32_t>(f.heads), l.q_norm, l.k_norm, f.norm_eps, f.rope,
               f.rope_facts.dims, cos.data(), sin.data(), kv, at, q.data()});
  k.attention(exec, {n, q.data(), static_cast<int32_t>(f.heads), kv, at, f.attention_scale, f.attention_softcap,
                     nullptr, form(l.o), attended.view});
  float* const y[] = {x.data()};
  k.linear(exec, {n, attended.view, 1, &l.o, y, true, f.residual_scale});
}

// x += W_down (silu(W_gate norm(x)) * W_up norm(x))
void Forward::Impl::feed_forward_block(const LayerWeights& l, int64_t n) {
  const Facts& f = model.facts;
  k.norm(exec, {n, f.norm, f.norm_eps, x.data(), l.ffn_norm, nullptr, form(l.gate) | form(l.up), norm.view});
  k.glu(exec, {n, norm.view, l.gate, l.up, f.glu, form(l.down), hidden.view});
  float* const y[] = {x.data()};
  k.linear(exec, {n, hidden.view, 1, &l.down, y, true, f.residual_scale});
}

// logits = W_out norm(x), for the rows that want them, gathered to the front of x.
void Forward::Impl::output(std::span<const BatchRow> rows, float* logits, float* hidden_out) {
  const Facts& f = model.facts;
  const auto dim = static_cast<size_t>(f.dim);
  auto gather = [&](bool BatchRow::*wanted) {
    int64_t n = 0;
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows[i].*wanted)
        std::memmove(&norm.view.f32[dim * static_cast<size_t>(n++)], &x[static_cast<int64_t>(dim * i)],
                     dim * sizeof(float));
    return n;
  };
  if (const int64_t n = gather(&BatchRow::wants_hidden)) {
    const Activations out{.cols = f.dim, .f32 = hidden_out};
    k.norm(exec, {n, f.norm, f.norm_eps, norm.view.f32, model.output_norm, nullptr, 0, out});
  }
  if (const int64_t n = gather(&BatchRow::wants_logits)) {
    std::memmove(x.data(), norm.view.f32, dim * static_cast<size_t>(n) * sizeof(float));
    k.norm(exec, {n, f.norm, f.norm_eps, x.data(), model.output_norm, nullptr, form(model.output), norm.view});
    float* const y[] = {logits};
    k.linear(exec, {n, norm.view, 1, &model.output, y, false, f.logit_scale});
  }
}

Status Forward::run(std::span<const BatchRow> rows, float* logits, float* hidden) {
  Impl& m = *impl_;
  const auto n = static_cast<int64_t>(rows.size());
  if (n == 0) return {};
  if (n > m.max_rows) return fail(Code::invalid_argument, "a batch of {} rows, expected at most {}", n, m.max_rows);
  for (const BatchRow& row : rows)
    if (!row.embedding && (row.token < 0 || row.token >= m.model.facts.vocab))
      return fail(Code::token_range, "token id {} is outside the vocabulary of {} tokens", row.token,
                  m.model.facts.vocab);
  m.prepare(rows);
  for (const LayerWeights& layer : m.model.layers) {
    m.attention_block(layer, n);
    m.feed_forward_block(layer, n);
  }
  m.output(rows, logits, hidden);
  return {};
}

void Forward::rotate_page(int32_t group, std::byte* page, int64_t delta) {
  Impl& m = *impl_;
  m.rope.fill_delta(static_cast<double>(delta), m.cos.data(), m.sin.data());
  for (const KvLayer& kv : m.model.groups()[static_cast<size_t>(group)].layers)
    m.k.rotate(m.exec, {page, kv, m.model.facts.rope, m.model.facts.rope_facts.dims, m.cos.data(), m.sin.data()});
}

}  // namespace linnet
