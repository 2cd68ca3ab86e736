#include "tests/sampling/random_schema.h"

#include <algorithm>
#include <deque>
#include <set>

#include <fmt/format.h>
#include <re2/re2.h>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

const std::vector<std::string> kNames = {"a", "b", "c", "ab", "k1", "k2", "é", "q\"u"};
const std::vector<std::string> kNamePatterns = {"^k", "^a", "b$", "\\d"};
// Matched alike by RE2 and by ECMAScript.
const std::vector<std::string> kPatterns = {"^[a-z]{2,4}$", "b",    "^x",          "\\d+$", "^(yes|no)$", "a[^z]c",
                                            "^[^\"\\\\]*$", "\\\\", "^\\w+@\\w+$", "^$",    "\"",         "^.{3}$|^x",
                                            "[à-ü]+"};
const std::vector<std::string> kTexts = {
    "ab",      "abc", "b",  "xb", "x1", "42",   "a42", "yes",      "no", "a\nc",       "a\"c",       "\\",
    "me@home", "",    "\"", "é",  " ",  "zzzz", "xyz", "\x01\x1f", "😀",  "a\tb\\c\"d", "0123456789", "bbbbbbbb"};
const std::map<std::string, std::vector<std::string>> kFormats = {
    {"date", {"2024-02-29", "2023-02-29", "1999-12-31", "2024-04-31", "2024-13-01", "2000-02-29", "1900-02-29", "x"}},
    {"time", {"00:00:00Z", "23:59:59.125+14:30", "24:00:00Z", "12:60:00Z", "12:00:00", "12:00:00-05:00"}},
    {"date-time", {"2024-02-29T12:30:00Z", "2024-02-30T12:30:00Z", "2024-01-01", "1985-04-12T23:20:50.52Z"}},
    {"duration", {"P1Y2M3DT4H5M6S", "PT5M", "P2W", "P", "PT", "P1D", "P1DT", "1D"}},
    {"uuid", {"123e4567-e89b-12d3-a456-426614174000", "123e4567e89b12d3a456426614174000", "g"}},
    {"ipv4", {"127.0.0.1", "255.255.255.255", "256.1.1.1", "1.2.3", "01.2.3.4", "0.0.0.0"}},
    {"ipv6", {"::1", "::", "2001:db8::ff00:42:8329", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "1::2::3", "12345::", ":"}},
    {"email", {"me@example.org", "a.b@c-d.example.com", "me", "@x.org", "me@localhost"}},
};
const std::vector<std::string> kValues = {"null",       "true",   "false", "1",  "-2", "2.5",       "\"x\"",
                                          "\"a\\\"b\"", "\"k1\"", "[1,2]", "[]", "{}", "{\"a\":1}", "[{\"b\":[null]}]",
                                          "7"};

template <class T>
const T& one_of_list(Random& random, const std::vector<T>& list) {
  return list[size_t(random.below(int64_t(list.size())))];
}

std::string join(const std::vector<std::string>& parts) { return fmt::format("{}", fmt::join(parts, ",")); }

}  // namespace

// ---- Schemas

std::string RandomSchema::make() {
  const std::string keyword = definitions_ = chance(80) ? "$defs" : "definitions";
  std::string defs;
  for (int i = 0; i < 3; ++i) defs += fmt::format("{}\"d{}\":{}", i == 0 ? "" : ",", i, schema(2));
  // Mostly something to look into.
  std::string root;
  do { root = schema(4); } while (root[0] != '{' || (root.size() < 60 && chance(80)));
  ++keywords[keyword];
  return fmt::format("{{\"{}\":{{{}}}{}{}", keyword, defs, root == "{}" ? "" : ",", root.substr(1));
}

void RandomSchema::add(std::vector<std::string>& members, const std::string& keyword, const std::string& value) {
  ++keywords[keyword];
  members.push_back(fmt::format("\"{}\":{}", keyword, value));
}

std::string RandomSchema::name() { return json_quote(one_of_list(random_, kNames)); }

std::string RandomSchema::number_text() {
  switch (random_.below(6)) {
    case 0:
      return fmt::format("{}", random_.below(2000) - 1000);
    case 1:
      return fmt::format("{}.{}", random_.below(40) - 20, random_.below(1000));
    case 2:
      return fmt::format("{}", int64_t(random_.next()) >> random_.below(60));
    case 3:
      return fmt::format("{}e{}", random_.below(90) + 1, random_.below(24) - 22);
    default:
      return fmt::format("{}", random_.below(30) - 10);
  }
}

