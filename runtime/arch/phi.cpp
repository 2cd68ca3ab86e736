// Phi-2, Phi-3 and 3.5 (arXiv 2404.14219), Phi-3.5-MoE.
#include "runtime/arch/arch.h"

namespace linnet {

// One layer norm before attention and FFN side by side.
Result<Facts> phi2_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::layer, Rope::half));
  f.parallel = true;
  f.ffn_norm_optional = true;
  f.glu = Glu::gelu_tanh;
  f.gate = false;
  f.biases = kNormBias | kQkvBias | kAttnOutputBias | kFfnBias | kOutputBias;
  return f;
}

// LongRoPE (arXiv 2402.13753) comes as two factor tensors. Files of Phi-4 say "no window" with a window of 0.
Result<Facts> phi3_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  LINNET_TRY(const int64_t window, keys.integer_or("attention.sliding_window", 0, 0, int64_t{1} << 31));
  f.gate_in_up = true;
  if (window > 0) LINNET_CHECK(read_windows(keys, f, 1));
  return f;
}

// Exported with RMS norms that have biases, and with plain top-k routing.
Result<Facts> phimoe_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.experts.normalize = true;
  f.biases = kNormBias | kQkvBias | kAttnOutputBias | kOutputBias;
  return f;
}

}  // namespace linnet
