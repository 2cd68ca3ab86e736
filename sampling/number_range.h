// Numbers between bounds, exactly, as the digits that spell them.
#pragma once

#include <cstdint>
#include <string_view>

#include "sampling/grammar_rules.h"

namespace linnet {

// Constrained numbers have at most so many digits before the point, and as many after it.
inline constexpr int kNumberDigits = 18;

// A number in units of 10^-18; __int128 holds all with 18 digits on both sides, and 64-bit integers.
__extension__ using ScaledNumber = __int128;
inline constexpr ScaledNumber kScale = 1'000'000'000'000'000'000;
inline constexpr ScaledNumber kScaledMax = ScaledNumber(INT64_MAX) * 2 * kScale;  // what is larger counts as this

// The number that a JSON number's text spells, rounded down to a unit, and whether it is one exactly.
struct Scaled {
  ScaledNumber floor;
  bool exact;
};
Scaled scaled_number(std::string_view text);

// Both ends included.
struct NumberRange {
  ScaledNumber least = -kScaledMax, most = kScaledMax;
  bool unbounded() const { return least == -kScaledMax && most == kScaledMax; }
  bool contains(ScaledNumber n) const { return n >= least && n <= most; }
};
NumberRange intersection(const NumberRange& a, const NumberRange& b);

// The node for the numbers in the range: 64-bit integers, or decimals of kNumberDigits without exponent, neither with
// "-0". -1 when there are none.
int32_t add_number_range(GrammarRules& rules, const NumberRange& range, bool integers_only);

}  // namespace linnet
