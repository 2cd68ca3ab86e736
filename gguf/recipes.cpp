#include "gguf/recipes.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <string>

#include "gguf/reader.h"

namespace linnet {
namespace {

using L = RecipeLayers;
using W = RecipeWhen;
using Rule = RecipeRule;

constexpr uint32_t kPartFfn = kPartGate | kPartUp | kPartDown;

// With eight experts the matrices of attention are a small part of the file.
constexpr Rule kEightV{kPartV, L::all, W::eight_experts, Type::q8_0};
constexpr Rule kEightK{kPartK, L::all, W::eight_experts, Type::q8_0};
constexpr Rule kEightOut{kPartAttnOutput, L::all, W::eight_experts, Type::q5_k};
constexpr Rule kOutputQ6{kPartOutput, L::all, W::always, Type::q6_k};
constexpr Rule kOutputQ5{kPartOutput, L::all, W::always, Type::q5_k};

constexpr Rule kOutputOnly[] = {kOutputQ6};
constexpr Rule kSameOutput[] = {{kPartOutput, L::all, W::always, Type::q8_0}};
// An importance matrix says little about 32 values with one scale, so the first layers get a minimum beside it.
constexpr Rule kQ4_0[] = {kOutputQ6, {kPartDown, L::first_eighth, W::important, Type::q4_1}};
constexpr Rule kQ5_0[] = {kOutputQ6, {kPartDown, L::first_eighth, W::important, Type::q5_1}};
constexpr Rule kSixBits[] = {kOutputQ6, kEightV, kEightK};
constexpr Rule kQ5_K_M[] = {kOutputQ6,
                            kEightV,
                            kEightK,
                            {kPartV | kPartDown, L::half, W::always, Type::q6_k},
                            {kPartQkv, L::all, W::always, Type::q6_k}};
constexpr Rule kQ4_K_M[] = {kOutputQ6,
                            kEightV,
                            kEightK,
                            kEightOut,
                            {kPartV | kPartDown, L::half, W::always, Type::q6_k},
                            {kPartQkv, L::all, W::always, Type::q5_k}};
constexpr Rule kQ4_K_S[] = {kOutputQ6,
                            kEightV,
                            kEightK,
                            kEightOut,
                            {kPartV, L::first_four, W::always, Type::q5_k},
                            {kPartDown, L::first_eighth, W::always, Type::q5_k}};
constexpr Rule kIq4[] = {kOutputQ6,
                         kEightV,
                         kEightK,
                         kEightOut,
                         {kPartV, L::all, W::grouped, Type::q5_k},
                         {kPartDown, L::first_eighth, W::plain, Type::q5_k}};
constexpr Rule kQ3_K_L[] = {kOutputQ6,
                            kEightV,
                            kEightK,
                            {kPartV | kPartDown | kPartAttnOutput, L::all, W::always, Type::q5_k},
                            {kPartQkv, L::all, W::always, Type::q4_k}};
constexpr Rule kQ3_K_M[] = {kOutputQ6,
                            kEightV,
                            kEightK,
                            kEightOut,
                            {kPartV, L::first_two, W::always, Type::q5_k},
                            {kPartDown, L::first_sixteenth, W::always, Type::q5_k},
                            {kPartV | kPartDown | kPartAttnOutput | kPartQkv, L::all, W::always, Type::q4_k}};
constexpr Rule kQ3_K_S[] = {kOutputQ6, kEightV, kEightK, kEightOut};
constexpr Rule kIQ3_M[] = {kOutputQ6,
                           kEightV,
                           kEightK,
                           kEightOut,
                           {kPartV | kPartAttnOutput | kPartQkv, L::all, W::always, Type::q4_k},
                           {kPartDown, L::first_eighth, W::always, Type::q4_k},
                           {kPartDown, L::half, W::eight_experts, Type::q4_k}};
constexpr Rule kIQ3_S[] = {kOutputQ6, kEightV, kEightK, kEightOut, {kPartV, L::all, W::grouped, Type::q4_k}};
constexpr Rule kIQ3_XS[] = {kOutputQ6,
                            kEightV,
                            kEightK,
                            kEightOut,
                            {kPartV, L::all, W::grouped, Type::q4_k},
                            {kPartQ | kPartK, L::all, W::always, Type::iq3_xxs},
                            {kPartGate | kPartUp, L::middle, W::always, Type::iq3_xxs}};
constexpr Rule kIQ3_XXS[] = {kOutputQ5,
                             {kPartEmbedding, L::all, W::always, Type::iq3_s},
                             kEightV,
                             kEightK,
                             kEightOut,
                             {kPartV, L::all, W::grouped, Type::q4_k},
                             {kPartV, L::all, W::plain, Type::iq3_s},
                             {kPartQ | kPartK, L::all, W::always, Type::iq2_s},
                             {kPartDown, L::first_eighth, W::plain, Type::q4_k},
                             {kPartDown, L::all, W::plain, Type::q3_k},
                             {kPartAttnOutput, L::all, W::always, Type::iq3_s}};
constexpr Rule kQ2_K[] = {kOutputQ6,
                          kEightV,
                          kEightK,
                          kEightOut,
                          {kPartV, L::all, W::grouped, Type::q4_k},
                          {kPartV | kPartDown | kPartAttnOutput, L::all, W::always, Type::q3_k}};
constexpr Rule kQ2_K_S[] = {kOutputQ6,
                            kEightV,
                            kEightK,
                            {kPartV, L::all, W::grouped, Type::q4_k},
                            {kPartDown, L::first_eighth, W::always, Type::q4_k}};
// Of two bits and less: with types of more bits where few values are.
constexpr Rule kIQ2_S[] = {kOutputQ5,
                           {kPartEmbedding, L::all, W::always, Type::iq3_s},
                           {kPartV, L::all, W::grouped_or_moe, Type::q4_k},
                           {kPartK, L::all, W::eight_experts, Type::q4_k},
                           kEightOut,
                           {kPartV | kPartAttnOutput, L::all, W::always, Type::iq3_s},
                           {kPartDown, L::first_eighth, W::always, Type::iq3_s}};
constexpr Rule kIQ2_XS[] = {kOutputQ5,
                            {kPartEmbedding, L::all, W::always, Type::q2_k},
                            {kPartV, L::all, W::grouped_or_moe, Type::q4_k},
                            {kPartK, L::all, W::eight_experts, Type::q4_k},
                            kEightOut,
                            {kPartV, L::all, W::always, Type::q2_k},
                            {kPartDown, L::first_eighth, W::always, Type::q2_k}};
constexpr Rule kIQ1[] = {kOutputQ5,
                         {kPartEmbedding, L::all, W::always, Type::q2_k},
                         {kPartV, L::all, W::grouped_or_moe, Type::q4_k},
                         {kPartK, L::all, W::eight_experts, Type::q4_k},
                         kEightOut,
                         {kPartV, L::all, W::always, Type::q2_k},
                         {kPartDown, L::first_eighth, W::always, Type::q2_k},
                         {kPartAttnOutput, L::all, W::always, Type::iq2_xxs}};
// For models that were trained on three values.
constexpr Rule kTernary[] = {kOutputQ6, {kPartEmbedding, L::all, W::always, Type::q4_k}};
// As gpt-oss was published: the experts alone are of four bits.
constexpr Rule kMxfp4Moe[] = {{kPartExperts, L::all, W::always, Type::mxfp4}};

constexpr Recipe kRecipes[] = {
    {"F32", 0, Type::f32, {}},
    {"F16", 1, Type::f16, {}},
    {"BF16", 32, Type::bf16, {}},
    {"Q8_0", 7, Type::q8_0, kSameOutput},
    {"Q6_K", 18, Type::q6_k, kSixBits},
    {"Q5_K_M", 17, Type::q5_k, kQ5_K_M},
    {"Q5_K_S", 16, Type::q5_k, kSixBits},
    {"Q5_1", 9, Type::q5_1, kOutputOnly},
    {"Q5_0", 8, Type::q5_0, kQ5_0},
    {"Q4_K_M", 15, Type::q4_k, kQ4_K_M},
    {"Q4_K_S", 14, Type::q4_k, kQ4_K_S},
    {"Q4_1", 3, Type::q4_1, kOutputOnly},
    {"Q4_0", 2, Type::q4_0, kQ4_0},
    {"IQ4_NL", 25, Type::iq4_nl, kIq4},
    {"IQ4_XS", 30, Type::iq4_xs, kIq4},
    {"MXFP4_MOE", 38, Type::q8_0, kMxfp4Moe},
    {"Q3_K_L", 13, Type::q3_k, kQ3_K_L},
    {"Q3_K_M", 12, Type::q3_k, kQ3_K_M},
    {"Q3_K_S", 11, Type::q3_k, kQ3_K_S},
    {"IQ3_M", 27, Type::iq3_s, kIQ3_M},
    {"IQ3_S", 26, Type::iq3_s, kIQ3_S},
    {"IQ3_XS", 22, Type::iq3_s, kIQ3_XS},
    {"IQ3_XXS", 23, Type::iq3_xxs, kIQ3_XXS},
    {"Q2_K", 10, Type::q2_k, kQ2_K},
    {"Q2_K_S", 21, Type::q2_k, kQ2_K_S, true},
    {"IQ2_M", 29, Type::iq2_s, kIQ2_S, true},
    {"IQ2_S", 28, Type::iq2_xs, kIQ2_S, true},
    {"IQ2_XS", 20, Type::iq2_xs, kIQ2_XS, true},
    {"IQ2_XXS", 19, Type::iq2_xxs, kIQ2_XS, true},
    {"TQ2_0", 37, Type::tq2_0, kTernary},
    {"TQ1_0", 36, Type::tq1_0, kTernary},
    {"IQ1_M", 31, Type::iq1_m, kIQ1, true},
    {"IQ1_S", 24, Type::iq1_s, kIQ1, true},
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool stays_f32(std::string_view name, uint32_t dims) {
  return dims <= 1 || !name.ends_with(".weight") || contains(name, "norm") || contains(name, "ffn_gate_inp") ||
         contains(name, "ssm_conv1d") || name == "position_embd.weight" || name == "token_types.weight";
}

// All parts that a tensor is.
uint32_t parts_of(std::string_view name, uint32_t dims, bool tied) {
  if (name == "output.weight" || (tied && name == "token_embd.weight")) return kPartOutput;
  if (name == "token_embd.weight") return kPartEmbedding;
  static constexpr struct {
    std::string_view text;
    uint32_t part;
  } kNames[] = {
      {".attn_qkv.", kPartQkv},           {".attn_q.", kPartQ},     {".attn_k.", kPartK}, {".attn_v.", kPartV},
      {".attn_output.", kPartAttnOutput}, {".ffn_gate", kPartGate}, {".ffn_up", kPartUp}, {".ffn_down", kPartDown}};
  for (const auto& [text, part] : kNames)
    if (contains(name, text)) return dims == 3 && (part & kPartFfn) != 0 ? part | kPartExperts : part;
  return 0;
}

bool in(RecipeLayers where, int32_t layer, int32_t layers) {
  const int32_t first = layers / 8, last = static_cast<int32_t>(int64_t(layers) * 7 / 8);
  switch (where) {
    case L::all:
      return true;
    case L::first_two:
      return layer < 2;
    case L::first_four:
      return layer < 4;
    case L::first_sixteenth:
      return layer < layers / 16;
    case L::first_eighth:
      return layer < first;
    case L::middle:
      return layer >= first && layer < last;
    case L::half:
      return layer < first || layer >= last || (layer - first) % 3 == 2;
  }
  return false;
}

bool holds(RecipeWhen when, const RecipeModel& m) {
  switch (when) {
    case W::always:
      return true;
    case W::grouped:
      return m.queries_per_key >= 4;
    case W::grouped_or_moe:
      return m.queries_per_key >= 4 || m.experts >= 4;
    case W::eight_experts:
      return m.experts == 8;
    case W::plain:
      return !m.importance;
    case W::important:
      return m.importance;
  }
  return false;
}

// The type of 32 values per block that comes next above a type of 256.
Type narrower(Type type) {
  switch (type) {
    case Type::q4_k:
      return Type::q5_0;
    case Type::q5_k:
      return Type::q5_1;
    case Type::q6_k:
      return Type::q8_0;
    case Type::tq1_0:
    case Type::tq2_0:
      return Type::q4_0;
    default:
      return type_info(type)->block_values == 256 ? Type::iq4_nl : type;
  }
}

bool fits(Type type, uint64_t row_length) { return row_length % uint64_t(type_info(type)->block_values) == 0; }

bool same(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::toupper(static_cast<unsigned char>(a[i])) != std::toupper(static_cast<unsigned char>(b[i]))) return false;
  }
  return true;
}

// The first number above 0 of a key, which may be an array of one per layer; 0 where there is none.
int64_t first_number(const Gguf& file, const std::string& key) {
  const Value* value = file.find(key);
  if (value == nullptr || !value->is_integer()) return 0;
  for (uint64_t i = 0; i < value->count; ++i)
    if (value->integer(i) > 0) return value->integer(i);
  return 0;
}

}  // namespace

