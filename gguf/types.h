// The tensor types of the GGUF format: one row per type, runnable here or not.
// Source: the GGUF specification (ggml/docs/gguf.md) and the public block layouts.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace linnet {

enum class Type : uint32_t {
  f32 = 0,
  f16 = 1,
  q4_0 = 2,
  q4_1 = 3,
  q5_0 = 6,
  q5_1 = 7,
  q8_0 = 8,
  q8_1 = 9,
  q2_k = 10,
  q3_k = 11,
  q4_k = 12,
  q5_k = 13,
  q6_k = 14,
  q8_k = 15,
  iq2_xxs = 16,
  iq2_xs = 17,
  iq3_xxs = 18,
  iq1_s = 19,
  iq4_nl = 20,
  iq3_s = 21,
  iq2_s = 22,
  iq4_xs = 23,
  i8 = 24,
  i16 = 25,
  i32 = 26,
  i64 = 27,
  f64 = 28,
  iq1_m = 29,
  bf16 = 30,
  tq1_0 = 34,
  tq2_0 = 35,
  mxfp4 = 39,
  nvfp4 = 40,
  q1_0 = 41,
  q2_0 = 42,
};

struct TypeInfo {
  Type type;
  std::string_view name;  // as people write it: "Q4_K"
  int32_t block_values;   // values per block
  int32_t block_bytes;    // bytes per block
};

// All rows, in the order of their ids.
std::span<const TypeInfo> all_types();
// nullptr for an id that is not (or no longer) a type of the format.
const TypeInfo* type_info(Type type);
// True for ids that the format once had and removed (4, 5, 31-33, 36-38).
bool type_removed(uint32_t id);
// Case-insensitive; nullptr when there is no such name.
const TypeInfo* type_by_name(std::string_view name);

// Bytes of a row of `values` values; `values` must be a multiple of the type's block.
inline int64_t row_bytes(const TypeInfo& t, int64_t values) { return values / t.block_values * t.block_bytes; }

}  // namespace linnet
