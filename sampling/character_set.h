// Sets of characters: what a class of a regular expression or one step of a string stands for.
#pragma once

#include <cstdint>
#include <vector>

#include "sampling/grammar_rules.h"

namespace linnet {

// Ascending, disjoint, no two that touch; no surrogates, nothing above U+10FFFF.
using CharacterSet = std::vector<CharacterRange>;

CharacterSet all_characters();
// The set of these ranges, which may overlap in any order; surrogates are left out.
CharacterSet character_set(std::vector<CharacterRange> ranges);
CharacterSet complement(const CharacterSet& set);
CharacterSet intersection(const CharacterSet& a, const CharacterSet& b);
inline CharacterSet difference(const CharacterSet& a, const CharacterSet& b) { return intersection(a, complement(b)); }

}  // namespace linnet
