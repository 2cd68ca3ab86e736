#include "runtime/arch/arch.h"

#include <algorithm>
#include <cmath>

#include "gguf/base/math.h"

namespace linnet {
namespace {

// Bounds beyond any published model; they keep products of sizes far inside 64 bits.
constexpr int64_t kMaxLayers = 4096, kMaxDim = 1 << 20, kMaxHeads = 1 << 14, kMaxContext = int64_t{1} << 31;

Status read_heads(const Keys& keys, Facts& f) {
  LINNET_TRY(const auto heads, keys.per_layer("attention.head_count", f.layers, 1, kMaxHeads));
  auto kv_heads = heads;
  if (keys.has("attention.head_count_kv")) {
    LINNET_TRY(kv_heads, keys.per_layer("attention.head_count_kv", f.layers, 1, kMaxHeads));
  }
  for (size_t i = 0; i < heads.size(); ++i) {
    if (heads[i] % kv_heads[i] != 0)
      return fail(Code::gguf_hparams, "{} = {} does not divide {} = {} (layer {}); grouped queries need whole groups",
                  keys.name("attention.head_count_kv"), kv_heads[i], keys.name("attention.head_count"), heads[i], i);
    f.layer[i].heads = heads[i];
    f.layer[i].kv_heads = kv_heads[i];
  }
  f.heads = *std::max_element(heads.begin(), heads.end());
  f.kv_heads = *std::max_element(kv_heads.begin(), kv_heads.end());
  const bool given = keys.has("attention.key_length") && keys.has("attention.value_length");
  if (!given && f.dim % f.heads != 0)
    return fail(Code::gguf_hparams,
                "{} = {} is no multiple of {} = {}; attention.key_length and attention.value_length do not both say "
                "the head size instead",
                keys.name("embedding_length"), f.dim, keys.name("attention.head_count"), f.heads);
  LINNET_TRY(f.k_dim, keys.integer_or("attention.key_length", f.dim / f.heads, 1, 4096));
  LINNET_TRY(f.v_dim, keys.integer_or("attention.value_length", f.dim / f.heads, 1, 4096));
  LINNET_TRY(const double scale, keys.number_or("attention.scale", 0, 0, 1e3));
  f.attention_scale = static_cast<float>(scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(f.k_dim)));
  return {};
}

Status read_rope(const Keys& keys, Facts& f) {
  RopeFacts& r = f.ropes.emplace_back();
  LINNET_TRY(const int64_t dims, keys.integer_or("rope.dimension_count", f.k_dim, 2, f.k_dim));
  if (dims % 2 != 0)
    return fail(Code::gguf_hparams, "{} = {} is odd; rotary embedding turns pairs", keys.name("rope.dimension_count"),
                dims);
  r.dims = static_cast<int32_t>(dims);
  LINNET_TRY(r.base, keys.number_or("rope.freq_base", 10000, 1.0001, 1e12));
  LINNET_TRY(r.original_context, keys.integer_or("rope.scaling.original_context_length", f.context, 1, kMaxContext));
  LINNET_TRY(r.attention_factor, keys.number_or("rope.scaling.attn_factor", 1, 1e-3, 1e3));
  // The older spelling of the linear factor counts where the newer is absent; a factor without a type is linear.
  const bool older = keys.has("rope.scale_linear") && !keys.has("rope.scaling.factor");
  const char* factor_key = older ? "rope.scale_linear" : "rope.scaling.factor";
  LINNET_TRY(const std::string_view scaling,
             keys.string_or("rope.scaling.type", keys.has(factor_key) ? "linear" : "none"));
  if (scaling == "linear") {
    r.scaling = RopeFacts::Scaling::linear;
  } else if (scaling == "yarn") {
    r.scaling = RopeFacts::Scaling::yarn;
  } else if (scaling != "none" && scaling != "longrope") {  // longrope is in its factor tensors
    return fail(Code::gguf_hparams, "{} is \"{}\", expected none, linear, yarn or longrope",
                keys.name("rope.scaling.type"), scaling);
  }
  if (r.scaling == RopeFacts::Scaling::none) return {};
  LINNET_TRY(r.factor, keys.number(factor_key, 1e-3, 1e6));
  LINNET_TRY(r.beta_fast, keys.number_or("rope.scaling.yarn_beta_fast", 32, 1e-3, 1e6));
  LINNET_TRY(r.beta_slow, keys.number_or("rope.scaling.yarn_beta_slow", 1, 1e-3, 1e6));
  LINNET_TRY(r.extrapolation, keys.number_or("rope.scaling.yarn_ext_factor", 1, 0, 1));
  return {};
}

// The keys of mixtures of experts; a model without expert_count has none.
Status read_experts(const Keys& keys, Facts& f) {
  ExpertFacts& e = f.experts;
  LINNET_TRY(e.count, keys.integer_or("expert_count", 0, 0, kMostExperts));
  if (e.count == 0) return {};
  LINNET_TRY(e.used, keys.integer("expert_used_count", 1, e.count));
  LINNET_TRY(e.ffn, keys.integer_or("expert_feed_forward_length", f.ffn, 1, kMaxDim));
  LINNET_TRY(const int64_t shared, keys.integer_or("expert_shared_count", 0, 0, kMostExperts));
  LINNET_TRY(e.shared_ffn, keys.integer_or("expert_shared_feed_forward_length", shared * e.ffn, 0, kMaxDim * 4));
  LINNET_TRY(const int64_t gating, keys.integer_or("expert_gating_func", 1, 0, 3));
  e.gating = gating == 2 ? Gating::sigmoid : gating == 3 ? Gating::softmax_of_chosen : Gating::softmax;
  LINNET_TRY(e.normalize, keys.boolean_or("expert_weights_norm", false));
  LINNET_TRY(const double scale, keys.number_or("expert_weights_scale", 1, 0, 1e6));
  e.scale = scale == 0 ? 1.0f : static_cast<float>(scale);
  LINNET_TRY(e.groups, keys.integer_or("expert_group_count", 1, 0, e.count));
  LINNET_TRY(e.groups_used, keys.integer_or("expert_group_used_count", e.groups, 0, e.groups));
  e.groups = std::max<int64_t>(e.groups, 1);
  e.groups_used = std::max<int64_t>(e.groups_used, 1);
  if (e.count % e.groups != 0 || e.used > e.count / e.groups * e.groups_used)
    return fail(Code::gguf_hparams, "{} = {} groups, of which {} are used, cannot give {} of {} experts",
                keys.name("expert_group_count"), e.groups, e.groups_used, e.used, e.count);
  LINNET_TRY(const int64_t dense, keys.integer_or("leading_dense_block_count", 0, 0, f.layers));
  LINNET_TRY(const int64_t step, keys.integer_or("interleave_moe_layer_step", 1, 0, f.layers));
  for (int64_t i = dense; i < f.layers; ++i)
    if (step <= 1 || (i + 1) % step == 0) f.layer[static_cast<size_t>(i)].ffn = 0;
  return {};
}

constexpr Architecture kArchitectures[] = {
#define X(name, function) {name, function##_facts},
    LINNET_ARCHITECTURES(X)
#undef X
};

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

Result<Facts> basic_facts(const Keys& keys, Norm norm) {
  Facts f;
  f.architecture = keys.architecture();
  f.norm = norm;
  LINNET_TRY(f.layers, keys.integer("block_count", 1, kMaxLayers));
  f.layer.resize(static_cast<size_t>(f.layers));
  LINNET_TRY(f.dim, keys.integer("embedding_length", 1, kMaxDim));
  LINNET_TRY(f.context, keys.integer("context_length", 1, kMaxContext));
  const char* eps_key = norm == Norm::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon";
  LINNET_TRY(const double eps, keys.number(eps_key, 1e-20, 1));
  f.norm_eps = static_cast<float>(eps);
  LINNET_TRY(const int64_t pooling, keys.integer_or("pooling_type", 3, 0, 4));
  if (pooling == 4)
    return fail(Code::unsupported, "{} is 4: models that rank pairs of texts are not supported",
                keys.name("pooling_type"));
  f.pooling = static_cast<Pooling>(pooling);
  return f;
}

Result<Facts> common_facts(const Keys& keys, Norm norm, Rope rope) {
  LINNET_TRY(Facts f, basic_facts(keys, norm));
  f.rope = rope;
  LINNET_TRY(const auto ffn, keys.per_layer("feed_forward_length", f.layers, 1, kMaxDim * 4));
  for (size_t i = 0; i < ffn.size(); ++i) f.layer[i].ffn = ffn[i];
  f.ffn = *std::max_element(ffn.begin(), ffn.end());
  LINNET_CHECK(read_heads(keys, f));
  LINNET_CHECK(read_rope(keys, f));
  LINNET_CHECK(read_experts(keys, f));
  return f;
}

// The latent vector is key and value of all heads; the heads' own sizes have keys of their own.
static Status read_absorbed(const Keys& keys, Facts& f) {
  LINNET_TRY(f.latent.k_dim, keys.integer("attention.key_length_mla", 1, 4096));
  LINNET_TRY(f.latent.v_dim, keys.integer("attention.value_length_mla", 1, 4096));
  const int64_t key = f.latent.kv_rank + f.ropes[0].dims;
  if (f.k_dim != key || f.v_dim != f.latent.kv_rank)
    return fail(Code::gguf_hparams,
                "{} = {} and {} = {}, expected {} and {}: the latent vector of {}, and {} turned values",
                keys.name("attention.key_length"), f.k_dim, keys.name("attention.value_length"), f.v_dim, key,
                f.latent.kv_rank, f.latent.kv_rank, f.ropes[0].dims);
  LINNET_TRY(const double scale, keys.number_or("attention.scale", 0, 0, 1e3));
  f.attention_scale = static_cast<float>(scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(f.latent.k_dim)));
  return {};
}

