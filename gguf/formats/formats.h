// The one list of the formats that can be decoded, multiplied and written. A new format is a header beside this one and
// its name in WithFormats.
#pragma once

#include <cstdint>

#include "gguf/formats/bf16.h"
#include "gguf/formats/f16.h"
#include "gguf/formats/f32.h"
#include "gguf/formats/iq4_nl.h"
#include "gguf/formats/iq4_xs.h"
#include "gguf/formats/q2_k.h"
#include "gguf/formats/q3_k.h"
#include "gguf/formats/q4_0.h"
#include "gguf/formats/q4_1.h"
#include "gguf/formats/q4_k.h"
#include "gguf/formats/q5_0.h"
#include "gguf/formats/q5_1.h"
#include "gguf/formats/q5_k.h"
#include "gguf/formats/q6_k.h"
#include "gguf/formats/q8_0.h"
#include "gguf/formats/q8_1.h"
#include "gguf/formats/q8_k.h"

namespace linnet {

// List<F32, F16, ...> for a template of one's own: a table of functions, a test suite.
template <template <class...> class List>
using WithFormats =
    List<F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K, IQ4_NL, IQ4_XS>;

// Formats with the integer view (scale, weight); the others are plain floats.
template <class F>
inline constexpr bool is_quantized = F::unit > 1;

template <class... F>
struct FormatVisit {
  template <class Visitor>
  LINNET_INLINE static void run(Visitor&& visit) {
    (visit.template operator()<F>(), ...);
  }
};

// Calls visit.operator()<F>() for every format: for_each_format([&]<class F>() { ... }).
template <class Visitor>
LINNET_INLINE void for_each_format(Visitor&& visit) {
  WithFormats<FormatVisit>::run(static_cast<Visitor&&>(visit));
}

// The definition of a row's values; `values` is a multiple of F::values. Blocks may lie at any address.
template <class F>
LINNET_INLINE void decode_row(const typename F::Block* blocks, float* out, int64_t values) {
  for (int64_t b = 0; b < values / F::values; ++b)
    for (int i = 0; i < F::values; ++i) out[b * F::values + i] = F::value(blocks[b], i);
}

}  // namespace linnet