int32_t layer_of(std::string_view tensor_name) {
  if (!tensor_name.starts_with("blk.")) return -1;
  int32_t layer = -1;
  std::from_chars(tensor_name.data() + 4, tensor_name.data() + tensor_name.size(), layer);
  return layer;
}

RecipeModel recipe_model(const Gguf& file) {
  RecipeModel m;
  for (const Tensor& t : file.tensors()) m.layers = std::max(m.layers, layer_of(t.name) + 1);
  m.tied = file.tensor("output.weight") == nullptr;
  const Value* name = file.find("general.architecture");
  if (name == nullptr || name->type != ValueType::string) return m;
  const std::string prefix = std::string(name->string()) + ".";
  const int64_t heads = first_number(file, prefix + "attention.head_count");
  const int64_t kv_heads = first_number(file, prefix + "attention.head_count_kv");
  if (heads > 0 && kv_heads > 0) m.queries_per_key = heads / kv_heads;
  m.experts = first_number(file, prefix + "expert_count");
  return m;
}

Type Recipe::type_for(std::string_view tensor_name, int32_t layer, uint64_t row_length, uint32_t dims,
                      const RecipeModel& model) const {
  if (stays_f32(tensor_name, dims)) return Type::f32;
  const uint32_t parts = parts_of(tensor_name, dims, model.tied);
  const auto applies = [&](const RecipeRule& r) {
    return (r.parts & parts) != 0 && in(r.layers, layer, model.layers) && holds(r.when, model);
  };
  const auto rule = std::find_if(rules.begin(), rules.end(), applies);
  Type type = rule != rules.end() ? rule->type : base;
  if (!fits(type, row_length)) type = parts == kPartOutput ? Type::q8_0 : narrower(type);
  return fits(type, row_length) ? type : Type::f16;
}

std::span<const Recipe> recipes() { return kRecipes; }

std::string recipe_names() {
  std::string names;
  for (const Recipe& recipe : kRecipes) names += (names.empty() ? "" : ", ") + std::string(recipe.name);
  return names;
}

Result<Recipe> recipe_by_name(std::string_view name) {
  for (const Recipe& recipe : kRecipes)
    if (same(recipe.name, name)) return recipe;
  return fail(Code::invalid_argument, "no recipe is called '{}': expected one of {}", name, recipe_names());
}

}  // namespace linnet
