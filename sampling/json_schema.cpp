#include "sampling/json_schema.h"

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "gguf/base/utf8.h"
#include "sampling/json_grammar.h"
#include "sampling/prune_rules.h"
#include "sampling/schema_document.h"
#include "sampling/schema_shapes.h"

namespace linnet {
namespace {

constexpr size_t kMaxRules = 10'000;
constexpr size_t kMaxNodes = 200'000;
constexpr size_t kMaxLiteralBytes = 1 << 20;

// Rules for goals. A goal that is met becomes a rule to be written later, so that nothing here goes deep.
class SchemaTranslator {
 public:
  explicit SchemaTranslator(const SchemaDocument& document) : shapes_(document) {}

  Result<GrammarRules> translate(const Json& schema) {
    Goal goal;
    add_to_goal(goal, &schema);
    value(goal);
    while (!open_.empty()) {
      const auto [next, rule] = std::move(open_.front());
      open_.pop_front();
      LINNET_TRY(const int32_t node, alternatives(next));
      json_.rules.rules[size_t(rule)].node = node;
    }
    if (!prune_rules(json_.rules)) {
      return fail(
          Code::schema_invalid,
          "the JSON Schema allows no value that a finite text could spell; it contradicts itself, or a required "
          "part of a value always needs another value like it");
    }
    return std::move(json_.rules);
  }

 private:
  // The node of a value that is valid against the goal.
  int32_t value(const Goal& goal) {
    if (never(goal)) return nothing();
    Goal key = goal;
    std::sort(key.begin(), key.end());
    const auto [at, added] = rule_of_.try_emplace(std::move(key), -1);
    if (added) {
      at->second = json_.rules.add_rule(goal.empty() ? "value" : shapes_.document().pointer(goal.front()));
      open_.emplace_back(goal, at->second);
    }
    return json_.rules.reference(at->second);
  }

  // What no text spells, so that prune_rules() removes it: a rule that needs itself.
  int32_t nothing() {
    if (nothing_ < 0) {
      nothing_ = json_.rules.add_rule("nothing");
      json_.rules.rules[size_t(nothing_)].node = json_.rules.reference(nothing_);
    }
    return json_.rules.reference(nothing_);
  }
  int32_t or_nothing(int32_t node) { return node < 0 ? nothing() : node; }

  Status check_size() const {
    if (json_.rules.rules.size() <= kMaxRules && json_.rules.nodes.size() <= kMaxNodes &&
        literal_bytes_ <= kMaxLiteralBytes) {
      return {};
    }
    return fail(Code::grammar_limit,
                "the JSON Schema becomes a grammar of more than {} rules, {} nodes or {} bytes of values; make it "
                "smaller, say \"additionalProperties\": false where nothing else is wanted, or use fewer alternatives",
                kMaxRules, kMaxNodes, kMaxLiteralBytes);
  }

  int32_t choice_of(std::vector<int32_t> ways) {
    if (ways.empty()) return nothing();
    return ways.size() == 1 ? ways[0] : json_.rules.choice(std::move(ways));
  }

  Result<int32_t> alternatives(const Goal& goal) {
    LINNET_TRY(const std::vector<Shape> shapes, shapes_.expand(goal));
    std::vector<int32_t> ways;
    std::set<std::string> listed;  // values that are in the grammar already
    for (const Shape& shape : shapes) {
      if (shape.values) {
        for (const Json* v : *shape.values) {
          std::string text = JsonWriter().value(*v).text();
          literal_bytes_ += text.size();
          LINNET_CHECK(check_size());
          if (listed.insert(text).second) ways.push_back(json_.rules.text(std::move(text)));
        }
      } else {
        LINNET_CHECK(types(shape, ways));
      }
      LINNET_CHECK(check_size());
    }
    return choice_of(std::move(ways));
  }

