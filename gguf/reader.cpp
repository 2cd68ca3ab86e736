// The bytes of a GGUF file (versions 2 and 3, all numbers little-endian, nothing padded unless said so):
//
//   file      = header pair*n_pairs info*n_tensors padding data
//   header    = "GGUF" version:u32 n_tensors:u64 n_pairs:u64                                           (container.cpp)
//   pair      = key:string type:u32 value                                                              (metadata.cpp)
//   string    = length:u64 byte*length                      UTF-8 for keys and names, any bytes in values
//   value     = u8 | i8 | u16 | i16 | u32 | i32 | f32 | bool:u8 (0, 1) | string | array | u64 | i64 | f64
//   array     = type:u32 count:u64 value*count              types 0 to 12 in the order above
//   info      = name:string n_dims:u32 dim:u64*n_dims type:u32 offset:u64                              (tensor_table.cpp)
//   padding   = zeros up to a multiple of general.alignment (u32, default 32)
//   data      = tensors anywhere in it, aligned and disjoint; offsets count from its start
//
// dims[0] is the row length. A row of a quantized type is a sequence of blocks (types.h).
// The parts of a split model are such files (shards.h).
#include "gguf/reader.h"

#include <cstring>
#include <utility>

#include "gguf/base/hash.h"
#include "gguf/base/os.h"
#include "gguf/base/utf8.h"
#include "gguf/container.h"
#include "gguf/metadata.h"
#include "gguf/shards.h"
#include "gguf/tensor_table.h"
#include "gguf/value_check.h"

namespace linnet {
namespace {

struct Shard {
  std::string path;
  os::Mapping mapping;
};

Error in_file(const std::string& path, Error error) {
  error.message = path + ": " + error.message;
  return error;
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

// Maps parts 2 to N of the model whose first part is `first`.
Result<std::vector<Shard>> map_shards(const ShardName& first) {
  std::vector<Shard> shards;
  shards.reserve(first.count);
  for (uint32_t number = 2; number <= first.count; ++number) {
    const std::string path = shard_path(first, number);
    const size_t slash = path.rfind('/');
    const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    Result<os::Mapping> mapping = os::Mapping::open_beneath(directory_of(path), name);
    if (!mapping && mapping.error().code == Code::io_not_found) {
      return fail(Code::gguf_split_missing, "{}: part {} of {} is missing; put all parts into one directory", path,
                  number, first.count);
    }
    if (!mapping) return mapping.error();
    shards.push_back({path, *std::move(mapping)});
  }
  return shards;
}

// Which parts a path names; one part for a whole file.
Result<ShardName> parts_of(const std::string& path, const Container& file) {
  LINNET_TRY(const SplitKeys keys, split_keys(file));
  const std::optional<ShardName> name = parse_shard_name(path);
  if (!name || (name->count == 1 && keys.count <= 1)) {
    if (keys.count <= 1) return ShardName{path};
    return fail(Code::gguf_split_path,
                "split.count says this is part {} of {}, but its name does not end in -{:05}-of-{:05}.gguf; open the "
                "first part under its own name",
                keys.number + 1, keys.count, keys.number + 1, keys.count);
  }
  if (name->number != 1) {
    return fail(Code::gguf_split_number, "this is part {} of {}; open the first, {}", name->number, name->count,
                shard_path(*name, 1));
  }
  if (name->count == 0 || name->count > kMaxShards) {
    return fail(Code::gguf_split_count, "the name says {} parts; expected 1 to {}", name->count, kMaxShards);
  }
  return *name;
}

}  // namespace

struct Gguf::Impl {
  std::vector<Shard> shards;  // empty for parsed bytes; declared first: what follows points into the mappings
  Container first;
  uint64_t file_bytes = 0;
  uint32_t parts = 1;
  std::vector<Tensor> tensors;
  NameIndex names;

