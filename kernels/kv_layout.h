// How keys and values lie in a page. A page holds 64 tokens; a layer's part of it is, for each of K and V, one block per
// kv_head, heads in order (D: k_dim or v_dim):
//
//   F32, F16   K: [D][64 tokens]   V: [64 tokens][D]
//   Q8_0       K: int8 [D/4][64 tokens][4], then Half scales [D/32][64 tokens]
//              V: int8 [64 tokens][D],      then Half scales [D/32][64 tokens]
//              value = code * scale, 32 values of a token share a scale; D is a multiple of 32
//
// so that attention's vector lanes are tokens for q k^T and dimensions for p v, with no shuffle. Every block is a
// multiple of 64 bytes. A row (one token, one head) outside of pages, as session files keep it, is [D] values, or for
// Q8_0 int8 [D] and then Half [D/32].
#pragma once

#include <cstddef>
#include <cstdint>

#include "gguf/base/half.h"
#include "gguf/base/inline.h"
#include "kernels/kernels.h"

namespace linnet {

// Bytes of one kv_head's keys (or values) in a page.
LINNET_INLINE constexpr int64_t kv_head_bytes(KvType type, int64_t dim) {
  switch (type) {
    case KvType::f32:
      return kPageTokens * dim * 4;
    case KvType::f16:
      return kPageTokens * dim * 2;
    case KvType::q8_0:
      return kPageTokens * (dim + dim / 32 * 2);
  }
  return 0;
}

// Bytes of one layer's keys (or values) in a page: a multiple of 64.
LINNET_INLINE constexpr int64_t kv_part_bytes(KvType type, int64_t kv_heads, int64_t dim) {
  return kv_heads * kv_head_bytes(type, dim);
}

// Bytes of one token's row of one head outside of pages.
LINNET_INLINE constexpr int64_t kv_row_bytes(KvType type, int64_t dim) {
  return kv_head_bytes(type, dim) / kPageTokens;
}

// Start of a head's block in a page.
LINNET_INLINE std::byte* k_head(std::byte* page, const KvLayer& kv, int64_t head) {
  return page + kv.k_offset + head * kv_head_bytes(kv.type, kv.k_dim);
}
LINNET_INLINE std::byte* v_head(std::byte* page, const KvLayer& kv, int64_t head) {
  return page + kv.v_offset + head * kv_head_bytes(kv.type, kv.v_dim);
}
// The scales behind the codes of a Q8_0 head block.
LINNET_INLINE Half* kv_scales(std::byte* head_block, int64_t dim) {
  return reinterpret_cast<Half*>(head_block + kPageTokens * dim);
}

// One token (slot of 64) of all heads, as floats: Q8_0 is decoded and encoded. k: [kv_heads][k_dim], v: [kv_heads][v_dim].
void load_k_row(const std::byte* page, const KvLayer& kv, int64_t slot, float* k);
void load_v_row(const std::byte* page, const KvLayer& kv, int64_t slot, float* v);
void store_k_row(std::byte* page, const KvLayer& kv, int64_t slot, const float* k);
void store_v_row(std::byte* page, const KvLayer& kv, int64_t slot, const float* v);

// The same as stored bytes, exactly: [kv_heads][kv_row_bytes(type, dim)].
void read_k_row(const std::byte* page, const KvLayer& kv, int64_t slot, std::byte* row);
void read_v_row(const std::byte* page, const KvLayer& kv, int64_t slot, std::byte* row);
void write_k_row(std::byte* page, const KvLayer& kv, int64_t slot, const std::byte* row);
void write_v_row(std::byte* page, const KvLayer& kv, int64_t slot, const std::byte* row);

}  // namespace linnet
