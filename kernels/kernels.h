// The one kernel interface: a plain table of functions per backend.
//
// Verbs are fused and batched: each takes n rows (tokens of any sequences), does all that one memory pass can do, and
// is driven by one thread; the backend spreads the work. Shapes stand in brackets, row-major, in elements. Unless a
// field says otherwise, inputs and outputs must not overlap, pointers are 64-byte aligned at [0], and nothing fails:
// whatever can be wrong (types, shapes, a missing instruction set) is checked when a model is loaded.
//
// CPU results are defined to the bit (docs/canonical-arithmetic.md): the same on every instruction set, with any number
// of threads, and for a row alone or in a batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf/types.h"

namespace linnet {

class Pool;

// Where verbs run. `scratch` is memory of the caller for intermediate results, at least Kernels::scratch_bytes().
struct Exec {
  Pool* pool;
  std::byte* scratch;
  int64_t scratch_bytes;
};

// A weight matrix as it lies in the file.
struct Weight {
  const void* data = nullptr;  // [rows][row_bytes(type, cols)]; need not be aligned beyond the file's alignment
  Type type = Type::f32;
  int32_t device = 0;
  int64_t rows = 0;
  int64_t cols = 0;
};

// y = scale * (W x), then delta, then bias.
struct Linear {
  Weight w;
  const float* bias = nullptr;   // [rows] or null
  const float* delta = nullptr;  // [n][rows] or null: added before bias, norm and rope (adapters)
  float scale = 1;               // NVFP4 files have one for each matrix
};

// The quantized forms that a weight type wants its activations in.
enum ActivationForm : uint32_t { kForm32 = 1, kForm256 = 2 };  // and float32, which is always there

// Input rows of a matrix product: float32, and 8-bit forms quantized once, not per matrix.
// A unit: d = amax/127 (11 bits when of 32), q = round-half-even(x * (127/amax)), |q| <= 127; all 0 when amax is 0.
// Sums are of q, for formats with minimums or unsigned codes. Forms that are absent are null.
struct Activations {
  int64_t cols = 0;
  float* f32 = nullptr;      // [n][cols]
  int8_t* q32 = nullptr;     // [n][cols], unit 32: needs cols % 32 == 0
  float* d32 = nullptr;      // [n][cols/32]
  int16_t* sum32 = nullptr;  // [n][cols/32]
  int8_t* q256 = nullptr;    // [n][cols], unit 256: needs cols % 256 == 0
  float* d256 = nullptr;     // [n][cols/256]
  int16_t* sum16 = nullptr;  // [n][cols/16], sums of 16 values of q256
};

enum class KvType : uint32_t { f32, f16, q8_0 };

// One layer's keys and values inside the pages of its layer group. A page holds 64 tokens of all layers of the group;
// the layer's part starts at k_offset and v_offset (bytes, multiples of 64). Layouts are in kernels/kv_layout.h.
struct KvLayer {
  KvType type;
  int32_t kv_heads;
  int32_t k_dim;  // values per head of K, and of Q
  int32_t v_dim;
  int64_t k_offset;
  int64_t v_offset;
};
inline constexpr int64_t kPageTokens = 64;
inline constexpr int64_t kSegmentPages = 8;  // attention reduces 512 absolute positions at a time, then merges

// One row of a batch inside the cache: absolute position p lies in page pages[p/64 - first_page], slot p%64.
struct RowPlace {
  std::byte* const* pages;  // host pointers; entries outside [begin, end) and position may be null
  int64_t first_page;       // absolute page number of pages[0]
  int64_t position;         // where this row's key and value are stored
  int64_t begin, end;       // absolute positions it attends to: begin <= p < end (masks and windows become ranges)
};

enum class Rope : uint32_t { none, adjacent, half };  // pairs (2i, 2i+1) or (i, i + dims/2)
enum class Norm : uint32_t { rms, layer, none };      // none: x as it is
enum class Glu : uint32_t {
  silu,
  gelu_tanh,
  relu_squared,   // max(x, 0)^2
  clamped_swish,  // g = min(gate, 7), u = clamp(up, -7, 7): g * sigmoid(1.702 g) * (u + 1); needs a gate
};
// The means that norms of queries and keys are taken over, and their weights.
enum class QkNorm : uint32_t {
  none,
  head,      // each head, weight [k_dim] for all of them
  own_head,  // each head, weight [heads][k_dim]
  whole,     // all heads together, weight [heads*k_dim]
};

struct EmbedArgs {
  int64_t n;
  const int32_t* tokens;  // [n], each < w.rows
  Weight w;               // [vocab][dim]
  float scale;            // multiplies the row (1 for most families)
  float* out;             // [n][dim]
  bool add;               // adds to what out holds (learned positions)
};

// out = norm(x) * weight (+ bias), in the forms asked for.
// rms: x * (1/sqrt(mean(x^2) + eps)) * weight. layer: (x - mean) * (1/sqrt(mean((x-mean)^2) + eps)) * weight + bias.
struct NormArgs {
  int64_t n;
  Norm kind;
  float eps;
  const float* x;       // [n][out.cols]; may be out.f32
  const float* weight;  // [cols] or null
  const float* bias;    // [cols] or null
  uint32_t forms;       // ActivationForm bits to make besides float32
  Activations out;
  float* add_to = nullptr;  // [n][cols]: also add_to += add_scale * out
  float add_scale = 1;
};

// Q, K and V projections, clamp, norms, rope, and the store into pages.
struct QkvArgs {
  int64_t n;
  Activations x;
  Linear q, k, v;  // rows: heads*k_dim, kv_heads*k_dim, kv_heads*v_dim
  int32_t heads;
  float clamp;  // 0: none; else Q, K and V are kept in [-clamp, clamp]
  QkNorm qk_norm;
  Norm norm_kind;
  bool norm_after_rope;
  const float* q_norm;
  const float* k_norm;
  float norm_eps;
  Rope rope;
  int32_t rope_dims;     // even, <= k_dim; the rest of a head passes unchanged
  const float* cos;      // [n][rope_dims/2]: made once per step for all layers (runtime/rope.h)
  const float* sin;      // [n][rope_dims/2]
  const float* q_scale;  // [n] or null: multiplies the finished queries of a row
  KvLayer kv;
  const RowPlace* rows;  // [n]; rows of one batch never share a slot
  float* q_out;          // [n][heads*k_dim]
};

inline constexpr int64_t kMostLatentKey = 1024;  // values per head

// The same for multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): a key's unrotated part and its value come
// from a latent vector, its last rope_dims values are the same for all heads. This is the expanded form.
struct LatentArgs {
  int64_t n;
  Activations x;  // input of q
  Linear q;       // rows: heads*k_dim
  Activations latent;
  Linear kv;            // rows: heads*(k_dim - rope_dims + v_dim); of each head first the key's part, then the value
  const float* k_rope;  // [n][rope_dims], not yet turned
  Rope rope;
  int32_t rope_dims;  // the last values of each head
  const float* cos;   // [n][rope_dims/2]
  const float* sin;   // [n][rope_dims/2]
  KvLayer cache;      // kv_heads is the number of heads; k_dim <= kMostLatentKey
  const RowPlace* rows;
  float* q_out;  // [n][heads*k_dim]
};

// y[t][h] = W[h] x[t][h]: a matrix of each head's own.
struct HeadsArgs {
  int64_t n;
  int32_t heads;
  const Linear* w;  // [heads], of one type and shape, without delta
  const float* x;   // x[t][h], w.cols values, begins at x + t * x_row + h * x_head
  int64_t x_row, x_head;
  uint32_t form;         // that of the matrices
  Activations gathered;  // [heads*n][w.cols], to be overwritten
  float* y;              // y[t][h], w.rows values, begins at y + t * y_row + h * y_head
  int64_t y_row, y_head;
};

// The absorbed form of latent attention: all heads share one key, the latent vector and behind it the turned values, and
// one value, the latent vector. Stores these, and turns the last rope_dims values of each query.
struct SharedLatentArgs {
  int64_t n;
  int32_t heads;
  const float* latent;  // [n][cache.v_dim]
  const float* k_rope;  // [n][rope_dims], not yet turned
  const float* q;       // q[t][h], q_dim values, the last rope_dims of them not yet turned
  int64_t q_dim;
  Rope rope;
  int32_t rope_dims;
  const float* cos;  // [n][rope_dims/2]
  const float* sin;  // [n][rope_dims/2]
  KvLayer cache;     // of one head; k_dim = v_dim + rope_dims <= kMostLatentKey
  const RowPlace* rows;
  float* q_out;  // [n][heads*k_dim]: the last rope_dims values of each head
};

// softmax(scale * q k^T) v over each row's visible range, all heads, grouped queries.
struct AttentionArgs {
  int64_t n;
  const float* q;  // [n][heads*k_dim]
  int32_t heads;   // a multiple of kv.kv_heads
  KvLayer kv;
  const RowPlace* rows;  // [n]; their keys and values are stored already
  float scale;
  float softcap;        // 0: none; else s = cap * tanh(s / cap) after the scale
  const float* sinks;   // [heads] or null: an extra logit per head that takes probability and gives no value
  const float* slopes;  // [heads] or null: ALiBi, slope * distance is taken off each score (after the soft cap)
  uint32_t forms;       // forms of out besides float32
  Activations out;      // cols = heads*v_dim
};

// y[j] = scale * (W_j x + delta + bias), times sigmoid(gate), soft-capped (+ y[j] when add).
struct LinearArgs {
  int64_t n;
  Activations x;
  int32_t count;          // matrices sharing x
  const Linear* linears;  // [count]
  float* const* y;        // [count] of [n][rows]
  bool add;               // residual: adds to what y holds
  float scale;
  const float* gate = nullptr;  // [n] or null
  float softcap = 0;            // 0: none; else cap * tanh(value / cap)
};

// out = act(gate x) * (up x), quantized for the next matrix.
struct GluArgs {
  int64_t n;
  Activations x;
  Linear gate;  // gate.w.data null: act(up x)
  Linear up;
  Glu kind;
  uint32_t forms;
  Activations out;  // cols = up.w.rows
};

// Which rows go to which experts: slots, sorted by expert, then by row.
struct Routes {
  int32_t* first;  // [experts + 1]: expert e has the slots first[e] <= slot < first[e + 1]
  int32_t* row;    // [n*used] of a slot
  int32_t* slot;   // [n][used] of a row's choices, best first
  float* weight;   // [n][used]
};

inline constexpr int32_t kMostExperts = 4096;

enum class Gating : uint32_t { softmax, sigmoid, softmax_of_chosen };

// Chooses the `used` experts of each row: p = gating(logits), the greatest p + bias win, the lower index where equal.
// With groups, only those in the groups_used groups whose two best sum highest.
struct RouteArgs {
  int64_t n;
  const float* logits;          // [n][experts]
  const float* bias;            // [experts] or null: for the choice only, not for the weights
  int32_t experts, used;        // used <= experts <= kMostExperts
  int32_t groups, groups_used;  // 1 and 1: none; else groups divides experts, and groups_used groups hold `used`
  Gating gating;
  bool normalize;  // weights sum to 1 before they are scaled
  float scale;
  Routes out;
};

// y = scale * sum of weight * (down act(gate x) * (up x)) over a row's experts (+ y when add). Each expert's matrices are
// read once for all of its rows. `slots` is n*used.
struct ExpertsArgs {
  int64_t n;
  Activations x;
  int32_t experts, used;
  const Linear* gate;  // [experts] or null
  const Linear* up;    // [experts]
  const Linear* down;  // [experts]
  Glu kind;
  Routes routes;
  uint32_t x_forms;      // forms that x has
  uint32_t forms;        // forms of hidden besides float32
  Activations gathered;  // [slots][x.cols], to be overwritten
  Activations hidden;    // [slots][up rows], to be overwritten
  float* products;       // [slots][greater of up rows and down rows], to be overwritten
  float* y;              // [n][down rows]
  bool add;
  float scale;
};

// Short causal convolution, each channel for itself, and silu: out[t] = silu(bias + sum of weight[j] * x[t - taps + 1 + j])
// over a row's sequence. Rows of one sequence come in the order of their positions, each after the one before it. The
// state, [taps - 1][channels] float32, lies in the pages at state_offset: in that of the last computed row.
struct ConvArgs {
  int64_t n;
  int64_t channels;
  int32_t taps;
  const float* x;       // [n][channels]
  const float* weight;  // [taps][channels]
  const float* bias;    // [channels]
  int64_t state_offset;
  const RowPlace* rows;  // [n]
  uint32_t forms;
  Activations out;  // cols = channels
};

// Selective scan (Gu and Dao 2023, arXiv 2312.00752): h = h * exp(dt a) + dt b x, out = (c h + d x) * silu(z), with dt
// softened to log(1 + exp(dt)). The state, [channels][states] float32, lies in the pages as that of ConvArgs.
struct ScanArgs {
  int64_t n;
  int64_t channels, states;
  const float* x;   // [n][channels]
  const float* dt;  // [n][channels]
  const float* z;   // [n][channels]
  const float* b;   // [n][states]
  const float* c;   // [n][states]
  const float* a;   // [channels][states]
  const float* d;   // [channels]
  int64_t state_offset;
  const RowPlace* rows;  // [n]
  uint32_t forms;
  Activations out;  // cols = channels
};

// Turns the keys of one page by an angle per rope pair, in place (context shift: the sinks move forward).
struct RotateArgs {
  std::byte* page;
  KvLayer kv;
  Rope rope;
  int32_t rope_first;  // the first value of a head that is turned
  int32_t rope_dims;
  const float* cos;  // [rope_dims/2]
  const float* sin;
};

struct ScratchNeed {
  int64_t n;                      // most rows in one call
  int64_t cols;                   // longest input row
  int64_t rows;                   // most output rows of one verb (Q+K+V together, gate+up together)
  int64_t heads, v_dim, context;  // attention
  int32_t threads;
};

struct Kernels {
  const char* name;               // what LINNET_BACKEND names: "scalar", "avx2", "avx512"
  bool (*supported)();            // by this machine
  bool (*can)(Type weight);       // whether matrices of this type run
  uint32_t (*form)(Type weight);  // the activation form it wants: 0 (float32), kForm32 or kForm256
  int64_t (*scratch_bytes)(const ScratchNeed&);

