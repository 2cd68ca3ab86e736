// linnet synth: a loadable model of a real model's shape with random weights, so that anyone can measure speed without a
// download. What it says is noise.
#include <cmath>
#include <map>

#include "gguf/codec.h"
#include "gguf/recipes.h"
#include "gguf/writer.h"
#include "sampling/philox.h"
#include "tools/commands.h"

namespace linnet {
namespace {

struct Shape {
  const char* name;
  int64_t dim, layers, heads, kv_heads, head_dim, ffn, vocab, context;
  float rope_base;
  bool tied, qkv_bias, llama3_rope;
};

// The dimensions that the models' own configuration files publish.
constexpr Shape kShapes[] = {
    {"smollm2-135m", 576, 30, 9, 3, 64, 1536, 49152, 8192, 100000, true, false, false},
    {"qwen2.5-0.5b", 896, 24, 14, 2, 64, 4864, 151936, 32768, 1000000, true, true, false},
    {"tinyllama-1.1b", 2048, 22, 32, 4, 64, 5632, 32000, 2048, 10000, false, false, false},
    {"llama-3.2-1b", 2048, 16, 32, 8, 64, 8192, 128256, 131072, 500000, true, false, true},
    {"llama-3.2-3b", 3072, 28, 24, 8, 128, 8192, 128256, 131072, 500000, true, false, true},
    {"llama-2-7b", 4096, 32, 32, 32, 128, 11008, 32000, 4096, 10000, false, false, false},
    {"mistral-7b", 4096, 32, 32, 8, 128, 14336, 32768, 32768, 1000000, false, false, false},
    {"llama-3.1-8b", 4096, 32, 32, 8, 128, 14336, 128256, 131072, 500000, false, false, true},
    {"llama-3.1-70b", 8192, 80, 64, 8, 128, 28672, 128256, 131072, 500000, false, false, true},
};

// A tensor to be: matrices are random, vectors constant.
struct Plan {
  std::string name;
  std::vector<uint64_t> dims;
  int32_t layer;
  float constant;  // of one-dimensional tensors
};

std::string shape_names() {
  std::string names;
  for (const Shape& s : kShapes) names += (names.empty() ? "" : ", ") + std::string(s.name);
  return names;
}

// Token texts: the 256 byte letters of byte-level BPE, then all words over a to z, shortest first, each mergeable from
// the word without its last letter and that letter; the last two are special.
struct StandInVocabulary {
  std::vector<std::string> tokens, merges;
  std::vector<int32_t> types;

  explicit StandInVocabulary(int64_t size) {
    for (int byte = 0, next = 256; byte < 256; ++byte) {
      const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      const int code = printable ? byte : next++;
      tokens.push_back(code < 128
                           ? std::string(1, static_cast<char>(code))
                           : std::string{static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))});
    }
    std::vector<std::string> words;
    for (char c = 'a'; c <= 'z'; ++c) words.emplace_back(1, c);
    for (size_t i = 0; static_cast<int64_t>(tokens.size()) < size - 2; ++i) {
      for (char c = 'a'; c <= 'z' && static_cast<int64_t>(tokens.size()) < size - 2; ++c) {
        words.push_back(words[i] + c);
        tokens.push_back(words.back());
        merges.push_back(words[i] + " " + c);
      }
    }
    types.assign(tokens.size(), 1);
    tokens.insert(tokens.end(), {"<|begin_of_text|>", "<|end_of_text|>"});
    types.insert(types.end(), {3, 3});
  }
};

void write_metadata(Writer& out, const Shape& s, uint32_t file_type) {
  out.set("general.architecture", "llama");
  out.set("general.name", fmt::format("random weights in the shape of {}", s.name));
  out.set("general.file_type", file_type);
  out.set("general.quantization_version", uint32_t{2});
  auto number = [&](const char* key, int64_t value) {
    out.set(std::string("llama.") + key, static_cast<uint32_t>(value));
  };
  number("block_count", s.layers);
  number("context_length", s.context);
  number("embedding_length", s.dim);
  number("feed_forward_length", s.ffn);
  number("attention.head_count", s.heads);
  number("attention.head_count_kv", s.kv_heads);
  number("attention.key_length", s.head_dim);
  number("attention.value_length", s.head_dim);
  number("rope.dimension_count", s.head_dim);
  number("vocab_size", s.vocab);
  out.set("llama.rope.freq_base", s.rope_base);
  out.set("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  const StandInVocabulary vocabulary(s.vocab);
  out.set("tokenizer.ggml.model", "gpt2");
  out.set("tokenizer.ggml.pre", "llama-bpe");
  out.set("tokenizer.ggml.tokens", std::span<const std::string>(vocabulary.tokens));
  out.set("tokenizer.ggml.token_type", std::span<const int32_t>(vocabulary.types));
  out.set("tokenizer.ggml.merges", std::span<const std::string>(vocabulary.merges));
  out.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(s.vocab - 2));
  out.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(s.vocab - 1));
  out.set("tokenizer.ggml.add_bos_token", true);
}

