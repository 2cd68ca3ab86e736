// A JSON Schema as a grammar of the JSON texts that it allows, written as sampling/json_grammar.h says.
//
// Every text of the grammar is valid against the schema, and every valid value has a text, but for what
// docs/structured-output.md names (digits, order of properties, white space). A keyword that this cannot promise for is
// refused with its JSON pointer, wherever it stands; none is ignored.
#pragma once

#include <cstddef>
#include <string_view>

#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "sampling/grammar_rules.h"

namespace linnet {

inline constexpr size_t kMaxSchemaBytes = 64 << 10;

// schema_invalid, schema_unsupported, regex (a pattern), grammar_limit.
Result<GrammarRules> json_schema_rules(const Json& schema);
// From the text of a schema; json_syntax and too_large as well. A key that is there twice is schema_invalid.
Result<GrammarRules> json_schema_rules(std::string_view schema);

}  // namespace linnet
