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

TEST(Recipes, NamesAndFileTypes) {
  const std::map<std::string, uint32_t> numbers = {{"F32", 0},     {"F16", 1},   {"Q4_0", 2}, {"Q4_1", 3},
                                                   {"Q8_0", 7},    {"Q5_0", 8},  {"Q5_1", 9}, {"Q4_K_M", 15},
                                                   {"Q5_K_M", 17}, {"Q6_K", 18}, {"BF16", 32}};
  EXPECT_EQ(recipes().size(), numbers.size());
  for (const auto& [name, number] : numbers) EXPECT_EQ(recipe(name).file_type(), number) << name;
  EXPECT_EQ(recipe("q4_k_m").name(), "Q4_K_M");
  const Result<Recipe> unknown = recipe_by_name("Q4_K_X");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("'Q4_K_X'"), std::string::npos);
  EXPECT_NE(unknown.error().message.find("Q4_K_M, "), std::string::npos) << unknown.error().message;
}

TEST(Recipes, WhatStaysFloat) {
  for (const Recipe& r : recipes()) {
    EXPECT_EQ(r.type_for("blk.0.attn_norm.weight", 0, 8, 2048, 1, false), Type::f32);
    EXPECT_EQ(r.type_for("blk.0.attn_q.bias", 0, 8, 2048, 1, false), Type::f32);
    EXPECT_EQ(r.type_for("blk.0.attn_q_norm.weight", 0, 8, 128, 2, false), Type::f32);
    EXPECT_EQ(r.type_for("blk.0.ffn_gate_inp.weight", 0, 8, 2048, 2, false), Type::f32);
    EXPECT_EQ(r.type_for("rope_freqs.weight", 0, 8, 64, 1, false), Type::f32);
    EXPECT_EQ(r.type_for("position_embd.weight", 0, 8, 768, 2, false), Type::f32);
  }
}

TEST(Recipes, PlainTypes) {
  for (const char* name : {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q6_K"}) {
    const Type type = type_by_name(name)->type;
    for (const char* tensor : {"token_embd.weight", "blk.0.attn_v.weight", "blk.0.ffn_down.weight"})
      EXPECT_EQ(recipe(name).type_for(tensor, 0, 8, 2048, 2, false), type) << name << " " << tensor;
  }
  EXPECT_EQ(recipe("Q4_0").type_for("output.weight", 0, 8, 2048, 2, false), Type::q6_k);
  EXPECT_EQ(recipe("Q8_0").type_for("output.weight", 0, 8, 2048, 2, false), Type::q8_0);
  EXPECT_EQ(recipe("F16").type_for("output.weight", 0, 8, 2048, 2, false), Type::f16);
}

TEST(Recipes, Mixes) {
  const Recipe r = recipe("Q4_K_M");
  std::string v, down;
  for (int layer = 0; layer < 32; ++layer) {
    v += r.type_for("blk.7.attn_v.weight", layer, 32, 4096, 2, false) == Type::q6_k ? '6' : '4';
    down += r.type_for("blk.7.ffn_down.weight", layer, 32, 14336, 2, false) == Type::q6_k ? '6' : '4';
    EXPECT_EQ(r.type_for("blk.7.ffn_up.weight", layer, 32, 4096, 2, false), Type::q4_k);
    EXPECT_EQ(r.type_for("blk.7.attn_q.weight", layer, 32, 4096, 2, false), Type::q4_k);
  }
  EXPECT_EQ(v, "66664464464464464464464464466666");
  EXPECT_EQ(down, v);
  EXPECT_EQ(r.type_for("output.weight", 0, 32, 4096, 2, false), Type::q6_k);
  EXPECT_EQ(r.type_for("token_embd.weight", 0, 32, 4096, 2, false), Type::q4_k);
  EXPECT_EQ(r.type_for("token_embd.weight", 0, 32, 4096, 2, true), Type::q6_k);
  EXPECT_EQ(r.type_for("blk.0.ffn_down_exps.weight", 0, 32, 4096, 3, false), Type::q6_k);
  EXPECT_EQ(recipe("Q5_K_M").type_for("blk.4.attn_v.weight", 4, 32, 4096, 2, false), Type::q5_k);
  EXPECT_EQ(recipe("Q5_K_M").type_for("blk.0.attn_v.weight", 0, 32, 4096, 2, false), Type::q6_k);
}

TEST(Recipes, RowsThatDoNotFit) {
  const auto type = [](const char* name, const char* tensor, uint64_t row) {
    return recipe(name).type_for(tensor, 5, 32, row, 2, false);
  };
  EXPECT_EQ(type("Q4_K_M", "blk.5.ffn_up.weight", 288), Type::q5_0);
  EXPECT_EQ(type("Q5_K_M", "blk.5.ffn_up.weight", 288), Type::q5_1);
  EXPECT_EQ(type("Q6_K", "blk.5.ffn_up.weight", 288), Type::q8_0);
  EXPECT_EQ(type("Q4_0", "output.weight", 288), Type::q8_0);
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
          const Type type = r.type_for(tensor, layer, 5, row, 2, layer % 2 == 0);
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
