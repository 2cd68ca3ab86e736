// Small GGUF files made byte by byte, without the code under test, together with the places of their fields: what the
// damage, mutation and fuzz tests start from.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/reader.h"

namespace linnet {

// A length, count, offset, type or other number of the file.
struct SampleField {
  std::string what;
  size_t offset;
  size_t bytes;
};

// Bytes with the fields among them.
class SampleBytes {
 public:
  template <class T>
  SampleBytes& number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  template <class T>
  SampleBytes& field(std::string what, T value) {
    fields_.push_back({std::move(what), bytes_.size(), sizeof value});
    return number(value);
  }
  SampleBytes& text(std::string_view text);  // {u64 length, bytes}, the length is a field
  SampleBytes& raw(std::string_view bytes);
  SampleBytes& append(const SampleBytes& other);
  SampleBytes& pad(uint64_t alignment);

  const std::string& bytes() const { return bytes_; }
  std::span<const std::byte> span() const { return std::as_bytes(std::span(bytes_)); }
  const std::vector<SampleField>& fields() const { return fields_; }
  // The position of a field; the test fails when there is none of that name.
  size_t at(std::string_view what) const;
  // A copy with a field overwritten by the low bytes of `value`.
  std::string with(std::string_view what, uint64_t value) const;

 private:
  std::string bytes_;
  std::vector<SampleField> fields_;
};

struct SampleKey {
  std::string name;
  SampleBytes value;  // type and value
};

struct SampleTensor {
  std::string name;
  Type type;
  std::vector<uint64_t> dims;
  std::optional<uint64_t> offset = {};  // in the data section; after the tensor before by default
  std::string data = {};                // zeros by default
};

struct SampleModel {
  uint32_t version = 3;
  uint64_t alignment = 32;  // only what the data are laid out by; add the key alignment_key(n) for another value
  std::vector<SampleKey> keys;
  std::vector<SampleTensor> tensors;
  std::optional<uint64_t> n_tensors = {}, n_keys = {};  // what the header claims; the truth by default
  // The fields are named "version", "n_tensors", "n_keys", "KEY length", "KEY type", "KEY value", "KEY element",
  // "KEY count", "KEY text length", "TENSOR name length", "TENSOR n_dims", "TENSOR dim I", "TENSOR type", "TENSOR offset".
  SampleBytes encode() const;
};

template <class T>
SampleKey sample_number(std::string name, ValueType type, T value) {
  SampleBytes b;
  b.field("type", uint32_t(type)).field("value", value);
  return {std::move(name), std::move(b)};
}
SampleKey sample_string(std::string name, std::string_view text);
SampleKey sample_strings(std::string name, std::span<const std::string> texts);
template <class T>
SampleKey sample_array(std::string name, ValueType element, const std::vector<T>& values) {
  SampleBytes b;
  b.field("type", uint32_t(ValueType::array))
      .field("element", uint32_t(element))
      .field("count", uint64_t(values.size()));
  for (const T& value : values) b.number(value);
  return {std::move(name), std::move(b)};
}
// Arrays in arrays: `depth` arrays around one u8 array of 3 elements; each has 2 elements.
SampleKey sample_nested(std::string name, int depth);
SampleKey alignment_key(uint32_t alignment);

// Two keys, two tensors: the start of most damaged files. Under 4 KiB.
SampleModel tiny_model();
// Six good files that use everything the format has: all value types, all tensor types, v2, small and large
// alignment, gaps and any order of data, nested arrays, no tensors.
std::vector<SampleModel> good_models();

}  // namespace linnet
