// Models that the loader must refuse, by the number of their case in the list of damaged files: keys 23-26, tensors 46-52,
// hyperparameters 53-65, vocabulary 67, wrong kind of file 99. Each has a code, a sentence that names the key or tensor
// with what was found and expected, and a bound on memory.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "gguf/codec.h"
#include "runtime/engine.h"
#include "tests/runtime/failing_new.h"
#include "tests/runtime/llama_file.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
constexpr uint32_t kMax32 = 0xffffffffu, kSign32 = 0x80000000u;

// Every tensor of the family, no two sizes alike.
const LlamaFile& good_file() {
  static const LlamaFile file = [] {
    const LlamaShape shape = {.layers = 2,
                              .dim = 64,
                              .heads = 4,
                              .kv_heads = 2,
                              .k_dim = 8,
                              .v_dim = 24,
                              .ffn = 160,
                              .vocab = 288,
                              .rope_dims = 6,
                              .biases = true,
                              .rope_factors = true};
    return random_llama(shape);
  }();
  return file;
}

struct Damaged {
  std::string name;
  Code code;
  std::vector<std::string> mentions;
  std::function<void(LlamaFile&)> change;
};
using List = std::vector<Damaged>;

Damaged with_key(std::string name, const std::string& key, FileValue value, Code code, const std::string& found) {
  return {std::move(name), code, {key, found}, [=](LlamaFile& f) { f.set(key, value); }};
}

std::string shape_text(const std::vector<uint64_t>& dims) {
  std::string text;
  for (const uint64_t dim : dims) text += (text.empty() ? "[" : " x ") + std::to_string(dim);
  return text + "]";
}

// Cases 23 and 24: keys that must be there, and of the right type.
List key_cases() {
  List all;
  for (const std::string key :
       {"general.architecture", "llama.block_count", "llama.embedding_length", "llama.feed_forward_length",
        "llama.context_length", "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon"})
    all.push_back({"23 no " + key, Code::gguf_key_missing, {key, "missing"}, [=](LlamaFile& f) { f.remove(key); }});
  for (const std::string key : {"general.architecture", "general.type", "llama.rope.scaling.type"})
    all.push_back(with_key("24 u32 " + key, key, 7u, Code::gguf_key_type, "u32"));
  for (const std::string key : {"llama.block_count", "llama.embedding_length", "llama.feed_forward_length",
                                "llama.context_length", "llama.attention.head_count", "llama.attention.head_count_kv",
                                "llama.attention.key_length", "llama.attention.value_length",
                                "llama.rope.dimension_count", "llama.attention.sliding_window", "llama.expert_count"}) {
    all.push_back(with_key("24 string " + key, key, std::string("4"), Code::gguf_key_type, "string"));
    all.push_back(with_key("24 f32 " + key, key, 4.0f, Code::gguf_key_type, "f32"));
    all.push_back(with_key("24 bool " + key, key, true, Code::gguf_key_type, "bool"));
    const bool by_layer = key == "llama.feed_forward_length" || key.starts_with("llama.attention.head_count");
    if (by_layer)  // two layers
      all.push_back(with_key("62 array " + key, key, std::vector<uint32_t>{4, 4, 4}, Code::gguf_hparams, "array of 3"));
    else
      all.push_back(with_key("24 array " + key, key, std::vector<uint32_t>{4, 4}, Code::gguf_key_type, "type array"));
    all.push_back(with_key("24 negative " + key, key, -1, Code::gguf_value_range, "-1"));
    all.push_back(with_key("24 2^63 " + key, key, uint64_t{1} << 63, Code::gguf_hparams, "9223372036854775808"));
  }
  for (const std::string key : {"llama.attention.layer_norm_rms_epsilon", "llama.rope.freq_base"}) {
    all.push_back(with_key("24 string " + key, key, std::string("1e-5"), Code::gguf_key_type, "string"));
    all.push_back(with_key("24 array " + key, key, std::vector<float>{1e-5f}, Code::gguf_key_type, "array of f32"));
  }
  return all;
}

