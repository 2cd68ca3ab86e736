#include "tools/quantizer.h"

#include <algorithm>
#include <cmath>

#include "gguf/base/os.h"
#include "gguf/codec.h"

namespace linnet {
namespace {

constexpr int64_t kSlabValues = int64_t{1} << 22;  // 16 MiB of float32 at a time

QuantizationError difference(const float* before, const float* after, int64_t n) {
  QuantizationError e{.values = n};
  for (int64_t i = 0; i < n; ++i) {
    const double d = double(after[i]) - before[i];
    e.squares += d * d;
    e.power += double(before[i]) * before[i];
    e.largest = std::max(e.largest, std::fabs(d));
  }
  return e;
}

}  // namespace

void QuantizationError::add(const QuantizationError& other) {
  values += other.values;
  squares += other.squares;
  power += other.power;
  largest = std::max(largest, other.largest);
}

double QuantizationError::relative() const { return power > 0 ? std::sqrt(squares / power) : squares > 0 ? 1 : 0; }

Result<Quantizer> Quantizer::create(int32_t threads, const ImportanceMatrix* importance) {
  Quantizer q;
  LINNET_TRY(q.pool_, Pool::create(threads > 0 ? threads : std::max(1, os::usable_cpus())));
  q.importance_ = importance;
  return q;
}

Status Quantizer::find_importance(const Tensor& t) {
  const auto matrices = static_cast<int64_t>(t.dims[2] * t.dims[3]);
  weights_.assign(static_cast<size_t>(matrices), std::nullopt);
  weighed_ = false;
  for (int64_t m = 0; importance_ && t.n_dims > 1 && m < matrices; ++m) {
    auto& weights = weights_[static_cast<size_t>(m)];
    LINNET_TRY(weights, importance_->of(t.name, matrices, m, static_cast<int64_t>(t.dims[0])));
    weighed_ |= weights.has_value();
  }
  return {};
}

Result<QuantizationError> Quantizer::encode_slab(const Tensor& t, Type type, int64_t first, int64_t rows) {
  struct Work {
    const Tensor& t;
    const TypeInfo &from, &to;
    int64_t first, rows;
    float* values;
    std::byte* out;
    const std::vector<std::optional<std::vector<float>>>& weights;
    std::vector<Status> results;
    std::vector<QuantizationError> errors;
  };
  const auto cols = static_cast<int64_t>(t.dims[0]);
  const TypeInfo &from = *type_info(t.type), &to = *type_info(type);
  values_.resize(static_cast<size_t>(2 * rows * cols));
  out_.resize(static_cast<size_t>(rows * row_bytes(to, cols)));
  const auto members = static_cast<size_t>(pool_->size());
  Work work{.t = t,
            .from = from,
            .to = to,
            .first = first,
            .rows = rows,
            .values = values_.data(),
            .out = out_.data(),
            .weights = weights_,
            .results = std::vector<Status>(members),
            .errors = std::vector<QuantizationError>(members)};
  pool_->run(
      [](void* context, Team team) {
        auto& w = *static_cast<Work*>(context);
        const auto width = static_cast<int64_t>(w.t.dims[0]), per_matrix = static_cast<int64_t>(w.t.dims[1]);
        for (int64_t r = team.rank; r < w.rows; r += team.size) {
          float* values = w.values + 2 * r * width;
          std::byte* blocks = w.out + r * row_bytes(w.to, width);
          const auto& weights = w.weights[static_cast<size_t>((w.first + r) / per_matrix)];
          codec(w.t.type)->decode(w.t.data + (w.first + r) * row_bytes(w.from, width), values, width);
          Status status = encode_row(w.to.type, values, blocks, width, weights ? weights->data() : nullptr);
          if (!status) {
            w.results[static_cast<size_t>(team.rank)] = std::move(status);
            continue;
          }
          codec(w.to.type)->decode(blocks, values + width, width);
          w.errors[static_cast<size_t>(team.rank)].add(difference(values, values + width, width));
        }
      },
      &work);
  for (Status& status : work.results)
    if (!status) return fail(status.error().code, "tensor {}: {}", t.name, status.error().message);
  QuantizationError sum;
  for (const QuantizationError& e : work.errors) sum.add(e);
  return sum;
}

Result<QuantizationError> Quantizer::convert(const Tensor& t, Type type, Writer& out,
                                             const std::function<bool(uint64_t)>& progress) {
  const auto cols = static_cast<int64_t>(t.dims[0]), total = static_cast<int64_t>(t.rows());
  const int64_t slab = std::max<int64_t>(1, kSlabValues / cols);
  const int64_t source_row = row_bytes(*type_info(t.type), cols);
  QuantizationError error;
  LINNET_CHECK(find_importance(t));
  weighed_ &= type != t.type;
  for (int64_t first = 0; first < total; first += slab) {
    const int64_t rows = std::min(slab, total - first);
    if (type == t.type) {
      LINNET_CHECK(out.write({t.data + first * source_row, static_cast<size_t>(rows * source_row)}));
      error.values += rows * cols;
    } else {
      LINNET_TRY(const QuantizationError more, encode_slab(t, type, first, rows));
      error.add(more);
      LINNET_CHECK(out.write(out_));
    }
    if (!progress(static_cast<uint64_t>(rows * source_row)))
      return fail(Code::cancelled, "interrupted; nothing was written");
  }
  return error;
}

}  // namespace linnet