std::vector<Plan> plan_tensors(const Shape& s) {
  std::vector<Plan> all;
  auto matrix = [&](std::string name, int64_t cols, int64_t rows, int32_t layer) {
    all.push_back({std::move(name), {static_cast<uint64_t>(cols), static_cast<uint64_t>(rows)}, layer, 0});
  };
  auto vector = [&](std::string name, int64_t size, int32_t layer, float value) {
    all.push_back({std::move(name), {static_cast<uint64_t>(size)}, layer, value});
  };
  matrix("token_embd.weight", s.dim, s.vocab, -1);
  if (s.llama3_rope) vector("rope_freqs.weight", s.head_dim / 2, -1, 1);
  for (int32_t i = 0; i < s.layers; ++i) {
    const std::string blk = fmt::format("blk.{}.", i);
    vector(blk + "attn_norm.weight", s.dim, i, 1);
    matrix(blk + "attn_q.weight", s.dim, s.heads * s.head_dim, i);
    matrix(blk + "attn_k.weight", s.dim, s.kv_heads * s.head_dim, i);
    matrix(blk + "attn_v.weight", s.dim, s.kv_heads * s.head_dim, i);
    if (s.qkv_bias) {
      vector(blk + "attn_q.bias", s.heads * s.head_dim, i, 0);
      vector(blk + "attn_k.bias", s.kv_heads * s.head_dim, i, 0);
      vector(blk + "attn_v.bias", s.kv_heads * s.head_dim, i, 0);
    }
    matrix(blk + "attn_output.weight", s.heads * s.head_dim, s.dim, i);
    vector(blk + "ffn_norm.weight", s.dim, i, 1);
    matrix(blk + "ffn_gate.weight", s.dim, s.ffn, i);
    matrix(blk + "ffn_up.weight", s.dim, s.ffn, i);
    matrix(blk + "ffn_down.weight", s.ffn, s.dim, i);
  }
  vector("output_norm.weight", s.dim, -1, 1);
  if (!s.tied) matrix("output.weight", s.dim, s.vocab, -1);
  return all;
}

// Encoded random rows to draw tensors from: encoding billions of values would take hours, and shuffled blocks of a few
// million distinct ones behave the same for speed and scale.
class BlockPool {
 public:
  // Values N(0, 1/cols): a matrix product keeps the size of its input.
  static Result<BlockPool> make(Type type, int64_t cols) {
    BlockPool pool;
    pool.block_bytes_ = type_info(type)->block_bytes;
    const int64_t block = type_info(type)->block_values, count = kValues / block * block;
    std::vector<float> values(static_cast<size_t>(count));
    const double scale = 1 / std::sqrt(static_cast<double>(cols));
    for (int64_t i = 0; i < count; i += 4) {
      const auto random = philox4x32_10({static_cast<uint32_t>(i), 0, 0, 0}, {static_cast<uint32_t>(cols), 0});
      for (int64_t j = 0; j < 4; ++j) {  // the sum of four uniform bytes is near enough to a bell
        double sum = 0;
        for (int b = 0; b < 4; ++b)
          sum += static_cast<double>(random[static_cast<size_t>(j)] >> (8 * b) & 255) / 255 - 0.5;
        values[static_cast<size_t>(i + j)] = static_cast<float>(sum * scale * std::sqrt(3.0));
      }
    }
    pool.bytes_.resize(static_cast<size_t>(count / block * pool.block_bytes_));
    LINNET_CHECK(encode_row(type, values.data(), pool.bytes_.data(), count));
    return pool;
  }

