// Pieces of JSON texts as grammar nodes, in the one way in which constrained texts are written:
//
//   space    = "" | " " | "\n" " "{0,32}       after "{", "[" and ",", before "}" and "]"; after ":" only "" | " "
//   string   = '"' character* '"'
//   character = itself, but '"', '\' and U+0000 to U+001F are \" \\ \b \f \n \r \t \u00HH
//   integer  = within 64 bits, without fraction, exponent and "-0"
//   number   = "-"? 1 to 18 digits ("." 1 to 18 digits)? (("e" | "E") ("+" | "-")? 1 to 2 digits)?
//              between bounds: without the exponent
//
// All are finite where a model could otherwise go on for ever, and every number is a finite double.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "sampling/grammar_rules.h"
#include "sampling/language_rules.h"
#include "sampling/number_range.h"

namespace linnet {

class JsonGrammar {
 public:
  GrammarRules rules;

  int32_t space() { return shared(space_, "space", &JsonGrammar::make_space); }
  int32_t comma() { return shared(comma_, "comma", &JsonGrammar::make_comma); }
  int32_t colon() { return shared(colon_, "colon", &JsonGrammar::make_colon); }
  int32_t any_string() { return shared(string_, "string", &JsonGrammar::make_string); }

  // `open` and `close` with nothing but space between them, or with space around `content`.
  int32_t empty(char open, char close);
  int32_t enclosed(char open, int32_t content, char close);
  // A value, exactly as JsonWriter writes it.
  int32_t literal(const Json& value);
  // A string with `content` between the quotes.
  int32_t quoted(int32_t content);
  // A string of the language, which must not be empty.
  int32_t string_of(const Language& language);
  // least to most characters, most -1: any number.
  int32_t string_of_length(int32_t least, int32_t most);
  // Integers only, or decimals too; -1 when there are none.
  int32_t number(const NumberRange& range, bool integers_only);

  Spelling spelling();

 private:
  // A reference to the rule, which is made when it is first asked for.
  int32_t shared(int32_t& rule, const char* name, int32_t (JsonGrammar::*make)());
  int32_t make_space();
  int32_t make_comma();
  int32_t make_colon();
  int32_t make_escape();
  int32_t make_character();
  int32_t make_string();
  int32_t make_any_number();
  int32_t control(uint32_t character);
  int32_t spell(const CharacterSet& set);

  int32_t space_ = -1, comma_ = -1, colon_ = -1, escape_ = -1, character_ = -1, string_ = -1, number_ = -1;
  std::array<int32_t, 32> controls_ = [] {
    std::array<int32_t, 32> none;
    none.fill(-1);
    return none;
  }();
};

}  // namespace linnet
