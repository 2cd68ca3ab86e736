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

void set_shape(Writer& writer, const TinyModel& tiny) {
  writer.set("general.architecture", "llama");
  writer.set("llama.context_length", static_cast<uint32_t>(tiny.context));
  writer.set("llama.embedding_length", static_cast<uint32_t>(kDim));
  writer.set("llama.block_count", static_cast<uint32_t>(tiny.layers));
  writer.set("llama.feed_forward_length", static_cast<uint32_t>(kFfn));
  writer.set("llama.attention.head_count", static_cast<uint32_t>(kHeads));
  writer.set("llama.attention.head_count_kv", static_cast<uint32_t>(kKvHeads));
  writer.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  writer.set("llama.rope.dimension_count", static_cast<uint32_t>(kHeadDim));
  if (tiny.window > 0) writer.set("llama.attention.sliding_window", static_cast<uint32_t>(tiny.window));
}

struct Matrix {
  std::string name;
  int64_t cols, rows;  // rows 0: a norm
};

std::vector<Matrix> matrices(const TinyModel& tiny) {
  std::vector<Matrix> all = {{"token_embd", kDim, kTinyVocab}, {"output_norm", kDim, 0}, {"output", kDim, kTinyVocab}};
  for (int64_t i = 0; i < tiny.layers; ++i) {
    const std::string blk = "blk." + std::to_string(i) + ".";
    for (const Matrix& m : std::initializer_list<Matrix>{{"attn_norm", kDim, 0},
                                                         {"attn_q", kDim, kHeads * kHeadDim},
                                                         {"attn_k", kDim, kKvHeads * kHeadDim},
                                                         {"attn_v", kDim, kKvHeads * kHeadDim},
                                                         {"attn_output", kHeads * kHeadDim, kDim},
                                                         {"ffn_norm", kDim, 0},
                                                         {"ffn_gate", kDim, kFfn},
                                                         {"ffn_up", kDim, kFfn},
                                                         {"ffn_down", kFfn, kDim}}) {
      all.push_back({blk + m.name, m.cols, m.rows});
    }
  }
  return all;
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
    LINNET_CHECK(writer.declare(m.name + ".weight", Type::f32, dims));
  }
  Random random(tiny.seed);
  for (const Matrix& m : all) {
    std::vector<float> values(static_cast<size_t>(m.cols * std::max<int64_t>(m.rows, 1)));
    // Sharper than at initialization, so that tokens and attention differ clearly.
    const float scale = 2.0f / std::sqrt(static_cast<float>(m.cols));
    for (float& v : values) v = m.rows > 0 ? scale * random.normal() : 1.0f + 0.1f * random.normal();
    if (m.name == "token_embd" && tiny.nan_token >= 0) {
      std::fill_n(values.begin() + tiny.nan_token * kDim, kDim, std::numeric_limits<float>::quiet_NaN());
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