  Status types(const Shape& shape, std::vector<int32_t>& ways) {
    if ((shape.types & kObject) != 0) {
      LINNET_TRY(const int32_t node, object(shape));
      ways.push_back(node);
    }
    if ((shape.types & kArray) != 0) ways.push_back(array(shape));
    if ((shape.types & kString) != 0) {
      LINNET_TRY(const int32_t node, string(shape));
      ways.push_back(node);
    }
    if ((shape.types & kInteger) != 0) {
      ways.push_back(or_nothing(json_.number(shape.range, (shape.types & kFraction) == 0)));
    }
    if ((shape.types & kBoolean) != 0) {
      ways.push_back(json_.rules.text("true"));
      ways.push_back(json_.rules.text("false"));
    }
    if ((shape.types & kNull) != 0) ways.push_back(json_.rules.text("null"));
    return {};
  }

  Result<int32_t> string(const Shape& shape) {
    if (shape.patterns.empty()) {
      if (shape.min_length == 0 && shape.max_length < 0) return json_.any_string();
      return json_.string_of_length(int32_t(shape.min_length), int32_t(shape.max_length));
    }
    if (shape.patterns.size() == 1 && shape.min_length == 0 && shape.max_length < 0) {
      const auto [at, added] = rule_of_pattern_.try_emplace(shape.patterns[0], -1);
      if (added) {
        const Regex& regex = shapes_.document().pattern(shape.patterns[0]);
        LINNET_TRY(const int32_t content,
                   add_regex(json_.rules, regex, true, json_.spelling(), "string", shapes_.budget));
        const int32_t node = json_.quoted(content);
        at->second = json_.rules.add_rule("string", node);
      }
      return json_.rules.reference(at->second);
    }
    const Result<Language> language = shapes_.strings(shape);
    if (!language) {
      return fail(language.error().code, "the pattern and the lengths of a string in the JSON Schema at {}: {}",
                  shapes_.document().pointer(shape.schemas.front()), language.error().message);
    }
    return language->empty() ? nothing() : json_.string_of(*language);
  }

  // ---- Arrays

  int32_t array(const Shape& shape) {
    size_t front = 0;  // items that have a schema of their own
    for (const Json* schema : shape.schemas) {
      for (const std::string_view keyword : {"prefixItems", "items"}) {
        if (const Json* list = schema->find(keyword)) front = std::max(front, list->elements().size());
      }
    }
    if (shape.max_items >= 0) front = std::min(front, size_t(shape.max_items));
    GrammarRules& rules = json_.rules;
    std::vector<int32_t> ways;
    if (shape.min_items == 0) ways.push_back(json_.empty('[', ']'));
    if (shape.max_items == 0) return ways[0];
    const auto least = size_t(std::max<int64_t>(shape.min_items, 1));
    const auto item = [&](size_t i) { return value(shapes_.item_goal(shape, i)); };
    const auto followed = [&](size_t i) {
      const int32_t comma = json_.comma();
      return rules.sequence({comma, item(i)});
    };
    // From the back: what may follow the first i items.
    const auto others_least = int32_t(least > std::max<size_t>(front, 1) ? least - std::max<size_t>(front, 1) : 0);
    const auto others_most = int32_t(shape.max_items < 0 ? -1 : shape.max_items - int64_t(std::max<size_t>(front, 1)));
    std::vector<int32_t> parts;
    int32_t rest = others_most == 0 ? -1 : rules.repeat(followed(front), others_least, others_most);
    for (size_t i = front; i-- > std::max<size_t>(least, 1);) {
      const int32_t next = followed(i);
      const int32_t more = rules.optional(rest < 0 ? next : rules.sequence({next, rest}));
      rest = rules.reference(rules.add_rule("items", more));
    }
    parts.push_back(item(0));
    for (size_t i = 1; i < std::min(front, least); ++i) parts.push_back(followed(i));
    if (rest >= 0) parts.push_back(rest);
    ways.push_back(json_.enclosed('[', rules.sequence(std::move(parts)), ']'));
    return choice_of(std::move(ways));
  }

  // ---- Objects

  struct Property {
    std::string_view name;
    bool required;
    Goal goal;
  };
  // Names that no schema describes one by one, and what their values must be.
  struct Others {
    std::optional<Language> names;  // none: any string
    Goal goal;
  };
  // Which texts may follow, once `at` properties are decided and `written` of them are there.
  struct State {
    size_t at;
    int64_t written;
    auto operator<=>(const State&) const = default;
  };
  struct Object {
    std::vector<Property> properties;
    std::vector<Others> others;
    int64_t least = 0, most = -1;  // properties written
    int64_t counted = 1;           // counting further makes no difference
    size_t leading = 0;            // optional properties before the first required one
    std::map<State, int32_t> rules;
    std::vector<State> open;  // states whose rule has no node yet
  };

