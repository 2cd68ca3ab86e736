#include "tests/sampling/schema_validator.h"

#include <arpa/inet.h>

#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <re2/re2.h>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

const RE2& regex(const std::string& pattern) {
  static std::map<std::string, std::unique_ptr<RE2>> known;
  std::unique_ptr<RE2>& re2 = known[pattern];
  if (!re2) re2 = std::make_unique<RE2>(pattern);
  return *re2;
}

bool equal(const Json& a, const Json& b) {
  if (a.is_number() || b.is_number()) return a.is_number() && b.is_number() && *a.number() == *b.number();
  if (a.is_object() && b.is_object()) {
    if (a.members().size() != b.members().size()) return false;
    for (const Json::Member& m : a.members()) {
      const Json* other = b.find(m.key);
      if (other == nullptr || !equal(m.value, *other)) return false;
    }
    return true;
  }
  if (a.is_array() && b.is_array()) {
    if (a.elements().size() != b.elements().size()) return false;
    for (size_t i = 0; i < a.elements().size(); ++i) {
      if (!equal(a.elements()[i], b.elements()[i])) return false;
    }
    return true;
  }
  return JsonWriter().value(a).text() == JsonWriter().value(b).text();
}

bool has_type(const Json& value, std::string_view type) {
  if (type == "number") return value.is_number();
  if (type == "integer") return value.is_number() && std::floor(*value.number()) == *value.number();
  return value.type_name() == type;
}

bool date(const std::string& text) {
  int year = 0, month = 0, day = 0;
  if (!RE2::FullMatch(text, "(\\d{4})-(\\d\\d)-(\\d\\d)", &year, &month, &day)) return false;
  const int days[] = {
      31, 28 + ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1];
}

bool time(const std::string& text) {
  int hour = 0, minute = 0, second = 0, offset_hour = 0, offset_minute = 0;
  if (RE2::FullMatch(text, "(\\d\\d):(\\d\\d):(\\d\\d)(?:\\.\\d+)?Z", &hour, &minute, &second) ||
      RE2::FullMatch(text, "(\\d\\d):(\\d\\d):(\\d\\d)(?:\\.\\d+)?[+-](\\d\\d):(\\d\\d)", &hour, &minute, &second,
                     &offset_hour, &offset_minute)) {
    return hour < 24 && minute < 60 && second < 60 && offset_hour < 24 && offset_minute < 60;
  }
  return false;
}

bool has_format(const std::string& text, std::string_view format) {
  unsigned char address[16];
  if (format == "date") return date(text);
  if (format == "time") return time(text);
  if (format == "date-time")
    return text.size() > 11 && text[10] == 'T' && date(text.substr(0, 10)) && time(text.substr(11));
  if (format == "duration") {
    return text.size() > 1 && text.back() != 'P' && text.back() != 'T' &&
           (RE2::FullMatch(text, "P(\\d+Y)?(\\d+M)?(\\d+D)?(T(\\d+H)?(\\d+M)?(\\d+S)?)?") ||
            RE2::FullMatch(text, "P\\d+W"));
  }
  if (format == "uuid") {
    return text.size() == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-' &&
           RE2::FullMatch(text, "[0-9a-fA-F-]+");
  }
  if (format == "ipv4") return inet_pton(AF_INET, text.c_str(), address) == 1;
  if (format == "ipv6") return inet_pton(AF_INET6, text.c_str(), address) == 1;
  if (format == "email")
    return RE2::FullMatch(text, "[^@ ]+@[A-Za-z0-9.-]+\\.[A-Za-z]+") && text.find("..") == text.npos;
  std::printf("a format that the validator does not know: %.*s\n", int(format.size()), format.data());
  return false;
}

class Validator {
 public:
  explicit Validator(const Json& root) : root_(root) {}

  bool valid(const Json& schema, const Json& value) {
    if (schema.is_boolean()) return *schema.boolean();
    for (const Json::Member& m : schema.members()) {
      if (!keyword(schema, m.key, m.value, value)) return false;
    }
    return true;
  }