void set_yarn(LlamaFile& f) {
  f.set("llama.rope.scaling.type", std::string("yarn"));
  f.set("llama.rope.scaling.factor", 4.0f);
  f.set("llama.rope.scaling.original_context_length", 512u);
}

// Case 26: numbers that are none, or make no sense.
List number_cases() {
  List all;
  const auto each = [&](const std::string& key, bool zero_is_bad, float too_large) {
    const auto add = [&](const std::string& what, FileValue value, Code code, const std::string& found) {
      all.push_back({"26 " + what + " " + key, code, {key, found, "expected"}, [=](LlamaFile& f) {
                       set_yarn(f);
                       f.set(key, value);
                     }});
    };
    add("NaN", kNan, Code::gguf_value_range, "nan");
    add("infinite", kInfinity, Code::gguf_value_range, "inf");
    add("-infinite", -kInfinity, Code::gguf_value_range, "-inf");
    add("double NaN", std::nan(""), Code::gguf_value_range, "nan");
    add("negative", -0.5f, Code::gguf_hparams, "-0.5");
    add("too large", too_large, Code::gguf_hparams, "expected");
    if (zero_is_bad) add("0", 0.0f, Code::gguf_hparams, " 0,");
    if (zero_is_bad) add("subnormal", 1e-45f, Code::gguf_hparams, "e-45");
  };
  each("llama.attention.layer_norm_rms_epsilon", true, 2);
  each("llama.rope.freq_base", true, 1e30f);
  each("llama.rope.scaling.factor", true, 1e30f);
  each("llama.rope.scaling.attn_factor", true, 1e30f);
  each("llama.rope.scaling.yarn_beta_fast", true, 1e30f);
  each("llama.rope.scaling.yarn_beta_slow", true, 1e30f);
  each("llama.rope.scaling.yarn_ext_factor", false, 2);
  all.push_back(with_key("26 base 1", "llama.rope.freq_base", 1.0f, Code::gguf_hparams, " 1,"));
  return all;
}

// Cases 46 to 52: each tensor missing, misshapen and of a wrong type once.
List tensor_cases() {
  List all = {{"48 no tensors", Code::gguf_no_tensors, {"tensors"}, [](LlamaFile& f) { f.tensors.clear(); }}};
  for (const FileTensor& t : good_file().tensors) {
    const std::string name = t.name;
    const bool required = name.ends_with(".weight") && name != "output.weight" && name != "rope_freqs.weight";
    if (required)
      all.push_back(
          {"49 no " + name, Code::gguf_tensor_missing, {name, "missing", shape_text(t.dims)}, [=](LlamaFile& f) {
             f.remove_tensor(name);
           }});
    const auto misshapen = [&](const std::string& how, std::vector<uint64_t> dims) {
      Damaged d = {"51 " + name + " " + how, Code::gguf_tensor_shape, {name}, [=](LlamaFile& f) {
                     f.tensor(name).dims = dims;
                     f.tensor(name).values.clear();
                   }};
      if (name == "token_embd.weight" && dims.size() == 2 && dims[1] != t.dims[1]) {  // case 67
        d.code = Code::gguf_vocabulary;
        d.mentions.insert(d.mentions.end(), {std::to_string(dims[1]), std::to_string(t.dims[1])});
      } else {
        d.mentions.insert(d.mentions.end(), {shape_text(dims), "expected " + shape_text(t.dims)});
      }
      all.push_back(std::move(d));
    };
    for (size_t i = 0; i < t.dims.size(); ++i) {
      std::vector<uint64_t> more = t.dims, less = t.dims, one = t.dims;
      ++more[i], --less[i], one[i] = 1;
      misshapen("dim " + std::to_string(i) + " + 1", more);
      misshapen("dim " + std::to_string(i) + " - 1", less);
      misshapen("dim " + std::to_string(i) + " = 1", one);
    }
    std::vector<uint64_t> deeper = t.dims;
    deeper.push_back(2);
    misshapen("one dimension more", deeper);
    if (t.dims.size() == 2) {
      if (t.dims[0] != t.dims[1]) misshapen("transposed", {t.dims[1], t.dims[0]});
      misshapen("flat", {t.dims[0] * t.dims[1]});
    }
    for (const TypeInfo& type : all_types()) {
      const bool vector = t.dims.size() == 1;
      if (t.dims[0] % static_cast<uint64_t>(type.block_values) != 0) continue;  // the reader refuses it
      const bool fine = vector ? type.type == Type::f32 || type.type == Type::f16 || type.type == Type::bf16
                               : codec(type.type) != nullptr;
      if (fine) continue;
      all.push_back({(vector ? "52 " : "46 ") + name + " of " + std::string(type.name),
                     vector ? Code::gguf_norm_type : Code::gguf_tensor_type_unsupported,
                     {name, "type " + std::string(type.name)},
                     [=, id = type.type](LlamaFile& f) {
                       f.tensor(name).type = id;
                       f.tensor(name).values.clear();
                     }});
    }
  }
  for (const float bad : {0.0f, -1.0f, 1e30f})
    all.push_back({"60 a rope factor of " + std::to_string(bad),
                   Code::gguf_hparams,
                   {"rope_freqs.weight", "positive"},
                   [=](LlamaFile& f) { f.tensor("rope_freqs.weight").values.back() = bad; }});
  return all;
}

