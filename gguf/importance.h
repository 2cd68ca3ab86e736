// Importance matrices: how large the inputs of each matrix are on a text, column by column, so that quantization can weigh
// its errors by them. Files are GGUF as the field writes them: general.type "imatrix", and for each matrix of the model
// two tensors, NAME.in_sum2 [columns][matrices] with the sums of squared inputs and NAME.counts [1][matrices] with the
// number of inputs; a tensor of experts holds several matrices.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"

namespace linnet {

class ImportanceMatrix {
 public:
  // gguf_value_type and the like with the tensor's name: a file that is none, sums that are negative or not finite,
  // counts that do not belong to them.
  static Result<ImportanceMatrix> read(const std::string& path);
  // `text_name` and `window` (tokens) say what it was measured on.
  Status write(const std::string& path, const std::string& text_name, uint32_t windows, uint32_t window) const;

  // Adds n inputs x [n][cols] of one of `matrices` matrices of a tensor.
  void add(std::string_view tensor, int64_t matrices, int64_t matrix, const float* x, int64_t n, int64_t cols);

  // The mean square of each input of one matrix, relative to their mean, not 0 anywhere. Nothing where the tensor or any input of the matrix was
  // not seen; an error when the file is of a model with other sizes.
  Result<std::optional<std::vector<float>>> of(std::string_view tensor, int64_t matrices, int64_t matrix,
                                               int64_t cols) const;
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    int64_t cols = 0;
    std::vector<double> sums, counts;  // [matrices][cols], [matrices]
  };
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace linnet
