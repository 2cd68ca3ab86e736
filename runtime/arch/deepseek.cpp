// DeepSeek (arXiv 2401.06066), V2 (2405.04434), V3 and R1 (2412.19437), and families of their design: dots.llm1
// (2506.05767), GLM-4.5 (2508.06471).
#include "runtime/arch/arch.h"

namespace linnet {
namespace {

// The last layers may be for predicting further tokens.
Status leave_out_prediction_layers(const Keys& keys, Facts& f) {
  LINNET_TRY(const int64_t extra, keys.integer_or("nextn_predict_layers", 0, 0, f.layers - 1));
  f.layers -= extra;
  f.layer.resize(static_cast<size_t>(f.layers));
  return {};
}

}  // namespace

// Its file says a scale of the experts' weights that the model does not use.
Result<Facts> deepseek_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  f.experts.scale = 1;
  return f;
}

// Latent attention. YaRN's magnitude belongs to the scores, not to the angles.
Result<Facts> deepseek2_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::adjacent));
  LINNET_CHECK(read_latent(keys, f));
  RopeFacts& r = f.ropes[0];
  LINNET_TRY(const double log_multiplier, keys.number_or("rope.scaling.yarn_log_multiplier", 0, 0, 100));
  if (r.scaling == RopeFacts::Scaling::yarn) {
    r.attention_factor /= yarn_magnitude(r.factor, 1);
    const double magnitude = yarn_magnitude(r.factor, 10 * log_multiplier);
    f.attention_scale = static_cast<float>(static_cast<double>(f.attention_scale) * magnitude * magnitude);
  }
  return f;
}

Result<Facts> dots1_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.qk_norm = QkNorm::head;
  return f;
}

// Ling 2 (Ant Group 2025): experts chosen within groups.
Result<Facts> bailingmoe2_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  LINNET_CHECK(leave_out_prediction_layers(keys, f));
  f.qk_norm = QkNorm::head;
  return f;
}

// Sigmoid routing also where no key says so.
Result<Facts> glm4moe_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  LINNET_CHECK(leave_out_prediction_layers(keys, f));
  f.ffn_norm = "post_attention_norm";
  f.qk_norm = QkNorm::head;
  f.qk_norm_optional = true;
  if (!keys.has("expert_gating_func")) f.experts.gating = Gating::sigmoid;
  return f;
}

}  // namespace linnet