// Cases 53 to 65: hyperparameters out of range or at odds with each other.
List size_cases() {
  const auto size = [](const std::string& number, const std::string& key, uint32_t value,
                       Code code = Code::gguf_hparams) {
    return with_key(number + " " + key + " = " + std::to_string(value), "llama." + key, value, code,
                    std::to_string(value));
  };
  const auto scaling = [](const std::string& name, Code code, std::vector<std::string> mentions,
                          std::function<void(LlamaFile&)> change) {
    return Damaged{"59 " + name, code, std::move(mentions), std::move(change)};
  };
  List all = {
      size("53", "block_count", 0),
      size("53", "block_count", kMax32),
      size("53", "block_count", kSign32),
      size("53", "block_count", 4097),
      {"53 layers of the file exceeded",
       Code::gguf_tensor_missing,
       {"blk.2.attn_norm.weight"},
       [](LlamaFile& f) { f.set("llama.block_count", 3u); }},
      {"53 most layers",
       Code::gguf_tensor_missing,
       {"blk.2.attn_norm.weight"},
       [](LlamaFile& f) { f.set("llama.block_count", 4096u); }},
      size("54", "attention.head_count", 0),
      size("54", "attention.head_count", kMax32),
      size("54", "attention.head_count", 3),  // 2 kv heads do not divide it
      {"54 heads of more tensors",
       Code::gguf_tensor_shape,
       {"blk.0.attn_q.weight", "[64 x 131072]"},
       [](LlamaFile& f) { f.set("llama.attention.head_count", 16384u); }},
      size("55", "attention.head_count_kv", 0),
      size("55", "attention.head_count_kv", 8),
      size("55", "attention.head_count_kv", 3),
      size("55", "attention.head_count_kv", kMax32),
      size("56", "embedding_length", 0),
      size("56", "embedding_length", kMax32),
      {"56 no whole heads",
       Code::gguf_hparams,
       {"llama.embedding_length", "66", "head_count = 4", "key_length"},
       [](LlamaFile& f) {
         f.set("llama.embedding_length", 66u);
         f.remove("llama.attention.key_length");
       }},
      {"56 more heads than values",
       Code::gguf_hparams,
       {"llama.embedding_length", "64", "head_count = 128"},
       [](LlamaFile& f) {
         f.set("llama.attention.head_count", 128u);
         f.remove("llama.attention.key_length");
         f.remove("llama.attention.value_length");
       }},
      size("57", "attention.key_length", 0),
      size("57", "attention.key_length", kMax32),
      size("57", "attention.value_length", 0),
      size("57", "attention.value_length", 4097),
      {"57 keys that the tensors do not have",
       Code::gguf_tensor_shape,
       {"blk.0.attn_q.weight", "[64 x 48]"},
       [](LlamaFile& f) { f.set("llama.attention.key_length", 12u); }},
      size("58", "rope.dimension_count", 0),
      size("58", "rope.dimension_count", 1),
      size("58", "rope.dimension_count", 5),
      size("58", "rope.dimension_count", 10),
      size("58", "rope.dimension_count", kMax32),
      {"58 no dimension count for odd heads",
       Code::gguf_hparams,
       {"llama.rope.dimension_count", "7"},
       [](LlamaFile& f) {
         f.set("llama.attention.key_length", 7u);
         f.remove("llama.rope.dimension_count");
       }},
      with_key("59 unknown scaling", "llama.rope.scaling.type", std::string("spiral"), Code::gguf_hparams, "spiral"),
      scaling("no factor", Code::gguf_key_missing, {"llama.rope.scaling.factor"},
              [](LlamaFile& f) { f.set("llama.rope.scaling.type", std::string("linear")); }),
      scaling("factor 0 without a type", Code::gguf_hparams, {"llama.rope.scaling.factor", "0"},
              [](LlamaFile& f) { f.set("llama.rope.scaling.factor", 0.0f); }),
      scaling("old factor 0", Code::gguf_hparams, {"llama.rope.scale_linear", "0"},
              [](LlamaFile& f) { f.set("llama.rope.scale_linear", 0.0f); }),
      scaling("original context 0", Code::gguf_hparams, {"llama.rope.scaling.original_context_length", "0"},
              [](LlamaFile& f) {
                set_yarn(f);
                f.set("llama.rope.scaling.original_context_length", 0u);
              }),
      {"60 factors of other rope dimensions",
       Code::gguf_tensor_shape,
       {"rope_freqs.weight", "[3]", "expected [4]"},
       [](LlamaFile& f) { f.set("llama.rope.dimension_count", 8u); }},
      size("61", "context_length", 0),
      size("61", "context_length", kMax32),
      size("62", "feed_forward_length", 0),
      size("62", "feed_forward_length", kMax32),
      size("62", "feed_forward_length", 192, Code::gguf_tensor_shape),
      with_key("62 lengths per layer", "llama.feed_forward_length", std::vector<int32_t>{160}, Code::gguf_hparams,
               "array of 1"),
      with_key("62 strings per layer", "llama.feed_forward_length", std::vector<std::string>{"160", "160"},
               Code::gguf_hparams, "string"),
      with_key("62 a length of 0", "llama.feed_forward_length", std::vector<int32_t>{160, 0}, Code::gguf_hparams,
               "layer 1"),
      {"63 experts without a number used",
       Code::gguf_key_missing,
       {"expert_used_count"},
       [](LlamaFile& f) { f.set("llama.expert_count", 8u); }},
      {"63 more experts used than there are",
       Code::gguf_hparams,
       {"expert_used_count", "9", "1 to 8"},
       [](LlamaFile& f) {
         f.set("llama.expert_count", 8u);
         f.set("llama.expert_used_count", 9u);
       }},
      {"63 groups that do not divide",
       Code::gguf_hparams,
       {"expert_group_count", "3"},
       [](LlamaFile& f) {
         f.set("llama.expert_count", 8u);
         f.set("llama.expert_used_count", 2u);
         f.set("llama.expert_group_count", 3u);
       }},
      {"63 experts without tensors",
       Code::gguf_tensor_missing,
       {"blk.0.ffn_gate_inp.weight"},
       [](LlamaFile& f) {
         f.set("llama.expert_count", 8u);
         f.set("llama.expert_used_count", 2u);
       }},
      size("63", "expert_count", 5000, Code::gguf_hparams),
      size("64", "attention.sliding_window", 0),
      size("64", "attention.sliding_window", kMax32),
      with_key("65 unknown architecture", "general.architecture", std::string("lama"), Code::gguf_architecture, "lama"),
      with_key("65 empty architecture", "general.architecture", std::string(), Code::gguf_architecture, "llama"),
      with_key("99 adapter", "general.type", std::string("adapter"), Code::gguf_not_a_model, "adapter"),
      with_key("99 projector", "general.type", std::string("mmproj"), Code::gguf_not_a_model, "mmproj"),
      with_key("99 older projector", "general.architecture", std::string("clip"), Code::gguf_architecture, "clip"),
  };
  // Mentions of the tensor, not the key.
  for (Damaged& d : all)
    if (d.name == "62 feed_forward_length = 192") d.mentions = {"blk.0.ffn_gate.weight", "[64 x 160]", "[64 x 192]"};
  return all;
}

