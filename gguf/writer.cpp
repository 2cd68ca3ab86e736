// The bytes: reader.cpp. Keys keep the order of their first setting; general.alignment comes first when it is not 32,
// the checksums last. Every tensor is padded with zeros to the alignment. Equal calls give equal bytes.
#include "gguf/writer.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "gguf/base/checked.h"
#include "gguf/base/hash.h"
#include "gguf/base/os.h"
#include "gguf/base/utf8.h"
#include "gguf/container.h"
#include "gguf/tensor_table.h"

namespace linnet {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint64_t kDefaultAlignment = 32;

template <class T>
void put(std::string& out, T value) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  out.append(bytes, sizeof(T));
}

void put(std::string& out, std::string_view text) {
  put(out, uint64_t(text.size()));
  out += text;
}

void put(std::string& out, ValueType type) { put(out, uint32_t(type)); }

template <class T>
std::string scalar(ValueType type, T value) {
  std::string out;
  put(out, type);
  put(out, value);
  return out;
}

template <class T>
std::string array(ValueType element, std::span<const T> values) {
  std::string out;
  put(out, ValueType::array);
  put(out, element);
  put(out, uint64_t(values.size()));
  for (const T& value : values) {
    if constexpr (std::is_arithmetic_v<T>) {
      put(out, value);
    } else {
      put(out, std::string_view(value));
    }
  }
  return out;
}

std::span<const std::byte> as_bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

struct Declared {
  std::string name;
  Type type;
  std::vector<uint64_t> dims;
  uint64_t bytes;
  uint64_t offset;  // in the data section
};

}  // namespace

struct Writer::Impl {
  os::NewFile file;
  std::string path;
  uint64_t alignment;

  // Metadata: the encoded {type, value} of each key, in order.
  std::vector<std::pair<std::string, std::string>> keys;
  std::map<std::string, size_t, std::less<>> key_places;
  std::vector<Declared> tensors;
  std::set<std::string, std::less<>> names;
  uint64_t data_bytes = 0;  // declared so far, each tensor padded

  // Data: set once the header is in the file.
  bool writing = false;
  bool finished = false;
  size_t current = 0;  // the tensor that comes next or is being written
  uint64_t done = 0;   // bytes of it
  Xxh64 sum;           // of these
  std::vector<uint64_t> sums;
  uint64_t sums_offset = 0;

  // The first mistake or failure: every later call returns it, so that set() need not be checked one by one.
  std::optional<Error> failure;

  Status remember(Error error) {
    if (!failure) failure = std::move(error);
    return *failure;
  }
  void set(std::string_view key, std::string encoded);
  std::string header();
  Status begin_data();
  Status append(std::span<const std::byte> bytes);
  Status end_tensor();
};

void Writer::Impl::set(std::string_view key, std::string encoded) {
  if (writing) {
    (void)remember(
        fail(Code::invalid_argument, "key {} was set after the first data; set all keys before", quoted(key)));
  } else if (key.empty() || key.size() > kMaxKeyBytes || !utf8_valid(key) || key.find('\0') != key.npos) {
    (void)remember(fail(Code::gguf_key_text, "key {} has {} bytes; expected 1 to {} bytes of UTF-8 without NUL",
                        quoted(key), key.size(), kMaxKeyBytes));
  } else if (key == "general.alignment" || key == kChecksumKey) {
    (void)remember(fail(Code::invalid_argument, "key {} is set by the writer itself", quoted(key)));
  } else if (const auto place = key_places.find(key); place != key_places.end()) {
    keys[place->second].second = std::move(encoded);
  } else {
    key_places.emplace(key, keys.size());
    keys.emplace_back(key, std::move(encoded));
  }
}

std::string Writer::Impl::header() {
  const bool aligned = alignment != kDefaultAlignment;
  std::string out = "GGUF";
  put(out, kVersion);
  put(out, uint64_t(tensors.size()));
  put(out, uint64_t(keys.size() + aligned + !tensors.empty()));
  if (aligned) {
    put(out, std::string_view("general.alignment"));
    out += scalar(ValueType::u32, uint32_t(alignment));
  }
  for (const auto& [key, value] : keys) {
    put(out, std::string_view(key));
    out += value;
  }
  if (!tensors.empty()) {
    const std::vector<uint64_t> zeros(tensors.size());
    put(out, kChecksumKey);
    out += array<uint64_t>(ValueType::u64, zeros);
    sums_offset = out.size() - 8 * zeros.size();
  }
  for (const Declared& t : tensors) {
    put(out, std::string_view(t.name));
    put(out, uint32_t(t.dims.size()));
    for (const uint64_t dim : t.dims) put(out, dim);
    put(out, uint32_t(t.type));
    put(out, t.offset);
  }
  if (!tensors.empty()) out.resize(Checked(out.size()).align(alignment).value(), '\0');
  return out;
}

// Writes the header when the first data (or finish) come.
Status Writer::Impl::begin_data() {
  if (failure) return *failure;
  if (finished) return remember(fail(Code::invalid_argument, "{}: the file is finished", path));
  if (writing) return {};
  if (keys.size() + 2 > kMaxKeys) {
    return remember(fail(Code::gguf_kv_count, "{}: {} keys were set; at most {} can be read back", path, keys.size(),
                         kMaxKeys - 2));
  }
  writing = true;
  sums.reserve(tensors.size());
  return append(as_bytes(header()));
}

Status Writer::Impl::append(std::span<const std::byte> bytes) {
  if (auto status = file.append(bytes); !status) return remember(status.error());
  return {};
}

