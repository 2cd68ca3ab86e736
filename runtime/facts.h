// What an architecture is: plain fields, filled by one function per family (runtime/arch/).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kernels.h"
#include "runtime/rope.h"

namespace linnet {

// What may differ from layer to layer.
struct LayerFacts {
  int64_t heads = 0, kv_heads = 0;
  int64_t ffn = 0;     // width of the dense network; 0: experts instead
  int64_t window = 0;  // 0: full attention; else the last `window` positions, own included
  int32_t rope = 0;    // index into Facts::ropes; -1: no positions
};

struct ExpertFacts {
  int64_t count = 0, used = 0;
  int64_t ffn = 0;         // width of one
  int64_t shared_ffn = 0;  // width of those that every row uses, together; 0: none
  int64_t groups = 1, groups_used = 1;
  Gating gating = Gating::softmax;
  bool normalize = false;  // the chosen weights sum to 1
  float scale = 1;
};

// Multi-head latent attention; ranks of 0: none (a q_rank of 0 alone: queries come from x).
struct LatentFacts {
  int64_t q_rank = 0, kv_rank = 0;
  // Of each head's own query and value, which the matrices from and to the latent vector have. In the absorbed form keys
  // (Facts::k_dim) and values (v_dim) are the latent vectors themselves.
  int64_t k_dim = 0, v_dim = 0;
  bool absorbed = false;
};

// Selective state space layers instead of attention; inner 0: none.
struct RecurrentFacts {
  int64_t taps = 0;    // of the convolution
  int64_t inner = 0;   // channels
  int64_t states = 0;  // per channel
  int64_t rank = 0;    // of the time step's projection
  bool norms = false;  // of time step, B and C, without weights
};

// Tensors that a family must have beside those that all have; what is there without being asked for is used too.
enum RequiredBias : uint32_t {
  kNormBias = 1,
  kQkvBias = 2,
  kAttnOutputBias = 4,
  kFfnBias = 8,
  kOutputBias = 16,
  kRouterBias = 32,
  kExpertBias = 64,
};

// How the hidden states of a text become one vector.
enum class Pooling : uint32_t { none, mean, cls, last };  // cls: the first token's

struct Facts {
  std::string architecture;
  int64_t layers = 0, dim = 0, k_dim = 0, v_dim = 0, vocab = 0;
  int64_t heads = 0, kv_heads = 0, ffn = 0;  // the greatest of all layers; ffn: of the dense networks
  int64_t context = 0;                       // positions it was trained for
  std::vector<LayerFacts> layer;             // [layers]
  ExpertFacts experts;
  LatentFacts latent;
  RecurrentFacts recurrent;

  Norm norm = Norm::rms;
  float norm_eps = 1e-5f;
  Glu glu = Glu::silu;
  bool causal = true;     // false: every position sees all of its sequence
  bool logits = true;     // false: an encoder
  bool parallel = false;  // x + attention(norm x) + ffn(norm' x), both of the same x

  Rope rope = Rope::adjacent;
  std::vector<RopeFacts> ropes;
  float attention_scale = 0;    // 1/sqrt(k_dim) for most
  float attention_softcap = 0;  // 0: none
  float clamp_qkv = 0;          // 0: none
  float alibi = 0;              // greatest ALiBi bias, 8 for most; 0: none
  // Queries are multiplied by 1 + scale * ln(floor((position + 1) / length) + 1); scale 0: not.
  double temperature_scale = 0;
  int64_t temperature_length = 1;
  QkNorm qk_norm = QkNorm::none;
  bool qk_norm_optional = false;
  bool norm_after_rope = false;
  float embedding_scale = 1, residual_scale = 1, logit_scale = 1, logit_softcap = 0;

  Pooling pooling = Pooling::last;  // what the file says, else the last token's

  // Names and presence of tensors.
  bool pre_norms = true;     // attn_norm and the FFN's norm
  bool norm_weights = true;  // false: norms without weights
  bool post_norms = false;   // norms after attention and FFN,
  bool norm_sums = false;    // of the sum with the residual instead of before it
  const char* attn_post_norm = "post_attention_norm";
  const char* ffn_post_norm = "post_ffw_norm";
  const char* ffn_norm = "ffn_norm";
  bool ffn_norm_optional = false;  // without one, the FFN runs on attn_norm's output beside attention
  bool gate = true;                // act(gate x) * (up x)
  bool gate_in_up = false;         // the gate is the first half of ffn_up
  bool sinks = false;
  bool positions = false;    // position_embd
  bool token_types = false;  // token_types; all tokens are of the first
  bool embd_norm = false;    // token_embd_norm
  uint32_t biases = 0;       // RequiredBias bits
};

}  // namespace linnet