  // `size` bytes of blocks, copied in runs from random places.
  void fill(std::byte* out, int64_t size, uint64_t tensor, uint64_t piece) const {
    const int64_t blocks = static_cast<int64_t>(bytes_.size()) / block_bytes_, run = std::min<int64_t>(blocks, 64);
    uint64_t state = (tensor << 32 | piece) * 0x9E3779B97F4A7C15 + 1;
    for (int64_t at = 0; at < size;) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const int64_t from = static_cast<int64_t>((state >> 33) % static_cast<uint64_t>(blocks - run + 1)) * block_bytes_;
      const int64_t n = std::min(run * block_bytes_, size - at);
      std::copy_n(bytes_.data() + from, n, out + at);
      at += n;
    }
  }

 private:
  static constexpr int64_t kValues = 1 << 20;
  int64_t block_bytes_ = 0;
  std::vector<std::byte> bytes_;
};

class Synth : public Command {
 public:
  const char* name() const override { return "synth"; }
  const char* summary() const override { return "write a model of a real model's shape with random weights"; }

  void declare(Arguments& args) override {
    args.option("SHAPE", shape_, "one of: " + shape_names()).required();
    args.option("TYPE", type_, "one of: " + recipe_names()).required();
    args.option("OUT", out_, "GGUF file to write").required();
    add_json(args, "report errors as JSON too");
  }

  Result<int> run() override;

 private:
  Result<const BlockPool*> pool(Type type, int64_t cols);
  Status write_tensor(Writer& out, const Plan& plan, Type type, uint64_t index);

  std::string shape_, type_, out_;
  std::map<std::pair<Type, int64_t>, BlockPool> pools_;
};

Result<const BlockPool*> Synth::pool(Type type, int64_t cols) {
  auto found = pools_.find({type, cols});
  if (found == pools_.end()) {
    LINNET_TRY(BlockPool made, BlockPool::make(type, cols));
    found = pools_.emplace(std::pair(type, cols), std::move(made)).first;
  }
  return &found->second;
}

Status Synth::write_tensor(Writer& out, const Plan& plan, Type type, uint64_t index) {
  if (plan.dims.size() == 1) {
    const std::vector<float> values(plan.dims[0], plan.constant);
    return out.write(std::as_bytes(std::span(values)));
  }
  LINNET_TRY(const BlockPool* blocks, pool(type, static_cast<int64_t>(plan.dims[0])));
  const int64_t row = row_bytes(*type_info(type), static_cast<int64_t>(plan.dims[0])),
                slab = std::max<int64_t>(1, (8 << 20) / row);
  std::vector<std::byte> bytes;
  for (int64_t first = 0; first < static_cast<int64_t>(plan.dims[1]); first += slab) {
    const int64_t rows = std::min(slab, static_cast<int64_t>(plan.dims[1]) - first);
    bytes.resize(static_cast<size_t>(rows * row));
    blocks->fill(bytes.data(), rows * row, index, static_cast<uint64_t>(first));
    LINNET_CHECK(out.write(bytes));
  }
  return {};
}

Result<int> Synth::run() {
  const Shape* shape = nullptr;
  for (const Shape& s : kShapes)
    if (shape_ == s.name) shape = &s;
  if (!shape) return fail(Code::invalid_argument, "there is no shape \"{}\"; known shapes: {}", shape_, shape_names());
  LINNET_TRY(const Recipe recipe, recipe_by_name(type_));
  LINNET_TRY(Writer out, Writer::create(out_));
  write_metadata(out, *shape, recipe.file_type);
  const std::vector<Plan> plans = plan_tensors(*shape);
  const RecipeModel model{.layers = static_cast<int32_t>(shape->layers),
                          .queries_per_key = shape->heads / shape->kv_heads,
                          .tied = shape->tied};
  std::vector<Type> types;
  for (const Plan& p : plans) {
    types.push_back(recipe.type_for(p.name, p.layer, p.dims[0], static_cast<uint32_t>(p.dims.size()), model));
    LINNET_CHECK(out.declare(p.name, types.back(), p.dims));
  }
  Progress progress("writing");
  for (size_t i = 0; i < plans.size(); ++i) {
    if (interrupted()) return kInterrupted;
    LINNET_CHECK(write_tensor(out, plans[i], types[i], i));
    progress.update(static_cast<double>(i + 1) / static_cast<double>(plans.size()));
  }
  LINNET_CHECK(out.finish());
  return kDone;
}

}  // namespace

std::unique_ptr<Command> make_synth() { return std::make_unique<Synth>(); }

}  // namespace linnet
