#include "runtime/forward.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "gguf/base/aligned.h"
#include "gguf/base/math.h"
#include "gguf/base/os.h"
#include "kernels/cpu/pool.h"
#include "runtime/rope.h"

namespace linnet {
namespace {

// Activations of up to n rows of up to `cols` values in all three forms. Memory is touched only where a form is used.
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
    if (cols >= 32) {
      LINNET_TRY(r.q32, Aligned<int8_t>::make(n * cols));
      LINNET_TRY(r.d32, Aligned<float>::make(n * cols / 32));
      LINNET_TRY(r.sum32, Aligned<int16_t>::make(n * cols / 32));
      r.view.q32 = r.q32.data(), r.view.d32 = r.d32.data(), r.view.sum32 = r.sum32.data();
    }
    if (cols >= 256) {
      LINNET_TRY(r.q256, Aligned<int8_t>::make(n * cols));
      LINNET_TRY(r.d256, Aligned<float>::make(n * cols / 256));
      LINNET_TRY(r.sum16, Aligned<int16_t>::make(n * cols / 16));
      r.view.q256 = r.q256.data(), r.view.d256 = r.d256.data(), r.view.sum16 = r.sum16.data();
    }
    return r;
  }

  // The same memory for rows of fewer columns.
  Activations of(int64_t cols) const {
    Activations a = view;
    a.cols = cols;
    if (cols % 32 != 0) a.q32 = nullptr, a.d32 = nullptr, a.sum32 = nullptr;
    if (cols % 256 != 0) a.q256 = nullptr, a.d256 = nullptr, a.sum16 = nullptr;
    return a;
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
  InputWatcher* watcher = nullptr;
  std::unique_ptr<Pool> pool;
  std::vector<RopeTable> ropes;  // as Facts::ropes
  Rows norm, ffn_norm;       // inputs of Q K V, gate, up, output; of the FFN beside attention when it has its own norm
  Rows attended, hidden;     // inputs of attn_output, down
  Aligned<float> x;          // [max_rows][dim] the residual stream
  Aligned<float> branch;     // [max_rows][dim] what a post norm takes
  Aligned<float> q;          // [max_rows][heads*k_dim]
  Aligned<float> cos, sin;   // [ropes][max_rows][rope pairs]
  Aligned<float> q_scale;    // [max_rows]
  Aligned<RowPlace> places;  // [groups][max_rows]
  Aligned<int32_t> tokens, positions;  // [max_rows]
  struct {
    Rows q, kv;             // normed latents of queries, and of keys and values
    Aligned<float> k_rope;  // [max_rows][rope dims]
    // Of the absorbed form:
    Aligned<float> queries, values;  // [max_rows][heads*k_dim] of the heads' own size, [max_rows][heads*kv_rank]
    Rows gathered;                   // [heads*max_rows]
  } latent;
  struct {
    Rows gathered, hidden;        // [slots]
    Aligned<float> logits, gate;  // [max_rows][experts], [max_rows]
    Aligned<float> products;      // [slots][greater of dim and ffn]
    Aligned<int32_t> first, row, slot;
    Aligned<float> weight;
  } experts;
  struct {
    Aligned<float> x, z, dt, b, c;  // [max_rows][inner], [max_rows][states]
    Rows low, inner;                // the time step's low rank, and what conv and scan give
  } recurrent;
  Aligned<std::byte> scratch;
  Exec exec{};

  Impl(const Model& m, const Kernels& kernels) : model(m), k(kernels) {}

  // What attn_output takes of each head.
  int64_t value_dim() const { return model.facts.latent.absorbed ? model.facts.latent.v_dim : model.facts.v_dim; }
  Status check_types() const;
  void make_ropes();
  Status allocate(int32_t threads);
  Status allocate_latent();
  Status allocate_experts();
  Status allocate_recurrent();
  // A linear that is absent wants nothing.
  uint32_t form(const Linear& a) const { return a.w.data ? k.form(a.w.type) : 0; }
  uint32_t ffn_forms(const LayerWeights& l) const;
  void watch(std::initializer_list<const Linear*> matrices, const float* in, int64_t n) const;
  void watch_experts(const LayerWeights& l) const;
  void prepare(std::span<const BatchRow> rows);
  void normalize(const NormWeights& w, int64_t n, const float* in, uint32_t forms, const Activations& out);
  struct Branch {
    float* y;
    bool add;
    float scale;
  };
  Branch branch_for(const NormWeights& post);
  void post_norm(const NormWeights& w, int64_t n);
  void latent_qkv(const LayerWeights& l, const KvLayer& kv, const RowPlace* at, int64_t n);
  void absorbed_qkv(const LayerWeights& l, const Activations& in, const KvLayer& kv, const RowPlace* at, int64_t n);
  void per_head(const std::vector<Linear>& w, const float* in, int64_t in_head, float* y, int64_t y_head, int64_t n);
  void attention(const LayerWeights& l, const LayerFacts& facts, int64_t n);
  void state_space(const LayerWeights& l, int64_t n);
  void feed_forward(const LayerWeights& l, const LayerFacts& facts, const Activations& in, int64_t n);
  void run_experts(const LayerWeights& l, const Activations& in, int64_t n, float* y, bool add, float scale);
  void layer(size_t index, int64_t n);
  void output(std::span<const BatchRow> rows, float* logits, float* hidden_out);
};

Status Forward::Impl::check_types() const {
  bool good = k.can(model.token_embd.type) && (!model.position_embd.data || k.can(model.position_embd.type));
  model.for_each_matrix([&](const Weight& w, double) { good = good && k.can(w.type); });
  if (good) return {};
  return fail(Code::gguf_tensor_type_unsupported,
              "backend \"{}\" cannot run a tensor type of this model; force another with LINNET_BACKEND", k.name);
}

void Forward::Impl::make_ropes() {
  for (const RopeFacts& r : model.facts.ropes) {
    const bool longer = !model.rope_factors_long.empty() && max_context > r.original_context;
    ropes.emplace_back(r, longer ? model.rope_factors_long : model.rope_factors);
  }
}

Status Forward::Impl::allocate(int32_t threads) {
  const Facts& f = model.facts;
  const int64_t n = max_rows, pairs = ropes.empty() ? 0 : ropes[0].pairs();
  const int64_t ffn = std::max({f.ffn, f.experts.shared_ffn, int64_t{1}});
  LINNET_TRY(norm, Rows::make(n, f.dim));
  if (f.parallel) { LINNET_TRY(ffn_norm, Rows::make(n, f.dim)); }
  LINNET_TRY(attended, Rows::make(n, f.heads * value_dim()));
  LINNET_TRY(hidden, Rows::make(n, ffn));
  LINNET_TRY(x, Aligned<float>::make(n * f.dim));
  LINNET_TRY(branch, Aligned<float>::make(n * f.dim));
  LINNET_TRY(q, Aligned<float>::make(n * f.heads * f.k_dim));
  const auto tables = static_cast<int64_t>(ropes.size());
  LINNET_TRY(cos, Aligned<float>::make(tables * n * pairs));
  LINNET_TRY(sin, Aligned<float>::make(tables * n * pairs));
  LINNET_TRY(q_scale, Aligned<float>::make(n));
  LINNET_TRY(places, Aligned<RowPlace>::make(n * static_cast<int64_t>(model.groups().size())));
  LINNET_TRY(tokens, Aligned<int32_t>::make(n));
  LINNET_TRY(positions, Aligned<int32_t>::make(n));
  if (f.latent.kv_rank > 0) LINNET_CHECK(allocate_latent());
  if (f.experts.count > 0) LINNET_CHECK(allocate_experts());
  if (f.recurrent.inner > 0) LINNET_CHECK(allocate_recurrent());
  const int64_t qkv_rows = f.heads * std::max(f.k_dim, value_dim()) + f.kv_heads * (f.k_dim + f.v_dim);
  const int64_t cols = std::max({f.dim, ffn, f.experts.ffn, f.heads * f.v_dim, f.latent.q_rank, f.latent.kv_rank,
                                 f.recurrent.inner, f.recurrent.rank});
  const ScratchNeed need{n, cols, std::max({qkv_rows, 2 * ffn, f.dim}), f.heads, f.v_dim, max_context, threads};
  LINNET_TRY(scratch, Aligned<std::byte>::make(k.scratch_bytes(need)));
  exec = {pool.get(), scratch.data(), scratch.size()};
  return {};
}

Status Forward::Impl::allocate_latent() {
  const Facts& f = model.facts;
  LINNET_TRY(latent.q, Rows::make(max_rows, std::max<int64_t>(f.latent.q_rank, 1)));
  LINNET_TRY(latent.kv, Rows::make(max_rows, f.latent.kv_rank));
  LINNET_TRY(latent.k_rope, Aligned<float>::make(max_rows * f.ropes[0].dims));
  if (!f.latent.absorbed) return {};
  LINNET_TRY(latent.queries, Aligned<float>::make(max_rows * f.heads * f.latent.k_dim));
  LINNET_TRY(latent.values, Aligned<float>::make(max_rows * f.heads * f.latent.kv_rank));
  LINNET_TRY(latent.gathered, Rows::make(max_rows * f.heads, std::max(f.latent.kv_rank, f.latent.k_dim)));
  return {};
}

Status Forward::Impl::allocate_experts() {
  const ExpertFacts& e = model.facts.experts;
  const int64_t slots = max_rows * e.used, dim = model.facts.dim;
  LINNET_TRY(experts.gathered, Rows::make(slots, dim));
  LINNET_TRY(experts.hidden, Rows::make(slots, e.ffn));
  LINNET_TRY(experts.products, Aligned<float>::make(slots * std::max(dim, e.ffn)));
  LINNET_TRY(experts.logits, Aligned<float>::make(max_rows * e.count));
  LINNET_TRY(experts.gate, Aligned<float>::make(max_rows));
  LINNET_TRY(experts.first, Aligned<int32_t>::make(e.count + 1));
  LINNET_TRY(experts.row, Aligned<int32_t>::make(slots));
  LINNET_TRY(experts.slot, Aligned<int32_t>::make(slots));
  LINNET_TRY(experts.weight, Aligned<float>::make(slots));
  return {};
}

Status Forward::Impl::allocate_recurrent() {
  const RecurrentFacts& r = model.facts.recurrent;
  for (Aligned<float>* channels : {&recurrent.x, &recurrent.z, &recurrent.dt}) {
    LINNET_TRY(*channels, Aligned<float>::make(max_rows * r.inner));
  }
  LINNET_TRY(recurrent.b, Aligned<float>::make(max_rows * r.states));
  LINNET_TRY(recurrent.c, Aligned<float>::make(max_rows * r.states));
  LINNET_TRY(recurrent.low, Rows::make(max_rows, r.rank));
  LINNET_TRY(recurrent.inner, Rows::make(max_rows, r.inner));
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
  const int64_t learned = model.position_embd.data ? model.position_embd.rows : int64_t{1} << 31;
  if (options.max_context > learned)
    return fail(Code::invalid_argument, "the context is {}, but the model has learned only {} positions",
                options.max_context, learned);
  if (options.max_context < 0 || options.max_context > int64_t{1} << 31)
    return fail(Code::invalid_argument, "the context is {}, expected 0 (the model's) to {} positions",
                options.max_context, int64_t{1} << 31);
  LINNET_TRY(impl->pool, Pool::create(threads));
  impl->max_rows = options.max_rows;
  impl->watcher = options.watcher;
  impl->max_context = options.max_context > 0 ? options.max_context : model.facts.context;
  impl->make_ropes();
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
  int64_t bytes =
      4 * (m.x.size() + m.branch.size() + m.q.size() + 2 * m.cos.size() + m.latent.k_rope.size() +
           m.latent.queries.size() + m.latent.values.size() + m.experts.products.size() + m.experts.logits.size()) +
      m.scratch.size();
  for (const Rows* rows : {&m.norm, &m.ffn_norm, &m.attended, &m.hidden, &m.latent.q, &m.latent.kv, &m.latent.gathered,
                           &m.experts.gathered, &m.experts.hidden})
    bytes += rows->bytes();
  return bytes;
}

// Embeds the rows' tokens and lays out what all layers share: rope angles, places, the queries' temperature.
void Forward::Impl::prepare(std::span<const BatchRow> rows) {
  const Facts& f = model.facts;
  const auto n = static_cast<int64_t>(rows.size());
  const auto groups = static_cast<int64_t>(model.groups().size());
  for (int64_t i = 0; i < n; ++i) {
    const BatchRow& row = rows[static_cast<size_t>(i)];
    tokens[i] = row.embedding ? 0 : row.token;
    positions[i] = static_cast<int32_t>(row.position[0]);
    const auto position = static_cast<double>(row.position[0]);
    for (size_t r = 0; r < ropes.size(); ++r) {
      const int64_t at = (static_cast<int64_t>(r) * max_rows + i) * ropes[r].pairs();
      ropes[r].fill(position, &cos[at], &sin[at]);
    }
    // How much a row sees, so without what a context shift dropped.
    const auto seen = static_cast<double>(row.places[0].position + 1);
    const double lengths = std::floor(seen / static_cast<double>(f.temperature_length));
    q_scale[i] = static_cast<float>(1 + f.temperature_scale * math::log(lengths + 1));
    for (int64_t g = 0; g < groups; ++g) places[g * max_rows + i] = row.places[g];
  }
  k.embed(exec, {n, tokens.data(), model.token_embd, f.embedding_scale, x.data(), false});
  for (int64_t i = 0; i < n; ++i)
    if (const float* e = rows[static_cast<size_t>(i)].embedding)
      std::memcpy(&x[i * f.dim], e, static_cast<size_t>(f.dim) * sizeof(float));
  if (model.position_embd.data) k.embed(exec, {n, positions.data(), model.position_embd, 1, x.data(), true});
  if (model.token_types.data) {
    std::fill_n(positions.data(), n, 0);
    k.embed(exec, {n, positions.data(), model.token_types, 1, x.data(), true});
  }
  if (f.embd_norm) normalize(model.embd_norm, n, x.data(), 0, {.cols = f.dim, .f32 = x.data()});
}

void Forward::Impl::normalize(const NormWeights& w, int64_t n, const float* in, uint32_t forms,
                              const Activations& out) {
  k.norm(exec, {n, w.kind, model.facts.norm_eps, in, w.weight, w.bias, forms, out});
}

uint32_t Forward::Impl::ffn_forms(const LayerWeights& l) const {
  uint32_t forms = form(l.gate) | form(l.up) | form(l.router) | form(l.shared_gate);
  if (!l.expert_up.empty()) forms |= form(l.expert_gate[0]) | form(l.expert_up[0]);
  return forms;
}

void Forward::Impl::watch(std::initializer_list<const Linear*> matrices, const float* in, int64_t n) const {
  if (!watcher) return;
  for (const Linear* l : matrices)
    if (l->w.data) watcher->see(l->w, in, n);
}

// Each expert's own rows, as the last call has left them.
void Forward::Impl::watch_experts(const LayerWeights& l) const {
  for (size_t e = 0; watcher && e < l.expert_up.size(); ++e) {
    const int64_t first = experts.first[static_cast<int64_t>(e)],
                  n = experts.first[static_cast<int64_t>(e) + 1] - first;
    const float* in = experts.gathered.view.f32 + first * l.expert_up[e].w.cols;
    if (!l.expert_gate.empty()) watch({&l.expert_gate[e]}, in, n);
    watch({&l.expert_up[e]}, in, n);
    watch({&l.expert_down[e]}, experts.hidden.view.f32 + first * l.expert_down[e].w.cols, n);
  }
}

// Where attention or the FFN leaves its result: added to the residual stream, or apart for a norm before that.
Forward::Impl::Branch Forward::Impl::branch_for(const NormWeights& post) {
  const bool apart = post.kind != Norm::none && !model.facts.norm_sums;
  return apart ? Branch{branch.data(), false, 1} : Branch{x.data(), true, model.facts.residual_scale};
}

void Forward::Impl::post_norm(const NormWeights& w, int64_t n) {
  const Facts& f = model.facts;
  if (w.kind == Norm::none) return;
  if (f.norm_sums) return normalize(w, n, x.data(), 0, {.cols = f.dim, .f32 = x.data()});
  k.norm(exec, {n,
                w.kind,
                f.norm_eps,
                branch.data(),
                w.weight,
                w.bias,
                0,
                {.cols = f.dim, .f32 = branch.data()},
                x.data(),
                f.residual_scale});
}

// Queries, keys and values through the latent vectors, from norm.view.
void Forward::Impl::latent_qkv(const LayerWeights& l, const KvLayer& kv, const RowPlace* at, int64_t n) {
  const Facts& f = model.facts;
  const auto compress = [&](std::span<const Linear> matrices, float* const* y) {
    k.linear(exec, {n, norm.view, static_cast<int32_t>(matrices.size()), matrices.data(), y, false, 1});
  };
  const auto norm_of = [&](const float* weight, uint32_t forms, const Activations& latents) {
    normalize({Norm::rms, weight, nullptr}, n, latents.f32, forms, latents);
  };
  const Linear to_kv[] = {l.latent.kv_a, l.latent.k_rope};
  watch({&l.latent.kv_a, &l.latent.k_rope, &l.latent.q_a}, norm.view.f32, n);
  float* const kv_out[] = {latent.kv.view.f32, latent.k_rope.data()};
  compress(to_kv, kv_out);
  norm_of(l.latent.kv_a_norm, form(l.latent.kv_b), latent.kv.view);  // absorbed: float32
  const bool direct = !l.latent.q_a.w.data;
  if (!direct) {
    float* const q_out[] = {latent.q.view.f32};
    compress({&l.latent.q_a, 1}, q_out);
    norm_of(l.latent.q_a_norm, form(l.q), latent.q.view);
  }
  const Activations& to_q = direct ? norm.view : latent.q.view;
  watch({&l.q}, to_q.f32, n);
  watch({&l.latent.kv_b}, latent.kv.view.f32, n);
  if (f.latent.absorbed) return absorbed_qkv(l, to_q, kv, at, n);
  k.latent(exec, {n, to_q, l.q, latent.kv.view, l.latent.kv_b, latent.k_rope.data(), f.rope, f.ropes[0].dims,
                  cos.data(), sin.data(), kv, at, q.data()});
}

// Each head's own matrix on its part of the rows.
void Forward::Impl::per_head(const std::vector<Linear>& w, const float* in, int64_t in_head, float* y, int64_t y_head,
                             int64_t n) {
  const auto heads = static_cast<int64_t>(w.size());
  k.heads(exec, {.n = n,
                 .heads = static_cast<int32_t>(heads),
                 .w = w.data(),
                 .x = in,
                 .x_row = heads * in_head,
                 .x_head = in_head,
                 .form = form(w[0]),
                 .gathered = latent.gathered.of(w[0].w.cols),
                 .y = y,
                 .y_row = heads * y_head,
                 .y_head = y_head});
  for (int64_t h = 0; h < heads; ++h)
    watch({&w[static_cast<size_t>(h)]}, latent.gathered.view.f32 + h * n * w[0].w.cols, n);
}

// Queries for the latent vectors, from the heads' own; keys and values are the latent vectors.
void Forward::Impl::absorbed_qkv(const LayerWeights& l, const Activations& in, const KvLayer& kv, const RowPlace* at,
                                 int64_t n) {
  const Facts& f = model.facts;
  float* const queries[] = {latent.queries.data()};
  k.linear(exec, {n, in, 1, &l.q, queries, false, 1});
  per_head(l.latent.k_b, latent.queries.data(), f.latent.k_dim, q.data(), f.k_dim, n);
  k.shared_latent(exec, {.n = n,
                         .heads = static_cast<int32_t>(l.latent.k_b.size()),
                         .latent = latent.kv.view.f32,
                         .k_rope = latent.k_rope.data(),
                         .q = latent.queries.data(),
                         .q_dim = f.latent.k_dim,
                         .rope = f.rope,
                         .rope_dims = f.ropes[0].dims,
                         .cos = cos.data(),
                         .sin = sin.data(),
                         .cache = kv,
                         .rows = at,
                         .q_out = q.data()});
}

// x += W_o attention(norm.view), through the post norm if there is one.
void Forward::Impl::attention(const LayerWeights& l, const LayerFacts& facts, int64_t n) {
  const Facts& f = model.facts;
  const LayerGroup& group = model.groups()[static_cast<size_t>(l.group)];
  const KvLayer& kv = group.layers[static_cast<size_t>(l.index_in_group)];
  const RowPlace* at = &places[l.group * max_rows];
  const auto heads = static_cast<int32_t>(facts.heads);
  if (f.latent.kv_rank > 0) {
    latent_qkv(l, kv, at, n);
  } else {
    watch({&l.q, &l.k, &l.v}, norm.view.f32, n);
    const bool turned = facts.rope >= 0 && f.rope != Rope::none;
    const int64_t table = turned ? facts.rope * max_rows * ropes[0].pairs() : 0;
    k.qkv(exec, {.n = n,
                 .x = norm.view,
                 .q = l.q,
                 .k = l.k,
                 .v = l.v,
                 .heads = heads,
                 .clamp = f.clamp_qkv,
                 .qk_norm = l.qk_norm,
                 .norm_kind = f.norm,
                 .norm_after_rope = f.norm_after_rope,
                 .q_norm = l.q_norm,
                 .k_norm = l.k_norm,
                 .norm_eps = f.norm_eps,
                 .rope = turned ? f.rope : Rope::none,
                 .rope_dims = turned ? f.ropes[0].dims : 0,
                 .cos = cos.data() + table,
                 .sin = sin.data() + table,
                 .q_scale = f.temperature_scale != 0 ? q_scale.data() : nullptr,
                 .kv = kv,
                 .rows = at,
                 .q_out = q.data()});
  }
  const Activations out = attended.of(facts.heads * value_dim());
  const bool absorbed = f.latent.absorbed;
  const Activations latents{.cols = facts.heads * f.v_dim, .f32 = latent.values.data()};
  k.attention(exec, {n, q.data(), heads, kv, at, f.attention_scale, f.attention_softcap, l.sinks,
                     model.alibi_slopes.empty() ? nullptr : model.alibi_slopes.data(), absorbed ? 0 : form(l.o),
                     absorbed ? latents : out});
  if (absorbed) {
    per_head(l.latent.v_b, latents.f32, f.v_dim, out.f32, f.latent.v_dim, n);
    normalize({Norm::none}, n, out.f32, form(l.o), out);
  }
  watch({&l.o}, out.f32, n);
  const Branch to = branch_for(l.attn_post_norm);
  k.linear(exec, {n, out, 1, &l.o, &to.y, to.add, to.scale});
  post_norm(l.attn_post_norm, n);
}

// x += W_out scan(conv(W_x norm x))
void Forward::Impl::state_space(const LayerWeights& l, int64_t n) {
  const RecurrentFacts& r = model.facts.recurrent;
  const LayerWeights::Recurrent& w = l.recurrent;
  const LayerGroup& group = model.groups()[static_cast<size_t>(l.group)];
  const KvLayer& state = group.layers[static_cast<size_t>(l.index_in_group)];
  const RowPlace* at = &places[l.group * max_rows];
  const auto multiply = [&](const Activations& in, std::initializer_list<Linear> matrices,
                            std::initializer_list<float*> y) {
    k.linear(exec, {n, in, static_cast<int32_t>(matrices.size()), matrices.begin(), y.begin(), false, 1});
  };
  normalize(l.attn_norm, n, x.data(), form(w.x), norm.view);
  watch({&w.x, &w.z}, norm.view.f32, n);
  multiply(norm.view, {w.x, w.z}, {recurrent.x.data(), recurrent.z.data()});
  const Activations& inner = recurrent.inner.view;
  k.conv(exec, {n, r.inner, static_cast<int32_t>(r.taps), recurrent.x.data(), w.conv, w.conv_bias, state.k_offset, at,
                form(w.dt_low), inner});
  const Activations& low = recurrent.low.view;
  watch({&w.dt_low, &w.b, &w.c}, inner.f32, n);
  multiply(inner, {w.dt_low, w.b, w.c}, {low.f32, recurrent.b.data(), recurrent.c.data()});
  if (r.norms)
    for (float* states : {recurrent.b.data(), recurrent.c.data()})
      normalize({Norm::rms}, n, states, 0, {.cols = r.states, .f32 = states});
  normalize({r.norms ? Norm::rms : Norm::none}, n, low.f32, form(w.dt), low);
  watch({&w.dt}, low.f32, n);
  multiply(low, {w.dt}, {recurrent.dt.data()});
  std::memcpy(recurrent.x.data(), inner.f32, static_cast<size_t>(n * r.inner) * sizeof(float));
  k.scan(exec, {n, r.inner, r.states, recurrent.x.data(), recurrent.dt.data(), recurrent.z.data(), recurrent.b.data(),
                recurrent.c.data(), w.a, w.d, state.v_offset, at, form(w.out), inner});
  watch({&w.out}, inner.f32, n);
  float* const y[] = {x.data()};
  k.linear(exec, {n, inner, 1, &w.out, y, true, 1});
}

// y (+)= scale * the chosen experts' networks of the rows `in`.
void Forward::Impl::run_experts(const LayerWeights& l, const Activations& in, int64_t n, float* y, bool add,
                                float scale) {
  const Facts& f = model.facts;
  const ExpertFacts& e = f.experts;
  const auto count = static_cast<int32_t>(e.count), used = static_cast<int32_t>(e.used);
  float* const logits[] = {experts.logits.data()};
  k.linear(exec, {n, in, 1, &l.router, logits, false, 1});
  const Routes routes{experts.first.data(), experts.row.data(), experts.slot.data(), experts.weight.data()};
  k.route(exec, {n, logits[0], l.choice_bias, count, used, static_cast<int32_t>(e.groups),
                 static_cast<int32_t>(e.groups_used), e.gating, e.normalize, e.scale, routes});
  k.experts(exec, {.n = n,
                   .x = in,
                   .experts = count,
                   .used = used,
                   .gate = l.expert_gate.data(),
                   .up = l.expert_up.data(),
                   .down = l.expert_down.data(),
                   .kind = f.glu,
                   .routes = routes,
                   .x_forms = ffn_forms(l),
                   .forms = form(l.expert_down[0]),
                   .gathered = experts.gathered.view,
                   .hidden = experts.hidden.view,
                   .products = experts.products.data(),
                   .y = y,
                   .add = add,
                   .scale = scale});
  watch({&l.router}, in.f32, n);
  watch_experts(l);
}

// x += ffn(in), through the post norm if there is one.
void Forward::Impl::feed_forward(const LayerWeights& l, const LayerFacts& facts, const Activations& in, int64_t n) {
  const Facts& f = model.facts;
  auto [y, add, scale] = branch_for(l.ffn_post_norm);
  const float* gate = nullptr;
  if (facts.ffn == 0) {
    run_experts(l, in, n, y, add, scale);
    add = true;
    watch({&l.shared_gate}, in.f32, n);
    if (l.shared_gate.w.data) {
      float* const opening[] = {experts.gate.data()};
      k.linear(exec, {n, in, 1, &l.shared_gate, opening, false, 1});
      gate = opening[0];
    }
  }
  if (l.down.w.data) {
    const Activations out = hidden.of(l.down.w.cols);
    watch({&l.gate, &l.up}, in.f32, n);
    k.glu(exec, {n, in, l.gate, l.up, f.glu, form(l.down), out});
    watch({&l.down}, out.f32, n);
    k.linear(exec, {n, out, 1, &l.down, &y, add, scale, gate});
  }
  post_norm(l.ffn_post_norm, n);
}

// In sequence: x += attention(norm x), x += ffn(norm' x). Side by side: x += attention(norm x) + ffn(norm' x), where
// norm' may be norm.
void Forward::Impl::layer(size_t index, int64_t n) {
  const LayerWeights& l = model.layers[index];
  const LayerFacts& facts = model.facts.layer[index];
  if (model.facts.recurrent.inner > 0) return state_space(l, n);
  const bool own_norm = !model.facts.parallel || l.ffn_norm.kind != Norm::none;
  const uint32_t attention_forms =
      form(l.q) * !l.latent.q_a.w.data | form(l.k) | form(l.v) | form(l.latent.q_a) | form(l.latent.kv_a);
  normalize(l.attn_norm, n, x.data(), attention_forms | (own_norm ? 0 : ffn_forms(l)), norm.view);
  Activations in = norm.view;
  if (model.facts.parallel && own_norm) {
    in = ffn_norm.view;
    normalize(l.ffn_norm, n, x.data(), ffn_forms(l), in);
  }
  attention(l, facts, n);
  if (!model.facts.parallel) normalize(l.ffn_norm, n, x.data(), ffn_forms(l), in);
  feed_forward(l, facts, in, n);
}

// logits = W_out norm(x), for the rows that want them, gathered to the front of x.
void Forward::Impl::output(std::span<const BatchRow> rows, float* logits, float* hidden_out) {
  const Facts& f = model.facts;
  const auto dim = static_cast<size_t>(f.dim);
  auto gather = [&](bool BatchRow::*wanted) {
    int64_t n = 0;
    for (size_t i = 0; i < rows.size(); ++i)
      if (rows[i].*wanted)
        std::memmove(&branch[static_cast<int64_t>(dim) * n++], &x[static_cast<int64_t>(dim * i)], dim * sizeof(float));
    return n;
  };
  if (const int64_t n = gather(&BatchRow::wants_hidden))
    normalize(model.output_norm, n, branch.data(), 0, {.cols = f.dim, .f32 = hidden_out});
  if (const int64_t n = gather(&BatchRow::wants_logits)) {
    normalize(model.output_norm, n, branch.data(), form(model.output), norm.view);
    watch({&model.output}, norm.view.f32, n);
    float* const y[] = {logits};
    k.linear(exec, {n, norm.view, 1, &model.output, y, false, f.logit_scale, nullptr, f.logit_softcap});
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
  for (const BatchRow& row : rows)
    if (m.model.position_embd.data && row.position[0] >= m.model.position_embd.rows)
      return fail(Code::context_full, "position {} is beyond the {} that the model has learned", row.position[0],
                  m.model.position_embd.rows);
  for (const BatchRow& row : rows)
    if (row.wants_logits && !m.model.output.w.data)
      return fail(Code::unsupported, "{} models read text and do not write it; use linnet embed",
                  m.model.facts.architecture);
  m.prepare(rows);
  for (size_t i = 0; i < m.model.layers.size(); ++i) m.layer(i, n);
  m.output(rows, logits, hidden);
  return {};
}

Status Forward::can_shift() const {
  const Facts& f = impl_->model.facts;
  const char* why = nullptr;
  if (!f.causal) why = "its rows see all of the text";
  if (f.recurrent.inner > 0) why = "its state cannot forget a part of the text";
  if (impl_->model.position_embd.data) why = "its positions are learned, and added to the tokens";
  if (f.norm_after_rope && f.qk_norm != QkNorm::none) why = "its keys are normed after they are turned";
  if (!why) return {};
  return fail(Code::unsupported,
              "the context of {} models cannot be shifted: {}; switch context shifting off, or open the engine with a "
              "larger context",
              f.architecture, why);
}

void Forward::rotate_page(int32_t group, std::byte* page, int64_t delta) {
  Impl& m = *impl_;
  const Facts& f = m.model.facts;
  if (f.rope == Rope::none) return;
  for (size_t i = 0; i < m.model.layers.size(); ++i) {
    const LayerWeights& l = m.model.layers[i];
    const int32_t rope = f.layer[i].rope;
    if (l.group != group || rope < 0) continue;
    const int32_t dims = f.ropes[static_cast<size_t>(rope)].dims;
    const int32_t first = f.latent.kv_rank > 0 ? static_cast<int32_t>(f.k_dim) - dims : 0;
    m.ropes[static_cast<size_t>(rope)].fill_delta(static_cast<double>(delta), m.cos.data(), m.sin.data());
    const KvLayer& kv = m.model.groups()[static_cast<size_t>(group)].layers[static_cast<size_t>(l.index_in_group)];
    m.k.rotate(m.exec, {page, kv, f.rope, first, dims, m.cos.data(), m.sin.data()});
  }
}

}  // namespace linnet
