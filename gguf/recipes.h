// File recipes: which tensor of a model gets which type when a whole file is converted.
//
// Names, numbers and mixes are those of the GGUF field, so that a file called Q4_K_M holds what it holds elsewhere: the
// output matrix in a finer type, in about half of the layers attn_v and ffn_down too, the rest in the type of the name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "gguf/base/error.h"
#include "gguf/types.h"

namespace linnet {

class Recipe {
 public:
  constexpr Recipe(std::string_view name, uint32_t file_type, Type base, Type finer, Type output)
      : name_(name), file_type_(file_type), base_(base), finer_(finer), output_(output) {}

  // As people write it: "Q4_K_M".
  std::string_view name() const { return name_; }
  // The number of the GGUF key general.file_type.
  uint32_t file_type() const { return file_type_; }
  // Norms, one-dimensional tensors, expert routers and tables of positions or token types stay F32. A row that is no
  // multiple of the type's block takes the nearest type that fits: of 32 values, else F16.
  // `layer` of `layers` is the number in blk.N. and is not read for other tensors; `tied`: the model has no output
  // matrix and uses the token embedding for it.
  Type type_for(std::string_view tensor_name, int32_t layer, int32_t layers, uint64_t row_length, uint32_t dims,
                bool tied) const;

 private:
  std::string_view name_;
  uint32_t file_type_;
  Type base_, finer_, output_;
};

// All of them, from exact to small.
std::span<const Recipe> recipes();
// Their names for help and error texts: "F32, F16, ...".
std::string recipe_names();
// Case-insensitive; the error lists the names.
Result<Recipe> recipe_by_name(std::string_view name);

}  // namespace linnet
