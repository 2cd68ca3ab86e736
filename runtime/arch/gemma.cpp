// Gemma (arXiv 2403.08295), Gemma 2 (2408.00118) and Gemma 3 (2503.19786): embeddings times sqrt(dim), GELU gates, heads
// wider than dim / heads. Files hold norm weights with the 1 added.
#include <cmath>

#include "runtime/arch/arch.h"

namespace linnet {

Result<Facts> gemma_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.glu = Glu::gelu_tanh;
  f.embedding_scale = std::sqrt(static_cast<float>(f.dim));
  return f;
}

// Windows in every other layer, soft caps, norms after attention and FFN. The 27B models (46 layers, of Gemma 3: 62)
// scale scores by their width per head instead of the head's size; no key says so.
Result<Facts> gemma2_facts(const Keys& keys) {
  LINNET_TRY(Facts f, gemma_facts(keys));
  LINNET_CHECK(read_windows(keys, f, 2));
  f.post_norms = true;
  LINNET_TRY(const double attention, keys.number_or("attn_logit_softcapping", 50, 0, 1e6));
  LINNET_TRY(const double output, keys.number_or("final_logit_softcapping", 30, 0, 1e6));
  f.attention_softcap = static_cast<float>(attention);
  f.logit_softcap = static_cast<float>(output);
  if (f.layers == 46) f.attention_scale = 1 / std::sqrt(static_cast<float>(f.dim) / static_cast<float>(f.heads));
  return f;
}

// Windows in five of six layers, which turn with a base of their own and without the scaling of the others.
Result<Facts> gemma3_facts(const Keys& keys) {
  LINNET_TRY(Facts f, gemma_facts(keys));
  LINNET_CHECK(read_windows(keys, f, 6));
  f.post_norms = true;
  f.qk_norm = QkNorm::head;
  LINNET_TRY(const double output, keys.number_or("final_logit_softcapping", 0, 0, 1e6));
  f.logit_softcap = static_cast<float>(output);
  RopeFacts local;
  local.dims = f.ropes[0].dims;
  LINNET_TRY(local.base, keys.number_or("rope.freq_base_swa", 10000, 1.0001, 1e12));
  f.ropes.push_back(local);
  for (LayerFacts& l : f.layer) l.rope = l.window > 0 ? 1 : 0;
  if (f.layers == 62) f.attention_scale = 1 / std::sqrt(static_cast<float>(f.dim) / static_cast<float>(f.heads));
  return f;
}

}  // namespace linnet