 private:
  bool keyword(const Json& schema, const std::string& name, const Json& k, const Json& v) {
    if (name == "$ref") return valid(target(*k.string()), v);
    if (name == "type") return type(schema, k, v);
    if (name == "const") return equal(k, v);
    if (name == "enum") return count(k, [&](const Json& e) { return equal(e, v); }) > 0;
    if (name == "allOf") return count(k, [&](const Json& s) { return valid(s, v); }) == k.elements().size();
    if (name == "anyOf") return count(k, [&](const Json& s) { return valid(s, v); }) > 0;
    if (name == "oneOf") return count(k, [&](const Json& s) { return valid(s, v); }) == 1;
    if (v.is_number()) {
      const double n = *v.number();
      if (name == "minimum") return n >= *k.number();
      if (name == "maximum") return n <= *k.number();
      if (name == "exclusiveMinimum") return n > *k.number();
      if (name == "exclusiveMaximum") return n < *k.number();
      if (name == "multipleOf") return std::fmod(n, *k.number()) == 0;
    }
    if (v.is_string()) {
      const std::string text(*v.string());
      const auto length = double(utf8_count(text));
      if (name == "minLength") return length >= *k.number();
      if (name == "maxLength") return length <= *k.number();
      if (name == "pattern") return RE2::PartialMatch(text, regex(std::string(*k.string())));
      if (name == "format") return has_format(text, *k.string());
    }
    if (v.is_array()) return array(schema, name, k, v);
    if (v.is_object()) return object(schema, name, k, v);
    return true;
  }

  bool array(const Json& schema, const std::string& name, const Json& k, const Json& v) {
    const std::span<const Json> items = v.elements();
    if (name == "minItems") return double(items.size()) >= *k.number();
    if (name == "maxItems") return double(items.size()) <= *k.number();
    const auto front = [&](const char* keyword) {
      const Json* list = schema.find(keyword);
      return list == nullptr ? size_t(0) : list->elements().size();
    };
    if (name == "prefixItems" || (name == "items" && k.is_array())) {
      for (size_t i = 0; i < std::min(items.size(), k.elements().size()); ++i) {
        if (!valid(k.elements()[i], items[i])) return false;
      }
    } else if (name == "items" || name == "additionalItems") {
      for (size_t i = front(name == "items" ? "prefixItems" : "items"); i < items.size(); ++i) {
        if (!valid(k, items[i])) return false;
      }
    }
    return true;
  }

  bool object(const Json& schema, const std::string& name, const Json& k, const Json& v) {
    const std::span<const Json::Member> members = v.members();
    if (name == "minProperties") return double(members.size()) >= *k.number();
    if (name == "maxProperties") return double(members.size()) <= *k.number();
    if (name == "required") {
      return count(k, [&](const Json& e) { return v.find(*e.string()) != nullptr; }) == k.elements().size();
    }
    if (name == "properties") {
      for (const Json::Member& property : k.members()) {
        const Json* found = v.find(property.key);
        if (found != nullptr && !valid(property.value, *found)) return false;
      }
    }
    for (const Json::Member& m : members) {
      if (name == "propertyNames" && !valid(k, *parse_json(json_quote(m.key)))) return false;
      if (name == "patternProperties") {
        for (const Json::Member& pattern : k.members()) {
          if (RE2::PartialMatch(m.key, regex(pattern.key)) && !valid(pattern.value, m.value)) return false;
        }
      }
      if (name == "additionalProperties" && !described(schema, m.key) && !valid(k, m.value)) return false;
    }
    return true;
  }

  static bool described(const Json& schema, const std::string& key) {
    const Json* properties = schema.find("properties");
    if (properties != nullptr && properties->find(key) != nullptr) return true;
    const Json* patterns = schema.find("patternProperties");
    if (patterns == nullptr) return false;
    for (const Json::Member& m : patterns->members()) {
      if (RE2::PartialMatch(key, regex(m.key))) return true;
    }
    return false;
  }

  static bool type(const Json& schema, const Json& k, const Json& v) {
    const Json* nullable = schema.find("nullable");
    if (nullable != nullptr && *nullable->boolean() && v.is_null()) return true;
    if (k.is_string()) return has_type(v, *k.string());
    return count(k, [&](const Json& t) { return has_type(v, *t.string()); }) > 0;
  }

  template <class Test>
  static size_t count(const Json& list, const Test& test) {
    size_t n = 0;
    for (const Json& e : list.elements()) n += test(e);
    return n;
  }

  // The tests' references have no escapes.
  const Json& target(std::string_view reference) const {
    const Json* at = &root_;
    for (size_t begin = 1; begin < reference.size();) {
      const size_t end = std::min(reference.find('/', begin + 1), reference.size());
      const std::string token(reference.substr(begin + 1, end - begin - 1));
      at = at->is_array() ? &at->elements()[size_t(std::stoi(token))] : at->find(token);
      begin = end;
    }
    return *at;
  }

  const Json& root_;
};

}  // namespace

bool schema_valid(const Json& root, const Json& schema, const Json& value) {
  return Validator(root).valid(schema, value);
}

}  // namespace linnet
