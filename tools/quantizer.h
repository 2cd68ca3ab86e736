// Turns tensors into other types, row by row, on several threads.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "gguf/base/aligned.h"
#include "gguf/reader.h"
#include "gguf/recipes.h"
#include "gguf/writer.h"
#include "kernels/cpu/pool.h"

namespace linnet {

class Quantizer {
 public:
  static Result<Quantizer> create(int32_t threads);  // 0: all cores

  // Appends `t` to `out` as `type`. `progress` is told of source bytes done and may return false to stop.
  Status convert(const Tensor& t, Type type, Writer& out, const std::function<bool(uint64_t)>& progress);

 private:
  Quantizer() = default;
  // rows x cols of `t` from `first` on, into out_.
  Status encode_slab(const Tensor& t, Type type, int64_t first, int64_t rows);

  std::unique_ptr<Pool> pool_;
  std::vector<float> values_;
  std::vector<std::byte> out_;
};

// The type of every tensor under a recipe, in file order; an error names the tensor whose type cannot be read.
Result<std::vector<Type>> tensor_types(const Gguf& file, const Recipe& recipe);

}  // namespace linnet
