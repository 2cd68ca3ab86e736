#include "runtime/model.h"

#include "runtime/loader.h"

namespace linnet {
namespace {

int64_t weight_size(const Weight& w) { return w.rows * row_bytes(*type_info(w.type), w.cols); }

OpenOptions open_options(const ModelOptions& options) {
  return {.check_values = options.check_values, .check_checksums = options.check_checksums, .need_tensors = true};
}

}  // namespace

Result<std::shared_ptr<const Model>> Model::load(const std::string& path, const ModelOptions& options) {
  LINNET_TRY(Gguf file, Gguf::open(path, open_options(options)));
  return Loader::load(std::move(file), options);
}

Result<std::shared_ptr<const Model>> Model::load(std::span<const std::byte> bytes, const ModelOptions& options) {
  LINNET_TRY(Gguf file, Gguf::parse(bytes, open_options(options)));
  return Loader::load(std::move(file), options);
}

uint64_t Model::weight_bytes() const {
  uint64_t sum = 0;
  for (const Tensor& t : file_.tensors()) sum += t.bytes;
  return sum;
}

uint64_t Model::bytes_per_token() const {
  int64_t sum = facts.dim * 4;  // the output norm
  for_each_matrix([&](const Weight& w) { sum += weight_size(w); });
  sum += 2 * facts.dim * 4 * facts.layers;  // the other norms
  return static_cast<uint64_t>(sum);
}

uint64_t Model::multiplications_per_token() const {
  int64_t sum = 0;
  for_each_matrix([&](const Weight& w) { sum += w.rows * w.cols; });
  return static_cast<uint64_t>(sum);
}

}  // namespace linnet