  void (*embed)(Exec&, const EmbedArgs&);
  void (*norm)(Exec&, const NormArgs&);
  void (*qkv)(Exec&, const QkvArgs&);
  void (*latent)(Exec&, const LatentArgs&);
  void (*heads)(Exec&, const HeadsArgs&);
  void (*shared_latent)(Exec&, const SharedLatentArgs&);
  void (*attention)(Exec&, const AttentionArgs&);
  void (*linear)(Exec&, const LinearArgs&);
  void (*glu)(Exec&, const GluArgs&);
  void (*route)(Exec&, const RouteArgs&);
  void (*experts)(Exec&, const ExpertsArgs&);
  void (*conv)(Exec&, const ConvArgs&);
  void (*scan)(Exec&, const ScanArgs&);
  void (*rotate)(Exec&, const RotateArgs&);

  // Scans over one row of logits, for the sampler; single-threaded, callable from any thread.
  float (*max)(const float* x, int64_t n);  // NaN when any x is NaN; n >= 1
  // Writes the indices with x[i] >= threshold in order; returns how many there are (which may exceed capacity: only the
  // first `capacity` are written).
  int64_t (*above)(const float* x, int64_t n, float threshold, int32_t* ids, int64_t capacity);
  float (*sum_exp)(const float* x, int64_t n, float shift);       // sum of exp(x - shift), 32 lanes and the tree
  void (*exp)(const float* x, int64_t n, float shift, float* y);  // y[i] = exp(x[i] - shift); y may be x

  // The yardstick for matrix products: does `rounds` rounds of int8 multiply-adds from registers on the calling thread;
  // returns the operations done (a multiply-add is 2).
  int64_t (*int8_peak)(int64_t rounds);
};

// Backends of this build, best first; the last is the scalar definition and always supported.
struct KernelList {
  const Kernels* const* items;
  int32_t count;
};
KernelList all_kernels();
// `name` empty: the first supported one. Null when there is no such backend, or this machine cannot run it.
const Kernels* find_kernels(const char* name);

}  // namespace linnet