Status read_latent(const Keys& keys, Facts& f) {
  LINNET_TRY(f.latent.kv_rank, keys.integer("attention.kv_lora_rank", 1, kMaxDim));
  LINNET_TRY(f.latent.q_rank, keys.integer_or("attention.q_lora_rank", 0, 0, kMaxDim));
  f.latent.absorbed = keys.has("attention.key_length_mla");
  if (f.latent.absorbed) LINNET_CHECK(read_absorbed(keys, f));
  const char* length = f.latent.absorbed ? "attention.key_length_mla" : "attention.key_length";
  if (!f.latent.absorbed) f.latent.k_dim = f.k_dim, f.latent.v_dim = f.v_dim;
  if (f.ropes[0].dims >= f.latent.k_dim)
    return fail(Code::gguf_hparams, "{} = {} leaves nothing of {} = {} to come from the latent vector",
                keys.name("rope.dimension_count"), f.ropes[0].dims, keys.name(length), f.latent.k_dim);
  if (f.k_dim > kMostLatentKey)
    return fail(Code::gguf_hparams, "{} is {}, expected at most {} with latent attention",
                keys.name("attention.key_length"), f.k_dim, kMostLatentKey);
  f.kv_heads = f.latent.absorbed ? 1 : f.heads;
  for (LayerFacts& l : f.layer) l.kv_heads = f.latent.absorbed ? 1 : l.heads;
  return {};
}

