// OLMo (arXiv 2402.00838), OLMo 2 and 3 (2501.00656), OLMoE (2409.02060).
#include "runtime/arch/arch.h"

namespace linnet {

// Layer norm without weights; Q, K and V clipped.
Result<Facts> olmo_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::layer, Rope::adjacent));
  f.norm_weights = false;
  LINNET_CHECK(read_clamp(keys, f));
  return f;
}

// Norms after attention and FFN only; queries and keys normed over all heads. OLMo 3: windows in three of four layers,
// where rope is not scaled.
Result<Facts> olmo2_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.pre_norms = false;
  f.post_norms = true;
  f.qk_norm = QkNorm::whole;
  LINNET_CHECK(read_windows(keys, f, 4));
  RopeFacts plain;
  plain.dims = f.ropes[0].dims;
  plain.base = f.ropes[0].base;
  f.ropes.push_back(plain);
  for (LayerFacts& l : f.layer) l.rope = l.window > 0 ? 1 : 0;
  return f;
}

Result<Facts> olmoe_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.qk_norm = QkNorm::whole;
  return f;
}

}  // namespace linnet
