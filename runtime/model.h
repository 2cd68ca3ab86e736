// A model as data: the facts in which architectures differ, the weights as views into the file, the tokenizer.
// A Model is immutable and may be shared by threads; it owns the mapping that all weights point into.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gguf/base/aligned.h"
#include "gguf/base/error.h"
#include "gguf/reader.h"
#include "kernels/kernels.h"
#include "runtime/layer_group.h"
#include "runtime/rope.h"
#include "runtime/tokenizer.h"

namespace linnet {

// What an architecture is: plain fields, filled by one function per family (runtime/arch/).
struct Facts {
  std::string architecture;
  int64_t layers = 0, dim = 0, heads = 0, kv_heads = 0, k_dim = 0, v_dim = 0, ffn = 0, vocab = 0;
  int64_t context = 0;  // positions it was trained for
  Norm norm = Norm::rms;
  float norm_eps = 1e-5f;
  Glu glu = Glu::silu;
  Rope rope = Rope::adjacent;
  RopeFacts rope_facts;
  float attention_scale = 0;    // 1/sqrt(k_dim) for most
  float attention_softcap = 0;  // 0: none
  float embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  int64_t window = 0;  // 0: full attention
};

struct LayerWeights {
  const float* attn_norm = nullptr;  // [dim]
  Linear q, k, v, o;
  const float* q_norm = nullptr;  // [k_dim] or null
  const float* k_norm = nullptr;
  const float* ffn_norm = nullptr;  // [dim]
  Linear gate, up, down;
  int32_t group = 0;  // index into Model::groups()
  int32_t index_in_group = 0;
};

struct ModelOptions {
  KvType kv_type = KvType::f16;
  bool check_values = false;
  bool check_checksums = false;
};

class Model {
 public:
  static Result<std::shared_ptr<const Model>> load(const std::string& path, const ModelOptions& options = {});
  // The same from bytes in memory that outlive the model.
  static Result<std::shared_ptr<const Model>> load(std::span<const std::byte> bytes, const ModelOptions& options = {});

  Facts facts;
  std::vector<LayerWeights> layers;
  Weight token_embd;  // [vocab][dim]
  const float* output_norm = nullptr;
  Linear output;                      // [vocab][dim]; the embedding itself when tied
  std::vector<float> rope_factors;    // [rope_dims/2] frequency divisors, or empty
  std::vector<std::string> warnings;  // sentences: unknown tensors, a kv type that was replaced

  const Gguf& file() const { return file_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  std::span<const LayerGroup> groups() const { return groups_; }
  uint64_t weight_bytes() const;               // all tensors
  uint64_t bytes_per_token() const;            // weight bytes read by a decode step (without KV)
  uint64_t multiplications_per_token() const;  // of its matrix products (without attention)

 private:
  friend class Loader;
  // Every matrix that a decode step multiplies with.
  template <class Visit>
  void for_each_matrix(Visit visit) const {
    for (const LayerWeights& l : layers)
      for (const Linear* m : {&l.q, &l.k, &l.v, &l.o, &l.gate, &l.up, &l.down}) visit(m->w);
    visit(output.w);
  }
  Model(Gguf file, Tokenizer tokenizer) : file_(std::move(file)), tokenizer_(std::move(tokenizer)) {}
  Gguf file_;
  Tokenizer tokenizer_;
  std::vector<LayerGroup> groups_;
  std::vector<Aligned<float>> vectors_;  // norms, biases and factors, widened to float32
};

}  // namespace linnet
