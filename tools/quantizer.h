// Turns tensors into other types, row by row, on several threads.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "gguf/importance.h"
#include "gguf/reader.h"
#include "gguf/writer.h"
#include "kernels/cpu/pool.h"

namespace linnet {

// How far values are from what they were.
struct QuantizationError {
  int64_t values = 0;
  double squares = 0, power = 0;  // sums of squared differences, and of squared values
  double largest = 0;             // difference

  void add(const QuantizationError& other);
  double relative() const;  // relative l2 error
};

class Quantizer {
 public:
  // threads 0: all cores. `importance` may be null and must outlive the quantizer.
  static Result<Quantizer> create(int32_t threads, const ImportanceMatrix* importance = nullptr);

  // Appends `t` to `out` as `type`. `progress` is told of source bytes done and may return false to stop.
  Result<QuantizationError> convert(const Tensor& t, Type type, Writer& out,
                                    const std::function<bool(uint64_t)>& progress);
  // Whether importance was used in the last convert().
  bool weighed() const { return weighed_; }

 private:
  Quantizer() = default;
  Status find_importance(const Tensor& t);
  // rows x cols of `t` from `first` on, into out_.
  Result<QuantizationError> encode_slab(const Tensor& t, Type type, int64_t first, int64_t rows);

  std::unique_ptr<Pool> pool_;
  const ImportanceMatrix* importance_ = nullptr;
  std::vector<std::optional<std::vector<float>>> weights_;  // of each matrix of the tensor
  bool weighed_ = false;
  std::vector<float> values_;  // [rows][cols], and as much again for what they become
  std::vector<std::byte> out_;
};

}  // namespace linnet