List vocabulary_cases() {
  const auto tokens = [](size_t n) {
    return [=](LlamaFile& f) {
      for (auto& [key, value] : f.keys) {
        if (auto* list = std::get_if<std::vector<std::string>>(&value)) list->resize(n, "more");
        if (auto* list = std::get_if<std::vector<float>>(&value)) list->resize(n);
        if (auto* list = std::get_if<std::vector<int32_t>>(&value)) list->resize(n, 1);
      }
    };
  };
  return {{"67 a token less", Code::gguf_vocabulary, {"token_embd.weight", "287", "288"}, tokens(287)},
          {"67 a token more", Code::gguf_vocabulary, {"token_embd.weight", "289", "288"}, tokens(289)},
          {"67 no vocabulary", Code::gguf_vocabulary, {"tokenizer.ggml.tokens", "missing"}, [](LlamaFile& f) {
             f.remove("tokenizer.ggml.tokens");
           }}};
}

List all_cases() {
  List all;
  for (const auto part : {key_cases, number_cases, tensor_cases, size_cases, vocabulary_cases})
    for (Damaged& d : part()) all.push_back(std::move(d));
  return all;
}

std::span<const std::byte> view(const std::string& bytes) { return std::as_bytes(std::span(bytes)); }

TEST(Loader, TheGoodFileLoads) {
  const std::string bytes = good_file().encode();
  const auto model = Model::load(view(bytes));
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_TRUE((*model)->warnings.empty());
  EXPECT_EQ((*model)->facts.vocab, 288);
  EXPECT_EQ((*model)->facts.k_dim, 8);
  EXPECT_EQ((*model)->facts.v_dim, 24);
}

