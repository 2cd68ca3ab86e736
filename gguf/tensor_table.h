// The list of tensors of a GGUF file and where their data lie (the bytes: reader.cpp).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/cursor.h"
#include "gguf/reader.h"

namespace linnet {

// Names: 1 to 63 bytes of UTF-8 without NUL. `where` ends the message ("at offset 96").
Status check_tensor_name(std::string_view name, std::string_view where);

// Bytes of a tensor of a known type, or why its dimensions are impossible.
Result<uint64_t> tensor_bytes(std::string_view name, Type type, std::span<const uint64_t> dims);

// Refuses a count that could not fit: the table alone takes 33 bytes for each, and their data do not overlap.
Status check_tensor_count(uint64_t count, uint64_t bytes_left);

// Reads `count` descriptions from the cursor and appends tensors whose data are checked to lie inside `file`, aligned
// and disjoint. Room for them must have been reserved. Duplicate names are not looked for here (NameIndex).
Status read_tensors(Cursor& at, uint64_t count, std::span<const std::byte> file, uint64_t alignment, uint32_t shard,
                    std::vector<Tensor>& tensors);

}  // namespace linnet
