// GGUF v2 and v3 files as checked, read-only views over a memory mapping.
//
// A file is mapped, never read: opening a model of any size costs its header only. Every count, length, offset and type
// in it is checked before use (see reader.cpp for the grammar of the bytes); a file that breaks a rule is refused with
// an Error whose sentence names the key or tensor, its offset, what was expected and what was found.
// Source: the GGUF specification.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/types.h"

namespace linnet {

enum class ValueType : uint32_t {
  u8 = 0,
  i8 = 1,
  u16 = 2,
  i16 = 3,
  u32 = 4,
  i32 = 5,
  f32 = 6,
  boolean = 7,
  string = 8,
  array = 9,
  u64 = 10,
  i64 = 11,
  f64 = 12,
};
std::string_view value_type_name(ValueType type);

// One metadata value. Everything points into the mapping and lives as long as the Gguf.
// Scalars and strings have count 1; `data` is unaligned: use the accessors.
class Value {
 public:
  std::string_view key;
  ValueType type;                   // of the value, or array
  ValueType element;                // element type when type == array, else == type
  uint64_t count = 1;               // elements
  uint64_t offset = 0;              // of the value in its file (an array: of its element type), for messages
  uint64_t bytes = 0;               // of all elements as they are in the file
  const std::byte* data = nullptr;  // first element; strings are {u64 length, bytes} back to back; arrays in an array
                                    // are {u32 element type, u64 count, elements}, at most kMaxArrayNesting deep

  // Whether the (element) type is one of the integer types, and the i-th element as a number.
  bool is_integer() const;
  bool is_number() const;                 // integer, f32 or f64
  int64_t integer(uint64_t i = 0) const;  // requires is_integer() or boolean; u64 above int64 max saturates
  double number(uint64_t i = 0) const;    // requires is_number()
  bool boolean() const;
  std::string_view string() const;  // requires type == string
  // All elements of a string array, in order; views into the mapping. O(count).
  std::vector<std::string_view> strings() const;
};

struct Tensor {
  std::string_view name;
  Type type;
  uint32_t n_dims;
  std::array<uint64_t, 4> dims;  // dims[0] is the row length; absent dimensions are 1
  uint64_t bytes;
  uint64_t offset;        // in its file
  uint32_t shard;         // index of its file
  const std::byte* data;  // bytes [rows][row_bytes], in the mapping; lazy: touched only when read
  uint64_t rows() const { return dims[1] * dims[2] * dims[3]; }
};

struct OpenOptions {
  bool check_values = false;     // read every block and refuse NaN or infinite scales (reads the whole file)
  bool check_checksums = false;  // verify the per-tensor XXH64 sums, if the file carries them (reads the whole file)
  bool need_tensors = false;     // refuse a file without tensors (a vocabulary-only file, for example)
};

// Caps before allocation. With them, opening allocates at most twice the bytes of the files and 1 MiB.
inline constexpr uint64_t kMaxKeys = 8192;
inline constexpr uint64_t kMaxKeyBytes = 65535;
inline constexpr uint32_t kMaxArrayNesting = 4;
inline constexpr uint64_t kMaxTensors = 32768;
inline constexpr uint64_t kMaxTensorNameBytes = 63;
inline constexpr uint64_t kMaxAlignment = 1 << 20;
inline constexpr uint64_t kMaxShards = 1024;

class Gguf {
 public:
  // Opens `path`, or all files of a split model when `path` is its first (…-00001-of-0000N.gguf).
  // Only regular files; shards are looked for beside the first and may not leave its directory.
  static Result<Gguf> open(const std::string& path, const OpenOptions& options = {});
  // Parses bytes that the caller keeps alive (tests, fuzzing, the embedded model); a part of a split model is refused.
  // The addresses of tensors are as aligned as the address of the bytes.
  static Result<Gguf> parse(std::span<const std::byte> bytes, const OpenOptions& options = {});
  Gguf(Gguf&&) noexcept;
  Gguf& operator=(Gguf&&) noexcept;
  ~Gguf();

  uint32_t version() const;
  uint64_t alignment() const;
  uint64_t file_bytes() const;  // all shards together
  uint32_t shards() const;
  std::span<const Value> values() const;    // in file order (of the first shard)
  std::span<const Tensor> tensors() const;  // in file order, shard by shard
  const Value* find(std::string_view key) const;
  const Tensor* tensor(std::string_view name) const;

  // Typed access; an absent key or one of another type is an error that names it. The *_or forms give `otherwise` when
  // the key is absent, and still refuse a key of the wrong type.
  Result<std::string_view> string(std::string_view key) const;
  Result<uint64_t> integer(std::string_view key) const;  // any integer type, refused when negative
  Result<double> number(std::string_view key) const;     // f32 or f64 (integers too), refused when not finite
  Result<bool> boolean(std::string_view key) const;
  Result<std::string_view> string_or(std::string_view key, std::string_view otherwise) const;
  Result<uint64_t> integer_or(std::string_view key, uint64_t otherwise) const;
  Result<double> number_or(std::string_view key, double otherwise) const;
  Result<bool> boolean_or(std::string_view key, bool otherwise) const;

  // Compares size, modification time and inode with those at opening: an error when the file was changed or replaced.
  Status unchanged() const;

  // XXH64 of a tensor's bytes (seed 0), and the one stored in the file under kChecksumKey, if any.
  static uint64_t checksum(const Tensor& tensor);
  // `tensor` is one of tensors(). A list that does not fit the file is no list; check_checksums refuses it.
  std::optional<uint64_t> stored_checksum(const Tensor& tensor) const;

 private:
  struct Impl;
  explicit Gguf(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Array of u64, one per tensor in file order: XXH64 of the tensor's bytes, seed 0.
inline constexpr std::string_view kChecksumKey = "linnet.checksums.xxh64";

}  // namespace linnet
