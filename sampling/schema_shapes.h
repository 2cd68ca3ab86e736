// What schemas say together about one value. A value must often be valid against several at once ("allOf", what stands
// beside "$ref", properties that two schemas describe), so everything here is asked of a list of schemas, a goal, and
// alternatives ("anyOf") make of one goal several shapes.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "sampling/language.h"
#include "sampling/number_range.h"
#include "sampling/schema_document.h"

namespace linnet {

// Schemas that a value must be valid against, all of them; none: any value. Without doubles, and without those that
// allow everything.
using Goal = std::vector<const Json*>;

enum TypeBit : uint8_t {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kFraction = 8,  // numbers that are no integers
  kString = 16,
  kArray = 32,
  kObject = 64,
  kAllTypes = 127,
};

// One way to be valid against a goal: all alternatives are chosen.
struct Shape {
  Goal schemas;  // all that apply, those chosen and referred to included
  uint8_t types = kAllTypes;
  std::optional<std::vector<const Json*>> values;  // of "enum" or "const": only these, and they are valid
  NumberRange range;
  int64_t min_length = 0, max_length = -1;  // -1: no limit, here and below
  std::vector<std::string_view> patterns;   // texts of SchemaDocument::pattern
  int64_t min_items = 0, max_items = -1;
  int64_t min_properties = 0, max_properties = -1;
};

class SchemaShapes {
 public:
  explicit SchemaShapes(const SchemaDocument& document) : document_(document) {}

  // All shapes of the goal; none when no value is valid. schema_unsupported where alternatives of "oneOf" may overlap.
  Result<std::vector<Shape>> expand(const Goal& goal) { return expand(goal, true); }

  // What is asked of an item, of the value of a property, and of a property's name.
  Goal item_goal(const Shape& shape, size_t index) const;
  Result<Goal> property_goal(const Shape& shape, std::string_view name);
  Result<bool> name_allowed(const Shape& shape, std::string_view name);

  Result<Language> strings(const Shape& shape);  // of a shape with kString
  Result<const Language*> pattern(std::string_view text);
  Result<bool> valid(const Json& schema, const Json& value) { return valid(schema, value, 0); }

  const SchemaDocument& document() const { return document_; }
  WorkBudget budget;

 private:
  struct Draft;  // a shape in the making
  // Unless `exact`, "oneOf" is read as "anyOf": the shapes of a set that has all values of the goal, and maybe more.
  Result<std::vector<Shape>> expand(const Goal& goal, bool exact);
  Result<std::vector<Shape>> finish(Draft draft, int depth);
  Status merge(Draft& draft, const Json* schema);
  Result<bool> settle(Shape& shape);
  Status check_disjoint(const Json* schema, const std::vector<std::vector<Shape>>& alternatives);
  Result<bool> disjoint(const Shape& a, const Shape& b, int levels);
  Result<bool> disjoint_goals(const Goal& a, const Goal& b, int levels);
  Result<bool> disjoint_arrays(const Shape& a, const Shape& b, int levels);
  Result<bool> disjoint_objects(const Shape& a, const Shape& b, int levels);
  Result<bool> valid(const Json& schema, const Json& value, int depth);
  Result<bool> valid_alone(const Json& schema, const Json& value, int depth);
  Result<bool> valid_array(const Json& schema, const Json& value, int depth);
  Result<bool> valid_object(const Json& schema, const Json& value, int depth);

  const SchemaDocument& document_;
  std::map<std::string_view, Language> languages_;  // of patterns
};

// Adds a schema to a goal unless it is there or allows everything.
void add_to_goal(Goal& goal, const Json* schema);
// Whether one of the goal's schemas is `false`.
bool never(const Goal& goal);
// The numbers that "minimum" and the like of one schema allow.
NumberRange schema_range(const Json& schema);
// Equal as JSON Schema says: 1 and 1.0 are, and the order of members does not matter.
bool json_equal(const Json& a, const Json& b);

}  // namespace linnet