Status Writer::Impl::end_tensor() {
  sums.push_back(sum.digest());
  sum = Xxh64();
  const uint64_t padding = Checked(done).align(alignment).value() - done;
  ++current;
  done = 0;
  return append(as_bytes(std::string(padding, '\0')));
}

Result<Writer> Writer::create(const std::string& path, uint64_t alignment) {
  LINNET_CHECK(check_alignment(alignment));
  LINNET_TRY(os::NewFile file, os::NewFile::create(path));
  return Writer(std::make_unique<Impl>(Impl{.file = std::move(file), .path = path, .alignment = alignment}));
}

Writer::Writer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Writer::Writer(Writer&&) noexcept = default;
Writer& Writer::operator=(Writer&&) noexcept = default;
Writer::~Writer() = default;

void Writer::set(std::string_view key, uint32_t value) { impl_->set(key, scalar(ValueType::u32, value)); }
void Writer::set(std::string_view key, uint64_t value) { impl_->set(key, scalar(ValueType::u64, value)); }
void Writer::set(std::string_view key, int32_t value) { impl_->set(key, scalar(ValueType::i32, value)); }
void Writer::set(std::string_view key, float value) { impl_->set(key, scalar(ValueType::f32, value)); }
void Writer::set(std::string_view key, bool value) { impl_->set(key, scalar(ValueType::boolean, uint8_t(value))); }
void Writer::set(std::string_view key, std::string_view value) { impl_->set(key, scalar(ValueType::string, value)); }
void Writer::set(std::string_view key, std::span<const std::string> values) {
  impl_->set(key, array(ValueType::string, values));
}
void Writer::set(std::string_view key, std::span<const std::string_view> values) {
  impl_->set(key, array(ValueType::string, values));
}
void Writer::set(std::string_view key, std::span<const float> values) {
  impl_->set(key, array(ValueType::f32, values));
}
void Writer::set(std::string_view key, std::span<const int32_t> values) {
  impl_->set(key, array(ValueType::i32, values));
}
void Writer::set(std::string_view key, std::span<const uint32_t> values) {
  impl_->set(key, array(ValueType::u32, values));
}

void Writer::copy(const Value& value) {
  if (value.key == "general.alignment" || value.key == kChecksumKey) return;
  std::string encoded;
  put(encoded, value.type);
  if (value.type == ValueType::array) {
    put(encoded, value.element);
    put(encoded, value.count);
  }
  encoded.append(reinterpret_cast<const char*>(value.data), value.bytes);
  impl_->set(value.key, std::move(encoded));
}

Status Writer::declare(std::string_view name, Type type, std::span<const uint64_t> dims) {
  Impl& w = *impl_;
  if (w.failure) return *w.failure;
  if (w.writing) {
    return fail(Code::invalid_argument, "tensor {} was declared after the first data; declare all before",
                quoted(name));
  }
  LINNET_CHECK(check_tensor_name(name, "cannot be written"));
  if (type_info(type) == nullptr) {
    return fail(Code::gguf_tensor_type, "tensor {} has type {}, which is no type of the format", quoted(name),
                uint32_t(type));
  }
  if (dims.empty() || dims.size() > 4) {
    return fail(Code::gguf_dims_count, "tensor {} has {} dimensions; expected 1 to 4", quoted(name), dims.size());
  }
  LINNET_TRY(const uint64_t bytes, tensor_bytes(name, type, dims));
  const Checked total = (Checked(w.data_bytes) + bytes).align(w.alignment);
  if (!total.ok() || total.value() > uint64_t(INT64_MAX)) {
    return fail(Code::gguf_sum_overflow, "the sizes of the tensors up to {} sum to more than 63 bits", quoted(name));
  }
  if (w.tensors.size() == kMaxTensors) {
    return fail(Code::gguf_tensor_count, "tensor {} is one more than the {} that a file may have", quoted(name),
                kMaxTensors);
  }
  if (!w.names.emplace(name).second) {
    return fail(Code::gguf_tensor_duplicate, "tensor {} is declared twice", quoted(name));
  }
  w.tensors.push_back({std::string(name), type, {dims.begin(), dims.end()}, bytes, w.data_bytes});
  w.data_bytes = total.value();
  return {};
}

Status Writer::write(std::span<const std::byte> data) {
  Impl& w = *impl_;
  LINNET_CHECK(w.begin_data());
  while (!data.empty()) {
    if (w.current == w.tensors.size()) {
      return w.remember(
          fail(Code::invalid_argument, "{}: {} bytes more than the declared tensors have", w.path, data.size()));
    }
    const uint64_t left = w.tensors[w.current].bytes - w.done;
    const std::span<const std::byte> piece = data.first(size_t(std::min<uint64_t>(left, data.size())));
    LINNET_CHECK(w.append(piece));
    w.sum.update(piece);
    w.done += piece.size();
    data = data.subspan(piece.size());
    if (piece.size() == left) LINNET_CHECK(w.end_tensor());
  }
  return {};
}

Status Writer::finish() {
  Impl& w = *impl_;
  LINNET_CHECK(w.begin_data());
  if (w.current != w.tensors.size()) {
    const Declared& t = w.tensors[w.current];
    return w.remember(fail(Code::invalid_argument, "{}: tensor {} has {} of its {} bytes; write all before finishing",
                           w.path, quoted(t.name), w.done, t.bytes));
  }
  if (auto status = w.file.overwrite(w.sums_offset, std::as_bytes(std::span(w.sums))); !status) {
    return w.remember(status.error());
  }
  if (auto status = w.file.commit(); !status) return w.remember(status.error());
  w.finished = true;
  return {};
}

}  // namespace linnet
