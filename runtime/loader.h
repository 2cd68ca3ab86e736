// Turns an open GGUF file into a Model: facts, tokenizer, tensors of the right shape and type.
#pragma once

#include <initializer_list>
#include <set>
#include <string>
#include <string_view>

#include "runtime/model.h"

namespace linnet {

// Private to model.cpp's load functions; a class of its own because Model has no setters.
class Loader {
 public:
  static Result<std::shared_ptr<const Model>> load(Gguf file, const ModelOptions& options);

 private:
  Loader(Model& model, const ModelOptions& options) : model_(model), options_(options) {}

  Status read_global_tensors();
  Status read_rope_factors();
  Status read_layer(int64_t index);
  Status read_attention(const std::string& blk, const LayerFacts& facts, LayerWeights& out);
  Status read_latent(const std::string& blk, const LayerFacts& facts, LayerWeights& out);
  Status read_qk_norms(const std::string& blk, const LayerFacts& facts, LayerWeights& out);
  Status read_ffn(const std::string& blk, const LayerFacts& facts, LayerWeights& out);
  Status read_experts(const std::string& blk, LayerWeights& out);
  Status read_stack(const std::string& name, int64_t count, int64_t rows, int64_t cols, uint32_t bias_kind,
                    std::vector<Linear>& out);
  Status read_expert_matrices(const std::string& name, int64_t rows, int64_t cols, std::vector<Linear>& out);
  Result<std::vector<float>> scales(const std::string& name, int64_t count);
  Status read_recurrent(const std::string& blk, LayerWeights& out);
  void make_recurrent_group();
  Status read_norm(const std::string& name, NormWeights& out);
  // `bias`: the RequiredBias bit of its kind.
  Status read_linear(const std::string& name, int64_t rows, int64_t cols, uint32_t bias, Linear& out);
  void make_groups();
  // Warns of them; a factor beside a used matrix is refused.
  Status check_unknown_tensors();

  bool has(const std::string& name) const { return model_.file_.tensor(name) != nullptr; }
  // A tensor of exactly this shape; dims in file order, row length first.
  Result<const Tensor*> require(const std::string& name, std::initializer_list<uint64_t> dims);
  Error missing(const std::string& name, std::initializer_list<uint64_t> dims) const;
  Result<const Tensor*> optional(const std::string& name, std::initializer_list<uint64_t> dims);
  Result<Weight> matrix(const Tensor& tensor) const;
  // Norm weights, biases and factors: F32, F16 or BF16, widened into memory of the model's own.
  Result<const float*> vector(const Tensor& tensor);
  Result<const float*> required_vector(const std::string& name, std::initializer_list<uint64_t> dims);
  Result<const float*> optional_vector(const std::string& name, std::initializer_list<uint64_t> dims);
  Result<const float*> bias(const std::string& name, std::initializer_list<uint64_t> dims, uint32_t kind);

  Model& model_;
  const ModelOptions& options_;
  std::set<std::string_view> used_;
};

}  // namespace linnet
