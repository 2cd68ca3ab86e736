#include "kernels/kv_layout.h"

#include "kernels/cpu/kv_store.h"
#include "kernels/cpu/simd_scalar.h"

namespace linnet {
namespace {

// Codes of one key lie in groups of four, 64 tokens apart.
template <class Copy>
void each_k_part(const KvLayer& kv, int64_t slot, Copy&& copy) {
  const int64_t bytes = kv.type == KvType::f16 ? 2 : 4;  // of a value, or of four codes
  const int64_t parts = kv.type == KvType::q8_0 ? kv.k_dim / 4 : kv.k_dim;
  int64_t row = 0;
  for (int64_t head = 0; head < kv.kv_heads; ++head) {
    const int64_t block = kv.k_offset + head * kv_head_bytes(kv.type, kv.k_dim);
    for (int64_t i = 0; i < parts; ++i, row += bytes) copy(block + (i * kPageTokens + slot) * bytes, row, bytes);
    if (kv.type != KvType::q8_0) continue;
    const int64_t scales = block + kPageTokens * kv.k_dim;
    for (int64_t b = 0; b < kv.k_dim / 32; ++b, row += 2) copy(scales + (b * kPageTokens + slot) * 2, row, 2);
  }
}

template <class Copy>
void each_v_part(const KvLayer& kv, int64_t slot, Copy&& copy) {
  const int64_t bytes = kv.v_dim * (kv.type == KvType::f32 ? 4 : kv.type == KvType::f16 ? 2 : 1);
  int64_t row = 0;
  for (int64_t head = 0; head < kv.kv_heads; ++head) {
    const int64_t block = kv.v_offset + head * kv_head_bytes(kv.type, kv.v_dim);
    copy(block + slot * bytes, row, bytes);
    row += bytes;
    if (kv.type != KvType::q8_0) continue;
    const int64_t scales = block + kPageTokens * kv.v_dim;
    for (int64_t b = 0; b < kv.v_dim / 32; ++b, row += 2) copy(scales + (b * kPageTokens + slot) * 2, row, 2);
  }
}

}  // namespace

void load_k_row(const std::byte* page, const KvLayer& kv, int64_t slot, float* k) {
  for (int64_t head = 0; head < kv.kv_heads; ++head) {
    const std::byte* block = page + kv.k_offset + head * kv_head_bytes(kv.type, kv.k_dim);
    for (int64_t d = 0; d < kv.k_dim; ++d) *k++ = key_at(block, kv.type, kv.k_dim, slot, d);
  }
}

void load_v_row(const std::byte* page, const KvLayer& kv, int64_t slot, float* v) {
  for (int64_t head = 0; head < kv.kv_heads; ++head) {
    const std::byte* block = page + kv.v_offset + head * kv_head_bytes(kv.type, kv.v_dim);
    for (int64_t d = 0; d < kv.v_dim; ++d) *v++ = value_at(block, kv.type, kv.v_dim, slot, d);
  }
}

void store_k_row(std::byte* page, const KvLayer& kv, int64_t slot, const float* k) {
  for (int64_t head = 0; head < kv.kv_heads; ++head, k += kv.k_dim)
    store_key<Scalar>(k_head(page, kv, head), kv.type, kv.k_dim, 0, kv.k_dim, slot, k);
}

void store_v_row(std::byte* page, const KvLayer& kv, int64_t slot, const float* v) {
  for (int64_t head = 0; head < kv.kv_heads; ++head, v += kv.v_dim)
    store_value<Scalar>(v_head(page, kv, head), kv.type, kv.v_dim, slot, v);
}

void read_k_row(const std::byte* page, const KvLayer& kv, int64_t slot, std::byte* row) {
  each_k_part(kv, slot, [&](int64_t in_page, int64_t in_row, int64_t bytes) {
    std::memcpy(row + in_row, page + in_page, static_cast<size_t>(bytes));
  });
}

void read_v_row(const std::byte* page, const KvLayer& kv, int64_t slot, std::byte* row) {
  each_v_part(kv, slot, [&](int64_t in_page, int64_t in_row, int64_t bytes) {
    std::memcpy(row + in_row, page + in_page, static_cast<size_t>(bytes));
  });
}

void write_k_row(std::byte* page, const KvLayer& kv, int64_t slot, const std::byte* row) {
  each_k_part(kv, slot, [&](int64_t in_page, int64_t in_row, int64_t bytes) {
    std::memcpy(page + in_page, row + in_row, static_cast<size_t>(bytes));
  });
}

void write_v_row(std::byte* page, const KvLayer& kv, int64_t slot, const std::byte* row) {
  each_v_part(kv, slot, [&](int64_t in_page, int64_t in_row, int64_t bytes) {
    std::memcpy(page + in_page, row + in_row, static_cast<size_t>(bytes));
  });
}

}  // namespace linnet
