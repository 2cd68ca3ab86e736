// The one list of the formats that can be decoded, multiplied and written. A new format is a header beside this one and
// its name in WithFormats.
#pragma once

#include <cstdint>

#include "gguf/formats/bf16.h"
#include "gguf/formats/f16.h"
#include "gguf/formats/f32.h"
#include "gguf/formats/iq1_m.h"
#include "gguf/formats/iq1_s.h"
#include "gguf/formats/iq2_s.h"
#include "gguf/formats/iq2_xs.h"
#include "gguf/formats/iq2_xxs.h"
#include "gguf/formats/iq3_s.h"
#include "gguf/formats/iq3_xxs.h"
#include "gguf/formats/iq4_nl.h"
#include "gguf/formats/iq4_xs.h"
#include "gguf/formats/mxfp4.h"
#include "gguf/formats/nvfp4.h"
#include "gguf/formats/q1_0.h"
#include "gguf/formats/q2_0.h"
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
#include "gguf/formats/tq1_0.h"
#include "gguf/formats/tq2_0.h"

namespace linnet {

// List<F32, F16, ...> for a template of one's own: a table of functions, a test suite.
template <template <class...> class List>
using WithFormats =
    List<F32, F16, BF16, Q1_0, Q2_0, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q8_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, Q8_K, IQ1_S,
         IQ1_M, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S, IQ4_NL, IQ4_XS, TQ1_0, TQ2_0, MXFP4, NVFP4>;

// Formats with the integer view (scale, weight); the others are plain floats.
template <class F>
inline constexpr bool is_quantized = F::unit > 1;

// What a row is multiplied by: a block of several units is taken apart into blocks of F::Unit, a format of its own.
template <class F>
struct UnitFormatOf {
  using type = F;
};
template <class F>
requires requires { typename F::Unit; }
struct UnitFormatOf<F> {
  using type = typename F::Unit;
};
template <class F>
using UnitFormat = typename UnitFormatOf<F>::type;
template <class F>
inline constexpr int units_per_block = F::values / UnitFormat<F>::values;

// Unit u of a row: the block where it lies, or a copy of a part of one.
template <class F>
LINNET_INLINE decltype(auto) unit_block(const typename F::Block* row, int64_t u) {
  if constexpr (units_per_block<F> == 1)
    return (row[u]);
  else
    return F::unit_block(row[u / units_per_block<F>], int(u % units_per_block<F>));
}

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