std::string RandomSchema::list(int64_t count, int depth) {
  std::vector<std::string> all;
  for (int64_t i = 0; i < count; ++i) all.push_back(schema(depth));
  return "[" + join(all) + "]";
}

std::string RandomSchema::schema(int depth) {
  if (chance(4)) return chance(70) ? "true" : "false";
  std::vector<std::string> members;
  if (chance(10)) {
    const std::pair<const char*, const char*> notes[] = {
        {"title", "\"t\""},    {"description", "\"d\""}, {"default", "1"},
        {"examples", "[1]"},   {"$comment", "\"c\""},    {"deprecated", "true"},
        {"readOnly", "false"}, {"writeOnly", "true"},    {"x-anything", "{}"}};
    const auto& [keyword, value] = notes[random_.below(std::size(notes))];
    add(members, keyword, value);
  }
  const int64_t kind = random_.below(depth > 0 ? 20 : 12);
  if (kind < 1) {
    add(members, "const", one_of_list(random_, kValues));
  } else if (kind < 2) {
    std::vector<std::string> values;
    const int64_t count = 1 + random_.below(4);
    for (int64_t i = 0; i < count; ++i) values.push_back(one_of_list(random_, kValues));
    add(members, "enum", "[" + join(values) + "]");
    if (chance(30)) typed(members, 0);
  } else if (kind < 14) {
    typed(members, depth);
  } else if (kind < 15) {
    add(members, "anyOf", list(1 + random_.below(3), depth - 1));
    if (chance(30)) typed(members, depth - 1);
  } else if (kind < 16) {
    add(members, "oneOf", one_of(depth));
  } else if (kind < 17) {
    add(members, "allOf", list(1 + random_.below(3), depth - 1));
    if (chance(30)) typed(members, depth - 1);
  } else if (kind < 19) {
    add(members, "$ref", fmt::format("\"#/{}/d{}\"", definitions_, random_.below(3)));
    if (chance(20)) typed(members, 0);
  } else {
    // Bounds of several types without a type.
    string(members);
    number(members);
  }
  return "{" + join(members) + "}";
}

std::string RandomSchema::one_of(int depth) {
  std::vector<std::string> all;
  switch (random_.below(4)) {
    case 0:  // apart by a required property
      for (int i = 0; i < 3; ++i) {
        std::vector<std::string> members;
        add(members, "type", "\"object\"");
        add(members, "required", "[\"a\"]");
        add(members, "properties", fmt::format("{{\"a\":{{\"const\":{}}},\"b\":{}}}", i, schema(depth - 1)));
        all.push_back("{" + join(members) + "}");
      }
      break;
    case 1:  // apart by type
      all = {"{\"type\":\"string\",\"maxLength\":3}", "{\"type\":\"integer\",\"minimum\":5}", "{\"type\":\"null\"}"};
      break;
    case 2:  // apart by bounds
      all = {"{\"type\":\"integer\",\"maximum\":3}", "{\"type\":\"number\",\"minimum\":3.5}", "{\"enum\":[\"x\",true]}",
             "{\"type\":\"string\",\"pattern\":\"^..\"}"};
      break;
    default:
      for (int i = 0; i < 2; ++i) all.push_back(schema(depth - 1));
  }
  return "[" + join(all) + "]";
}

void RandomSchema::typed(std::vector<std::string>& members, int depth) {
  switch (random_.below(depth > 0 ? 12 : 7)) {
    case 0:
      add(members, "type", chance(50) ? "\"boolean\"" : "\"null\"");
      break;
    case 1:
      add(members, "type", "\"integer\"");
      if (chance(20)) add(members, "nullable", "true");
      number(members);
      break;
    case 2:
      add(members, "type", "\"number\"");
      number(members);
      break;
    case 3:
    case 4:
      add(members, "type", "\"string\"");
      string(members);
      break;
    case 5:
      add(members, "type", chance(50) ? "[\"string\",\"null\"]" : "[\"integer\",\"boolean\",\"string\"]");
      if (chance(50)) string(members);
      break;
    case 6:
      add(members, "type", chance(50) ? "\"array\"" : "\"object\"");
      break;
    case 7:
    case 8:
      if (chance(80)) add(members, "type", "\"array\"");
      array(members, depth);
      break;
    default:
      if (chance(90)) add(members, "type", "\"object\"");
      object(members, depth);
  }
}

