#include "tests/runtime/llama_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "gguf/codec.h"
#include "gguf/reader.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr uint64_t kAlignment = 32;

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<uint64_t>(text.size()));
  out += text;
}

template <class T>
constexpr ValueType value_type() {
  if constexpr (std::is_same_v<T, uint32_t>) return ValueType::u32;
  if constexpr (std::is_same_v<T, int32_t>) return ValueType::i32;
  if constexpr (std::is_same_v<T, uint64_t>) return ValueType::u64;
  if constexpr (std::is_same_v<T, float>) return ValueType::f32;
  if constexpr (std::is_same_v<T, double>) return ValueType::f64;
  if constexpr (std::is_same_v<T, bool>) return ValueType::boolean;
  if constexpr (std::is_same_v<T, std::string>) return ValueType::string;
}

template <class T>
void put_one(std::string& out, const T& value) {
  if constexpr (std::is_same_v<T, std::string>) {
    put_text(out, value);
  } else {
    put(out, value);
  }
}

template <class T>
void put_value(std::string& out, const T& value) {
  put(out, value_type<T>());
  put_one(out, value);
}

template <class T>
void put_value(std::string& out, const std::vector<T>& values) {
  put(out, ValueType::array);
  put(out, value_type<T>());
  put(out, static_cast<uint64_t>(values.size()));
  for (const T& value : values) put_one(out, value);
}

uint64_t value_count(const FileTensor& t) {
  uint64_t n = 1;
  for (const uint64_t dim : t.dims) n *= dim;
  return n;
}

std::string data_of(const FileTensor& t) {
  const TypeInfo& info = *type_info(t.type);
  const auto n = static_cast<int64_t>(value_count(t));
  std::string data(static_cast<size_t>(row_bytes(info, n)), '\0');
  if (t.values.empty()) return data;
  EXPECT_EQ(t.values.size(), value_count(t)) << t.name;
  const Status encoded = encode_row(t.type, t.values.data(), data.data(), n);
  EXPECT_TRUE(encoded) << encoded.error().message;
  return data;
}

void set_vocabulary(LlamaFile& file, int64_t size) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> kinds = {2, 3, 3};
  for (int b = 0; b < 256; ++b) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", b);
    tokens.push_back(text);
    kinds.push_back(6);
  }
  while (static_cast<int64_t>(tokens.size()) < size) tokens.push_back("word" + std::to_string(tokens.size()));
  kinds.resize(tokens.size(), 1);
  std::vector<float> scores(tokens.size());
  for (size_t i = 0; i < scores.size(); ++i) scores[i] = -static_cast<float>(i);
  file.set("tokenizer.ggml.model", std::string("llama"));
  file.set("tokenizer.ggml.tokens", std::move(tokens));
  file.set("tokenizer.ggml.scores", std::move(scores));
  file.set("tokenizer.ggml.token_type", std::move(kinds));
  file.set("tokenizer.ggml.bos_token_id", 1u);
  file.set("tokenizer.ggml.eos_token_id", 2u);
}

void set_keys(LlamaFile& file, const LlamaShape& s) {
  const auto size = [&](const char* key, int64_t value) { file.set(key, static_cast<uint32_t>(value)); };
  file.set("general.architecture", std::string("llama"));
  size("llama.context_length", 2048);
  size("llama.embedding_length", s.dim);
  size("llama.block_count", s.layers);
  size("llama.feed_forward_length", s.ffn);
  size("llama.attention.head_count", s.heads);
  size("llama.attention.head_count_kv", s.kv_heads);
  size("llama.attention.key_length", s.k_dim);
  size("llama.attention.value_length", s.v_dim);
  size("llama.rope.dimension_count", s.rope_dims);
  if (s.window > 0) size("llama.attention.sliding_window", s.window);
  file.set("llama.attention.layer_norm_rms_epsilon", s.norm_eps);
}

// Adds tensors of random values, rounded to what their types hold.
struct Filler {
  LlamaFile& file;
  const LlamaShape& shape;
  Random random;

