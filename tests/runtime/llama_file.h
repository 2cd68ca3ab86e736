// A llama model as keys and tensors that a test can change one by one, and as the bytes of its file: made without the
// writer, so that wrong types and shapes can be written too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "gguf/types.h"

namespace linnet {

using FileValue = std::variant<uint32_t, int32_t, uint64_t, float, double, bool, std::string, std::vector<uint32_t>,
                               std::vector<int32_t>, std::vector<float>, std::vector<std::string>>;

struct FileTensor {
  std::string name;
  Type type;
  std::vector<uint64_t> dims;  // row length first
  std::vector<float> values;   // all of them, exactly as the type holds them; empty: bytes of zero
};

struct LlamaFile {
  std::vector<std::pair<std::string, FileValue>> keys;
  std::vector<FileTensor> tensors;

  void set(std::string_view key, FileValue value);  // replaces or adds
  void remove(std::string_view key);
  void remove_tensor(std::string_view name);
  // The test fails when there is none of that name.
  FileTensor& tensor(std::string_view name);
  std::string encode() const;
};

// What a random model is like. All sizes are free; head sizes need not divide dim.
struct LlamaShape {
  int64_t layers = 2, dim = 64, heads = 4, kv_heads = 2, k_dim = 16, v_dim = 16, ffn = 96, vocab = 300;
  int64_t rope_dims = 16;
  int64_t window = 0;
  bool tied = false, biases = false, rope_factors = false;
  float norm_eps = 1e-5f;
  Type weights = Type::f32;  // of the matrices
  uint64_t seed = 1;
};
LlamaFile random_llama(const LlamaShape& shape);

}  // namespace linnet
