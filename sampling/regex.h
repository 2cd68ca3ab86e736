// Regular expressions, parsed. The syntax is ECMAScript's (with the `u` flag) without what a finite automaton cannot do:
//
//   pattern   = branch ("|" branch)*                  "^" may begin and "$" may end a branch of the whole pattern
//   branch    = (atom quantifier?)*
//   atom      = character | "." | class | escape | "(" group ")" | "(?:" group ")" | "(?<name>" group ")"
//   group     = (atom quantifier?)* ("|" (atom quantifier?)*)*
//   quantifier = ("*" | "+" | "?" | "{" m "}" | "{" m ",}" | "{" m "," n "}") "?"?     lazy ones match the same texts
//   class     = "[" "^"? (item | item "-" item)+ "]"
//   escape    = \d \D \w \W \s \S \n \t \r \f \v \0 \xHH \uHHHH \u{H...} and \ before punctuation
//
// docs/structured-output.md has the details. Look-around, back references, \b, \p and flags are refused by position.
#pragma once

#include <string_view>

#include "gguf/base/error.h"
#include "sampling/grammar_rules.h"

namespace linnet {

inline constexpr size_t kMaxRegexBytes = 4096;
inline constexpr int kMaxRegexNesting = 100;      // groups inside each other
inline constexpr int32_t kMaxRegexRepeat = 1000;  // the numbers in {m,n}
inline constexpr int64_t kMaxRegexSize = 20'000;  // characters and classes after all repetitions are written out

struct Regex {
  // One alternative of the whole pattern.
  struct Branch {
    int32_t node;
    bool from_start, to_end;  // "^" and "$" were there
  };
  GrammarRules grammar;  // nodes only: characters, sequence, choice, repeat
  std::vector<Branch> branches;
};

// Code::regex says what is wrong at which byte, Code::grammar_limit which limit is passed.
Result<Regex> parse_regex(std::string_view pattern);

}  // namespace linnet