Status read_clamp(const Keys& keys, Facts& f) {
  LINNET_TRY(const double clamp, keys.number_or("attention.clamp_kqv", 0, 0, 1e6));
  f.clamp_qkv = static_cast<float>(clamp);
  return {};
}

double yarn_magnitude(double factor, double multiplier) { return 1 + 0.1 * multiplier * math::log(factor); }

Status read_windows(const Keys& keys, Facts& f, int64_t period) {
  LINNET_TRY(const int64_t window, keys.integer_or("attention.sliding_window", 0, 1, kMaxContext));
  if (window == 0) return {};
  const Value* pattern = keys.file().find(keys.name("attention.sliding_window_pattern"));
  std::vector<int64_t> has_window(f.layer.size(), 0);
  if (pattern && pattern->type == ValueType::array) {
    LINNET_TRY(has_window, keys.per_layer("attention.sliding_window_pattern", f.layers, 0, 1));
  } else {
    LINNET_TRY(period, keys.integer_or("attention.sliding_window_pattern", period, 1, kMaxLayers));
    for (int64_t i = 0; i < f.layers; ++i) has_window[static_cast<size_t>(i)] = period == 1 || i % period < period - 1;
  }
  for (size_t i = 0; i < f.layer.size(); ++i)
    if (has_window[i]) f.layer[i].window = window;
  return {};
}

}  // namespace linnet