  void matrix(const std::string& name, int64_t cols, int64_t rows) {
    // Outputs as large as inputs: sharper ones magnify the rounding of cached keys.
    const float scale = 1.0f / std::sqrt(static_cast<float>(cols));
    FileTensor t{name + ".weight", shape.weights, {uint64_t(cols), uint64_t(rows)}, {}};
    t.values.resize(static_cast<size_t>(cols * rows));
    for (float& v : t.values) v = scale * random.normal();
    const std::string data = data_of(t);
    codec(t.type)->decode(data.data(), t.values.data(), cols * rows);
    file.tensors.push_back(std::move(t));
    if (shape.biases && name != "token_embd") vector(name + ".bias", rows, 0, 0.5f);
  }
  void vector(const std::string& name, int64_t size, float mean, float spread) {
    FileTensor t{name, Type::f32, {uint64_t(size)}, {}};
    for (int64_t i = 0; i < size; ++i) t.values.push_back(mean + spread * random.normal());
    file.tensors.push_back(std::move(t));
  }
};

}  // namespace

void LlamaFile::set(std::string_view key, FileValue value) {
  for (auto& [name, old] : keys)
    if (name == key) return void(old = std::move(value));
  keys.emplace_back(key, std::move(value));
}

void LlamaFile::remove(std::string_view key) {
  EXPECT_EQ(std::erase_if(keys, [&](const auto& k) { return k.first == key; }), 1u) << key;
}

void LlamaFile::remove_tensor(std::string_view name) {
  EXPECT_EQ(std::erase_if(tensors, [&](const FileTensor& t) { return t.name == name; }), 1u) << name;
}

FileTensor& LlamaFile::tensor(std::string_view name) {
  for (FileTensor& t : tensors)
    if (t.name == name) return t;
  ADD_FAILURE() << "no tensor " << name;
  return tensors.emplace_back();
}

std::string LlamaFile::encode() const {
  std::string out = "GGUF";
  put(out, uint32_t{3});
  put(out, static_cast<uint64_t>(tensors.size()));
  put(out, static_cast<uint64_t>(keys.size()));
  for (const auto& [key, value] : keys) {
    put_text(out, key);
    std::visit([&](const auto& v) { put_value(out, v); }, value);
  }
  std::string data;
  for (const FileTensor& t : tensors) {
    put_text(out, t.name);
    put(out, static_cast<uint32_t>(t.dims.size()));
    for (const uint64_t dim : t.dims) put(out, dim);
    put(out, static_cast<uint32_t>(t.type));
    put(out, static_cast<uint64_t>(data.size()));
    data += data_of(t);
    data.resize((data.size() + kAlignment - 1) / kAlignment * kAlignment);
  }
  if (tensors.empty()) return out;
  out.resize((out.size() + kAlignment - 1) / kAlignment * kAlignment);
  return out + data;
}

LlamaFile random_llama(const LlamaShape& s) {
  LlamaFile file;
  set_keys(file, s);
  set_vocabulary(file, s.vocab);
  Filler fill{file, s, Random(s.seed)};
  fill.matrix("token_embd", s.dim, s.vocab);
  fill.vector("output_norm.weight", s.dim, 1, 0.1f);
  if (!s.tied) fill.matrix("output", s.dim, s.vocab);
  if (s.rope_factors) {
    fill.vector("rope_freqs.weight", s.rope_dims / 2, 0, 1);
    for (float& v : file.tensors.back().values) v = 1 + std::fabs(v) * 4;
  }
  for (int64_t i = 0; i < s.layers; ++i) {
    const std::string blk = "blk." + std::to_string(i) + ".";
    fill.vector(blk + "attn_norm.weight", s.dim, 1, 0.1f);
    fill.matrix(blk + "attn_q", s.dim, s.heads * s.k_dim);
    fill.matrix(blk + "attn_k", s.dim, s.kv_heads * s.k_dim);
    fill.matrix(blk + "attn_v", s.dim, s.kv_heads * s.v_dim);
    fill.matrix(blk + "attn_output", s.heads * s.v_dim, s.dim);
    fill.vector(blk + "ffn_norm.weight", s.dim, 1, 0.1f);
    fill.matrix(blk + "ffn_gate", s.dim, s.ffn);
    fill.matrix(blk + "ffn_up", s.dim, s.ffn);
    fill.matrix(blk + "ffn_down", s.ffn, s.dim);
  }
  return file;
}

}  // namespace linnet