TEST(Loader, RefusesDamagedModels) {
  std::set<std::string> numbers;
  std::set<Code> codes;
  const List cases = all_cases();
  for (const Damaged& d : cases) {
    LlamaFile file = good_file();
    d.change(file);
    const std::string bytes = file.encode();
    const uint64_t before = allocated_bytes();
    const auto model = Model::load(view(bytes));
    EXPECT_LE(allocated_bytes() - before, 2 * bytes.size() + (1 << 20)) << d.name;
    ASSERT_FALSE(model) << d.name << " was loaded";
    EXPECT_EQ(code_name(model.error().code), code_name(d.code)) << d.name << ": " << model.error().message;
    for (const std::string& mention : d.mentions)
      EXPECT_NE(model.error().message.find(mention), std::string::npos)
          << d.name << ": no \"" << mention << "\" in: " << model.error().message;
    numbers.insert(d.name.substr(0, 2));
    codes.insert(d.code);
  }
  std::printf("%zu damaged models of %zu kinds refused with %zu codes\n", cases.size(), numbers.size(), codes.size());
}

TEST(Loader, UnknownTensorsAreWarnedOf) {
  LlamaFile file = good_file();
  file.tensors.push_back({"blk.0.mystery.weight", Type::iq1_m, {256, 3}, {}});
  file.set("llama.block_count", 1u);  // what the file has of a second layer is not used either
  const std::string bytes = file.encode();
  const auto model = Model::load(view(bytes));
  ASSERT_TRUE(model) << model.error().message;
  size_t named = 0, second_layer = 0;
  for (const std::string& warning : (*model)->warnings) {
    named += warning.find("blk.0.mystery.weight") != std::string::npos;
    second_layer += warning.find("blk.1.") != std::string::npos;
  }
  EXPECT_EQ(named, 1u);
  EXPECT_EQ(second_layer, 16u);
  EXPECT_EQ((*model)->warnings.size(), 17u);
}

