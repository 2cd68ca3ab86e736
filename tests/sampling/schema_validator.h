// JSON Schema validation as the specification words it, for the keywords that become grammars. Slow, recursive, for
// tests only; patterns are run by RE2.
#pragma once

#include "gguf/base/json.h"

namespace linnet {

// Whether the value is valid against the schema, whose references lead into `root`.
bool schema_valid(const Json& root, const Json& schema, const Json& value);

}  // namespace linnet