void RandomSchema::number(std::vector<std::string>& members) {
  std::string low = number_text(), high = number_text();
  if (parse_json(low)->number() && *parse_json(low)->number() > *parse_json(high)->number()) std::swap(low, high);
  const int64_t which = random_.below(6);
  if (which == 1 || which == 3) add(members, chance(70) ? "minimum" : "exclusiveMinimum", low);
  if (which == 2 || which == 3) add(members, chance(70) ? "maximum" : "exclusiveMaximum", high);
  if (chance(5)) add(members, "multipleOf", "1");
}

void RandomSchema::string(std::vector<std::string>& members) {
  switch (random_.below(6)) {
    case 0:
      add(members, "pattern", json_quote(one_of_list(random_, kPatterns)));
      break;
    case 1: {
      auto format = kFormats.begin();
      std::advance(format, random_.below(int64_t(kFormats.size())));
      add(members, "format", json_quote(format->first));
      break;
    }
    case 2: {
      const int64_t least = random_.below(5);
      if (chance(70)) add(members, "minLength", fmt::format("{}", least));
      if (chance(70)) add(members, "maxLength", fmt::format("{}.0", least + random_.below(6)));
      if (chance(40)) add(members, "pattern", json_quote(one_of_list(random_, kPatterns)));
      break;
    }
    default:
      break;
  }
}

void RandomSchema::array(std::vector<std::string>& members, int depth) {
  const int64_t form = random_.below(5);
  if (form == 0) add(members, "prefixItems", list(1 + random_.below(3), depth - 1));
  if (form == 1) {
    add(members, "items", list(random_.below(3), depth - 1));
    if (chance(60)) add(members, "additionalItems", schema(depth - 1));
  } else if (form < 4 && chance(80)) {
    add(members, "items", schema(depth - 1));
  }
  const int64_t least = random_.below(4);
  if (chance(40)) add(members, "minItems", fmt::format("{}", least));
  if (chance(40)) add(members, "maxItems", fmt::format("{}", least + random_.below(4)));
  if (chance(5)) add(members, "uniqueItems", "false");
}

void RandomSchema::object(std::vector<std::string>& members, int depth) {
  std::vector<std::string> names = kNames;
  for (size_t i = names.size(); i-- > 1;) std::swap(names[i], names[size_t(random_.below(int64_t(i) + 1))]);
  const int64_t count = random_.below(5);
  std::vector<std::string> properties, required;
  for (int64_t i = 0; i < count; ++i) {
    properties.push_back(fmt::format("{}:{}", json_quote(names[size_t(i)]), schema(depth - 1)));
    if (chance(50)) required.push_back(json_quote(names[size_t(i)]));
  }
  if (chance(8)) required.push_back(json_quote(names.back()));
  if (count > 0) add(members, "properties", "{" + join(properties) + "}");
  if (!required.empty()) add(members, "required", "[" + join(required) + "]");
  if (chance(60)) add(members, "additionalProperties", chance(70) ? "false" : schema(depth - 1));
  if (chance(20)) {
    const size_t first = size_t(random_.below(int64_t(kNamePatterns.size()) - 1));
    std::string patterns = fmt::format("{}:{}", json_quote(kNamePatterns[first]), schema(depth - 1));
    if (chance(40)) patterns += fmt::format(",{}:{}", json_quote(kNamePatterns[first + 1]), schema(depth - 1));
    add(members, "patternProperties", "{" + patterns + "}");
  }
  if (chance(10)) {
    const char* const rules[] = {"{\"maxLength\":1}", "{\"pattern\":\"^[a-k]\"}", "{\"enum\":[\"a\",\"b\",\"k1\"]}",
                                 "{\"anyOf\":[{\"const\":\"c\"},{\"pattern\":\"\\\\d\"}]}"};
    add(members, "propertyNames", rules[random_.below(std::size(rules))]);
  }
  const int64_t least = random_.below(3);
  if (chance(12)) add(members, "minProperties", fmt::format("{}", least));
  if (chance(12)) add(members, "maxProperties", fmt::format("{}", least + random_.below(3)));
}

// ---- Values

