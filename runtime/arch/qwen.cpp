// Qwen (arXiv 2309.16609), Qwen 2 and 2.5 (2407.10671, 2412.15115), Qwen 3 (2505.09388), and their mixtures of experts.
#include <algorithm>

#include "runtime/arch/arch.h"

namespace linnet {

// Its key feed_forward_length counts the gate's and the up matrix's rows together.
Result<Facts> qwen_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  if (f.ffn % 2 != 0)
    return fail(Code::gguf_hparams, "{} is {}, expected an even number: it counts two matrices",
                keys.name("feed_forward_length"), f.ffn);
  f.ffn /= 2;
  for (LayerFacts& l : f.layer) l.ffn /= 2;
  f.biases = kQkvBias;
  return f;
}

Result<Facts> qwen2_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.biases = kQkvBias;
  return f;
}

// The shared expert is as wide as the key says, in older files as feed_forward_length; experts share it where they have
// no width of their own.
Result<Facts> qwen2moe_facts(const Keys& keys) {
  LINNET_TRY(Facts f, qwen2_facts(keys));
  if (f.experts.count > 0 && !keys.has("expert_feed_forward_length"))
    f.experts.ffn = std::max<int64_t>(f.ffn / f.experts.used, 1);
  if (!keys.has("expert_shared_feed_forward_length")) f.experts.shared_ffn = f.ffn;
  return f;
}

Result<Facts> qwen3_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::half));
  f.qk_norm = QkNorm::head;
  return f;
}

Result<Facts> qwen3moe_facts(const Keys& keys) {
  LINNET_TRY(Facts f, qwen3_facts(keys));
  f.experts.normalize = true;
  return f;
}

}  // namespace linnet
