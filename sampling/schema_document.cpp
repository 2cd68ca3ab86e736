#include "sampling/schema_document.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>
#include <vector>

#include "gguf/base/utf8.h"
#include "sampling/number_range.h"
#include "sampling/schema_formats.h"

namespace linnet {
namespace {

// What the value of a keyword must be.
enum class Kind {
  anything,
  text,
  flag,
  list,
  root_text,  // only where the schema begins
  schema,
  schemas,
  schema_map,
  pattern_map,
  items,
  additional_items,
  type,
  values,
  bound,
  count,
  pattern,
  format,
  names,
  reference,
  nullable,
  only_false,
  only_one,
  unsupported,
};

struct Keyword {
  std::string_view name;
  Kind kind;
  bool annotation = false;       // says nothing about which values are valid
  std::string_view advice = {};  // where it is unsupported
};

constexpr std::string_view kNoCondition = "describe the cases as alternatives of \"anyOf\" instead";
constexpr std::string_view kNoDependence = "describe the combinations as alternatives of \"anyOf\" instead";
constexpr std::string_view kNoAnchor = "name the schema by its place instead, as in \"#/$defs/name\"";
constexpr std::string_view kNoContains = "describe the items with \"items\" or \"prefixItems\" instead";
constexpr std::string_view kNoUnevaluated =
    "write \"additionalProperties\" or \"items\" into the schema that has the properties or items";
constexpr std::string_view kNoContent = "no grammar can look into a string; leave it out";

constexpr Keyword kKeywords[] = {
    {"$schema", Kind::root_text, true},
    {"$id", Kind::root_text, true},
    {"$comment", Kind::text, true},
    {"title", Kind::text, true},
    {"description", Kind::text, true},
    {"default", Kind::anything, true},
    {"examples", Kind::list, true},
    {"deprecated", Kind::flag, true},
    {"readOnly", Kind::flag, true},
    {"writeOnly", Kind::flag, true},
    {"$defs", Kind::schema_map, true},
    {"definitions", Kind::schema_map, true},
    {"$ref", Kind::reference},
    {"type", Kind::type},
    {"nullable", Kind::nullable},
    {"enum", Kind::values},
    {"const", Kind::anything},
    {"allOf", Kind::schemas},
    {"anyOf", Kind::schemas},
    {"oneOf", Kind::schemas},
    {"minimum", Kind::bound},
    {"maximum", Kind::bound},
    {"exclusiveMinimum", Kind::bound},
    {"exclusiveMaximum", Kind::bound},
    {"multipleOf", Kind::only_one},
    {"minLength", Kind::count},
    {"maxLength", Kind::count},
    {"pattern", Kind::pattern},
    {"format", Kind::format},
    {"prefixItems", Kind::schemas},
    {"items", Kind::items},
    {"additionalItems", Kind::additional_items},
    {"minItems", Kind::count},
    {"maxItems", Kind::count},
    {"uniqueItems", Kind::only_false},
    {"properties", Kind::schema_map},
    {"patternProperties", Kind::pattern_map},
    {"additionalProperties", Kind::schema},
    {"propertyNames", Kind::schema},
    {"required", Kind::names},
    {"minProperties", Kind::count},
    {"maxProperties", Kind::count},
    {"not", Kind::unsupported, false, "describe the values that are allowed, not those that are forbidden"},
    {"if", Kind::unsupported, false, kNoCondition},
    {"then", Kind::unsupported, false, kNoCondition},
    {"else", Kind::unsupported, false, kNoCondition},
    {"contains", Kind::unsupported, false, kNoContains},
    {"minContains", Kind::unsupported, false, kNoContains},
    {"maxContains", Kind::unsupported, false, kNoContains},
    {"dependencies", Kind::unsupported, false, kNoDependence},
    {"dependentRequired", Kind::unsupported, false, kNoDependence},
    {"dependentSchemas", Kind::unsupported, false, kNoDependence},
    {"unevaluatedItems", Kind::unsupported, false, kNoUnevaluated},
    {"unevaluatedProperties", Kind::unsupported, false, kNoUnevaluated},
    {"contentEncoding", Kind::unsupported, false, kNoContent},
    {"contentMediaType", Kind::unsupported, false, kNoContent},
    {"contentSchema", Kind::unsupported, false, kNoContent},
    {"$anchor", Kind::unsupported, false, kNoAnchor},
    {"$dynamicAnchor", Kind::unsupported, false, kNoAnchor},
    {"$dynamicRef", Kind::unsupported, false, kNoAnchor},
    {"$recursiveAnchor", Kind::unsupported, false, kNoAnchor},
    {"$recursiveRef", Kind::unsupported, false, kNoAnchor},
    {"$vocabulary", Kind::unsupported, false, "leave it out"},
};

const Keyword* find_keyword(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kKeywords), std::end(kKeywords), [&](const Keyword& k) { return k.name == name; });
  return found == std::end(kKeywords) ? nullptr : found;
}