std::string RandomValue::enclose(char open, const std::vector<std::string>& parts, char close, int depth) const {
  if (parts.empty()) return {open, close};
  const std::string line = "\n" + std::string(size_t(std::min(2 * depth + 2, 32)), ' ');
  const std::string gap = style_ == 0 ? "" : style_ == 1 ? " " : line;
  std::string out(1, open);
  for (size_t i = 0; i < parts.size(); ++i) out += (i == 0 ? "" : ",") + gap + parts[i];
  return out + gap + close;
}

std::string RandomValue::anything() { return one_of_list(random_, kValues); }

std::string RandomValue::value(std::vector<const Json*> goal, int depth) {
  // Everything that applies, alternatives chosen: first all that must be, then choice after choice.
  std::vector<const Json*> all;
  std::deque<const Json*> pending(goal.begin(), goal.end());
  std::deque<const Json*> choices;
  std::set<const Json*> seen;
  while (!pending.empty() || !choices.empty()) {
    if (pending.empty()) {
      pending.push_back(
          &choices.front()->elements()[size_t(random_.below(int64_t(choices.front()->elements().size())))]);
      choices.pop_front();
    }
    const Json* s = pending.front();
    pending.pop_front();
    if (s->is_boolean() || !seen.insert(s).second) continue;
    all.push_back(s);
    if (const Json* r = s->find("$ref")) {
      const std::string reference(*r->string());
      const size_t slash = reference.rfind('/');
      pending.push_back(root_.find(reference.substr(2, slash - 2))->find(reference.substr(slash + 1)));
    }
    if (const Json* list = s->find("allOf")) {
      for (const Json& e : list->elements()) pending.push_back(&e);
    }
    for (const char* keyword : {"anyOf", "oneOf"}) {
      if (const Json* list = s->find(keyword)) choices.push_back(list);
    }
  }
  if (depth > 12 || chance(3)) return anything();
  std::set<std::string> types = {"null", "boolean", "integer", "number", "string", "array", "object"};
  bool listed = false;
  for (const Json* s : all) {
    const Json* list = s->find("enum");
    const Json* one = s->find("const");
    listed |= list != nullptr || one != nullptr;
    if (one != nullptr && chance(85)) return JsonWriter().value(*one).text();
    if (list != nullptr && chance(85))
      return JsonWriter()
          .value(one_of_list(random_, std::vector<Json>(list->elements().begin(), list->elements().end())))
          .text();
    const Json* type = s->find("type");
    if (type == nullptr) continue;
    std::set<std::string> allowed;
    if (type->is_string()) allowed.insert(std::string(*type->string()));
    for (const Json& t : type->elements()) allowed.insert(std::string(*t.string()));
    if (allowed.contains("number")) allowed.insert("integer");
    if (s->find("nullable") != nullptr) allowed.insert("null");
    std::erase_if(types, [&](const std::string& t) { return !allowed.contains(t); });
  }
  // What is equal to a listed value may be spelled otherwise, which the grammar does not know; scalars may not.
  if (listed || depth > 6) {
    std::set<std::string> scalars = types;
    scalars.erase("array");
    scalars.erase("object");
    if (!scalars.empty() || listed) types = scalars;
  }
  if (types.empty()) return listed ? "null" : anything();
  const std::string type = one_of_list(random_, std::vector<std::string>(types.begin(), types.end()));
  if (type == "null") return "null";
  if (type == "boolean") return chance(50) ? "true" : "false";
  if (type == "string") return string(all);
  if (type == "array") return array(all, depth);
  if (type == "object") return object(all, depth);
  return number(all, type == "integer");
}

std::string RandomValue::number(const std::vector<const Json*>& all, bool integer) {
  std::vector<double> near = {0};
  for (const Json* s : all) {
    for (const char* keyword : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}) {
      if (const Json* n = s->find(keyword)) near.push_back(*n->number());
    }
  }
  const double n = one_of_list(random_, near);
  if (!(n > -1e15 && n < 1e15)) return fmt::format("{}", n > 0 ? INT64_MAX - random_.below(3) : -random_.below(100));
  const auto whole = int64_t(n) + random_.below(5) - 2;
  if (integer || chance(30)) return fmt::format("{}", whole);
  // The bound itself, or a number near it; decimals of a bound that a fraction would not show are too fine to try.
  if (chance(30) && n != 0 && (n > 1e-4 || n < -1e-4)) return fmt::format("{}", n);
  return fmt::format("{}{}.{:03}", whole < 0 ? "-" : "", whole < 0 ? -whole : whole, 1 + random_.below(999));
}

