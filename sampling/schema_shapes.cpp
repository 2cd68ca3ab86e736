#include "sampling/schema_shapes.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <utility>

#include "gguf/base/utf8.h"
#include "sampling/schema_formats.h"

namespace linnet {
namespace {

constexpr int kMaxDepth = 200;  // alternatives inside alternatives, references of references
constexpr size_t kMaxShapes = 1000;

uint8_t type_named(std::string_view name) {
  if (name == "null") return kNull;
  if (name == "boolean") return kBoolean;
  if (name == "integer") return kInteger;
  if (name == "number") return kInteger | kFraction;
  if (name == "string") return kString;
  return name == "array" ? kArray : kObject;
}

// The types that "type" and "nullable" of the schema allow.
uint8_t types_of(const Json& schema) {
  const Json* type = schema.find("type");
  if (type == nullptr) return kAllTypes;
  uint8_t types = 0;
  if (type->is_string()) types = type_named(*type->string());
  for (const Json& t : type->elements()) types |= type_named(*t.string());
  if (const Json* nullable = schema.find("nullable"); nullable != nullptr && *nullable->boolean()) types |= kNull;
  return types;
}

long double number_value(const Json& value) {
  const Result<int64_t> i = value.integer();
  return i ? static_cast<long double>(*i) : static_cast<long double>(*value.number());
}

uint8_t type_of(const Json& value) {
  if (value.is_null()) return kNull;
  if (value.is_boolean()) return kBoolean;
  if (value.is_integer()) return kInteger;
  if (value.is_number()) return std::floor(*value.number()) == *value.number() ? kInteger : kFraction;
  if (value.is_string()) return kString;
  return value.is_array() ? kArray : kObject;
}

std::optional<int64_t> count_in(const Json& schema, std::string_view keyword) {
  const Json* value = schema.find(keyword);
  return value == nullptr ? std::nullopt : schema_count(*value);
}

void raise(int64_t& least, const Json& schema, std::string_view keyword) {
  if (const auto n = count_in(schema, keyword)) least = std::max(least, *n);
}
void lower(int64_t& most, const Json& schema, std::string_view keyword) {
  if (const auto n = count_in(schema, keyword)) most = most < 0 ? *n : std::min(most, *n);
}

// Items at the front that have a schema each, and the schema of those that follow.
struct ItemSchemas {
  std::span<const Json> front;
  const Json* others = nullptr;
};
ItemSchemas item_schemas(const Json& schema) {
  const Json* items = schema.find("items");
  if (items != nullptr && items->is_array()) return {items->elements(), schema.find("additionalItems")};
  const Json* front = schema.find("prefixItems");
  return {front == nullptr ? std::span<const Json>() : front->elements(), items};
}

Error too_deep(std::string_view what) {
  return fail(Code::grammar_limit, "the JSON Schema {} more than {} levels deep; make it flatter", what, kMaxDepth);
}

}  // namespace

void add_to_goal(Goal& goal, const Json* schema) {
  const bool anything = schema->is_boolean() ? *schema->boolean() : schema->members().empty();
  if (!anything && std::find(goal.begin(), goal.end(), schema) == goal.end()) goal.push_back(schema);
}

bool never(const Goal& goal) {
  return std::any_of(goal.begin(), goal.end(), [](const Json* s) { return s->is_boolean(); });
}

NumberRange schema_range(const Json& schema) {
  NumberRange range;
  const auto bound = [&](std::string_view keyword) -> std::optional<Scaled> {
    const Json* value = schema.find(keyword);
    if (value == nullptr) return std::nullopt;
    return scaled_number(JsonWriter().value(*value).text());
  };
  const auto at_least = [&](ScaledNumber n) { range.least = std::max(range.least, n); };
  const auto at_most = [&](ScaledNumber n) { range.most = std::min(range.most, n); };
  if (const auto b = bound("minimum")) at_least(b->floor + (b->exact ? 0 : 1));
  if (const auto b = bound("exclusiveMinimum")) at_least(b->floor + 1);
  if (const auto b = bound("maximum")) at_most(b->floor);
  if (const auto b = bound("exclusiveMaximum")) at_most(b->floor - (b->exact ? 1 : 0));
  return range;
}

bool json_equal(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return number_value(a) == number_value(b);
  if (a.type_name() != b.type_name()) return false;
  if (a.is_boolean()) return *a.boolean() == *b.boolean();
  if (a.is_string()) return *a.string() == *b.string();
  if (a.is_array()) {
    return std::equal(a.elements().begin(), a.elements().end(), b.elements().begin(), b.elements().end(), json_equal);
  }
  if (a.members().size() != b.members().size()) return false;
  return std::all_of(a.members().begin(), a.members().end(), [&](const Json::Member& m) {
    const Json* other = b.find(m.key);
    return other != nullptr && json_equal(m.value, *other);
  });
}

// ---- Shapes

struct SchemaShapes::Draft {
  struct Alternatives {
    const Json* schema;
    std::string_view keyword;
  };
  Shape shape;
  std::deque<const Json*> pending;   // schemas that apply and are not merged yet
  std::deque<Alternatives> choices;  // of which one is to be chosen
  bool exact = true;
};

Result<std::vector<Shape>> SchemaShapes::expand(const Goal& goal, bool exact) {
  Draft draft;
  draft.exact = exact;
  draft.pending.assign(goal.begin(), goal.end());
  return finish(std::move(draft), 0);
}

Result<std::vector<Shape>> SchemaShapes::finish(Draft draft, int depth) {
  if (depth > kMaxDepth) return too_deep("has alternatives in alternatives");
  LINNET_CHECK(budget.spend(10 + int64_t(draft.shape.schemas.size())));
  while (!draft.pending.empty()) {
    const Json* schema = draft.pending.front();
    draft.pending.pop_front();
    LINNET_CHECK(merge(draft, schema));
  }
  std::vector<Shape> shapes;
  if (draft.choices.empty()) {
    LINNET_TRY(const bool possible, settle(draft.shape));
    if (possible) shapes.push_back(std::move(draft.shape));
    return shapes;
  }
  const Draft::Alternatives choice = draft.choices.front();
  draft.choices.pop_front();
  std::vector<std::vector<Shape>> alternatives;
  size_t count = 0;
  for (const Json& alternative : choice.schema->find(choice.keyword)->elements()) {
    Draft chosen = draft;
    chosen.pending.push_back(&alternative);
    LINNET_TRY(std::vector<Shape> found, finish(std::move(chosen), depth + 1));
    count += found.size();
    if (count > kMaxShapes) {
      return fail(Code::grammar_limit, "the JSON Schema at {} has more than {} combinations of alternatives; use fewer",
                  document_.pointer(choice.schema), kMaxShapes);
    }
    alternatives.push_back(std::move(found));
  }
  if (choice.keyword == "oneOf" && draft.exact) LINNET_CHECK(check_disjoint(choice.schema, alternatives));
  for (std::vector<Shape>& found : alternatives) { std::move(found.begin(), found.end(), std::back_inserter(shapes)); }
  return shapes;
}

Status SchemaShapes::merge(Draft& draft, const Json* schema) {
  Shape& shape = draft.shape;
  LINNET_CHECK(budget.spend(1 + int64_t(shape.schemas.size())));
  const size_t before = shape.schemas.size();
  add_to_goal(shape.schemas, schema);
  if (shape.schemas.size() == before) return {};
  if (schema->is_boolean()) {
    shape.types = 0;
    return {};
  }
  if (schema->find("$ref") != nullptr) draft.pending.push_back(document_.target(schema));
  if (const Json* all = schema->find("allOf")) {
    for (const Json& s : all->elements()) draft.pending.push_back(&s);
  }
  for (const std::string_view keyword : {"anyOf", "oneOf"}) {
    if (schema->find(keyword) != nullptr) draft.choices.push_back({schema, keyword});
  }
  shape.types &= types_of(*schema);
  if (schema->find("multipleOf") != nullptr) shape.types &= uint8_t(~kFraction);
  std::vector<const Json*> values;
  if (const Json* one = schema->find("const")) values.push_back(one);
  if (const Json* list = schema->find("enum"); list != nullptr && values.empty()) {
    for (const Json& v : list->elements()) values.push_back(&v);
  }
  // Any of the lists will do: settle() keeps what is valid against all schemas.
  if (!values.empty() && (!shape.values || values.size() < shape.values->size())) shape.values = std::move(values);
  shape.range = intersection(shape.range, schema_range(*schema));
  raise(shape.min_length, *schema, "minLength");
  lower(shape.max_length, *schema, "maxLength");
  raise(shape.min_items, *schema, "minItems");
  lower(shape.max_items, *schema, "maxItems");
  raise(shape.min_properties, *schema, "minProperties");
  lower(shape.max_properties, *schema, "maxProperties");
  const auto add_pattern = [&](std::string_view text) {
    if (std::find(shape.patterns.begin(), shape.patterns.end(), text) == shape.patterns.end()) {
      shape.patterns.push_back(text);
    }
  };
  if (const Json* pattern = schema->find("pattern")) add_pattern(*pattern->string());
  if (const Json* format = schema->find("format")) add_pattern(format_pattern(*format->string()));
  return {};
}

// Leaves the types and values that are possible; false when none is.
Result<bool> SchemaShapes::settle(Shape& shape) {
  const auto crossed = [](int64_t least, int64_t most) { return most >= 0 && least > most; };
  if (crossed(shape.min_length, shape.max_length)) shape.types &= uint8_t(~kString);
  if (crossed(shape.min_items, shape.max_items)) shape.types &= uint8_t(~kArray);
  if (crossed(shape.min_properties, shape.max_properties)) shape.types &= uint8_t(~kObject);
  if (shape.range.least > shape.range.most) shape.types &= uint8_t(~(kInteger | kFraction));
  if (shape.types == 0) return false;
  if (!shape.values) return true;
  std::vector<const Json*> kept;
  uint8_t types = 0;
  for (const Json* value : *shape.values) {
    bool ok = (type_of(*value) & shape.types) != 0;
    for (const Json* schema : shape.schemas) {
      if (!ok) break;
      LINNET_TRY(ok, valid_alone(*schema, *value, 0));
    }
    if (!ok) continue;
    kept.push_back(value);
    types |= type_of(*value);
  }
  shape.values = std::move(kept);
  shape.types = types;
  return types != 0;
}

Goal SchemaShapes::item_goal(const Shape& shape, size_t index) const {
  Goal goal;
  for (const Json* schema : shape.schemas) {
    const ItemSchemas items = item_schemas(*schema);
    if (index < items.front.size()) {
      add_to_goal(goal, &items.front[index]);
    } else if (items.others != nullptr) {
      add_to_goal(goal, items.others);
    }
  }
  return goal;
}

Result<Goal> SchemaShapes::property_goal(const Shape& shape, std::string_view name) {
  Goal goal;
  for (const Json* schema : shape.schemas) {
    bool described = false;
    if (const Json* properties = schema->find("properties")) {
      LINNET_CHECK(budget.spend(1 + int64_t(properties->members().size()) / 16));
      if (const Json* property = properties->find(name)) {
        add_to_goal(goal, property);
        described = true;
      }
    }
    if (const Json* patterns = schema->find("patternProperties")) {
      for (const Json::Member& m : patterns->members()) {
        LINNET_TRY(const Language* language, pattern(m.key));
        if (!language->accepts(name)) continue;
        add_to_goal(goal, &m.value);
        described = true;
      }
    }
    const Json* additional = schema->find("additionalProperties");
    if (!described && additional != nullptr) add_to_goal(goal, additional);
  }
  return goal;
}

Result<bool> SchemaShapes::name_allowed(const Shape& shape, std::string_view name) {
  std::optional<Json> text;
  for (const Json* schema : shape.schemas) {
    const Json* names = schema->find("propertyNames");
    if (names == nullptr) continue;
    if (!text) { LINNET_TRY(text, parse_json(json_quote(name))); }
    LINNET_TRY(const bool ok, valid(*names, *text));
    if (!ok) return false;
  }
  return true;
}

Result<const Language*> SchemaShapes::pattern(std::string_view text) {
  auto at = languages_.find(text);
  if (at == languages_.end()) {
    LINNET_TRY(Language language, Language::of_regex(document_.pattern(text), true, budget));
    at = languages_.emplace(text, std::move(language)).first;
  }
  return &at->second;
}

Result<Language> SchemaShapes::strings(const Shape& shape) {
  if (shape.values) {
    std::vector<std::string_view> texts;
    for (const Json* value : *shape.values) {
      if (value->is_string()) texts.push_back(*value->string());
    }
    return Language::of_strings(texts, budget);
  }
  Language all = Language::everything();
  if (shape.min_length > 0 || shape.max_length >= 0) {
    LINNET_TRY(all, Language::of_lengths(shape.min_length, shape.max_length, budget));
  }
  for (const std::string_view text : shape.patterns) {
    LINNET_TRY(const Language* language, pattern(text));
    LINNET_TRY(all, all.intersection(*language, budget));
  }
  return all;
}

// ---- Whether two shapes have no value in common. "No" may also mean that it is not known.

Status SchemaShapes::check_disjoint(const Json* schema, const std::vector<std::vector<Shape>>& alternatives) {
  const auto never_both = [this](const Shape& a, const Shape& b) -> Result<bool> {
    // What differs near the top is looked for first: schemas may be recursive.
    constexpr int kLevels = 4;
    for (int levels = 0; levels < kLevels; ++levels) {
      LINNET_TRY(const bool apart, disjoint(a, b, levels));
      if (apart) return true;
    }
    return false;
  };
  for (size_t i = 0; i < alternatives.size(); ++i) {
    for (size_t j = i + 1; j < alternatives.size(); ++j) {
      for (const Shape& a : alternatives[i]) {
        for (const Shape& b : alternatives[j]) {
          LINNET_TRY(const bool known, never_both(a, b));
          if (known) continue;
          return fail(Code::schema_unsupported,
                      "the JSON Schema at {}/oneOf is not supported: a value may be valid against both alternative {} "
                      "and {}; use \"anyOf\", or give them different types, or a required property with different "
                      "\"const\" values",
                      document_.pointer(schema), i, j);
        }
      }
    }
  }
  return {};
}

Result<bool> SchemaShapes::disjoint_goals(const Goal& a, const Goal& b, int levels) {
  if (never(a) || never(b)) return true;
  if (levels == 0) return false;
  LINNET_TRY(const std::vector<Shape> of_a, expand(a, false));
  LINNET_TRY(const std::vector<Shape> of_b, expand(b, false));
  for (const Shape& x : of_a) {
    for (const Shape& y : of_b) {
      LINNET_TRY(const bool apart, disjoint(x, y, levels - 1));
      if (!apart) return false;
    }
  }
  return true;
}

Result<bool> SchemaShapes::disjoint(const Shape& a, const Shape& b, int levels) {
  LINNET_CHECK(budget.spend(1));
  const uint8_t common = a.types & b.types;
  if (common == 0) return true;
  if (a.values || b.values) {
    const Shape& listed = a.values ? a : b;
    const Shape& other = a.values ? b : a;
    for (const Json* value : *listed.values) {
      bool ok = (type_of(*value) & other.types) != 0;
      for (const Json* schema : other.schemas) {
        if (!ok) break;
        LINNET_TRY(ok, valid_alone(*schema, *value, 0));
      }
      if (ok) return false;
    }
    return true;
  }
  if ((common & (kNull | kBoolean)) != 0) return false;
  if ((common & (kInteger | kFraction)) != 0) {
    const NumberRange both = intersection(a.range, b.range);
    if (both.least <= both.most) return false;
  }
  if ((common & kString) != 0) {
    LINNET_TRY(const Language of_a, strings(a));
    LINNET_TRY(const Language of_b, strings(b));
    LINNET_TRY(const Language both, of_a.intersection(of_b, budget));
    if (!both.empty()) return false;
  }
  if ((common & kArray) != 0) {
    LINNET_TRY(const bool apart, disjoint_arrays(a, b, levels));
    if (!apart) return false;
  }
  if ((common & kObject) != 0) {
    LINNET_TRY(const bool apart, disjoint_objects(a, b, levels));
    if (!apart) return false;
  }
  return true;
}

Result<bool> SchemaShapes::disjoint_arrays(const Shape& a, const Shape& b, int levels) {
  const auto shorter = [](const Shape& x, const Shape& y) { return x.max_items >= 0 && x.max_items < y.min_items; };
  if (shorter(a, b) || shorter(b, a)) return true;
  constexpr int64_t kLooked = 8;  // items at the front
  const int64_t both = std::min({std::max(a.min_items, b.min_items), kLooked});
  for (int64_t i = 0; i < both; ++i) {
    LINNET_TRY(const bool apart, disjoint_goals(item_goal(a, size_t(i)), item_goal(b, size_t(i)), levels));
    if (apart) return true;
  }
  return false;
}

Result<bool> SchemaShapes::disjoint_objects(const Shape& a, const Shape& b, int levels) {
  const auto fewer = [](const Shape& x, const Shape& y) {
    return x.max_properties >= 0 && x.max_properties < y.min_properties;
  };
  if (fewer(a, b) || fewer(b, a)) return true;
  // A property that every object of one shape has and that cannot be in both.
  for (const auto& [x, y] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    for (const Json* schema : x->schemas) {
      const Json* required = schema->find("required");
      if (required == nullptr) continue;
      for (const Json& name : required->elements()) {
        LINNET_TRY(const Goal goal_x, property_goal(*x, *name.string()));
        LINNET_TRY(const Goal goal_y, property_goal(*y, *name.string()));
        LINNET_TRY(const bool allowed, name_allowed(*y, *name.string()));
        if (!allowed) return true;
        LINNET_TRY(const bool apart, disjoint_goals(goal_x, goal_y, levels));
        if (apart) return true;
      }
    }
  }
  return false;
}

// ---- Whether a value of "enum" or "const" is valid

Result<bool> SchemaShapes::valid(const Json& schema, const Json& value, int depth) {
  if (depth > kMaxDepth) return too_deep("refers");
  LINNET_TRY(const bool alone, valid_alone(schema, value, depth));
  if (!alone || schema.is_boolean()) return alone;
  if (schema.find("$ref") != nullptr) {
    LINNET_TRY(const bool ok, valid(*document_.target(&schema), value, depth + 1));
    if (!ok) return false;
  }
  const auto matches = [&](const Json& list) -> Result<size_t> {
    size_t count = 0;
    for (const Json& s : list.elements()) {
      LINNET_TRY(const bool ok, valid(s, value, depth + 1));
      count += ok;
    }
    return count;
  };
  for (const std::string_view keyword : {"allOf", "anyOf", "oneOf"}) {
    const Json* list = schema.find(keyword);
    if (list == nullptr) continue;
    LINNET_TRY(const size_t count, matches(*list));
    const bool ok = keyword == "allOf" ? count == list->elements().size() : keyword == "anyOf" ? count > 0 : count == 1;
    if (!ok) return false;
  }
  return true;
}

// Without "$ref", "allOf", "anyOf" and "oneOf".
Result<bool> SchemaShapes::valid_alone(const Json& schema, const Json& value, int depth) {
  LINNET_CHECK(budget.spend(10));
  if (schema.is_boolean()) return *schema.boolean();
  const uint8_t type = type_of(value);
  if ((type & types_of(schema)) == 0) return false;
  if (const Json* one = schema.find("const"); one != nullptr && !json_equal(*one, value)) return false;
  if (const Json* list = schema.find("enum")) {
    const std::span<const Json> all = list->elements();
    const bool from_it = std::less_equal<>()(all.data(), &value) && std::less<>()(&value, all.data() + all.size());
    if (!from_it) LINNET_CHECK(budget.spend(int64_t(all.size())));
    if (!from_it && std::none_of(all.begin(), all.end(), [&](const Json& v) { return json_equal(v, value); })) {
      return false;
    }
  }
  if (value.is_number()) {
    const long double n = number_value(value);
    const auto bound = [&](std::string_view keyword) -> std::optional<long double> {
      const Json* b = schema.find(keyword);
      return b == nullptr ? std::nullopt : std::optional(number_value(*b));
    };
    if (const auto b = bound("minimum"); b && n < *b) return false;
    if (const auto b = bound("maximum"); b && n > *b) return false;
    if (const auto b = bound("exclusiveMinimum"); b && n <= *b) return false;
    if (const auto b = bound("exclusiveMaximum"); b && n >= *b) return false;
    return schema.find("multipleOf") == nullptr || type == kInteger;
  }
  if (value.is_string()) {
    const std::string_view text = *value.string();
    const auto length = int64_t(utf8_count(text));
    if (const auto n = count_in(schema, "minLength"); n && length < *n) return false;
    if (const auto n = count_in(schema, "maxLength"); n && length > *n) return false;
    for (const std::string_view keyword : {"pattern", "format"}) {
      const Json* found = schema.find(keyword);
      if (found == nullptr) continue;
      LINNET_TRY(const Language* language,
                 pattern(keyword == "pattern" ? *found->string() : format_pattern(*found->string())));
      LINNET_CHECK(budget.spend(length));
      if (!language->accepts(text)) return false;
    }
    return true;
  }
  if (value.is_array()) return valid_array(schema, value, depth);
  if (value.is_object()) return valid_object(schema, value, depth);
  return true;
}

Result<bool> SchemaShapes::valid_array(const Json& schema, const Json& value, int depth) {
  const auto count = int64_t(value.elements().size());
  if (const auto n = count_in(schema, "minItems"); n && count < *n) return false;
  if (const auto n = count_in(schema, "maxItems"); n && count > *n) return false;
  const ItemSchemas items = item_schemas(schema);
  for (size_t i = 0; i < value.elements().size(); ++i) {
    const Json* item = i < items.front.size() ? &items.front[i] : items.others;
    if (item == nullptr) break;
    LINNET_TRY(const bool ok, valid(*item, value.elements()[i], depth + 1));
    if (!ok) return false;
  }
  return true;
}

Result<bool> SchemaShapes::valid_object(const Json& schema, const Json& value, int depth) {
  const auto count = int64_t(value.members().size());
  if (const auto n = count_in(schema, "minProperties"); n && count < *n) return false;
  if (const auto n = count_in(schema, "maxProperties"); n && count > *n) return false;
  if (const Json* required = schema.find("required")) {
    for (const Json& name : required->elements()) {
      if (value.find(*name.string()) == nullptr) return false;
    }
  }
  const Shape alone{.schemas = {&schema}, .values = std::nullopt, .range = {}, .patterns = {}};
  for (const Json::Member& member : value.members()) {
    LINNET_TRY(const bool allowed, name_allowed(alone, member.key));
    if (!allowed) return false;
    LINNET_TRY(const Goal goal, property_goal(alone, member.key));
    for (const Json* s : goal) {
      LINNET_TRY(const bool ok, valid(*s, member.value, depth + 1));
      if (!ok) return false;
    }
  }
  return true;
}

}  // namespace linnet
