#include "gguf/importance.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "gguf/reader.h"
#include "gguf/writer.h"

namespace linnet {
namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

Result<std::vector<double>> numbers(const Tensor& t) {
  if (t.type != Type::f32)
    return fail(Code::gguf_tensor_type_unsupported, "tensor {} has type {}, expected F32", t.name,
                type_info(t.type)->name);
  std::vector<float> values(t.dims[0] * t.rows());
  std::memcpy(values.data(), t.data, values.size() * sizeof(float));
  for (size_t i = 0; i < values.size(); ++i)
    if (!(values[i] >= 0) || !std::isfinite(values[i]))
      return fail(Code::invalid_argument, "tensor {}: value {} is {}, expected 0 or more", t.name, i, values[i]);
  return std::vector<double>(values.begin(), values.end());
}

}  // namespace

Result<ImportanceMatrix> ImportanceMatrix::read(const std::string& path) {
  LINNET_TRY(const Gguf file, Gguf::open(path));
  LINNET_TRY(const std::string_view type, file.string_or("general.type", "absent"));
  if (type != "imatrix")
    return fail(Code::invalid_argument, "{}: general.type is {}, expected imatrix; make one with linnet imatrix", path,
                type);
  ImportanceMatrix out;
  for (const Tensor& t : file.tensors()) {
    if (!t.name.ends_with(kSums)) continue;
    const std::string name(t.name.substr(0, t.name.size() - kSums.size()));
    const Tensor* counts = file.tensor(name + std::string(kCounts));
    if (counts == nullptr || counts->dims[0] * counts->rows() != t.rows())
      return fail(Code::gguf_tensor_shape, "{}: tensor {}{} must hold {} numbers, one for each matrix of {}", path,
                  name, kCounts, t.rows(), t.name);
    Entry& entry = out.entries_[name];
    entry.cols = static_cast<int64_t>(t.dims[0]);
    LINNET_TRY(entry.sums, numbers(t));
    LINNET_TRY(entry.counts, numbers(*counts));
  }
  if (out.entries_.empty()) return fail(Code::gguf_no_tensors, "{}: no tensor is called ...{}", path, kSums);
  return out;
}

Status ImportanceMatrix::write(const std::string& path, const std::string& text_name, uint32_t windows,
                               uint32_t window) const {
  LINNET_TRY(Writer out, Writer::create(path));
  out.set("general.type", "imatrix");
  const std::string names[] = {text_name};
  out.set("imatrix.datasets", std::span<const std::string>(names));
  out.set("imatrix.chunk_count", windows);
  out.set("imatrix.chunk_size", window);
  for (const auto& [name, e] : entries_) {
    const uint64_t matrices = e.counts.size();
    const uint64_t sums[] = {static_cast<uint64_t>(e.cols), matrices}, counts[] = {1, matrices};
    LINNET_CHECK(out.declare(name + std::string(kSums), Type::f32, sums));
    LINNET_CHECK(out.declare(name + std::string(kCounts), Type::f32, counts));
  }
  for (const auto& [name, e] : entries_)
    for (const auto* values : {&e.sums, &e.counts}) {
      const std::vector<float> floats(values->begin(), values->end());
      LINNET_CHECK(out.write(std::as_bytes(std::span(floats))));
    }
  return out.finish();
}

void ImportanceMatrix::add(std::string_view tensor, int64_t matrices, int64_t matrix, const float* x, int64_t n,
                           int64_t cols) {
  auto found = entries_.find(tensor);
  if (found == entries_.end()) found = entries_.emplace(tensor, Entry()).first;
  Entry& e = found->second;
  if (e.counts.empty()) {
    e.cols = cols;
    e.sums.assign(static_cast<size_t>(matrices * cols), 0);
    e.counts.assign(static_cast<size_t>(matrices), 0);
  }
  double* sums = e.sums.data() + matrix * cols;
  for (int64_t i = 0; i < n; ++i)
    for (int64_t c = 0; c < cols; ++c) sums[c] += double(x[i * cols + c]) * double(x[i * cols + c]);
  e.counts[static_cast<size_t>(matrix)] += static_cast<double>(n);
}

Result<std::optional<std::vector<float>>> ImportanceMatrix::of(std::string_view tensor, int64_t matrices,
                                                               int64_t matrix, int64_t cols) const {
  using Found = std::optional<std::vector<float>>;
  const auto found = entries_.find(tensor);
  if (found == entries_.end()) return Found();
  const Entry& e = found->second;
  if (e.cols != cols || static_cast<int64_t>(e.counts.size()) != matrices)
    return fail(
        Code::gguf_tensor_shape,
        "the importance of tensor {} is of {} columns in {} matrices, the model's are {} in {}; it was measured on "
        "another model",
        tensor, e.cols, e.counts.size(), cols, matrices);
  const double count = e.counts[static_cast<size_t>(matrix)];
  const double* sums = e.sums.data() + matrix * cols;
  double mean = 0;
  for (int64_t c = 0; c < cols; ++c) mean += sums[c] / static_cast<double>(cols);
  if (count == 0 || mean == 0) return Found();
  // A column that was always 0 on that text may be otherwise on another.
  std::vector<float> squares(static_cast<size_t>(cols));
  for (int64_t c = 0; c < cols; ++c)
    squares[static_cast<size_t>(c)] = static_cast<float>(std::max(sums[c], mean * 1e-6) / mean);
  return Found(std::move(squares));
}

}  // namespace linnet
