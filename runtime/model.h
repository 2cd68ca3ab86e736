// A model as data: the facts in which architectures differ, the weights as views into the file, the tokenizer.
// A Model is immutable and may be shared by threads; it owns the mapping that all weights point into.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gguf/base/aligned.h"
#include "gguf/base/error.h"
#include "gguf/reader.h"
#include "kernels/kernels.h"
#include "runtime/facts.h"
#include "runtime/layer_group.h"
#include "runtime/tokenizer.h"

namespace linnet {

// A norm of a layer; kind none: there is none.
struct NormWeights {
  Norm kind = Norm::none;
  const float* weight = nullptr;  // [dim] or null
  const float* bias = nullptr;
};

struct LayerWeights {
  NormWeights attn_norm, attn_post_norm;
  Linear q, k, v, o;              // of latent attention: q from q_a's output or x, k and v absent
  const float* q_norm = nullptr;  // as Facts::qk_norm says, or null
  const float* k_norm = nullptr;
  const float* sinks = nullptr;  // [heads] or null
  struct Latent {
    Linear q_a, kv_a, k_rope;  // q_a absent: q comes from x
    Linear kv_b;               // expanded
    std::vector<Linear> k_b;   // absorbed, of each head: from the query's unturned part to the latent vector
    std::vector<Linear> v_b;   // and from there to the value
    const float* q_a_norm = nullptr;
    const float* kv_a_norm = nullptr;
  } latent;

  // Of a state space layer, instead of attention and FFN.
  struct Recurrent {
    Linear x, z, dt_low, b, c, dt, out;
    const float* conv = nullptr;  // [taps][inner]
    const float* conv_bias = nullptr;
    const float* a = nullptr;  // [inner][states]
    const float* d = nullptr;  // [inner]
  } recurrent;

  NormWeights ffn_norm, ffn_post_norm;
  Linear gate, up, down;               // the dense network, or the experts that every row uses; gate absent: act(up x)
  Linear shared_gate;                  // [1][dim]: how much of the shared experts a row takes; absent: all
  Linear router;                       // [experts][dim]
  const float* choice_bias = nullptr;  // [experts] or null
  std::vector<Linear> expert_gate, expert_up, expert_down;  // [experts] each; empty: no experts

  QkNorm qk_norm = QkNorm::none;
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
  Weight token_embd;     // [vocab][dim]
  Weight position_embd;  // [context][dim], or no data: learned positions
  Weight token_types;    // [types][dim], or no data
  NormWeights embd_norm, output_norm;
  Linear output;  // [vocab][dim]; the embedding itself when tied; no data: an encoder
  // Frequency divisors, [rope_dims/2] or empty. With the long ones, `rope_factors` are for contexts up to
  // RopeFacts::original_context and these for longer ones.
  std::vector<float> rope_factors, rope_factors_long;
  std::vector<float> alibi_slopes;    // [heads], or empty
  std::vector<std::string> warnings;  // sentences: unknown tensors, a kv type that was replaced

  const Gguf& file() const { return file_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  std::span<const LayerGroup> groups() const { return groups_; }
  // The context for a wish: 0 is what the model was trained for; learned positions end somewhere.
  int64_t context_for(int64_t wish) const;
  // Calls visit(weight, share) for every matrix; `share` of its kind are used by a decode step: 1, or used / experts.
  void for_each_matrix(const std::function<void(const Weight&, double share)>& visit) const;
  uint64_t weight_bytes() const;               // all tensors
  uint64_t bytes_per_token() const;            // weight bytes read by a decode step (without KV)
  uint64_t multiplications_per_token() const;  // of its matrix products (without attention)

 private:
  friend class Loader;
  Model(Gguf file, Tokenizer tokenizer) : file_(std::move(file)), tokenizer_(std::move(tokenizer)) {}
  Gguf file_;
  Tokenizer tokenizer_;
  std::vector<LayerGroup> groups_;
  std::vector<Aligned<float>> vectors_;  // norms, biases and factors, widened to float32
};

}  // namespace linnet
