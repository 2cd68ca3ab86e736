// The keys and values of a GGUF file (the bytes: reader.cpp).
#pragma once

#include <cstdint>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/cursor.h"
#include "gguf/reader.h"

namespace linnet {

// Bytes of one element in a file: exact for numbers and booleans, the least for strings (8) and arrays (12).
// 0 for an id that is no value type.
uint64_t element_bytes(ValueType type);

// Reads `count` pairs from the cursor. Duplicate keys are not looked for here (NameIndex).
Result<std::vector<Value>> read_metadata(Cursor& at, uint64_t count);

// The value as an unsigned number: gguf_key_type for another type, gguf_value_range when negative.
Result<uint64_t> unsigned_integer(const Value& value);

}  // namespace linnet