constexpr std::string_view kTypes[] = {"null", "boolean", "integer", "number", "string", "array", "object"};

// The token of a JSON pointer.
std::string escape_token(std::string_view key) {
  std::string token;
  for (const char c : key) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return token;
}

std::string unescape_token(std::string_view token) {
  std::string key;
  for (size_t i = 0; i < token.size(); ++i) {
    const bool escaped = token[i] == '~' && i + 1 < token.size() && (token[i + 1] == '0' || token[i + 1] == '1');
    key += !escaped ? token[i] : token[++i] == '0' ? '~' : '/';
  }
  return key;
}

// The "%20" of URI fragments.
std::string decode_percent(std::string_view text) {
  const auto hex = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
      out += char(hex(text[i + 1]) * 16 + hex(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string shorten(std::string pointer) {
  constexpr size_t kShown = 400;
  if (pointer.size() <= kShown) return utf8_replace_invalid(pointer);
  return utf8_replace_invalid(pointer.substr(0, kShown / 2)) + "..." +
         utf8_replace_invalid(pointer.substr(pointer.size() - kShown / 2));
}

}  // namespace

std::optional<int64_t> schema_count(const Json& value) {
  if (!value.is_number()) return std::nullopt;
  const double d = *value.number();
  if (!(d >= 0) || d != std::floor(d)) return std::nullopt;
  return d >= 9e18 ? INT64_MAX : int64_t(d);
}

std::string SchemaDocument::pointer(const Json* schema) const {
  std::vector<const std::string*> steps;
  for (auto at = places_.find(schema); at != places_.end(); at = places_.find(at->second.parent)) {
    steps.push_back(&at->second.step);
  }
  std::string pointer = "#";
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) pointer += **step;
  return shorten(std::move(pointer));
}

class SchemaReader {
 public:
  explicit SchemaReader(const Json& root) : root_(root) {}

  Result<SchemaDocument> read() {
    if (const Json* version = root_.find("$schema"); version != nullptr && version->is_string()) {
      old_draft_ = version->string()->find("draft-0") != std::string_view::npos;
    }
    LINNET_CHECK(subschema(nullptr, root_, ""));
    // Schemas that are found are read in turn: nothing here goes deeper than one schema.
    for (size_t i = 0; i < order_.size(); ++i) LINNET_CHECK(check(*order_[i]));
    for (const Json* schema : order_) {
      if (schema->find("$ref") != nullptr) LINNET_CHECK(resolve(schema));
    }
    LINNET_CHECK(check_cycles());
    return std::move(document_);
  }

 private:
  Error invalid(const Json& schema, std::string_view step, std::string_view what) const {
    return fail(Code::schema_invalid, "the JSON Schema is not valid at {}: {}", where(schema, step), what);
  }
  Error unsupported(const Json& schema, std::string_view step, std::string_view what) const {
    return fail(Code::schema_unsupported, "the JSON Schema at {} is not supported: {}", where(schema, step), what);
  }
  std::string where(const Json& schema, std::string_view step) const {
    std::string pointer = document_.pointer(&schema);
    return step.empty() ? pointer : shorten(pointer + "/" + escape_token(step));
  }
  Error wrong_type(const Json& schema, std::string_view keyword, std::string_view wanted, const Json& found) const {
    return invalid(schema, keyword, fmt::format("expected {}, found {}", wanted, found.type_name()));
  }

  Status subschema(const Json* parent, const Json& schema, std::string step) {
    if (order_.size() >= kMaxSubschemas) {
      return fail(Code::grammar_limit, "the JSON Schema has more than {} schemas in it; use fewer", kMaxSubschemas);
    }
    document_.places_[&schema] = {parent, std::move(step)};
    if (!schema.is_object() && !schema.is_boolean()) {
      return invalid(schema, "",
                     fmt::format("expected a schema (an object or a boolean), found {}", schema.type_name()));
    }
    order_.push_back(&schema);
    return {};
  }

  Status check(const Json& schema) {
    bool asserts = false;
    for (const Json::Member& member : schema.members()) {
      if (member.key.starts_with("x-")) continue;
      const Keyword* keyword = find_keyword(member.key);
      if (keyword == nullptr) {
        return unsupported(schema, member.key,
                           "this keyword is not known; leave it out, or begin its name with \"x-\" "
                           "if it says nothing about which values are valid");
      }
      LINNET_CHECK(check(schema, *keyword, member.value));
      asserts |= !keyword->annotation && keyword->name != "$ref";
    }
    if (old_draft_ && asserts && schema.find("$ref") != nullptr) {
      return unsupported(schema, "$ref",
                         "in this draft what stands beside \"$ref\" is ignored; remove it, or put both "
                         "into \"allOf\"");
    }
    return check_together(schema);
  }

  Status check(const Json& schema, const Keyword& keyword, const Json& value) {
    const std::string_view name = keyword.name;
    switch (keyword.kind) {
      case Kind::anything:
        return {};
      case Kind::text:
        return value.is_string() ? Status() : wrong_type(schema, name, "a string", value);
      case Kind::root_text:
        if (!value.is_string()) return wrong_type(schema, name, "a string", value);
        return &schema == &root_ ? Status() : unsupported(schema, name, "it may stand at the top of the schema only");
      case Kind::flag:
        return value.is_boolean() ? Status() : wrong_type(schema, name, "a boolean", value);
      case Kind::list:
        return value.is_array() ? Status() : wrong_type(schema, name, "an array", value);
      case Kind::schema:
        return subschema(&schema, value, fmt::format("/{}", name));
      case Kind::schemas:
        return schemas(schema, name, value);
      case Kind::schema_map:
      case Kind::pattern_map:
        if (!value.is_object()) return wrong_type(schema, name, "an object of schemas", value);
        for (const Json::Member& m : value.members()) {
          if (keyword.kind == Kind::pattern_map) LINNET_CHECK(pattern(schema, name, m.key));
          LINNET_CHECK(subschema(&schema, m.value, fmt::format("/{}/{}", name, escape_token(m.key))));
        }
        return {};
      case Kind::items:
        if (!value.is_array()) return subschema(&schema, value, "/items");
        if (schema.find("prefixItems") != nullptr) {
          return invalid(schema, name, "expected a schema beside \"prefixItems\", found array");
        }
        return schemas(schema, name, value);
      case Kind::additional_items:
        if (const Json* items = schema.find("items"); items == nullptr || !items->is_array()) {
          return unsupported(schema, name,
                             "it says nothing without an array as \"items\"; use \"items\" alone, or "
                             "\"prefixItems\" with \"items\"");
        }
        return subschema(&schema, value, "/additionalItems");
      case Kind::type:
        return type(schema, value);
      case Kind::values:
        if (!value.is_array()) return wrong_type(schema, name, "an array", value);
        return value.elements().empty() ? invalid(schema, name, "expected at least one value, found none") : Status();
      case Kind::bound:
        return value.is_number() ? Status() : wrong_type(schema, name, "a number", value);
      case Kind::count:
        return count(schema, name, value);
      case Kind::pattern:
        if (!value.is_string()) return wrong_type(schema, name, "a string", value);
        return pattern(schema, name, *value.string());
      case Kind::format: {
        if (!value.is_string()) return wrong_type(schema, name, "a string", value);
        const std::string_view text = format_pattern(*value.string());
        if (text.empty()) {
          return unsupported(schema, name,
                             fmt::format("the format {} is not known; known are {}. Leave it out, or use "
                                         "\"pattern\"",
                                         quoted(*value.string()), format_names()));
        }
        return pattern(schema, name, text);
      }
      case Kind::names:
        return names(schema, name, value);
      case Kind::reference:
        return value.is_string() ? Status() : wrong_type(schema, name, "a string", value);
      case Kind::nullable:
        if (!value.is_boolean()) return wrong_type(schema, name, "a boolean", value);
        if (schema.find("type") != nullptr) return {};
        return unsupported(schema, name,
                           "it needs a \"type\" beside it; use \"anyOf\" with {\"type\": \"null\"} instead");
      case Kind::only_false:
        if (!value.is_boolean()) return wrong_type(schema, name, "a boolean", value);
        if (!*value.boolean()) return {};
        return unsupported(schema, name, "no grammar can compare items; leave it out and compare them afterwards");
      case Kind::only_one:
        if (!value.is_number()) return wrong_type(schema, name, "a number", value);
        if (!(*value.number() > 0)) return invalid(schema, name, "expected a number above 0");
        if (*value.number() == 1) return {};
        return unsupported(schema, name, "only 1 is; use \"enum\" for few numbers, or scale the value");
      case Kind::unsupported:
        return unsupported(schema, name, keyword.advice);
    }
    return {};
  }

  Status schemas(const Json& schema, std::string_view name, const Json& value) {
    if (!value.is_array()) return wrong_type(schema, name, "an array of schemas", value);
    const std::span<const Json> list = value.elements();
    if (list.empty() && name != "items") return invalid(schema, name, "expected at least one schema, found none");
    for (size_t i = 0; i < list.size(); ++i) LINNET_CHECK(subschema(&schema, list[i], fmt::format("/{}/{}", name, i)));
    return {};
  }

  Status type(const Json& schema, const Json& value) {
    const auto one = [&](const Json& t) -> Status {
      if (!t.is_string()) return wrong_type(schema, "type", "a type's name", t);
      if (std::find(std::begin(kTypes), std::end(kTypes), *t.string()) != std::end(kTypes)) return {};
      return invalid(schema, "type",
                     fmt::format("expected null, boolean, integer, number, string, array or object, found {}",
                                 linnet::quoted(*t.string())));
    };
    if (!value.is_array()) return one(value);
    if (value.elements().empty()) return invalid(schema, "type", "expected at least one type, found none");
    std::set<std::string_view> seen;
    for (const Json& t : value.elements()) {
      LINNET_CHECK(one(t));
      if (!seen.insert(*t.string()).second) return invalid(schema, "type", "a type is there twice");
    }
    return {};
  }

  Status count(const Json& schema, std::string_view name, const Json& value) {
    const std::optional<int64_t> n = schema_count(value);
    if (!n) {
      return invalid(
          schema, name,
          fmt::format("expected an integer of at least 0, found {}",
                      value.is_number() ? JsonWriter().value(value).text() : std::string(value.type_name())));
    }
    if (*n <= kMaxSchemaCount) return {};
    return fail(Code::grammar_limit,
                "the JSON Schema at {} counts to more than {}; use a smaller number or leave it out",
                where(schema, name), kMaxSchemaCount);
  }

  Status pattern(const Json& schema, std::string_view name, std::string_view text) {
    if (document_.patterns_.contains(text)) return {};
    Result<Regex> regex = parse_regex(text);
    if (!regex) {
      return fail(regex.error().code, "in the JSON Schema at {}: {}", where(schema, name), regex.error().message);
    }
    document_.patterns_.emplace(text, *std::move(regex));
    return {};
  }

  Status names(const Json& schema, std::string_view keyword, const Json& value) {
    if (!value.is_array()) return wrong_type(schema, keyword, "an array of names", value);
    std::set<std::string_view> seen;
    for (const Json& name : value.elements()) {
      if (!name.is_string()) return wrong_type(schema, keyword, "an array of names", name);
      if (!seen.insert(*name.string()).second) {
        return invalid(schema, keyword, fmt::format("{} is there twice", linnet::quoted(*name.string())));
      }
    }
    return {};
  }

  // Bounds that no value can keep.
  Status check_together(const Json& schema) {
    constexpr std::pair<std::string_view, std::string_view> kCounts[] = {
        {"minLength", "maxLength"}, {"minItems", "maxItems"}, {"minProperties", "maxProperties"}};
    for (const auto& [low, high] : kCounts) {
      const Json* least = schema.find(low);
      const Json* most = schema.find(high);
      if (least != nullptr && most != nullptr && *schema_count(*least) > *schema_count(*most)) {
        return invalid(schema, low,
                       fmt::format("{} is above {} {}", *schema_count(*least), high, *schema_count(*most)));
      }
    }
    for (const std::string_view low : {"minimum", "exclusiveMinimum"}) {
      for (const std::string_view high : {"maximum", "exclusiveMaximum"}) {
        const Json* least = schema.find(low);
        const Json* most = schema.find(high);
        if (least == nullptr || most == nullptr) continue;
        const bool inclusive = low == "minimum" && high == "maximum";
        const double a = *least->number(), b = *most->number();
        if (a > b || (a == b && !inclusive)) {
          return invalid(schema, low, fmt::format("no number is allowed by {} {} and {} {}", low, a, high, b));
        }
      }
    }
    return {};
  }

  Status resolve(const Json* schema) {
    const std::string_view text = *schema->find("$ref")->string();
    if (text != "#" && !text.starts_with("#/")) {
      return unsupported(*schema, "$ref",
                         fmt::format("{} leads out of the schema or to a name; only places in it are "
                                     "followed, as in \"#/$defs/name\"",
                                     quoted(text)));
    }
    const std::string path = decode_percent(text.substr(1));
    const Json* at = &root_;
    for (size_t begin = 0; begin < path.size() && at != nullptr;) {
      const size_t end = std::min(path.find('/', begin + 1), path.size());
      at = step(*at, unescape_token(std::string_view(path).substr(begin + 1, end - begin - 1)));
      begin = end;
    }
    if (at == nullptr || !document_.places_.contains(at)) {
      return invalid(*schema, "$ref", fmt::format("{} names no schema in this one", quoted(text)));
    }
    document_.targets_[schema] = at;
    return {};
  }

  static const Json* step(const Json& from, const std::string& token) {
    if (!from.is_array()) return from.find(token);
    size_t index = 0;
    if (token.empty() || token.size() > 6) return nullptr;
    for (const char c : token) {
      if (c < '0' || c > '9') return nullptr;
      index = index * 10 + size_t(c - '0');
    }
    return index < from.elements().size() ? &from.elements()[index] : nullptr;
  }

  // A schema that is applied to a value again before anything of the value is read would never come to an end.
  Status check_cycles() {
    enum : uint8_t { fresh, open, done };
    std::unordered_map<const Json*, uint8_t> state;
    struct Visit {
      const Json* schema;
      std::vector<const Json*> next;
    };
    const auto applied_here = [&](const Json* schema) {
      std::vector<const Json*> next;
      if (const auto target = document_.targets_.find(schema); target != document_.targets_.end()) {
        next.push_back(target->second);
      }
      for (const std::string_view keyword : {"allOf", "anyOf", "oneOf"}) {
        if (const Json* list = schema->find(keyword)) {
          for (const Json& s : list->elements()) next.push_back(&s);
        }
      }
      return next;
    };
    for (const Json* start : order_) {
      if (state[start] != fresh) continue;
      std::vector<Visit> stack;
      stack.push_back({start, applied_here(start)});
      state[start] = open;
      while (!stack.empty()) {
        Visit& top = stack.back();
        if (top.next.empty()) {
          state[top.schema] = done;
          stack.pop_back();
          continue;
        }
        const Json* next = top.next.back();
        top.next.pop_back();
        if (state[next] == done) continue;
        if (state[next] == open) {
          return invalid(*top.schema, "",
                         fmt::format("it applies {} again to the same value, without end", document_.pointer(next)));
        }
        state[next] = open;
        stack.push_back({next, applied_here(next)});
      }
    }
    return {};
  }

  const Json& root_;
  bool old_draft_ = false;          // draft-07 or older
  std::vector<const Json*> order_;  // schemas found, those before the one being read are done
  SchemaDocument document_;
};

Result<SchemaDocument> SchemaDocument::read(const Json& schema) { return SchemaReader(schema).read(); }

}  // namespace linnet