  Result<int32_t> object(const Shape& shape) {
    Object o;
    bool possible = true;
    LINNET_CHECK(find_properties(shape, o, possible));
    if (!possible) return nothing();
    LINNET_CHECK(find_others(shape, o));
    const int64_t required =
        std::count_if(o.properties.begin(), o.properties.end(), [](const Property& p) { return p.required; });
    LINNET_CHECK(limit_counts(shape, o, required));
    std::vector<int32_t> ways;
    if (required == 0 && o.least == 0) ways.push_back(json_.empty('{', '}'));
    if (o.most != 0) {
      const int32_t content = follow(o, {0, 0});
      while (!o.open.empty()) {
        const State state = o.open.back();
        o.open.pop_back();
        const int32_t node = members(o, state);
        json_.rules.rules[size_t(o.rules[state])].node = node;
        LINNET_CHECK(check_size());
      }
      ways.push_back(json_.enclosed('{', content, '}'));
    }
    return choice_of(std::move(ways));
  }

  Status find_properties(const Shape& shape, Object& o, bool& possible) {
    std::set<std::string_view> seen, required;
    std::vector<std::string_view> names;
    for (const Json* schema : shape.schemas) {
      if (const Json* list = schema->find("properties")) {
        for (const Json::Member& m : list->members()) {
          if (seen.insert(m.key).second) names.push_back(m.key);
        }
      }
    }
    for (const Json* schema : shape.schemas) {
      if (const Json* list = schema->find("required")) {
        for (const Json& name : list->elements()) {
          required.insert(*name.string());
          if (seen.insert(*name.string()).second) names.push_back(*name.string());
        }
      }
    }
    for (const std::string_view name : names) {
      LINNET_TRY(Goal goal, shapes_.property_goal(shape, name));
      LINNET_TRY(const bool allowed, shapes_.name_allowed(shape, name));
      const bool needed = required.contains(name);
      if (allowed && !never(goal)) {
        o.properties.push_back({name, needed, std::move(goal)});
      } else if (needed) {
        possible = false;
      }
    }
    names_.assign(names.begin(), names.end());
    return {};
  }

  // One group for every combination of patterns that a name may match.
  Status find_others(const Shape& shape, Object& o) {
    struct Pattern {
      size_t schema;
      const Language* names;
      const Json* value;
    };
    std::vector<Pattern> patterns;
    std::optional<Language> allowed;
    for (size_t i = 0; i < shape.schemas.size(); ++i) {
      if (const Json* list = shape.schemas[i]->find("patternProperties")) {
        for (const Json::Member& m : list->members()) {
          LINNET_TRY(const Language* names, shapes_.pattern(m.key));
          patterns.push_back({i, names, &m.value});
        }
      }
      if (const Json* names = shape.schemas[i]->find("propertyNames")) {
        LINNET_TRY(Language language, names_language(*names));
        if (allowed) { LINNET_TRY(language, allowed->intersection(language, shapes_.budget)); }
        allowed = std::move(language);
      }
    }
    constexpr size_t kMaxPatterns = 6;
    if (patterns.size() > kMaxPatterns) {
      return fail(Code::schema_unsupported,
                  "the JSON Schema at {}/patternProperties is not supported: {} patterns apply to the names of one "
                  "object, at most {} can; join them",
                  shapes_.document().pointer(shape.schemas[patterns.back().schema]), patterns.size(), kMaxPatterns);
    }
    for (size_t chosen = 0; chosen < size_t(1) << patterns.size(); ++chosen) {
      Others others{.names = allowed, .goal = {}};
      for (size_t i = 0; i < shape.schemas.size(); ++i) {
        bool described = false;
        for (size_t p = 0; p < patterns.size(); ++p) {
          if (patterns[p].schema != i || (chosen >> p & 1) == 0) continue;
          add_to_goal(others.goal, patterns[p].value);
          described = true;
        }
        const Json* additional = shape.schemas[i]->find("additionalProperties");
        if (!described && additional != nullptr) add_to_goal(others.goal, additional);
      }
      if (never(others.goal)) continue;
      const Result<bool> any = narrow_names(
          others.names,
          [&](Language& names) -> Status {
            for (size_t p = 0; p < patterns.size() && !names.empty(); ++p) {
              const bool in = (chosen >> p & 1) != 0;
              LINNET_TRY(names, in ? names.intersection(*patterns[p].names, shapes_.budget)
                                   : names.difference(*patterns[p].names, shapes_.budget));
            }
            return {};
          },
          !patterns.empty());
      if (!any) {
        return fail(any.error().code,
                    "the names of other properties in the JSON Schema at {}: {} (say "
                    "\"additionalProperties\": false where nothing else is wanted)",
                    shapes_.document().pointer(shape.schemas.empty() ? nullptr : shape.schemas.front()),
                    any.error().message);
      }
      if (*any) o.others.push_back(std::move(others));
    }
    return {};
  }

