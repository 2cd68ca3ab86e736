// What a generated text has to be, as a request says it: a grammar, a schema, a pattern or a list of texts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/grammar_rules.h"
#include "sampling/triggers.h"
#include "sampling/vocabulary.h"

namespace linnet {

struct GrammarSource {
  enum class Kind : uint8_t { none, gbnf, json_schema, regex, choice };
  Kind kind = Kind::none;
  std::string text;  // choice: a JSON array of texts
  // A lazy one lets any text pass until one of its triggers fires.
  bool lazy = false;
  std::vector<Trigger> triggers = {};
};

std::string_view grammar_kind_name(GrammarSource::Kind kind);  // "gbnf", "json_schema", ...

// Parses the text; not for Kind::none.
Result<GrammarRules> grammar_rules(const GrammarSource& source, const SamplingVocabulary& vocabulary);

}  // namespace linnet
