// The formats of gguf/formats by type at run time: decode, encode, and the definition of single values.
// Deterministic and single-threaded: a row gives the same bytes wherever and whenever it is encoded.
#pragma once

#include <cstdint>

#include "gguf/base/error.h"
#include "gguf/types.h"

namespace linnet {

// Functions of one format. `blocks` may lie at any address; `values` is a multiple of the format's block.
struct Codec {
  Type type;
  void (*decode)(const void* blocks, float* out, int64_t values);
  // x must be finite (encode_row checks); values beyond what a block can hold saturate. importance: as encode_row.
  void (*encode)(const float* x, void* blocks, int64_t values, const float* importance);
  float (*value)(const void* blocks, int64_t i);  // of the i-th value after `blocks`
};

// nullptr for a type that has no format here (it can be listed and copied, not read).
const Codec* codec(Type type);

// Encodes `values` values; refuses a type without a codec, a partial block, and NaN or infinite input. `importance`
// [values] weighs the squared error of each value, finite and >= 0; null: all alike.
Status encode_row(Type type, const float* x, void* blocks, int64_t values, const float* importance = nullptr);

}  // namespace linnet