  // Takes what `narrow` takes away and the names of the properties out of the set; false when nothing is left.
  template <class Narrow>
  Result<bool> narrow_names(std::optional<Language>& names, const Narrow& narrow, bool needed) {
    if (!needed && !names && names_.empty()) return true;
    if (!names) names = Language::everything();
    LINNET_CHECK(narrow(*names));
    LINNET_TRY(const Language known, Language::of_strings(names_, shapes_.budget));
    LINNET_TRY(*names, names->difference(known, shapes_.budget));
    return !names->empty();
  }

  // The strings that are valid against "propertyNames".
  Result<Language> names_language(const Json& schema) {
    Goal goal;
    add_to_goal(goal, &schema);
    LINNET_TRY(const std::vector<Shape> shapes, shapes_.expand(goal));
    Language all;
    for (const Shape& shape : shapes) {
      if ((shape.types & kString) == 0) continue;
      LINNET_TRY(const Language language, shapes_.strings(shape));
      LINNET_TRY(all, all.join(language, shapes_.budget));
    }
    return all;
  }

  // How many properties there may be. Names outside `properties` may be written twice, and a reader of the text keeps
  // one of them, so that only one of them can be relied on.
  Status limit_counts(const Shape& shape, Object& o, int64_t required) {
    if (!o.others.empty() && shape.min_properties > required + 1) {
      const auto at = std::find_if(shape.schemas.begin(), shape.schemas.end(), [&](const Json* s) {
        const Json* n = s->find("minProperties");
        return n != nullptr && schema_count(*n) == shape.min_properties;
      });
      return fail(
          Code::schema_unsupported,
          "the JSON Schema at {}/minProperties is not supported: no grammar can tell whether {} properties with "
          "free names are different; name them in \"required\", or say \"additionalProperties\": false",
          shapes_.document().pointer(*at), shape.min_properties);
    }
    o.least = shape.min_properties > required ? shape.min_properties : 0;
    const bool limited =
        shape.max_properties >= 0 && (!o.others.empty() || shape.max_properties < int64_t(o.properties.size()));
    o.most = limited ? shape.max_properties : -1;
    o.counted = limited ? o.most : std::max<int64_t>(o.least, 1);
    while (o.leading < o.properties.size() && !o.properties[o.leading].required) ++o.leading;
    if (o.counted > 1 && int64_t(o.properties.size() + 1) * o.counted > int64_t(kMaxRules)) {
      return fail(Code::grammar_limit,
                  "counting up to {} of {} properties takes too many rules in the JSON Schema at {}; leave out "
                  "\"minProperties\" and \"maxProperties\"",
                  o.counted, o.properties.size(), shapes_.document().pointer(shape.schemas.front()));
    }
    return {};
  }

  int32_t follow(Object& o, State state) {
    const auto [at, added] = o.rules.try_emplace(state, -1);
    if (added) {
      at->second = json_.rules.add_rule("members");
      o.open.push_back(state);
    }
    return json_.rules.reference(at->second);
  }

