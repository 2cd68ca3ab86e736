#include "tests/runtime/tiny_model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "gguf/writer.h"
#include "tests/gguf/temp_folder.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr int64_t kDim = 64, kHeads = 4, kKvHeads = 2, kHeadDim = 16, kFfn = 96;
constexpr int64_t kExperts = 4, kTaps = 4, kInner = 128, kStates = 16, kRank = 4;
constexpr int64_t kLatent = 32, kTurned = 8, kUnturned = 16;  // of latent attention; values have kHeadDim

void set_vocabulary(Writer& writer) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> kinds = {2, 3, 3};
  for (int b = 0; b < 256; ++b) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", b);
    tokens.push_back(text);
    kinds.push_back(6);
  }
  const std::string space = "\xe2\x96\x81";
  tokens.push_back(space);
  for (char c = 'a'; c <= 'z'; ++c) tokens.push_back(std::string(1, c));
  for (const char* word : {"th", "he", "an", "in", "er", "the", "and"}) tokens.push_back(word);
  for (const char* word : {"t", "a", "the", "and", "of", "to", "in"}) tokens.push_back(space + word);
  while (tokens.size() > static_cast<size_t>(kTinyVocab)) tokens.pop_back();
  kinds.resize(tokens.size(), 1);
  std::vector<float> scores(tokens.size());
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = -static_cast<float>(i);
  writer.set("tokenizer.ggml.model", "llama");
  writer.set("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
  writer.set("tokenizer.ggml.scores", std::span<const float>(scores));
  writer.set("tokenizer.ggml.token_type", std::span<const int32_t>(kinds));
  writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(kTinyBos));
  writer.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(kTinyEos));
}

bool is_latent(TinyFamily family) { return family == TinyFamily::latent || family == TinyFamily::absorbed; }

void set_shape(Writer& writer, const TinyModel& tiny) {
  const bool latent = is_latent(tiny.family);
  const std::string name = tiny.family == TinyFamily::mamba ? "mamba" : latent ? "deepseek2" : "llama";
  writer.set("general.architecture", name);
  const auto size = [&](const char* key, int64_t value) { writer.set(name + "." + key, static_cast<uint32_t>(value)); };
  size("context_length", tiny.context);
  size("embedding_length", kDim);
  size("block_count", tiny.layers);
  writer.set(name + ".attention.layer_norm_rms_epsilon", 1e-5f);
  if (tiny.family == TinyFamily::mamba) {
    size("ssm.conv_kernel", kTaps);
    size("ssm.inner_size", kInner);
    size("ssm.state_size", kStates);
    size("ssm.time_step_rank", kRank);
    return;
  }
  size("feed_forward_length", kFfn);
  size("attention.head_count", kHeads);
  if (latent) {
    const bool absorbed = tiny.family == TinyFamily::absorbed;
    size("attention.head_count_kv", absorbed ? 1 : kHeads);
    size("attention.kv_lora_rank", kLatent);
    size("rope.dimension_count", kTurned);
    size("attention.key_length", absorbed ? kLatent + kTurned : kUnturned + kTurned);
    size("attention.value_length", absorbed ? kLatent : kHeadDim);
    if (absorbed) size("attention.key_length_mla", kUnturned + kTurned);
    if (absorbed) size("attention.value_length_mla", kHeadDim);
    return;
  }
  size("attention.head_count_kv", kKvHeads);
  size("rope.dimension_count", kHeadDim);
  if (tiny.window > 0) size("attention.sliding_window", tiny.window);
  if (tiny.family == TinyFamily::mixtral) {
    size("expert_count", kExperts);
    size("expert_used_count", 2);
  }
}

struct Matrix {
  std::string name;
  int64_t cols, rows;  // rows 0: a norm
  int64_t depth = 1;   // matrices in the tensor
};

std::vector<Matrix> layer_matrices(TinyFamily family) {
  if (family == TinyFamily::mamba)
    return {{"attn_norm.weight", kDim, 0},
            {"ssm_in.weight", kDim, 2 * kInner},
            {"ssm_conv1d.weight", kTaps, kInner},
            {"ssm_conv1d.bias", kInner, 0},
            {"ssm_x.weight", kInner, kRank + 2 * kStates},
            {"ssm_dt.weight", kRank, kInner},
            {"ssm_dt.bias", kInner, 0},
            {"ssm_a", kStates, kInner},
            {"ssm_d", kInner, 0},
            {"ssm_out.weight", kInner, kDim}};
  std::vector<Matrix> all = {{"attn_norm.weight", kDim, 0}};
  if (is_latent(family)) {
    all.push_back({"attn_q.weight", kDim, kHeads * (kUnturned + kTurned)});
    all.push_back({"attn_kv_a_mqa.weight", kDim, kLatent + kTurned});
    all.push_back({"attn_kv_a_norm.weight", kLatent, 0});
    if (family == TinyFamily::latent) all.push_back({"attn_kv_b.weight", kLatent, kHeads * (kUnturned + kHeadDim)});
    if (family == TinyFamily::absorbed) {
      all.push_back({"attn_k_b.weight", kUnturned, kLatent, kHeads});
      all.push_back({"attn_v_b.weight", kLatent, kHeadDim, kHeads});
    }
  } else {
    all.push_back({"attn_q.weight", kDim, kHeads * kHeadDim});
    all.push_back({"attn_k.weight", kDim, kKvHeads * kHeadDim});
    all.push_back({"attn_v.weight", kDim, kKvHeads * kHeadDim});
  }
  all.push_back({"attn_output.weight", kHeads * kHeadDim, kDim});
  all.push_back({"ffn_norm.weight", kDim, 0});
  const bool experts = family == TinyFamily::mixtral;
  const std::string suffix = experts ? "_exps.weight" : ".weight";
  const int64_t depth = experts ? kExperts : 1;
  if (experts) all.push_back({"ffn_gate_inp.weight", kDim, kExperts});
  all.push_back({"ffn_gate" + suffix, kDim, kFfn, depth});
  all.push_back({"ffn_up" + suffix, kDim, kFfn, depth});
  all.push_back({"ffn_down" + suffix, kFfn, kDim, depth});
  return all;
}

