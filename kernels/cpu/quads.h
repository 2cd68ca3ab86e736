// What AVX2 and AVX-512 share: four lanes, one per unit of four consecutive ones (the four canonical accumulators).
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <type_traits>

#include "gguf/base/half.h"
#include "kernels/cpu/codes.h"

namespace linnet {
namespace {

LINNET_INLINE __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
LINNET_INLINE __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

// Asks for the `bytes` that lie kPrefetch ahead of p in a thread's stream of weights; addresses behind the end of the
// matrix are harmless. Hardware prefetchers stop at 4 KiB pages and run late on rows of 1-8 KB: asking gains 10-25 % of
// bandwidth on an Intel server (1 KiB and 4 KiB ahead gain less), on Zen 4 it was seen to cost up to 10 %.
inline constexpr uintptr_t kPrefetch = 2048;
LINNET_INLINE void prefetch_ahead(const void* p, int64_t bytes) {
  const uintptr_t first = reinterpret_cast<uintptr_t>(p) + kPrefetch;
  for (int64_t i = 0; i < bytes; i += 64)
    _mm_prefetch(reinterpret_cast<const char*>(first + uintptr_t(i)), _MM_HINT_T0);
}

// Four binary16 scales at four addresses.
LINNET_INLINE __m128 four_halves(Half a, Half b, Half c, Half d) {
  const uint64_t bits = uint64_t(a.bits) | uint64_t(b.bits) << 16 | uint64_t(c.bits) << 32 | uint64_t(d.bits) << 48;
  return _mm_cvtph_ps(_mm_cvtsi64_si128(int64_t(bits)));
}

// Four blocks, anywhere.
template <class F>
struct Four {
  const typename F::Block* at[4];
  LINNET_INLINE const typename F::Block& operator[](int i) const { return *at[i]; }
};

template <class F>
LINNET_INLINE __m128 four_scales(const Four<F>& b) {
  if constexpr (requires { requires std::is_same_v<decltype(F::Block::d), Half>; }) {
    const __m128 d = four_halves(b[0].d, b[1].d, b[2].d, b[3].d);
    if constexpr (requires { F::step; })  // a power of two
      return _mm_mul_ps(d, _mm_set1_ps(F::step));
    else
      return d;
  } else {
    return _mm_setr_ps(F::scale(b[0]), F::scale(b[1]), F::scale(b[2]), F::scale(b[3]));
  }
}
// The factors of the integer sums of minimums, F::minimum.
template <class F>
LINNET_INLINE __m128 four_minimums(const Four<F>& b) {
  if constexpr (!F::has_min)
    return _mm_setzero_ps();
  else if constexpr (requires { b[0].dmin; })
    return four_halves(b[0].dmin, b[1].dmin, b[2].dmin, b[3].dmin);
  else if constexpr (requires { b[0].m; })
    return _mm_xor_ps(four_halves(b[0].m, b[1].m, b[2].m, b[3].m), _mm_set1_ps(-0.0f));
  else
    return _mm_setr_ps(F::minimum(b[0]), F::minimum(b[1]), F::minimum(b[2]), F::minimum(b[3]));
}

// Sums over a group, four units per register.
template <class F, int N>
struct GroupSums {
  static constexpr int quads = Codes<F>::group / 4;
  __m128i isum[N][quads], msum[N][quads];
  __m128 d[quads], minimum[quads];
};

}  // namespace
}  // namespace linnet
