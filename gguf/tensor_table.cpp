#include "gguf/tensor_table.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>

#include "gguf/base/checked.h"
#include "gguf/base/utf8.h"

namespace linnet {
namespace {

// The smallest description: a name of one byte {8, 1}, n_dims 4, one dimension 8, type 4, offset 8.
constexpr uint64_t kLeastInfoBytes = 8 + 1 + 4 + 8 + 4 + 8;
constexpr uint64_t kLeastAlignment = 8;
constexpr uint64_t kMaxSigned = uint64_t(INT64_MAX);

std::string show_dims(std::span<const uint64_t> dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i) text += fmt::format("{}{}", i > 0 ? ", " : "", dims[i]);
  return text + "]";
}

Error truncated(std::string_view name, const Cursor& at) {
  return fail(Code::gguf_truncated, "the file ends inside the description of tensor {}, at offset {}; it was cut short",
              quoted(name), at.position());
}

Result<Type> known_type(std::string_view name, uint32_t id, uint64_t offset) {
  if (type_removed(id)) {
    return fail(Code::gguf_tensor_type_removed,
                "tensor {} has type {} at offset {}, which the format no longer has; convert the model again",
                quoted(name), id, offset);
  }
  if (type_info(Type(id)) == nullptr) {
    return fail(Code::gguf_tensor_type, "tensor {} has type {} at offset {}, which is no type of the format",
                quoted(name), id, offset);
  }
  return Type(id);
}

// One description; `offset` of the result is still relative to the data section.
Result<Tensor> read_info(Cursor& at) {
  Tensor t = {};
  const uint64_t start = at.position();
  uint64_t length = 0;
  if (!at.read(length)) {
    return fail(Code::gguf_truncated, "the file ends inside the list of tensors, at offset {}; it was cut short",
                start);
  }
  if (length > kMaxTensorNameBytes || !at.read(t.name, length)) {
    return fail(Code::gguf_tensor_name,
                "the tensor name at offset {} claims {} bytes; expected 1 to {}, and {} are left", start, length,
                kMaxTensorNameBytes, at.remaining());
  }
  LINNET_CHECK(check_tensor_name(t.name, fmt::format("at offset {}", start)));
  if (!at.read(t.n_dims)) return truncated(t.name, at);
  if (t.n_dims < 1 || t.n_dims > 4) {
    return fail(Code::gguf_dims_count, "tensor {} has {} dimensions at offset {}; expected 1 to 4", quoted(t.name),
                t.n_dims, at.position() - 4);
  }
  t.dims = {1, 1, 1, 1};
  for (uint32_t i = 0; i < t.n_dims; ++i) {
    if (!at.read(t.dims[i])) return truncated(t.name, at);
  }
  uint32_t type = 0;
  if (!at.read(type)) return truncated(t.name, at);
  LINNET_TRY(t.type, known_type(t.name, type, at.position() - 4));
  if (!at.read(t.offset)) return truncated(t.name, at);
  LINNET_TRY(t.bytes, tensor_bytes(t.name, t.type, std::span(t.dims).first(t.n_dims)));
  return t;
}

Status check_place(const Tensor& t, uint64_t alignment, uint64_t available) {
  if (t.offset % alignment != 0) {
    return fail(Code::gguf_offset_misaligned, "tensor {} has data offset {}; expected a multiple of the alignment, {}",
                quoted(t.name), t.offset, alignment);
  }
  const Checked end = Checked(t.offset) + t.bytes;
  if (!end.ok()) {
    return fail(Code::gguf_offset_overflow, "tensor {}: data offset {} plus {} bytes exceeds 64 bits", quoted(t.name),
                t.offset, t.bytes);
  }
  if (t.offset >= available) {
    return fail(Code::gguf_offset_range, "tensor {} has data offset {}; the data section has only {} bytes",
                quoted(t.name), t.offset, available);
  }
  if (end.value() > available) {
    return fail(Code::gguf_data_truncated,
                "tensor {} needs {} bytes at data offset {}; only {} of them are in the file, which was cut short",
                quoted(t.name), t.bytes, t.offset, available - t.offset);
  }
  return {};
}

Status check_disjoint(std::span<const Tensor> tensors) {
  std::vector<uint32_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return tensors[a].offset < tensors[b].offset; });
  for (size_t i = 1; i < order.size(); ++i) {
    const Tensor &low = tensors[order[i - 1]], &high = tensors[order[i]];
    if (low.offset + low.bytes > high.offset) {
      return fail(Code::gguf_tensor_overlap,
                  "tensors {} and {} overlap: {} bytes at data offset {}, and data offset {}", quoted(low.name),
                  quoted(high.name), low.bytes, low.offset, high.offset);
    }
  }
  return {};
}

}  // namespace

