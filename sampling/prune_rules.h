// Grammars without ways that lead nowhere.
#pragma once

#include "sampling/grammar_rules.h"

namespace linnet {

// Removes alternatives that no text can ever complete (a rule that always needs itself), and rules and nodes that are
// not used. False when that leaves no text at all; the rules are then as they were. Indices must be in bounds.
bool prune_rules(GrammarRules& rules);

}  // namespace linnet
