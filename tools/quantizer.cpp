#include "tools/quantizer.h"

#include <algorithm>
#include <charconv>

#include "gguf/base/os.h"
#include "gguf/codec.h"

namespace linnet {
namespace {

constexpr int64_t kSlabValues = int64_t{1} << 22;  // 16 MiB of float32 at a time

// The layer of "blk.12.attn_q.weight", or -1.
int32_t layer_of(std::string_view name) {
  if (!name.starts_with("blk.")) return -1;
  int32_t layer = -1;
  std::from_chars(name.data() + 4, name.data() + name.size(), layer);
  return layer;
}

}  // namespace

Result<std::vector<Type>> tensor_types(const Gguf& file, const Recipe& recipe) {
  int32_t layers = 0;
  for (const Tensor& t : file.tensors()) layers = std::max(layers, layer_of(t.name) + 1);
  const bool tied = file.tensor("output.weight") == nullptr;
  std::vector<Type> types;
  for (const Tensor& t : file.tensors()) {
    const Type type = recipe.type_for(t.name, layer_of(t.name), layers, t.dims[0], t.n_dims, tied);
    if (type != t.type && !codec(t.type))
      return fail(Code::gguf_tensor_type_unsupported,
                  "tensor {} has type {}, which cannot be read yet; start from a file in F32, F16 or BF16", t.name,
                  type_info(t.type)->name);
    types.push_back(type);
  }
  return types;
}

Result<Quantizer> Quantizer::create(int32_t threads) {
  Quantizer q;
  LINNET_TRY(q.pool_, Pool::create(threads > 0 ? threads : std::max(1, os::usable_cpus())));
  return q;
}

Status Quantizer::encode_slab(const Tensor& t, Type type, int64_t first, int64_t rows) {
  struct Work {
    const Tensor& t;
    const TypeInfo &from, &to;
    int64_t first, rows;
    float* values;
    std::byte* out;
    std::vector<Status> results;
  };
  const auto cols = static_cast<int64_t>(t.dims[0]);
  const TypeInfo &from = *type_info(t.type), &to = *type_info(type);
  values_.resize(static_cast<size_t>(rows * cols));
  out_.resize(static_cast<size_t>(rows * row_bytes(to, cols)));
  Work work{t,    from,           to,          first,
            rows, values_.data(), out_.data(), std::vector<Status>(static_cast<size_t>(pool_->size()))};
  pool_->run(
      [](void* context, Team team) {
        auto& w = *static_cast<Work*>(context);
        const auto width = static_cast<int64_t>(w.t.dims[0]);
        for (int64_t r = team.rank; r < w.rows; r += team.size) {
          float* values = w.values + r * width;
          codec(w.t.type)->decode(w.t.data + (w.first + r) * row_bytes(w.from, width), values, width);
          Status status = encode_row(w.to.type, values, w.out + r * row_bytes(w.to, width), width);
          if (!status) w.results[static_cast<size_t>(team.rank)] = std::move(status);
        }
      },
      &work);
  for (Status& status : work.results)
    if (!status) return fail(status.error().code, "tensor {}: {}", t.name, status.error().message);
  return {};
}

Status Quantizer::convert(const Tensor& t, Type type, Writer& out, const std::function<bool(uint64_t)>& progress) {
  const auto cols = static_cast<int64_t>(t.dims[0]), total = static_cast<int64_t>(t.rows());
  const int64_t slab = std::max<int64_t>(1, kSlabValues / cols);
  const int64_t source_row = row_bytes(*type_info(t.type), cols);
  for (int64_t first = 0; first < total; first += slab) {
    const int64_t rows = std::min(slab, total - first);
    if (type == t.type) {
      LINNET_CHECK(out.write({t.data + first * source_row, static_cast<size_t>(rows * source_row)}));
    } else {
      LINNET_CHECK(encode_slab(t, type, first, rows));
      LINNET_CHECK(out.write(out_));
    }
    if (!progress(static_cast<uint64_t>(rows * source_row)))
      return fail(Code::cancelled, "interrupted; nothing was written");
  }
  return {};
}

}  // namespace linnet
