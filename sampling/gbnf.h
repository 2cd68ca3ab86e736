// GBNF, the notation of grammars in use among local runtimes:
//
//   grammar  ::= rule*                       the rule named "root" is the whole text
//   rule     ::= name "::=" choice           ends with the line, except inside ( ), after "::=" and around "|"
//   choice   ::= sequence ("|" sequence)*    a sequence may be empty
//   sequence ::= (item repeat*)*
//   repeat   ::= "*" | "+" | "?" | "{m}" | "{m,}" | "{m,n}" | "{,n}"
//   item     ::= "text" | [class] | [^class] | "." | name | "(" choice ")" | token | "!" token
//   token    ::= "<[" id "]>" | "<" text ">" a token by its number, or by its text, the angle brackets included
//   name     ::= letters, digits, "-" and "_"
//   # a comment ends with its line
//
// In texts and classes a backslash begins \n \r \t, \xNN \uNNNN \UNNNNNNNN (code points), or any punctuation as itself.
// "." is any character, line ends included. "!" token is any one token of text but this one.
#pragma once

#include <string_view>

#include "gguf/base/error.h"
#include "sampling/grammar_rules.h"
#include "sampling/vocabulary.h"

namespace linnet {

constexpr size_t kMaxGrammarBytes = size_t(64) << 10;
constexpr size_t kMaxGrammarNesting = 1000;  // of brackets

// An error says line and column, what was expected and what is there. `vocabulary` finds tokens by their texts; without
// it these are errors. Token ids are checked by Grammar::compile().
Result<GrammarRules> parse_gbnf(std::string_view text, const SamplingVocabulary* vocabulary);

}  // namespace linnet
