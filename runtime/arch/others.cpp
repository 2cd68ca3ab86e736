// Families that stand alone.
#include "runtime/arch/arch.h"

namespace linnet {

// Command R and R+ (Cohere 2024): layer norms without bias, attention and FFN side by side; R+ norms queries and keys,
// each head with weights of its own.
Result<Facts> command_r_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::layer, Rope::adjacent));
  f.parallel = true;
  f.ffn_norm_optional = true;
  f.qk_norm = QkNorm::own_head;
  f.qk_norm_optional = true;
  LINNET_TRY(const double scale, keys.number("logit_scale", 1e-6, 1e6));
  f.logit_scale = static_cast<float>(scale);
  return f;
}

// Command R7B and A (arXiv 2504.00698): three layers with windows and rope, then one that sees everything without
// positions.
Result<Facts> cohere2_facts(const Keys& keys) {
  LINNET_TRY(Facts f, command_r_facts(keys));
  f.qk_norm = QkNorm::none;
  LINNET_CHECK(read_windows(keys, f, 4));
  for (LayerFacts& l : f.layer)
    if (l.window == 0) l.rope = -1;
  return f;
}

// StableLM 3B and 2 1.6B (arXiv 2402.17834), and 2 12B: no FFN norm (side by side), normed heads.
Result<Facts> stablelm_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::layer, Rope::half));
  f.parallel = !keys.file().tensor("blk.0.ffn_norm.weight");
  f.ffn_norm_optional = f.parallel;
  f.qk_norm = QkNorm::own_head;
  f.qk_norm_optional = true;
  if (!f.parallel) f.biases = kNormBias;
  return f;
}

// ChatGLM 3, GLM-4 9B (arXiv 2406.12793): half of a head turns, gate and up in one matrix.
Result<Facts> chatglm_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  f.gate_in_up = true;
  f.biases = kQkvBias;
  return f;
}

// GLM-4-0414: norms also after attention and FFN.
Result<Facts> glm4_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  f.gate_in_up = true;
  f.post_norms = true;
  return f;
}

// OpenELM (arXiv 2404.14619): heads and FFN widths differ from layer to layer.
Result<Facts> openelm_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.qk_norm = QkNorm::head;
  return f;
}

// DBRX (Databricks 2024): layer norms without bias, clipped QKV, experts whose weights sum to 1; the FFN's norm is called
// attn_output_norm.
Result<Facts> dbrx_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::layer, Rope::half));
  f.ffn_norm = "attn_output_norm";
  f.experts.normalize = true;
  LINNET_CHECK(read_clamp(keys, f));
  return f;
}

// gpt-oss (arXiv 2508.10925): windows in every other layer, a learned sink for each head, biases everywhere, clamped
// swish; the FFN's norm has the name of one after attention.
Result<Facts> gpt_oss_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  LINNET_CHECK(read_windows(keys, f, 2));
  f.sinks = true;
  f.ffn_norm = "post_attention_norm";
  f.glu = Glu::clamped_swish;
  f.experts.gating = Gating::softmax_of_chosen;
  f.biases = kQkvBias | kAttnOutputBias | kRouterBias | kExpertBias;
  return f;
}

}  // namespace linnet
