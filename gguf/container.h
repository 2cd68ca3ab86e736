// One GGUF file: header, keys, and where the list of tensors begins (the bytes: reader.cpp).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/cursor.h"
#include "gguf/name_index.h"
#include "gguf/reader.h"

namespace linnet {

struct Container {
  std::span<const std::byte> file;
  uint32_t version = 0;
  uint64_t alignment = 32;
  uint64_t tensor_count = 0;  // plausible for the bytes that are left, not yet read
  Cursor tensor_table{{}};    // where its description starts
  std::vector<Value> values;  // in file order, keys distinct
  NameIndex keys;

  const Value* find(std::string_view key) const { return keys.find(std::span<const Value>(values), &Value::key, key); }
};

// The alignment itself, or why it is none: a power of two from 8 to kMaxAlignment.
Result<uint64_t> check_alignment(uint64_t alignment);

// Reads and checks everything before the list of tensors.
Result<Container> read_container(std::span<const std::byte> file);

}  // namespace linnet
