#include "gguf/recipes.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "gguf/codec.h"

namespace linnet {
namespace {

Recipe recipe(std::string_view name) {
  Result<Recipe> r = recipe_by_name(name);
  EXPECT_TRUE(r) << r.error().message;
  return r ? *r : recipes()[0];
}

// Of a model with 32 layers, if nothing else is said.
Type type_of(std::string_view name, std::string_view tensor, RecipeModel model = {.layers = 32}, int layer = 5,
             uint64_t row = 4096, uint32_t dims = 2) {
  return recipe(name).type_for(tensor, layer, row, dims, model);
}

// The types of a tensor in all layers, a letter each: the other of the two where it is not the base.
std::string layers_of(std::string_view name, std::string_view tensor, RecipeModel model = {.layers = 32}) {
  std::map<Type, char> letters = {{recipe(name).base, '.'}};
  std::string text;
  for (int layer = 0; layer < model.layers; ++layer) {
    const Type type = type_of(name, tensor, model, layer);
    letters.emplace(type, static_cast<char>('a' + letters.size() - 1));
    text += letters[type];
  }
  return text;
}

TEST(Recipes, NamesAndFileTypes) {
  // The numbers of general.file_type as the GGUF specification lists them.
  const std::map<std::string, uint32_t> numbers = {
      {"F32", 0},     {"F16", 1},     {"Q4_0", 2},      {"Q4_1", 3},    {"Q8_0", 7},     {"Q5_0", 8},
      {"Q5_1", 9},    {"Q2_K", 10},   {"Q3_K_S", 11},   {"Q3_K_M", 12}, {"Q3_K_L", 13},  {"Q4_K_S", 14},
      {"Q4_K_M", 15}, {"Q5_K_S", 16}, {"Q5_K_M", 17},   {"Q6_K", 18},   {"IQ2_XXS", 19}, {"IQ2_XS", 20},
      {"Q2_K_S", 21}, {"IQ3_XS", 22}, {"IQ3_XXS", 23},  {"IQ1_S", 24},  {"IQ4_NL", 25},  {"IQ3_S", 26},
      {"IQ3_M", 27},  {"IQ2_S", 28},  {"IQ2_M", 29},    {"IQ4_XS", 30}, {"IQ1_M", 31},   {"BF16", 32},
      {"TQ1_0", 36},  {"TQ2_0", 37},  {"MXFP4_MOE", 38}};
  EXPECT_EQ(recipes().size(), numbers.size());
  for (const auto& [name, number] : numbers) EXPECT_EQ(recipe(name).file_type, number) << name;
  EXPECT_EQ(recipe("q4_k_m").name, "Q4_K_M");
  const Result<Recipe> unknown = recipe_by_name("Q4_K_X");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("'Q4_K_X'"), std::string::npos);
  EXPECT_NE(unknown.error().message.find("Q4_K_M, "), std::string::npos) << unknown.error().message;
}

TEST(Recipes, WhatStaysFloat) {
  for (const Recipe& r : recipes()) {
    for (const char* name : {"blk.0.attn_norm.weight", "rope_freqs.weight"})
      EXPECT_EQ(type_of(r.name, name, {.layers = 8}, 0, 2048, 1), Type::f32) << r.name;
    for (const char* name : {"blk.0.attn_q_norm.weight", "blk.0.ffn_gate_inp.weight", "position_embd.weight",
                             "blk.0.ffn_down_exps.bias", "blk.0.ssm_conv1d.weight"})
      EXPECT_EQ(type_of(r.name, name, {.layers = 8}, 0, 2048, 2), Type::f32) << r.name << " " << name;
  }
}

TEST(Recipes, PlainTypes) {
  for (const char* name : {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q6_K"}) {
    const Type type = type_by_name(name)->type;
    for (const char* tensor : {"token_embd.weight", "blk.0.attn_v.weight", "blk.0.ffn_down.weight"})
      EXPECT_EQ(type_of(name, tensor), type) << name << " " << tensor;
  }
  EXPECT_EQ(type_of("Q4_0", "output.weight"), Type::q6_k);
  EXPECT_EQ(type_of("Q8_0", "output.weight"), Type::q8_0);
  EXPECT_EQ(type_of("F16", "output.weight"), Type::f16);
  EXPECT_EQ(type_of("Q4_0", "blk.0.ffn_down.weight", {.layers = 32, .importance = true}, 0), Type::q4_1);
}

TEST(Recipes, Mixes) {
  EXPECT_EQ(layers_of("Q4_K_M", "blk.7.attn_v.weight"), "aaaa..a..a..a..a..a..a..a..aaaaa");
  EXPECT_EQ(layers_of("Q4_K_M", "blk.7.ffn_down.weight"), layers_of("Q4_K_M", "blk.7.attn_v.weight"));
  EXPECT_EQ(layers_of("Q4_K_M", "blk.7.ffn_up.weight"), std::string(32, '.'));
  EXPECT_EQ(type_of("Q4_K_M", "blk.0.attn_v.weight", {.layers = 32}, 0), Type::q6_k);
  EXPECT_EQ(type_of("Q4_K_M", "blk.0.attn_qkv.weight"), Type::q5_k);
  EXPECT_EQ(type_of("Q4_K_M", "output.weight"), Type::q6_k);
  EXPECT_EQ(type_of("Q4_K_M", "token_embd.weight"), Type::q4_k);
  EXPECT_EQ(type_of("Q4_K_M", "token_embd.weight", {.layers = 32, .tied = true}), Type::q6_k);
  EXPECT_EQ(type_of("Q4_K_M", "blk.0.ffn_down_exps.weight", {.layers = 32}, 0, 4096, 3), Type::q6_k);
  EXPECT_EQ(layers_of("Q4_K_S", "blk.7.attn_v.weight"), "aaaa" + std::string(28, '.'));
  EXPECT_EQ(layers_of("Q5_K_S", "blk.7.attn_v.weight"), std::string(32, '.'));
  EXPECT_EQ(layers_of("Q3_K_M", "blk.7.attn_v.weight"), "aa" + std::string(30, 'b'));
  EXPECT_EQ(type_of("Q3_K_M", "blk.0.ffn_down.weight", {.layers = 32}, 1), Type::q5_k);
  EXPECT_EQ(type_of("Q3_K_M", "blk.0.ffn_down.weight", {.layers = 32}, 2), Type::q4_k);
  EXPECT_EQ(layers_of("Q3_K_L", "blk.7.attn_output.weight"), std::string(32, 'a'));
  EXPECT_EQ(type_of("Q2_K", "blk.0.ffn_down.weight"), Type::q3_k);
  EXPECT_EQ(type_of("Q2_K", "blk.0.ffn_up.weight"), Type::q2_k);
  EXPECT_EQ(layers_of("IQ3_XS", "blk.7.ffn_up.weight"), "...." + std::string(24, 'a') + "....");
  EXPECT_EQ(type_of("IQ2_M", "blk.0.ffn_up.weight"), Type::iq2_s);
  EXPECT_EQ(type_of("IQ2_S", "blk.0.ffn_up.weight"), Type::iq2_xs);
  EXPECT_EQ(type_of("IQ1_S", "blk.0.attn_output.weight"), Type::iq2_xxs);
  EXPECT_EQ(type_of("TQ2_0", "token_embd.weight"), Type::q4_k);
}

TEST(Recipes, WhatTheModelIsLike) {
  const RecipeModel grouped{.layers = 32, .queries_per_key = 4}, eight{.layers = 32, .experts = 8},
      important{.layers = 32, .importance = true};
  EXPECT_EQ(type_of("Q2_K", "blk.0.attn_v.weight", grouped), Type::q4_k);
  EXPECT_EQ(type_of("Q2_K", "blk.0.attn_v.weight"), Type::q3_k);
  EXPECT_EQ(type_of("IQ4_XS", "blk.0.attn_v.weight", grouped), Type::q5_k);
  EXPECT_EQ(type_of("IQ4_XS", "blk.0.attn_v.weight"), Type::iq4_xs);
  EXPECT_EQ(type_of("Q4_K_M", "blk.5.attn_v.weight", eight), Type::q8_0);
  EXPECT_EQ(type_of("Q4_K_M", "blk.5.attn_k.weight", eight), Type::q8_0);
  EXPECT_EQ(type_of("Q4_K_M", "blk.5.attn_output.weight", eight), Type::q5_k);
  EXPECT_EQ(type_of("IQ2_XS", "blk.5.attn_v.weight", {.layers = 32, .experts = 64}), Type::q4_k);
  EXPECT_EQ(layers_of("IQ4_NL", "blk.7.ffn_down.weight"), "aaaa" + std::string(28, '.'));
  EXPECT_EQ(layers_of("IQ4_NL", "blk.7.ffn_down.weight", important), std::string(32, '.'));
  EXPECT_EQ(type_of("IQ3_XXS", "blk.5.ffn_down.weight"), Type::q3_k);
  EXPECT_EQ(type_of("IQ3_XXS", "blk.5.ffn_down.weight", important), Type::iq3_xxs);
  EXPECT_EQ(type_of("MXFP4_MOE", "blk.5.ffn_down_exps.weight", eight, 5, 4096, 3), Type::mxfp4);
  EXPECT_EQ(type_of("MXFP4_MOE", "blk.5.attn_q.weight", eight), Type::q8_0);
}

TEST(Recipes, RowsThatDoNotFit) {
  const auto type = [](const char* name, const char* tensor, uint64_t row) {
    return type_of(name, tensor, {.layers = 32}, 5, row);
  };
  EXPECT_EQ(type("Q4_K_M", "blk.5.ffn_up.weight", 288), Type::q5_0);
  EXPECT_EQ(type("Q5_K_M", "blk.5.ffn_up.weight", 288), Type::q5_1);
  EXPECT_EQ(type("Q6_K", "blk.5.ffn_up.weight", 288), Type::q8_0);
  EXPECT_EQ(type("Q2_K", "blk.5.ffn_up.weight", 288), Type::iq4_nl);
  EXPECT_EQ(type("IQ2_XXS", "blk.5.ffn_up.weight", 288), Type::iq4_nl);
  EXPECT_EQ(type("TQ1_0", "blk.5.ffn_up.weight", 288), Type::q4_0);
  EXPECT_EQ(type("Q4_0", "output.weight", 288), Type::q8_0);
  EXPECT_EQ(type("IQ2_XXS", "output.weight", 288), Type::q8_0);
  EXPECT_EQ(type("Q4_0", "blk.5.ffn_up.weight", 172), Type::f16);
  EXPECT_EQ(type("Q4_K_M", "blk.5.ffn_up.weight", 172), Type::f16);
  EXPECT_EQ(type("F32", "blk.5.ffn_up.weight", 172), Type::f32);
  EXPECT_EQ(type("BF16", "blk.5.ffn_up.weight", 172), Type::bf16);
}

// Whatever a recipe says can be encoded, and fits the row.
TEST(Recipes, GiveEncodableTypes) {
  int cases = 0;
  for (const Recipe& r : recipes()) {
    for (const char* tensor : {"output.weight", "token_embd.weight", "blk.3.attn_v.weight", "blk.3.attn_output.weight",
                               "blk.3.ffn_down.weight", "blk.3.ssm_a", ""}) {
      for (const uint64_t row : {1u, 31u, 32u, 64u, 172u, 256u, 288u, 4096u}) {
        for (int layer = -1; layer < 6; ++layer) {
          const Type type = r.type_for(tensor, layer, row, 2, {.layers = 5, .tied = layer % 2 == 0});
          ASSERT_NE(codec(type), nullptr);
          EXPECT_EQ(row % uint64_t(type_info(type)->block_values), 0u);
          ++cases;
        }
      }
    }
  }
  std::printf("%d tensors typed\n", cases);
}

}  // namespace
}  // namespace linnet
