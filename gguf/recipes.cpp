#include "gguf/recipes.h"

#include <cctype>
#include <string>

namespace linnet {
namespace {

constexpr Recipe kRecipes[] = {
    // name, general.file_type, type of most matrices, of attn_v and ffn_down in half of the layers, of the output
    {"F32", 0, Type::f32, Type::f32, Type::f32},        {"F16", 1, Type::f16, Type::f16, Type::f16},
    {"BF16", 32, Type::bf16, Type::bf16, Type::bf16},   {"Q8_0", 7, Type::q8_0, Type::q8_0, Type::q8_0},
    {"Q6_K", 18, Type::q6_k, Type::q6_k, Type::q6_k},   {"Q5_K_M", 17, Type::q5_k, Type::q6_k, Type::q6_k},
    {"Q5_1", 9, Type::q5_1, Type::q5_1, Type::q6_k},    {"Q5_0", 8, Type::q5_0, Type::q5_0, Type::q6_k},
    {"Q4_K_M", 15, Type::q4_k, Type::q6_k, Type::q6_k}, {"Q4_1", 3, Type::q4_1, Type::q4_1, Type::q6_k},
    {"Q4_0", 2, Type::q4_0, Type::q4_0, Type::q6_k},
};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool stays_f32(std::string_view name, uint32_t dims) {
  return dims <= 1 || !name.ends_with(".weight") || contains(name, "norm") || contains(name, "ffn_gate_inp") ||
         name == "position_embd.weight" || name == "token_types.weight";
}

// The first eighth of the layers, the last one, and every third of those between.
bool finer_layer(int32_t layer, int32_t layers) {
  const int32_t first = layers / 8, last = static_cast<int32_t>(int64_t(layers) * 7 / 8);
  return layer < first || layer >= last || (layer - first) % 3 == 2;
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
    default:
      return type;
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

}  // namespace

Type Recipe::type_for(std::string_view tensor_name, int32_t layer, int32_t layers, uint64_t row_length, uint32_t dims,
                      bool tied) const {
  if (stays_f32(tensor_name, dims)) return Type::f32;
  Type type = base_;
  if (tensor_name == "output.weight" || (tied && tensor_name == "token_embd.weight")) {
    type = output_;
  } else if ((contains(tensor_name, ".attn_v.") || contains(tensor_name, ".ffn_down")) && finer_layer(layer, layers)) {
    type = finer_;
  }
  if (!fits(type, row_length)) type = narrower(type);
  return fits(type, row_length) ? type : Type::f16;
}

std::span<const Recipe> recipes() { return kRecipes; }

std::string recipe_names() {
  std::string names;
  for (const Recipe& recipe : kRecipes) names += (names.empty() ? "" : ", ") + std::string(recipe.name());
  return names;
}

Result<Recipe> recipe_by_name(std::string_view name) {
  for (const Recipe& recipe : kRecipes)
    if (same(recipe.name(), name)) return recipe;
  return fail(Code::invalid_argument, "no recipe is called '{}': expected one of {}", name, recipe_names());
}

}  // namespace linnet