Status check_tensor_name(std::string_view name, std::string_view where) {
  if (name.empty() || name.size() > kMaxTensorNameBytes || !utf8_valid(name) ||
      name.find('\0') != std::string_view::npos) {
    return fail(Code::gguf_tensor_name,
                "tensor name {} {}: expected 1 to {} bytes of UTF-8 without NUL, found {} bytes", quoted(name), where,
                kMaxTensorNameBytes, name.size());
  }
  return {};
}

Result<uint64_t> tensor_bytes(std::string_view name, Type type, std::span<const uint64_t> dims) {
  const TypeInfo& info = *type_info(type);
  Checked values = 1;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0) {
      return fail(Code::gguf_dim_zero, "tensor {} with dimensions {}: dimension {} is 0", quoted(name), show_dims(dims),
                  i);
    }
    if (dims[i] > kMaxSigned) {
      return fail(Code::gguf_dim_negative, "tensor {}: dimension {} is {}, negative as a signed number", quoted(name),
                  i, dims[i]);
    }
    values = values * dims[i];
  }
  if (!values.ok() || values.value() > kMaxSigned) {
    return fail(Code::gguf_dims_overflow, "tensor {} with dimensions {}: the number of values exceeds 63 bits",
                quoted(name), show_dims(dims));
  }
  if (dims[0] % uint64_t(info.block_values) != 0) {
    return fail(Code::gguf_row_multiple, "tensor {} has rows of {} values; type {} needs a multiple of {}",
                quoted(name), dims[0], info.name, info.block_values);
  }
  const Checked bytes = Checked(values.value() / uint64_t(info.block_values)) * uint64_t(info.block_bytes);
  if (!bytes.ok() || bytes.value() > kMaxSigned) {
    return fail(Code::gguf_bytes_overflow, "tensor {} of type {} with dimensions {}: its bytes exceed 63 bits",
                quoted(name), info.name, show_dims(dims));
  }
  return bytes.value();
}

Status check_tensor_count(uint64_t count, uint64_t bytes_left) {
  // The last tensor may have a single byte of data; each before it takes at least the least alignment.
  constexpr uint64_t each = kLeastInfoBytes + kLeastAlignment;
  if (count > kMaxTensors || count > (bytes_left + kLeastAlignment - 1) / each) {
    return fail(Code::gguf_tensor_count, "the header claims {} tensors; at most {} are accepted, and {} bytes are left",
                count, kMaxTensors, bytes_left);
  }
  return {};
}

Status read_tensors(Cursor& at, uint64_t count, std::span<const std::byte> file, uint64_t alignment, uint32_t shard,
                    std::vector<Tensor>& tensors) {
  const size_t first = tensors.size();
  Checked sum = 0;
  for (uint64_t i = 0; i < count; ++i) {
    LINNET_TRY(Tensor t, read_info(at));
    sum = sum + Checked(t.bytes).align(alignment);
    if (!sum.ok() || sum.value() > kMaxSigned) {
      return fail(Code::gguf_sum_overflow, "the sizes of the tensors up to {} sum to more than 63 bits",
                  quoted(t.name));
    }
    t.shard = shard;
    tensors.push_back(t);
  }
  if (count == 0) return {};
  const Checked start = Checked(at.position()).align(alignment);
  if (!start.ok() || start.value() > file.size()) {
    return fail(Code::gguf_data_start,
                "the tensor data should start at offset {} aligned to {}, but the file ends at offset {}; it was cut "
                "short",
                at.position(), alignment, file.size());
  }
  const std::span<Tensor> added = std::span(tensors).subspan(first);
  for (const Tensor& t : added) LINNET_CHECK(check_place(t, alignment, file.size() - start.value()));
  LINNET_CHECK(check_disjoint(added));
  for (Tensor& t : added) {
    t.offset += start.value();
    t.data = file.data() + t.offset;
  }
  return {};
}

}  // namespace linnet
