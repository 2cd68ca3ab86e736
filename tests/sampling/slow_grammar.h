// What grammar rules mean, as plainly as it can be said: whether they derive a text, and random texts that they derive.
#pragma once

#include <string>
#include <string_view>

#include "sampling/grammar_rules.h"
#include "tests/support.h"

namespace linnet {

// Whether the whole text is derived. Rules must not be left-recursive; token nodes match nothing.
bool slow_accepts(const GrammarRules& rules, std::string_view text);

// A random text of the grammar, which must have one. About `size` random decisions are made; then the shortest way to
// the end is taken.
std::string random_text(const GrammarRules& rules, Random& random, int size);

// Empty if the rules are well-formed: indices in bounds, ranges ascending, choices not empty.
std::string malformed(const GrammarRules& rules);

}  // namespace linnet
