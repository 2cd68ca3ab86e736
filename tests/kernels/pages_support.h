// Paged keys and values for tests: sequences of pages, with every byte that nobody stored poisoned.
#pragma once

#include "kernels/kv_layout.h"
#include "tests/kernels/kernels_support.h"

namespace linnet {

inline KvLayer make_layer(KvType type, int32_t kv_heads, int32_t k_dim, int32_t v_dim) {
  KvLayer kv{type, kv_heads, k_dim, v_dim, 64, 0};  // other layers may lie before
  kv.v_offset = kv.k_offset + kv_part_bytes(type, kv_heads, k_dim);
  return kv;
}

// The pages of one sequence, from absolute page first_page on.
class Sequence {
 public:
  Sequence(const KvLayer& kv, int64_t first_page, int64_t end) : kv_(kv), first_page_(first_page) {
    const auto bytes = static_cast<size_t>(kv.v_offset + kv_part_bytes(kv.type, kv.kv_heads, kv.v_dim));
    for (int64_t p = first_page; p * kPageTokens < end; ++p) memory_.emplace_back(bytes, std::byte{0xff});  // NaN
    for (auto& page : memory_) pages_.push_back(page.data());
  }
  RowPlace place(int64_t position, int64_t begin, int64_t end) const {
    return {pages_.data(), first_page_, position, begin, end};
  }
  std::byte* page(int64_t position) const { return pages_[static_cast<size_t>(position / kPageTokens - first_page_)]; }
  void store(int64_t position, const float* k, const float* v) {
    store_k_row(page(position), kv_, position % kPageTokens, k);
    store_v_row(page(position), kv_, position % kPageTokens, v);
  }
  Array<float> key(int64_t position) const {
    Array<float> k(static_cast<size_t>(kv_.kv_heads * kv_.k_dim));
    load_k_row(page(position), kv_, position % kPageTokens, k.data());
    return k;
  }
  Array<float> value(int64_t position) const {
    Array<float> v(static_cast<size_t>(kv_.kv_heads * kv_.v_dim));
    load_v_row(page(position), kv_, position % kPageTokens, v.data());
    return v;
  }
  void fill(Random& random, int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p)
      store(p, random_floats(random, kv_.kv_heads * kv_.k_dim).data(),
            random_floats(random, kv_.kv_heads * kv_.v_dim).data());
  }
  // All bytes, as one vector, for comparing.
  std::vector<std::byte> bytes() const {
    std::vector<std::byte> all;
    for (const auto& page : memory_) all.insert(all.end(), page.begin(), page.end());
    return all;
  }

 private:
  KvLayer kv_;
  int64_t first_page_;
  std::vector<Array<std::byte>> memory_;
  std::vector<std::byte*> pages_;
};

// The pairs of one head turned by their angles, in double.
inline void turn(double* head, Rope rope, int32_t dims, const float* cos, const float* sin) {
  for (int64_t i = 0; rope != Rope::none && i < dims / 2; ++i) {
    double& a = head[rope == Rope::half ? i : 2 * i];
    double& b = head[rope == Rope::half ? i + dims / 2 : 2 * i + 1];
    const double x0 = a, x1 = b;
    a = x0 * cos[i] - x1 * sin[i];
    b = x1 * cos[i] + x0 * sin[i];
  }
}

// Values of one head as pages hold them.
inline void expect_close(const std::vector<double>& want, const float* got, double error, KvType type,
                         const char* what) {
  double amax = 0;
  for (double v : want) amax = std::max(amax, std::fabs(v));
  for (size_t d = 0; d < want.size(); ++d) {
    // Half an ulp of binary16, or half a step of a block's scale and the rounding of that scale.
    const double stored = type == KvType::f32   ? 0
                          : type == KvType::f16 ? std::fabs(want[d]) * 0x1p-11 + 1e-7
                                                : amax / 127;
    if (!(std::fabs(got[d] - want[d]) <= error + stored))
      FAIL() << what << "[" << d << "]: " << got[d] << " is not " << want[d];
  }
}
inline void expect_heads_close(const std::vector<double>& want, const Array<float>& got, int64_t dim, double error,
                               KvType type, const char* what) {
  ASSERT_EQ(want.size(), got.size());
  for (auto h = want.begin(); h < want.end(); h += dim)
    expect_close({h, h + dim}, got.data() + (h - want.begin()), error, type, what);
}

}  // namespace linnet
