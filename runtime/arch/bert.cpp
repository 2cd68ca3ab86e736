// Encoders: every position sees all others, norms follow the sum with the residual, and there are no logits.
//   BERT (arXiv 1810.04805) and its many embedding models; Nomic Embed (2402.01613), which turns pairs and gates.
#include "runtime/arch/arch.h"

namespace linnet {
namespace {

Result<Facts> encoder_facts(const Keys& keys, Rope rope) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::layer, rope));
  LINNET_TRY(f.causal, keys.boolean_or("attention.causal", false));
  f.pre_norms = false;
  f.post_norms = f.norm_sums = true;
  f.attn_post_norm = "attn_output_norm";
  f.ffn_post_norm = "layer_output_norm";
  f.token_types = f.embd_norm = true;
  f.logits = false;
  return f;
}

}  // namespace

Result<Facts> bert_facts(const Keys& keys) {
  LINNET_TRY(Facts f, encoder_facts(keys, Rope::none));
  f.positions = true;
  f.glu = Glu::gelu_tanh;
  f.gate = false;
  f.biases = kNormBias | kQkvBias | kAttnOutputBias | kFfnBias;
  return f;
}

Result<Facts> nomic_bert_facts(const Keys& keys) {
  LINNET_TRY(Facts f, encoder_facts(keys, Rope::half));
  f.biases = kNormBias;
  return f;
}

}  // namespace linnet
