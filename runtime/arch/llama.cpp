// Llama 1, 2 and 3.x, TinyLlama, Mistral, SmolLM and the many models exported under the same name: RMS norm, rotary
// pairs side by side, grouped queries, SwiGLU. Touvron et al. 2023 (arXiv 2302.13971, 2307.09288); Jiang et al. 2023
// (arXiv 2310.06825) for the sliding window.
#include "runtime/arch/arch.h"

namespace linnet {

Result<Facts> llama_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys));
  LINNET_TRY(const int64_t experts, keys.integer_or("expert_count", 0, 0, 1 << 16));
  if (experts != 0)
    return fail(Code::unsupported, "{} is {}: mixture-of-experts models are not supported yet; use a dense model",
                keys.name("expert_count"), experts);
  LINNET_TRY(const double eps, keys.number("attention.layer_norm_rms_epsilon", 1e-12, 1));
  f.norm_eps = static_cast<float>(eps);
  f.norm = Norm::rms;
  f.glu = Glu::silu;
  f.rope = Rope::adjacent;
  LINNET_TRY(f.window, keys.integer_or("attention.sliding_window", 0, 1, int64_t{1} << 31));
  return f;
}

}  // namespace linnet