std::vector<Matrix> matrices(const TinyModel& tiny) {
  std::vector<Matrix> all = {
      {"token_embd.weight", kDim, kTinyVocab}, {"output_norm.weight", kDim, 0}, {"output.weight", kDim, kTinyVocab}};
  for (int64_t i = 0; i < tiny.layers; ++i)
    for (const Matrix& m : layer_matrices(tiny.family))
      all.push_back({"blk." + std::to_string(i) + "." + m.name, m.cols, m.rows, m.depth});
  return all;
}

// [heads][kUnturned + kHeadDim][kLatent] as converters take it apart: the keys' part, transposed for the queries,
std::vector<float> key_part(const std::vector<float>& kv_b) {
  std::vector<float> out;
  for (int64_t h = 0; h < kHeads; ++h)
    for (int64_t l = 0; l < kLatent; ++l)
      for (int64_t d = 0; d < kUnturned; ++d)
        out.push_back(kv_b[static_cast<size_t>((h * (kUnturned + kHeadDim) + d) * kLatent + l)]);
  return out;
}
// and the values'.
std::vector<float> value_part(const std::vector<float>& kv_b) {
  std::vector<float> out;
  for (int64_t h = 0; h < kHeads; ++h) {
    const auto first = kv_b.begin() + (h * (kUnturned + kHeadDim) + kUnturned) * kLatent;
    out.insert(out.end(), first, first + kHeadDim * kLatent);
  }
  return out;
}

}  // namespace

Status write_tiny_model(const std::string& path, const TinyModel& tiny) {
  LINNET_TRY(Writer writer, Writer::create(path));
  set_shape(writer, tiny);
  set_vocabulary(writer);
  const std::vector<Matrix> all = matrices(tiny);
  for (const Matrix& m : all) {
    std::vector<uint64_t> dims = {static_cast<uint64_t>(m.cols)};
    if (m.rows > 0) dims.push_back(static_cast<uint64_t>(m.rows));
    if (m.depth > 1) dims.push_back(static_cast<uint64_t>(m.depth));
    LINNET_CHECK(writer.declare(m.name, Type::f32, dims));
  }
  Random random(tiny.seed);
  std::vector<float> kv_b;  // of the layer, while it is taken apart
  for (const Matrix& m : all) {
    std::vector<float> values(static_cast<size_t>(m.cols * std::max<int64_t>(m.rows, 1) * m.depth));
    // Sharper than at initialization, so that tokens and attention differ clearly.
    const float scale = 2.0f / std::sqrt(static_cast<float>(m.cols));
    if (m.name.ends_with("attn_k_b.weight")) {
      kv_b.resize(static_cast<size_t>(kHeads * (kUnturned + kHeadDim) * kLatent));
      for (float& v : kv_b) v = 2.0f / std::sqrt(static_cast<float>(kLatent)) * random.normal();
      values = key_part(kv_b);
    } else if (m.name.ends_with("attn_v_b.weight")) {
      values = value_part(kv_b);
    } else {
      for (float& v : values) v = m.rows > 0 ? scale * random.normal() : 1.0f + 0.1f * random.normal();
    }
    if (m.name.ends_with("ssm_a"))
      for (float& v : values) v = -std::exp(v);  // states decay
    if (m.name == "token_embd.weight" && tiny.nan_token >= 0) {
      std::fill_n(values.begin() + tiny.nan_token * kDim, kDim, std::numeric_limits<float>::quiet_NaN());
    }
    if (m.name == "output.weight" && tiny.nan_logit >= 0) {
      std::fill_n(values.begin() + tiny.nan_logit * kDim, kDim, std::numeric_limits<float>::quiet_NaN());
    }
    LINNET_CHECK(writer.write(std::as_bytes(std::span(values))));
  }
  return writer.finish();
}

std::shared_ptr<const Model> tiny_model(const TinyModel& tiny) {
  const TempFolder folder;  // the mapping stays when the name is gone
  const std::string path = folder.path("tiny.gguf");
  const Status written = write_tiny_model(path, tiny);
  EXPECT_TRUE(written) << written.error().message;
  auto model = Model::load(path, {.kv_type = tiny.kv_type});
  EXPECT_TRUE(model) << model.error().message;
  return model ? *model : nullptr;
}

}  // namespace linnet