std::vector<float> logits_of(const LlamaFile& file) {
  const std::string bytes = file.encode();
  const auto model = Model::load(view(bytes));
  EXPECT_TRUE(model) << model.error().message;
  if (!model) return {};
  EXPECT_TRUE((*model)->warnings.empty());
  auto engine = Engine::create(*model, {.forward = {.threads = 1}, .context = 64});
  EXPECT_TRUE(engine);
  return *(*engine)->logits({1, 5, 9, 3}, true);
}

// Files in NVFP4 have them, and so have BitNet's. Half of a product is the product of halves, to the bit.
TEST(Loader, FactorsBesideMatricesAreApplied) {
  const auto plain = logits_of(random_llama({}));
  for (const std::string name : {"blk.0.attn_q", "blk.1.attn_k", "blk.0.attn_v", "blk.0.attn_output", "blk.0.ffn_gate",
                                 "blk.1.ffn_up", "blk.1.ffn_down", "output"}) {
    LlamaFile halved = random_llama({});
    for (float& v : halved.tensor(name + ".weight").values) v *= 0.5f;
    const auto want = logits_of(halved);
    EXPECT_NE(want, plain) << name;
    for (const char* suffix : {".scale", ".weight.scale"}) {
      LlamaFile scaled = random_llama({});
      scaled.tensors.push_back({name + suffix, Type::f32, {1}, {0.5f}});
      scaled.tensors.push_back({name + ".input_scale", Type::f32, {1}, {3.0f}});  // for four-bit activations
      EXPECT_EQ(logits_of(scaled), want) << name << suffix;
    }
  }
}

TEST(Loader, FactorsThatCannotBeAppliedAreRefused) {
  constexpr float kStandsForNan = 12345.6789f;
  const auto load = [&](const char* name, std::vector<float> values) {
    LlamaFile file = random_llama({});
    file.tensors.push_back({name, Type::f32, {values.size()}, values});
    std::string bytes = file.encode();
    // The encoder takes no NaN: this number stands for one.
    const float number = kStandsForNan, nan = NAN;
    const size_t at = bytes.find(std::string(reinterpret_cast<const char*>(&number), 4));
    if (at != bytes.npos) bytes.replace(at, 4, reinterpret_cast<const char*>(&nan), 4);
    return Model::load(view(bytes));
  };
  for (const auto& refused : {load("blk.0.attn_q.scale", {kStandsForNan}), load("blk.0.attn_q.scale", {0.5f, 0.5f}),
                              load("token_embd.scale", {0.5f})}) {
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find(".scale"), std::string::npos) << refused.error().message;
  }
  const auto neutral = load("token_embd.scale", {1.0f});
  ASSERT_TRUE(neutral) << neutral.error().message;
  EXPECT_TRUE((*neutral)->warnings.empty());
  const auto of_nothing = load("blk.0.mystery.scale", {0.5f});
  ASSERT_TRUE(of_nothing) << of_nothing.error().message;
  EXPECT_EQ((*of_nothing)->warnings.size(), 1u);
}

