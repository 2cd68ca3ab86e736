// Writes GGUF v3: metadata first, then tensors streamed one after another, checksums filled in at the end.
//
// The file appears under its final name only when finish() succeeded (it is written to a temporary name and renamed).
// Not thread-safe. Usage: set keys, declare all tensors, then write their data in the order of declaration.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/reader.h"
#include "gguf/types.h"

namespace linnet {

class Writer {
 public:
  static Result<Writer> create(const std::string& path, uint64_t alignment = 32);
  Writer(Writer&&) noexcept;
  Writer& operator=(Writer&&) noexcept;
  ~Writer();  // removes the temporary file when finish() was not reached

  // Setting a key twice replaces its value. general.alignment and the checksum key are the writer's own. A bad key is
  // reported by the next call that returns a Status.
  void set(std::string_view key, uint32_t value);
  void set(std::string_view key, uint64_t value);
  void set(std::string_view key, int32_t value);
  void set(std::string_view key, float value);
  void set(std::string_view key, bool value);
  void set(std::string_view key, std::string_view value);
  void set(std::string_view key, const char* value) { set(key, std::string_view(value)); }
  void set(std::string_view key, std::span<const std::string> values);
  void set(std::string_view key, std::span<const std::string_view> values);
  void set(std::string_view key, std::span<const float> values);
  void set(std::string_view key, std::span<const int32_t> values);
  void set(std::string_view key, std::span<const uint32_t> values);
  // Byte for byte, from an open file; the writer's own keys are passed over.
  void copy(const Value& value);

  // Declares the next tensor; dims[0] is the row length. Refused: bad names, zero dims, rows that do not fit the type.
  Status declare(std::string_view name, Type type, std::span<const uint64_t> dims);
  // Appends data of the tensors in the order declared, in pieces of any size. After a failure all later calls fail.
  Status write(std::span<const std::byte> data);
  // All declared bytes must have been written.
  Status finish();

 private:
  struct Impl;
  explicit Writer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
