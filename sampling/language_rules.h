// Languages and patterns written down as grammar rules.
#pragma once

#include <functional>
#include <string>

#include "gguf/base/error.h"
#include "sampling/grammar_rules.h"
#include "sampling/language.h"

namespace linnet {

// Adds a node for one character of the set, as the text spells it: itself, or escaped inside a JSON string.
using Spelling = std::function<int32_t(GrammarRules& rules, const CharacterSet& set)>;

int32_t spell_plainly(GrammarRules& rules, const CharacterSet& set);

// The node that is this language, which must not be empty. New rules are called `name`.
int32_t add_language(GrammarRules& rules, const Language& language, const Spelling& spell, const std::string& name);

// The node of a pattern's texts (Language::of_regex says what `search` means). A pattern whose automaton is too large
// keeps the form in which it was written.
Result<int32_t> add_regex(GrammarRules& rules, const Regex& regex, bool search, const Spelling& spell,
                          const std::string& name, WorkBudget& budget);

}  // namespace linnet