TEST(Loader, KvTypesThatDoNotFitAreReplaced) {
  const std::string bytes = good_file().encode();
  const auto model = Model::load(view(bytes), {.kv_type = KvType::q8_0});
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ((*model)->groups()[0].type, KvType::f16);
  ASSERT_EQ((*model)->warnings.size(), 1u);
  EXPECT_NE((*model)->warnings[0].find("q8_0"), std::string::npos);
}

// A linear factor counts without a type, and under its older name; without scaling it does not.
TEST(Loader, FactorsWithoutATypeAreLinear) {
  using Scaling = RopeFacts::Scaling;
  const auto facts = [](const std::function<void(LlamaFile&)>& change) {
    LlamaFile file = good_file();
    change(file);
    const std::string bytes = file.encode();
    const auto model = Model::load(view(bytes));
    EXPECT_TRUE(model) << model.error().message;
    return model ? (*model)->facts.ropes[0] : RopeFacts{};
  };
  const RopeFacts newer = facts([](LlamaFile& f) { f.set("llama.rope.scaling.factor", 4.0f); });
  EXPECT_EQ(newer.scaling, Scaling::linear);
  EXPECT_EQ(newer.factor, 4);
  const RopeFacts older = facts([](LlamaFile& f) { f.set("llama.rope.scale_linear", 2.0f); });
  EXPECT_EQ(older.scaling, Scaling::linear);
  EXPECT_EQ(older.factor, 2);
  const RopeFacts none = facts([](LlamaFile& f) {
    f.set("llama.rope.scaling.type", std::string("none"));
    f.set("llama.rope.scaling.factor", 4.0f);
  });
  EXPECT_EQ(none.scaling, Scaling::none);
  EXPECT_EQ(none.factor, 1);
}

// Any single number changed: the model is refused, or loads and computes.
TEST(Loader, ChangedNumbersAreRefusedOrComputed) {
  int refused = 0, computed = 0;
  const auto look = [&](const std::string& key, const FileValue& value) {
    LlamaFile file = good_file();
    set_yarn(file);
    file.set(key, value);
    const std::string bytes = file.encode();
    const auto model = Model::load(view(bytes));
    if (!model) {
      EXPECT_FALSE(model.error().message.empty());
      ++refused;
      return;
    }
    EngineOptions options;
    options.forward.threads = 1;
    options.context = 64;
    options.batch_tokens = 8;
    auto engine = Engine::create(*model, options);
    ASSERT_TRUE(engine) << key << ": " << engine.error().message;
    const auto logits = (*engine)->logits({1, 5, 9}, true);
    EXPECT_TRUE(logits) << key << ": " << logits.error().message;
    ++computed;
  };
  LlamaFile base = good_file();
  set_yarn(base);
  base.set("llama.rope.freq_base", 1e4f);
  base.set("llama.attention.sliding_window", 9u);
  for (const char* key : {"attn_factor", "yarn_beta_fast", "yarn_beta_slow", "yarn_ext_factor"})
    base.set(std::string("llama.rope.scaling.") + key, 1.0f);
  for (const auto& [key, value] : base.keys) {
    if (!key.starts_with("llama.")) continue;
    if (std::holds_alternative<uint32_t>(value)) {
      for (const uint32_t bad : {0u,  1u,   2u,   3u,    4u,     6u,       7u,          8u,      16u,        31u,   32u,
                                 64u, 127u, 255u, 4096u, 65536u, 1u << 20, kSign32 - 1, kSign32, kMax32 - 1, kMax32})
        look(key, bad);
    } else {
      for (const float bad :
           {0.0f, -0.0f, -1.0f, 1e-45f, 1e-12f, 1e-3f, 0.5f, 1.0f, 2.0f, 31.0f, 1e6f, 1e12f, 3e38f, kNan, kInfinity})
        look(key, bad);
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(computed, 30);
  std::printf("%d models refused, %d computed\n", refused, computed);
}

}  // namespace
}  // namespace linnet
