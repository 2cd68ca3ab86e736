// A JSON Schema that has been read: every keyword in it is one that is known and has a value that it may have, and every
// reference is resolved. docs/structured-output.md lists the keywords.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "sampling/regex.h"

namespace linnet {

inline constexpr size_t kMaxSubschemas = 10'000;
inline constexpr int64_t kMaxSchemaCount = 10'000;  // the numbers of minItems, maxLength and the like

class SchemaDocument {
 public:
  // The schema must outlive the document. schema_invalid: it is not a JSON Schema; schema_unsupported: it is one that
  // no grammar is made for; regex, grammar_limit. Every sentence names the place as a JSON pointer.
  static Result<SchemaDocument> read(const Json& schema);

  // "#/properties/a" for a schema inside the document.
  std::string pointer(const Json* schema) const;
  // Where its "$ref" leads; the schema must have one.
  const Json* target(const Json* schema) const { return targets_.at(schema); }
  // A pattern of "pattern" or "patternProperties", or that of a "format".
  const Regex& pattern(std::string_view text) const { return patterns_.find(text)->second; }

 private:
  friend class SchemaReader;
  struct Place {
    const Json* parent = nullptr;
    std::string step;  // from the parent, "/properties/a"
  };
  std::unordered_map<const Json*, Place> places_;  // of all schemas in the document
  std::unordered_map<const Json*, const Json*> targets_;
  std::map<std::string, Regex, std::less<>> patterns_;
};

// A value of minItems and the like, which may be written 2 or 2.0. Nothing for any other value.
std::optional<int64_t> schema_count(const Json& value);

}  // namespace linnet