std::string RandomValue::string(const std::vector<const Json*>& all) {
  for (const Json* s : all) {
    const Json* format = s->find("format");
    if (format != nullptr && chance(90))
      return json_quote(one_of_list(random_, kFormats.at(std::string(*format->string()))));
  }
  // Of some texts one that fits most, so that valid ones are not rare.
  std::string best;
  int best_fit = -1;
  for (int i = 0; i < 6; ++i) {
    const std::string& text = one_of_list(random_, kTexts);
    int fit = 0;
    for (const Json* s : all) {
      if (const Json* p = s->find("pattern")) fit += RE2::PartialMatch(text, std::string(*p->string()));
      if (const Json* n = s->find("minLength")) fit += double(utf8_count(text)) >= *n->number();
      if (const Json* n = s->find("maxLength")) fit += double(utf8_count(text)) <= *n->number();
    }
    if (fit > best_fit) best = text;
    best_fit = std::max(fit, best_fit);
  }
  return json_quote(best);
}

std::string RandomValue::array(const std::vector<const Json*>& all, int depth) {
  int64_t least = 0, most = 5;
  for (const Json* s : all) {
    if (const Json* n = s->find("minItems")) least = std::max(least, int64_t(*n->number()));
    if (const Json* n = s->find("maxItems")) most = std::min(most, int64_t(*n->number()));
  }
  int64_t count = depth > 5 ? least : least + random_.below(std::max<int64_t>(most - least, 0) + 1);
  if (chance(5)) count = random_.below(5);
  std::vector<std::string> items;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<const Json*> goal;
    for (const Json* s : all) {
      const Json* plain = s->find("items");
      const Json* front = plain != nullptr && plain->is_array() ? plain : s->find("prefixItems");
      const Json* others = plain != nullptr && plain->is_array() ? s->find("additionalItems") : plain;
      if (front != nullptr && i < int64_t(front->elements().size())) {
        goal.push_back(&front->elements()[size_t(i)]);
      } else if (others != nullptr) {
        goal.push_back(others);
      }
    }
    items.push_back(value(goal, depth + 1));
  }
  return enclose('[', items, ']', depth);
}

std::string RandomValue::object(const std::vector<const Json*>& all, int depth) {
  std::vector<std::string> names;
  std::set<std::string> required, listed;
  for (const Json* s : all) {
    if (const Json* list = s->find("properties")) {
      for (const Json::Member& m : list->members()) {
        if (listed.insert(m.key).second) names.push_back(m.key);
      }
    }
  }
  for (const Json* s : all) {
    if (const Json* list = s->find("required")) {
      for (const Json& n : list->elements()) {
        required.insert(std::string(*n.string()));
        if (listed.insert(std::string(*n.string())).second) names.push_back(std::string(*n.string()));
      }
    }
  }
  std::erase_if(names, [&](const std::string& n) { return !chance(required.contains(n) ? 97 : depth > 5 ? 5 : 50); });
  std::vector<std::string> others = kNames;
  others.push_back("k9\n");
  for (int64_t i = random_.below(4); i < 2; ++i) {
    const std::string& n = one_of_list(random_, others);
    if (listed.insert(n).second) names.push_back(n);
  }
  std::vector<std::string> members;
  for (const std::string& name : names) {
    std::vector<const Json*> goal;
    for (const Json* s : all) {
      bool described = false;
      const Json* properties = s->find("properties");
      if (const Json* p = properties == nullptr ? nullptr : properties->find(name)) {
        goal.push_back(p);
        described = true;
      }
      if (const Json* patterns = s->find("patternProperties")) {
        for (const Json::Member& m : patterns->members()) {
          if (!RE2::PartialMatch(name, m.key)) continue;
          goal.push_back(&m.value);
          described = true;
        }
      }
      const Json* additional = s->find("additionalProperties");
      if (!described && additional != nullptr) goal.push_back(additional);
    }
    members.push_back(json_quote(name) + (style_ == 0 ? ":" : ": ") + value(goal, depth + 1));
  }
  return enclose('{', members, '}', depth);
}

}  // namespace linnet
