#include "runtime/arch/arch.h"

#include <cmath>

namespace linnet {
namespace {

// Bounds beyond any published model; they keep products of sizes far inside 64 bits.
constexpr int64_t kMaxLayers = 4096, kMaxDim = 1 << 20, kMaxHeads = 1 << 14, kMaxContext = int64_t{1} << 31;

Status read_heads(const Keys& keys, Facts& f) {
  LINNET_TRY(f.heads, keys.integer("attention.head_count", 1, kMaxHeads));
  LINNET_TRY(f.kv_heads, keys.integer_or("attention.head_count_kv", f.heads, 1, kMaxHeads));
  if (f.heads % f.kv_heads != 0)
    return fail(Code::gguf_hparams, "{} = {} does not divide {} = {}; grouped queries need whole groups",
                keys.name("attention.head_count_kv"), f.kv_heads, keys.name("attention.head_count"), f.heads);
  const bool given = keys.has("attention.key_length") && keys.has("attention.value_length");
  if (!given && f.dim % f.heads != 0)
    return fail(Code::gguf_hparams,
                "{} = {} is no multiple of {} = {}; attention.key_length and attention.value_length do not both say "
                "the head size instead",
                keys.name("embedding_length"), f.dim, keys.name("attention.head_count"), f.heads);
  LINNET_TRY(f.k_dim, keys.integer_or("attention.key_length", f.dim / f.heads, 1, 4096));
  LINNET_TRY(f.v_dim, keys.integer_or("attention.value_length", f.dim / f.heads, 1, 4096));
  f.attention_scale = static_cast<float>(1 / std::sqrt(static_cast<double>(f.k_dim)));
  return {};
}

Status read_rope(const Keys& keys, Facts& f) {
  RopeFacts& r = f.rope_facts;
  LINNET_TRY(const int64_t dims, keys.integer_or("rope.dimension_count", f.k_dim, 2, f.k_dim));
  if (dims % 2 != 0)
    return fail(Code::gguf_hparams, "{} = {} is odd; rotary embedding turns pairs", keys.name("rope.dimension_count"),
                dims);
  r.dims = static_cast<int32_t>(dims);
  LINNET_TRY(r.base, keys.number_or("rope.freq_base", 10000, 1.0001, 1e12));
  // The older spelling of the linear factor counts where the newer is absent; a factor without a type is linear.
  const bool older = keys.has("rope.scale_linear") && !keys.has("rope.scaling.factor");
  const char* factor_key = older ? "rope.scale_linear" : "rope.scaling.factor";
  LINNET_TRY(const std::string_view scaling,
             keys.string_or("rope.scaling.type", keys.has(factor_key) ? "linear" : "none"));
  if (scaling == "linear") {
    r.scaling = RopeFacts::Scaling::linear;
  } else if (scaling == "yarn") {
    r.scaling = RopeFacts::Scaling::yarn;
  } else if (scaling != "none") {
    return fail(Code::gguf_hparams, "{} is \"{}\", expected none, linear or yarn", keys.name("rope.scaling.type"),
                scaling);
  }
  if (r.scaling == RopeFacts::Scaling::none) return {};
  LINNET_TRY(r.factor, keys.number(factor_key, 1e-3, 1e6));
  LINNET_TRY(r.original_context, keys.integer_or("rope.scaling.original_context_length", f.context, 1, kMaxContext));
  LINNET_TRY(r.attention_factor, keys.number_or("rope.scaling.attn_factor", 1, 1e-3, 1e3));
  LINNET_TRY(r.beta_fast, keys.number_or("rope.scaling.yarn_beta_fast", 32, 1e-3, 1e6));
  LINNET_TRY(r.beta_slow, keys.number_or("rope.scaling.yarn_beta_slow", 1, 1e-3, 1e6));
  LINNET_TRY(r.extrapolation, keys.number_or("rope.scaling.yarn_ext_factor", 1, 0, 1));
  return {};
}

constexpr Architecture kArchitectures[] = {
    {"llama", llama_facts},
};

}  // namespace

std::span<const Architecture> architectures() { return kArchitectures; }

Result<Facts> common_facts(const Keys& keys) {
  Facts f;
  f.architecture = keys.architecture();
  LINNET_TRY(f.layers, keys.integer("block_count", 1, kMaxLayers));
  LINNET_TRY(f.dim, keys.integer("embedding_length", 1, kMaxDim));
  LINNET_TRY(f.ffn, keys.integer("feed_forward_length", 1, kMaxDim * 4));
  LINNET_TRY(f.context, keys.integer("context_length", 1, kMaxContext));
  LINNET_CHECK(read_heads(keys, f));
  LINNET_CHECK(read_rope(keys, f));
  return f;
}

}  // namespace linnet
