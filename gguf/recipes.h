// File recipes: which tensor of a model gets which type when a whole file is converted.
//
// Names, numbers and mixes are those of the GGUF field, so that a file called Q4_K_M holds what it holds elsewhere. A
// recipe is the type of most matrices and rules for the parts that lose more by it; docs/quantization.md says why.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gguf/base/error.h"
#include "gguf/types.h"

namespace linnet {

class Gguf;

// What the rules look at beside a tensor's name.
struct RecipeModel {
  int32_t layers = 0;
  int64_t queries_per_key = 1;  // query heads per key head
  int64_t experts = 0;
  bool tied = false;        // no output matrix: the token embedding is used for it
  bool importance = false;  // an importance matrix is used
};
RecipeModel recipe_model(const Gguf& file);

// Where a rule applies: the output matrix, the token embedding, the projections of attention, the FFN's, experts' of all
// three kinds.
enum RecipePart : uint32_t {
  kPartOutput = 1,
  kPartEmbedding = 2,
  kPartQ = 4,
  kPartK = 8,
  kPartV = 16,
  kPartQkv = 32,
  kPartAttnOutput = 64,
  kPartGate = 128,
  kPartUp = 256,
  kPartDown = 512,
  kPartExperts = 1024,
};

enum class RecipeLayers : uint8_t {
  all,
  first_two,
  first_four,
  first_sixteenth,
  first_eighth,
  middle,  // without the first and the last eighth
  half,    // the first eighth, the last one, and every third of those between
};

enum class RecipeWhen : uint8_t {
  always,
  grouped,         // at least four query heads share a key head
  grouped_or_moe,  // or there are at least four experts
  eight_experts,
  plain,      // no importance matrix
  important,  // an importance matrix
};

struct RecipeRule {
  uint32_t parts;
  RecipeLayers layers;
  RecipeWhen when;
  Type type;
};

struct Recipe {
  std::string_view name;              // as people write it: "Q4_K_M"
  uint32_t file_type;                 // the number of the GGUF key general.file_type
  Type base;                          // of what no rule names
  std::span<const RecipeRule> rules;  // the first that applies counts
  bool wants_importance = false;      // hardly usable without an importance matrix

  // Norms, one-dimensional tensors, expert routers and tables of positions or token types stay F32. A row that is no
  // multiple of the type's block takes the nearest type that fits: of 32 values, else F16.
  // `layer` is the number in blk.N., -1 for other tensors.
  Type type_for(std::string_view tensor_name, int32_t layer, uint64_t row_length, uint32_t dims,
                const RecipeModel& model) const;
};

// The number in "blk.12.attn_q.weight", or -1.
int32_t layer_of(std::string_view tensor_name);

// All of them, from exact to small.
std::span<const Recipe> recipes();
// Their names for help and error texts: "F32, F16, ...".
std::string recipe_names();
// Case-insensitive; the error lists the names.
Result<Recipe> recipe_by_name(std::string_view name);

}  // namespace linnet