  std::span<const Tensor> all() const { return tensors; }
  Status add_tensors(const Container& part, uint32_t number);
  Status add_part(uint32_t number, uint64_t all_tensors);
  Status add_parts(const ShardName& name);
  Status check_names() const;
  Status finish(const OpenOptions& options);
  Status check_checksums() const;
  const Value* checksums() const;
};

Status Gguf::Impl::add_tensors(const Container& part, uint32_t number) {
  Cursor at = part.tensor_table;
  return read_tensors(at, part.tensor_count, part.file, part.alignment, number, tensors);
}

Status Gguf::Impl::add_part(uint32_t number, uint64_t all_tensors) {
  Container other;
  if (number > 0) { LINNET_TRY(other, read_container(shards[number].mapping.bytes())); }
  const Container& part = number > 0 ? other : first;
  LINNET_CHECK(check_shard(part, number, parts, first));
  if (part.tensor_count > all_tensors - tensors.size()) {
    return fail(Code::gguf_split_tensor_count, "its {} tensors are more than the {} that are left of {} in all",
                part.tensor_count, all_tensors - tensors.size(), all_tensors);
  }
  return add_tensors(part, number);
}

// All parts, after the first was read; shards[0] is the first.
Status Gguf::Impl::add_parts(const ShardName& name) {
  if (auto status = check_shard(first, 0, name.count, first); !status) return in_file(shards[0].path, status.error());
  LINNET_TRY(std::vector<Shard> others, map_shards(name));
  for (Shard& shard : others) {
    file_bytes += shard.mapping.bytes().size();
    shards.push_back(std::move(shard));
  }
  LINNET_TRY(const SplitKeys keys, split_keys(first));
  LINNET_CHECK(check_tensor_count(*keys.tensors, file_bytes));
  tensors.reserve(*keys.tensors);
  parts = name.count;
  for (uint32_t i = 0; i < parts; ++i) {
    if (auto status = add_part(i, *keys.tensors); !status) return in_file(shards[i].path, status.error());
  }
  if (tensors.size() != *keys.tensors) {
    return fail(Code::gguf_split_tensor_count, "{}: split.tensors.count is {}, but the {} parts have {} tensors",
                shards[0].path, *keys.tensors, parts, tensors.size());
  }
  return {};
}

Status Gguf::Impl::check_names() const {
  const auto twice = names.duplicate(all(), &Tensor::name);
  if (!twice) return {};
  const Tensor &a = tensors[twice->first], &b = tensors[twice->second];
  if (a.shard != b.shard) {
    return fail(Code::gguf_split_duplicate, "tensor {} is in part {} and in part {}", quoted(a.name), a.shard + 1,
                b.shard + 1);
  }
  return fail(Code::gguf_tensor_duplicate,
              "tensor {} is there twice, as tensors {} and {} with data at offsets {} and {}", quoted(a.name),
              twice->first, twice->second, a.offset, b.offset);
}

Status Gguf::Impl::finish(const OpenOptions& options) {
  names = NameIndex(all(), &Tensor::name);
  LINNET_CHECK(check_names());
  if (options.need_tensors && tensors.empty()) {
    return fail(Code::gguf_no_tensors, "the file has no tensors (a vocabulary without a model?)");
  }
  if (options.check_checksums) LINNET_CHECK(check_checksums());
  if (options.check_values) {
    for (const Tensor& tensor : tensors) LINNET_CHECK(linnet::check_values(tensor));
  }
  return {};
}

const Value* Gguf::Impl::checksums() const {
  const Value* sums = first.find(kChecksumKey);
  const bool fits = sums != nullptr && sums->type == ValueType::array && sums->element == ValueType::u64 &&
                    sums->count == tensors.size();
  return fits ? sums : nullptr;
}

Status Gguf::Impl::check_checksums() const {
  const Value* sums = first.find(kChecksumKey);
  if (sums == nullptr) return {};
  if (checksums() == nullptr) {
    return fail(Code::gguf_checksum, "{} at offset {} is {} of {} x {}; expected an array of {} x u64", kChecksumKey,
                sums->offset, value_type_name(sums->type), sums->count, value_type_name(sums->element), tensors.size());
  }
  for (size_t i = 0; i < tensors.size(); ++i) {
    uint64_t expected;
    std::memcpy(&expected, sums->data + 8 * i, sizeof expected);
    const uint64_t actual = checksum(tensors[i]);
    if (actual != expected) {
      return fail(Code::gguf_checksum,
                  "tensor {}: its {} bytes at offset {} have the checksum {:016x}; the file says {:016x}: the data "
                  "changed since they were written",
                  quoted(tensors[i].name), tensors[i].bytes, tensors[i].offset, actual, expected);
    }
  }
  return {};
}

Result<Gguf> Gguf::open(const std::string& path, const OpenOptions& options) {
  auto impl = std::make_unique<Impl>();
  LINNET_TRY(os::Mapping mapping, os::Mapping::open(path));
  impl->shards.push_back({path, std::move(mapping)});
  const std::span<const std::byte> bytes = impl->shards[0].mapping.bytes();
  impl->file_bytes = bytes.size();
  Result<Container> first = read_container(bytes);
  if (!first) return in_file(path, first.error());
  impl->first = *std::move(first);
  Result<ShardName> name = parts_of(path, impl->first);
  if (!name) return in_file(path, name.error());
  if (name->count > 1) {
    LINNET_CHECK(impl->add_parts(*name));
  } else {
    impl->tensors.reserve(impl->first.tensor_count);
    if (auto status = impl->add_tensors(impl->first, 0); !status) return in_file(path, status.error());
  }
  if (auto status = impl->finish(options); !status) return in_file(path, status.error());
  return Gguf(std::move(impl));
}

Result<Gguf> Gguf::parse(std::span<const std::byte> bytes, const OpenOptions& options) {
  auto impl = std::make_unique<Impl>();
  impl->file_bytes = bytes.size();
  LINNET_TRY(impl->first, read_container(bytes));
  LINNET_TRY(const SplitKeys keys, split_keys(impl->first));
  if (keys.count > 1) {
    return fail(Code::gguf_split_missing, "these bytes are part {} of {}; open the files instead", keys.number + 1,
                keys.count);
  }
  impl->tensors.reserve(impl->first.tensor_count);
  LINNET_CHECK(impl->add_tensors(impl->first, 0));
  LINNET_CHECK(impl->finish(options));
  return Gguf(std::move(impl));
}

Gguf::Gguf(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Gguf::Gguf(Gguf&&) noexcept = default;
Gguf& Gguf::operator=(Gguf&&) noexcept = default;
Gguf::~Gguf() = default;

uint32_t Gguf::version() const { return impl_->first.version; }
uint64_t Gguf::alignment() const { return impl_->first.alignment; }
uint64_t Gguf::file_bytes() const { return impl_->file_bytes; }
uint32_t Gguf::shards() const { return impl_->parts; }
std::span<const Value> Gguf::values() const { return impl_->first.values; }
std::span<const Tensor> Gguf::tensors() const { return impl_->tensors; }
const Value* Gguf::find(std::string_view key) const { return impl_->first.find(key); }
const Tensor* Gguf::tensor(std::string_view name) const { return impl_->names.find(impl_->all(), &Tensor::name, name); }

Status Gguf::unchanged() const {
  for (const Shard& shard : impl_->shards) {
    const Result<os::FileId> now = os::file_id(shard.path);
    if (!now) return fail(Code::io_changed, "the model file is no longer there: {}", now.error().message);
    if (*now != shard.mapping.id()) {
      return fail(Code::io_changed, "{}: the file was changed or replaced since it was opened ({} bytes then, {} now)",
                  shard.path, shard.mapping.id().bytes, now->bytes);
    }
  }
  return {};
}

uint64_t Gguf::checksum(const Tensor& tensor) { return xxh64({tensor.data, size_t(tensor.bytes)}); }

std::optional<uint64_t> Gguf::stored_checksum(const Tensor& tensor) const {
  const Value* sums = impl_->checksums();
  const Tensor* own = this->tensor(tensor.name);
  if (sums == nullptr || own == nullptr) return std::nullopt;
  uint64_t sum;
  std::memcpy(&sum, sums->data + 8 * (own - impl_->tensors.data()), sizeof sum);
  return sum;
}

}  // namespace linnet
