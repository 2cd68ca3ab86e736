// Constraints that are a regular expression or a list of texts.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "gguf/base/error.h"
#include "sampling/grammar_rules.h"

namespace linnet {

inline constexpr size_t kMaxChoices = 10'000;
inline constexpr size_t kMaxChoiceBytes = 64 << 10;  // of all texts together

// The texts that the pattern matches as a whole: "^" and "$" at its ends say nothing new. Syntax: sampling/regex.h.
Result<GrammarRules> regex_rules(std::string_view pattern);

// One of these texts, byte by byte; UTF-8. An empty list, an empty text or the same text twice is invalid_argument.
Result<GrammarRules> choice_rules(std::span<const std::string> choices);

}  // namespace linnet