  int32_t property(const Property& p) {
    const int32_t name = json_.rules.text(json_quote(p.name));
    const int32_t colon = json_.colon();
    return json_.rules.sequence({name, colon, value(p.goal)});
  }
  int32_t after_comma(int32_t node) {
    const int32_t comma = json_.comma();
    return json_.rules.sequence({comma, node});
  }

  int32_t members(Object& o, State state) {
    GrammarRules& rules = json_.rules;
    std::vector<int32_t> parts;
    for (; state.at < o.properties.size(); ++state.at) {
      const Property& p = o.properties[state.at];
      const bool full = o.most >= 0 && state.written == o.most;
      const int32_t member = full ? nothing() : state.written > 0 ? after_comma(property(p)) : property(p);
      const State with = {state.at + 1, std::min(state.written + 1, o.counted)};
      const State without = {state.at + 1, state.written};
      if (p.required) {
        parts.push_back(member);
      } else if (with == without || full) {
        parts.push_back(rules.optional(member));
      } else {
        const int32_t first = rules.sequence({member, follow(o, with)});
        parts.push_back(rules.choice({first, follow(o, without)}));
        return rules.sequence(std::move(parts));
      }
      // Here others may come in.
      if (!full && (o.counted > 1 || with.at <= o.leading)) {
        parts.push_back(follow(o, p.required ? with : without));
        return rules.sequence(std::move(parts));
      }
      if (p.required) state.written = with.written;
    }
    parts.push_back(other_members(o, state.written));
    return rules.sequence(std::move(parts));
  }

  // After all properties, with so many written.
  int32_t other_members(Object& o, int64_t written) {
    GrammarRules& rules = json_.rules;
    const int64_t missing = std::max<int64_t>(o.least - written, 0);
    if (o.others.empty()) return written > 0 && missing == 0 ? rules.text("") : nothing();
    const auto most = int32_t(o.most < 0 ? -1 : o.most - written);
    if (most == 0) return missing == 0 ? rules.text("") : nothing();
    // Several ways to the end share the rule of one member.
    if (o.rules.find({o.properties.size() + 1, 0}) == o.rules.end()) {
      std::vector<int32_t> ways;
      for (const Others& others : o.others) {
        const int32_t name = others.names ? json_.string_of(*others.names) : json_.any_string();
        const int32_t colon = json_.colon();
        ways.push_back(rules.sequence({name, colon, value(others.goal)}));
      }
      const int32_t node = choice_of(std::move(ways));
      o.rules[{o.properties.size() + 1, 0}] = rules.add_rule("member", node);
    }
    const auto other = [&] { return rules.reference(o.rules[{o.properties.size() + 1, 0}]); };
    if (written > 0) return rules.repeat(after_comma(other()), int32_t(missing), most);
    const int32_t first = other();
    return rules.sequence({first, rules.repeat(after_comma(other()), int32_t(std::max<int64_t>(missing - 1, 0)),
                                               most < 0 ? -1 : most - 1)});
  }

  SchemaShapes shapes_;
  JsonGrammar json_;
  std::map<Goal, int32_t> rule_of_;  // by the goal in the order of addresses
  std::map<std::string_view, int32_t> rule_of_pattern_;
  std::deque<std::pair<Goal, int32_t>> open_;  // rules that have no node yet
  std::vector<std::string_view> names_;        // of the properties of the object being written
  size_t literal_bytes_ = 0;
  int32_t nothing_ = -1;
};

}  // namespace

Result<GrammarRules> json_schema_rules(const Json& schema) {
  LINNET_TRY(const SchemaDocument document, SchemaDocument::read(schema));
  return SchemaTranslator(document).translate(schema);
}

Result<GrammarRules> json_schema_rules(std::string_view schema) {
  if (schema.size() > kMaxSchemaBytes) {
    return fail(Code::grammar_limit, "the JSON Schema has {} bytes; at most {} are read", schema.size(),
                kMaxSchemaBytes);
  }
  std::vector<std::string> duplicates;
  LINNET_TRY(const Json json, parse_json(schema, &duplicates));
  if (!duplicates.empty()) {
    return fail(Code::schema_invalid, "the JSON Schema is not valid at {}: this key is there twice; remove one",
                quoted("#" + duplicates.front(), 400));
  }
  return json_schema_rules(json);
}

}  // namespace linnet
