// The architectures: one file of facts for each family, and this list.
#pragma once

#include <span>
#include <string_view>

#include "gguf/base/error.h"
#include "runtime/arch/keys.h"
#include "runtime/facts.h"

namespace linnet {

struct Architecture {
  std::string_view name;                // general.architecture
  Result<Facts> (*facts)(const Keys&);  // checked hyperparameters; `vocab` is filled by the loader
};

std::span<const Architecture> architectures();

// What all families share under the same keys: sizes, heads, norm, rope and its scaling, experts. Each family
// then sets what it does differently.
Result<Facts> common_facts(const Keys& keys, Norm norm, Rope rope);

// Of these only what has nothing to do with attention and FFN.
Result<Facts> basic_facts(const Keys& keys, Norm norm);

// attention.sliding_window, if the file has it: of every `period` layers the last sees everything, the others the window
// (1: all layers have it). attention.sliding_window_pattern, where a file has it, wins.
Status read_windows(const Keys& keys, Facts& facts, int64_t period);

// Ranks of multi-head latent attention, and the sizes that follow.
Status read_latent(const Keys& keys, Facts& facts);
// attention.clamp_kqv
Status read_clamp(const Keys& keys, Facts& facts);
// YaRN's growth of magnitude: 1 + 0.1 * multiplier * ln(factor).
double yarn_magnitude(double factor, double multiplier);

// The list: X(general.architecture, function).
// clang-format off
#define LINNET_ARCHITECTURES(X) \
  X("arcee", arcee) X("baichuan", baichuan) X("bert", bert) X("bailingmoe2", bailingmoe2) X("bloom", bloom) X("chatglm", chatglm) X("codeshell", codeshell) \
  X("cohere2", cohere2) X("command-r", command_r) X("dbrx", dbrx) X("deepseek", deepseek) X("deepseek2", deepseek2) \
  X("dots1", dots1) X("ernie4_5", ernie4_5) X("ernie4_5-moe", ernie4_5_moe) X("exaone", exaone) \
  X("exaone4", exaone4) X("falcon", falcon) X("gemma", gemma) X("gemma2", gemma2) X("gemma3", gemma3) \
  X("glm4", glm4) X("glm4moe", glm4moe) X("gpt-oss", gpt_oss) X("gpt2", gpt2) X("gptneox", gptneox) \
  X("granite", granite) X("granitemoe", granitemoe) X("hunyuan-dense", hunyuan_dense) X("hunyuan-moe", hunyuan_moe) \
  X("internlm2", internlm2) X("llama", llama) X("mamba", mamba) X("minicpm", minicpm) X("minicpm3", minicpm3) \
  X("minimax-m2", minimax_m2) X("mistral3", mistral3) X("mpt", mpt) X("nemotron", nemotron) X("nomic-bert", nomic_bert) X("olmo", olmo) \
  X("olmo2", olmo2) X("olmoe", olmoe) X("openelm", openelm) X("orion", orion) X("phi2", phi2) X("phi3", phi3) \
  X("phimoe", phimoe) X("qwen", qwen) X("qwen2", qwen2) X("qwen2moe", qwen2moe) X("qwen3", qwen3) \
  X("qwen3moe", qwen3moe) X("refact", refact) X("seed_oss", seed_oss) X("smollm3", smollm3) X("stablelm", stablelm) \
  X("starcoder", starcoder) X("starcoder2", starcoder2) X("xverse", xverse)
// clang-format on
#define X(name, function) Result<Facts> function##_facts(const Keys& keys);
LINNET_ARCHITECTURES(X)
#undef X

}  // namespace linnet
