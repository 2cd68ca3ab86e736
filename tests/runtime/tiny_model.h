// A random llama (or mixture of experts, or state space model, or one with latent attention) of 100,000 parameters with a
// vocabulary of bytes and a few words: enough for everything that does not depend on what a model has learned. Built in
// every checkout, no data needed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runtime/model.h"

namespace linnet {

// latent and absorbed are one model in two forms: attn_kv_b, or attn_k_b and attn_v_b.
enum class TinyFamily { llama, mixtral, mamba, latent, absorbed };

struct TinyModel {
  uint64_t seed = 1;
  int64_t layers = 2;
  int64_t context = 2048;
  int64_t window = 0;
  int32_t nan_token = -1;  // the token whose embedding is NaN, or none: prompts with it have no finite logits
  int32_t nan_logit = -1;  // the token whose logit is always NaN, or none
  KvType kv_type = KvType::f16;
  TinyFamily family = TinyFamily::llama;
};

inline constexpr int32_t kTinyBos = 1, kTinyEos = 2, kTinyFirstByte = 3, kTinyVocab = 300;

// Writes the model to a file.
Status write_tiny_model(const std::string& path, const TinyModel& tiny);
// The same, loaded; the test fails when that does.
std::shared_ptr<const Model> tiny_model(const TinyModel& tiny = {});

}  // namespace linnet
