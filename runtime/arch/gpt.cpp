// GPT-2 and its line: layer norms, biases, learned positions or ALiBi, GELU without a gate.
//   GPT-2 (Radford et al. 2019), StarCoder (arXiv 2305.06161), CodeShell (2403.15747), BLOOM (2211.05100), MPT (MosaicML
//   2023), Refact (2023), GPT-NeoX and Pythia (2204.06745, 2304.01373), Falcon (2311.16867), StarCoder 2 (2402.19173)
#include "runtime/arch/arch.h"

namespace linnet {
namespace {

constexpr uint32_t kAllBiases = kNormBias | kQkvBias | kAttnOutputBias | kFfnBias;

Result<Facts> gpt_facts(const Keys& keys, Rope rope, uint32_t biases) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::layer, rope));
  f.glu = Glu::gelu_tanh;
  f.gate = false;
  f.biases = biases;
  return f;
}

}  // namespace

Result<Facts> gpt2_facts(const Keys& keys) {
  LINNET_TRY(Facts f, gpt_facts(keys, Rope::none, kAllBiases));
  f.positions = true;
  return f;
}

Result<Facts> starcoder_facts(const Keys& keys) { return gpt2_facts(keys); }

Result<Facts> starcoder2_facts(const Keys& keys) { return gpt_facts(keys, Rope::half, kAllBiases); }

Result<Facts> codeshell_facts(const Keys& keys) { return gpt_facts(keys, Rope::half, kAllBiases); }

// Biases that grow with the distance instead of positions (ALiBi, Press et al. 2021, arXiv 2108.12409).
Result<Facts> bloom_facts(const Keys& keys) {
  LINNET_TRY(Facts f, gpt_facts(keys, Rope::none, kAllBiases));
  f.alibi = 8;
  f.embd_norm = true;
  return f;
}

Result<Facts> mpt_facts(const Keys& keys) {
  LINNET_TRY(Facts f, gpt_facts(keys, Rope::none, 0));
  LINNET_TRY(const double alibi, keys.number_or("attention.max_alibi_bias", 0, 0, 1e4));
  f.alibi = static_cast<float>(alibi);
  f.positions = keys.file().tensor("position_embd.weight") != nullptr;
  LINNET_CHECK(read_clamp(keys, f));
  if (keys.file().tensor("blk.0.attn_q_norm.weight"))
    return fail(Code::unsupported, "this mpt model norms queries and keys, which is not supported");
  return f;
}

// RMS norm and SwiGLU with ALiBi.
Result<Facts> refact_facts(const Keys& keys) {
  LINNET_TRY(Facts f, common_facts(keys, Norm::rms, Rope::none));
  f.alibi = 8;
  return f;
}

// The sequential form has the same tensors.
Result<Facts> gptneox_facts(const Keys& keys) {
  LINNET_TRY(Facts f, gpt_facts(keys, Rope::half, kAllBiases));
  LINNET_TRY(f.parallel, keys.boolean_or("use_parallel_residual", true));
  return f;
}

// Attention and FFN side by side: on one norm (7B), or on two (40B, where attn_norm_2 is attention's).
Result<Facts> falcon_facts(const Keys& keys) {
  LINNET_TRY(Facts f, gpt_facts(keys, Rope::half, kNormBias));
  f.parallel = true;
  f.ffn_norm_optional = true;
  return f;
}

// Nemotron (arXiv 2402.16819): squared ReLU. Files hold norm weights with the 1 added.
Result<Facts> nemotron_facts(const Keys& keys) {
  LINNET_TRY(Facts f, gpt_facts(keys, Rope::half, kNormBias));
  f.glu = Glu::relu_squared;
  return f;
}

}  // namespace linnet
