// Llama 1, 2 and 3.x, TinyLlama, Mistral, Mixtral, SmolLM and the many models exported under the same name: RMS norm,
// rotary pairs side by side, grouped queries, SwiGLU; Mixtral's experts are weighted by the softmax of the chosen.
// Touvron et al. 2023 (arXiv 2302.13971, 2307.09288); Jiang et al. 2023, 2024 (arXiv 2310.06825, 2401.04088).
// And families that differ from it in one fact.
#include "runtime/arch/arch.h"

namespace linnet {

Result<Facts> llama_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  LINNET_CHECK(read_windows(keys, f, 1));
  f.experts.normalize = true;
  return f;
}

// Mistral 3 (2025): queries grow with their position beyond the original context; YaRN's magnitude may be given
// relative to another one.
Result<Facts> mistral3_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  LINNET_CHECK(read_windows(keys, f, 1));
  RopeFacts& r = f.ropes[0];
  LINNET_TRY(f.temperature_scale, keys.number_or("attention.temperature_scale", 0, 0, 100));
  f.temperature_length = r.original_context;
  LINNET_TRY(const double log_multiplier, keys.number_or("rope.scaling.yarn_log_multiplier", 0, 0, 100));
  if (r.scaling == RopeFacts::Scaling::yarn) r.attention_factor /= yarn_magnitude(r.factor, log_multiplier);
  return f;
}

// InternLM 2 (arXiv 2403.17297), its fused projection taken apart by the exporter.
Result<Facts> internlm2_facts(const Keys& keys) { return common_facts(keys, Norm::rms, Rope::adjacent); }

Result<Facts> xverse_facts(const Keys& keys) { return common_facts(keys, Norm::rms, Rope::adjacent); }

// Orion-14B (arXiv 2401.12246): Llama with layer norm.
Result<Facts> orion_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::layer, Rope::adjacent));
  f.biases = kNormBias;
  return f;
}

// Baichuan (arXiv 2309.10305): 7B turns pairs half a head apart, 13B (40 layers) has ALiBi instead.
Result<Facts> baichuan_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  if (f.layers != 40) return f;
  f.rope = Rope::none;
  f.alibi = 8;
  return f;
}

// Arcee's AFM: squared ReLU without a gate.
Result<Facts> arcee_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  f.glu = Glu::relu_squared;
  f.gate = false;
  return f;
}

// SmolLM 3: every fourth layer without positions (Yang et al. 2025, arXiv 2501.18795).
Result<Facts> smollm3_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  for (size_t i = 3; i < f.layer.size(); i += 4) f.layer[i].rope = -1;
  return f;
}

// ByteDance Seed-OSS: biased QKV; the norm before the FFN has the name of one after attention.
Result<Facts> seed_oss_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.ffn_norm = "post_attention_norm";
  return f;
}

// EXAONE 3 (arXiv 2408.03541).
Result<Facts> exaone_facts(const Keys& keys) { return common_facts(keys, Norm::rms, Rope::half); }

// EXAONE 4 (arXiv 2507.11407): norms after attention and FFN only, normed queries and keys, and in the models that have
// windows three of four layers with one; the fourth has no positions.
Result<Facts> exaone4_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  LINNET_CHECK(read_windows(keys, f, 4));
  f.pre_norms = false;
  f.post_norms = true;
  f.qk_norm = QkNorm::head;
  const bool hybrid = keys.has("attention.sliding_window");
  for (LayerFacts& l : f.layer)
    if (hybrid && l.window == 0) l.rope = -1;
  return f;
}

// ERNIE 4.5, and its experts: chosen with a bias, weights that sum to 1, shared experts (Baidu 2025).
Result<Facts> ernie4_5_facts(const Keys& keys) { return common_facts(keys, Norm::rms, Rope::adjacent); }

Result<Facts> ernie4_5_moe_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  f.experts.normalize = true;
  return f;
}

// Hunyuan (arXiv 2411.02265): queries and keys are normed after they are turned.
Result<Facts> hunyuan_dense_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.qk_norm = QkNorm::head;
  f.norm_after_rope = true;
  return f;
}

Result<Facts> hunyuan_moe_facts(const Keys& keys) {
  LINNET_TRY(Facts f, hunyuan_dense_facts(keys));
  f.experts.normalize = true;
  return f;
}

// MiniMax-M2 (2025): queries and keys normed over all heads, sigmoid routing with a choice bias.
Result<Facts> minimax_m2_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.qk_norm = QkNorm::whole;
  f.experts.gating = Gating::sigmoid;
  f.experts.normalize = true;
  return f;
}

}  // namespace linnet
