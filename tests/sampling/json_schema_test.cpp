#include "sampling/json_schema.h"

#include <cstdio>
#include <map>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "gguf/base/utf8.h"
#include "sampling/grammar.h"
#include "sampling/number_range.h"
#include "tests/sampling/grammar_definition.h"
#include "tests/sampling/random_schema.h"
#include "tests/sampling/schema_validator.h"
#include "tests/sampling/slow_grammar.h"
#include "tests/support.h"

namespace linnet {
namespace {

GrammarRules rules_of(std::string_view schema) {
  Result<GrammarRules> rules = json_schema_rules(schema);
  EXPECT_TRUE(rules) << schema << ": " << (rules ? "" : rules.error().message);
  if (!rules) return {};
  EXPECT_EQ(malformed(*rules), "") << schema;
  return *std::move(rules);
}

struct Case {
  const char* schema;
  std::vector<std::string> yes, no;
};

void check(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    const GrammarRules rules = rules_of(c.schema);
    if (rules.rules.empty()) continue;
    for (const std::string& text : c.yes) EXPECT_TRUE(slow_accepts(rules, text)) << c.schema << " " << text;
    for (const std::string& text : c.no) EXPECT_FALSE(slow_accepts(rules, text)) << c.schema << " " << text;
  }
}

TEST(JsonSchema, ScalarsAndValues) {
  check({
      {"true", {"null", "[1,{\"a\":[]}]", "\"x\"", "-1.5e+10"}, {"", "nul", "[1,]", "01", "1.", " 1", "1 "}},
      {"{}", {"{}", "[]", "0"}, {"{a:1}"}},
      {R"({"type":"null"})", {"null"}, {"false"}},
      {R"({"type":"boolean"})", {"true", "false"}, {"null", "1"}},
      {R"({"type":["string","null"]})", {"null", "\"\""}, {"1"}},
      {R"({"type":"string","nullable":true})", {"null", "\"\""}, {"1"}},
      {R"({"const":{"a":[1,"x\ny"]}})", {R"({"a":[1,"x\ny"]})"}, {"{}", R"({"a": [1,"x\ny"]})"}},
      {R"({"enum":[1,"a",null,[2]]})", {"1", "\"a\"", "null", "[2]"}, {"2", "a"}},
      {R"({"enum":[1,"a",2.5,null],"type":["number","null"],"maximum":2})", {"1", "null"}, {"\"a\"", "2.5"}},
      {R"({"enum":["a","bb","cc"],"pattern":"^.{2}$","const":"cc"})", {"\"cc\""}, {"\"bb\"", "\"a\""}},
      {R"({"enum":[1.0,2],"type":"integer","const":1})", {"1"}, {"2"}},
      {R"({"const":1e30})", {"1e+30"}, {"1"}},
  });
}

TEST(JsonSchema, Strings) {
  check({
      {R"({"type":"string"})",
       {R"("")", R"("aé😀/")", R"("\"\\\b\f\n\r\t")", R"("\u0000\u001f\u000A")"},
       {R"(")", "\"\n\"", R"("\/")", R"("\u00e9")", R"("\u0020")", R"("\x")", "\"\xff\""}},
      {R"({"type":"string","minLength":1,"maxLength":2})", {R"("a")", R"("😀😀")", R"("\n\"")"}, {R"("")", R"("abc")"}},
      {R"({"type":"string","pattern":"a"})", {R"("a")", R"("xay")", R"("\"a\n")"}, {R"("")", R"("b")"}},
      {R"({"type":"string","pattern":"^a|b$"})", {R"("ax")", R"("xb")"}, {R"("xa")", R"("bx")"}},
      {R"({"type":"string","pattern":"^[^a]$"})",
       {R"("b")", R"("\"")", R"("\n")", R"("\u0001")"},
       {R"("a")", "\"\"\""}},
      {R"({"type":"string","pattern":"^\\\\$"})", {R"("\\")"}, {R"("\")"}},
      {R"({"type":"string","pattern":"^\\d+$","maxLength":3})", {R"("1")", R"("123")"}, {R"("1234")", R"("")"}},
      {R"({"type":"string","pattern":"^a","allOf":[{"pattern":"z$"}]})", {R"("az")", R"("a-z")"}, {R"("a")", R"("z")"}},
      {R"({"type":"string","format":"date"})",
       {R"("2024-02-29")", R"("2000-02-29")"},
       {R"("2023-02-29")", R"("1900-02-29")", R"("2024-04-31")", R"("2024-1-01")"}},
      {R"({"type":"string","format":"date-time"})",
       {R"("2024-02-29T23:59:59.25+01:00")"},
       {R"("2024-02-29")", R"("2024-02-29T24:00:00Z")"}},
      {R"({"type":"string","format":"ipv4"})", {R"("255.0.10.249")"}, {R"("256.0.0.1")", R"("01.1.1.1")"}},
      {R"({"type":"string","format":"uuid"})", {R"("123e4567-e89b-12d3-a456-426614174000")"}, {R"("123")"}},
  });
}

TEST(JsonSchema, Numbers) {
  check({
      {R"({"type":"integer"})",
       {"0", "-1", "9223372036854775807", "-9223372036854775808"},
       {"-0", "01", "1.0", "1e3", "9223372036854775808", "-9223372036854775809"}},
      {R"({"type":"integer","minimum":1,"maximum":10})", {"1", "9", "10"}, {"0", "11", "-1", "100"}},
      {R"({"type":"integer","minimum":-105,"maximum":1023})",
       {"-105", "-99", "0", "99", "1000", "1023"},
       {"-106", "-200", "1024", "9999"}},
      {R"({"type":"integer","exclusiveMinimum":-1,"exclusiveMaximum":1})", {"0"}, {"-1", "1", "-0"}},
      {R"({"type":"integer","minimum":0.5,"maximum":2.5})", {"1", "2"}, {"0", "3"}},
      {R"({"type":"integer","minimum":1e3})", {"1000", "5000000"}, {"999"}},
      {R"({"type":"integer","maximum":1e300})", {"1", "-5"}, {"1.5"}},
      {R"({"type":"number"})",
       {"0", "-0.5", "1e9", "1.25E-10", "123456789012345678.123456789012345678"},
       {"1e100", "1.", ".5", "+1", "1234567890123456789", "0.1234567890123456789"}},
      {R"({"type":"number","multipleOf":1,"maximum":5})", {"5", "-17"}, {"4.5", "6"}},
      {R"({"type":"number","minimum":0,"maximum":1})",
       {"0", "1", "0.5", "0.0", "1.000", "0.999999999999999999"},
       {"1.1", "-0", "-0.1", "2", "1e0", "00.5"}},
      {R"({"type":"number","exclusiveMinimum":0,"exclusiveMaximum":0.25})",
       {"0.1", "0.249", "0.000000000000000001"},
       {"0", "0.0", "0.25", "0.250", "0.3", "1"}},
      {R"({"type":"number","minimum":-2.75,"maximum":12.5})",
       {"-2.75", "-2.7", "-1", "0", "9.99", "10", "12.5", "12.50", "12.4999"},
       {"-2.76", "-2.751", "-3", "12.51", "13", "100"}},
      {R"({"type":"number","minimum":99.5})", {"99.5", "99.51", "100", "1000000.25"}, {"99", "99.4", "9", "0"}},
  });
}

// Every integer and every thousandth near the bounds, for bounds of all kinds.
TEST(JsonSchema, NumberRangesAreExact) {
  Random random(3);
  int checked = 0;
  const int rounds = test_count(600);
  for (int round = 0; round < rounds; ++round) {
    const int64_t span = random.below(2) == 0 ? 30 : 30'000;
    int64_t a = random.below(2 * span) - span, b = random.below(2 * span) - span;  // thousandths
    if (a > b) std::swap(a, b);
    const bool integers = random.below(2) == 0;
    GrammarRules rules;
    const NumberRange range{kScale / 1000 * a, kScale / 1000 * b};
    const int32_t node = add_number_range(rules, range, integers);
    rules.add_rule("number", node);
    const auto has = [&](const std::string& text) { return node >= 0 && slow_accepts(rules, text); };
    for (int i = 0; i < 60; ++i) {
      const int64_t n = i < 10 ? a - 5 + i : i < 20 ? b - 5 + i - 10 : random.below(4 * span) - 2 * span;
      const bool in = n >= a && n <= b;
      const std::string whole = fmt::format("{}{}", n < 0 ? "-" : "", std::abs(n) / 1000);
      const std::string text = fmt::format("{}.{:03}", whole, std::abs(n) % 1000);
      ASSERT_EQ(has(text), in && !integers) << a << " " << b << " " << text;
      const int64_t integer = n / 1000 * 1000;
      const bool zero = integer == 0;
      const bool expected = integer >= a && integer <= b && (!zero || n >= 0);
      ASSERT_EQ(has(whole), expected) << a << " " << b << " " << whole;
      checked += 2;
    }
    if (node >= 0) {
      for (int i = 0; i < 5; ++i) {
        const std::string text = random_text(rules, random, 40);
        const double value = *parse_json(text)->number();
        ASSERT_GE(value, double(a) / 1000) << text;
        ASSERT_LE(value, double(b) / 1000) << text;
      }
    }
  }
  std::printf("%d ranges, %d numbers looked up\n", rounds, checked);
}

TEST(JsonSchema, Arrays) {
  check({
      {R"({"type":"array"})", {"[]", "[1]", "[ 1, 2 ]", "[\n  1,\n  2\n]", "[ ]"}, {"[1,]", "[,1]", "[1  ]", "[1 ,2]"}},
      {R"({"items":{"type":"integer"},"type":"array","minItems":1,"maxItems":3})",
       {"[1]", "[1,2,3]"},
       {"[]", "[1,2,3,4]", "[true]"}},
      {R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"}},
      {R"({"type":"array","prefixItems":[{"const":1},{"const":2}],"items":{"const":3}})",
       {"[]", "[1]", "[1,2]", "[1,2,3,3]"},
       {"[2]", "[1,3]", "[1,2,2]"}},
      {R"({"type":"array","prefixItems":[{"const":1},{"const":2}],"items":false,"minItems":2})",
       {"[1,2]"},
       {"[1]", "[1,2,3]"}},
      {R"({"type":"array","prefixItems":[{"const":1},{"const":2},{"const":3}],"minItems":1,"maxItems":2})",
       {"[1]", "[1,2]"},
       {"[]", "[1,2,3]"}},
      {R"({"type":"array","items":[{"const":1}],"additionalItems":{"const":2},"minItems":3})",
       {"[1,2,2]", "[1,2,2,2]"},
       {"[1,2]", "[1,1,2]"}},
      {R"({"type":"array","prefixItems":[{"const":1},false]})", {"[]", "[1]"}, {"[1,1]"}},
  });
}

TEST(JsonSchema, Objects) {
  check({
      {R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"null"}},"required":["a"],
           "additionalProperties":false})",
       {R"({"a":1})", R"({"a":1,"b":null})", R"({ "a": 1, "b": null })", "{\n  \"a\": 1\n}"},
       {"{}", R"({"b":null})", R"({"b":null,"a":1})", R"({"a":1,"c":2})", R"({"a":1,"a":1})", R"({"a":1,})",
        R"({"a" :1})"}},
      {R"({"type":"object","properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"additionalProperties":false})",
       {"{}", R"({"a":1})", R"({"b":2})", R"({"c":3})", R"({"a":1,"c":3})", R"({"b":2,"c":3})",
        R"({"a":1,"b":2,"c":3})"},
       {R"({,"b":2})", R"({"c":3,"a":1})"}},
      {R"({"type":"object","properties":{"a":{"const":1}}})",
       {"{}", R"({"a":1})", R"({"b":0})", R"({"a":1,"aa":2,"":3})", R"({"b":1,"b":2})"},
       {R"({"a":2})", R"({"b":1,"a":2})", R"({"a":1,"a":2})"}},
      {R"({"type":"object","properties":{"a":true},"additionalProperties":{"type":"integer"},"required":["z","a"]})",
       {R"({"a":null,"z":1})", R"({"a":null,"z":1,"y":2})"},
       {R"({"a":null})", R"({"a":null,"z":null})"}},
      {R"({"type":"object","patternProperties":{"^k":{"type":"integer"},"s$":{"minimum":5}},"additionalProperties":false})",
       {"{}", R"({"k":1})", R"({"ks":6})", R"({"s":"x"})", R"({"s":5})"},
       {R"({"ks":4})", R"({"k":"x"})", R"({"x":1})"}},
      {R"({"type":"object","propertyNames":{"pattern":"^[a-b]+$","maxLength":2},"properties":{"abc":{}}})",
       {"{}", R"({"ab":1})"},
       {R"({"abc":1})", R"({"c":1})"}},
      {R"({"type":"object","properties":{"a":{},"b":{},"c":{}},"additionalProperties":false,"minProperties":2,
           "maxProperties":2})",
       {R"({"a":1,"b":1})", R"({"a":1,"c":1})", R"({"b":1,"c":1})"},
       {"{}", R"({"a":1})", R"({"a":1,"b":1,"c":1})"}},
      {R"({"type":"object","minProperties":1,"maxProperties":2})",
       {R"({"a":1})", R"({"a":1,"b":1})"},
       {"{}", R"({"a":1,"b":1,"c":1})"}},
      {R"({"type":"object","properties":{"a":{"type":"array","items":{"$ref":"#"}}},"additionalProperties":false})",
       {"{}", R"({"a":[{},{"a":[]}]})"},
       {R"({"a":[1]})"}},
      {R"({"type":"object","properties":{"a":false},"additionalProperties":false})", {"{}"}, {R"({"a":1})"}},
  });
}

TEST(JsonSchema, CombinedSchemas) {
  check({
      {R"({"anyOf":[{"type":"string"},{"type":"integer","minimum":3}],"maximum":5})",
       {"\"x\"", "3", "5"},
       {"2", "6", "null"}},
      {R"({"oneOf":[{"type":"string","maxLength":2},{"type":"string","minLength":4}]})",
       {R"("ab")", R"("abcd")"},
       {R"("abc")"}},
      {R"({"oneOf":[{"type":"object","properties":{"t":{"const":"a"},"x":{"type":"integer"}},"required":["t","x"]},
                    {"type":"object","properties":{"t":{"const":"b"}},"required":["t"],"additionalProperties":false}]})",
       {R"({"t":"a","x":1})", R"({"t":"b"})"},
       {R"({"t":"b","x":1})", R"({"t":"c"})"}},
      {R"({"allOf":[{"type":"object","properties":{"a":{"minimum":1}},"required":["a"]},
                    {"properties":{"a":{"type":"integer"},"b":{"type":"null"}}}]})",
       {R"({"a":1})", R"({"a":2,"b":null})"},
       {R"({"a":0})", R"({"a":1.5})", R"({"a":1,"b":1})", "{}"}},
      {R"({"$ref":"#/$defs/x%7Ey~1z","maxLength":3,"$defs":{"x~y/z":{"type":"string","minLength":2}}})",
       {R"("ab")", R"("abc")"},
       {R"("a")", R"("abcd")"}},
      {R"({"$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[
             {"type":"null"},{"$ref":"#/$defs/node"}]}},"required":["v","next"],"additionalProperties":false}},
           "$ref":"#/$defs/node"})",
       {R"({"v":1,"next":null})", R"({"v":1,"next":{"v":2,"next":null}})"},
       {R"({"v":1})", R"({"v":1,"next":{"v":2}})"}},
      // What can never be finished is left out.
      {R"({"properties":{"a":{"$ref":"#/definitions/endless"}},"type":"object","additionalProperties":false,
           "definitions":{"endless":{"type":"object","properties":{"x":{"$ref":"#/definitions/endless"}},
           "required":["x"]}}})",
       {"{}"},
       {R"({"a":{}})"}},
      // A recursive "oneOf" whose alternatives differ by a property that comes after the recursive one.
      {R"({"oneOf":[{"type":"number"},
            {"type":"object","properties":{"arg":{"$ref":"#"},"op":{"const":"neg"}},"required":["arg","op"],
             "additionalProperties":false},
            {"type":"object","properties":{"arg":{"$ref":"#"},"op":{"const":"abs"}},"required":["arg","op"],
             "additionalProperties":false}]})",
       {"1", R"({"arg":{"arg":1,"op":"abs"},"op":"neg"})"},
       {R"({"arg":1,"op":"x"})"}},
  });
}

TEST(JsonSchema, RefusesWhatItCannotPromise) {
  struct Refusal {
    const char* schema;
    Code code;
    const char* says;
  };
  const Refusal cases[] = {
      {R"({"not":{"type":"null"}})", Code::schema_unsupported, "#/not "},
      {R"({"if":{},"then":{}})", Code::schema_unsupported, "#/if "},
      {R"({"then":{}})", Code::schema_unsupported, "#/then "},
      {R"({"else":{}})", Code::schema_unsupported, "#/else "},
      {R"({"type":"array","contains":{}})", Code::schema_unsupported, "#/contains "},
      {R"({"minContains":1})", Code::schema_unsupported, "#/minContains "},
      {R"({"maxContains":1})", Code::schema_unsupported, "#/maxContains "},
      {R"({"uniqueItems":true})", Code::schema_unsupported, "#/uniqueItems "},
      {R"({"multipleOf":2})", Code::schema_unsupported, "#/multipleOf "},
      {R"({"multipleOf":0.1})", Code::schema_unsupported, "#/multipleOf "},
      {R"({"dependencies":{}})", Code::schema_unsupported, "#/dependencies "},
      {R"({"dependentRequired":{}})", Code::schema_unsupported, "#/dependentRequired "},
      {R"({"dependentSchemas":{}})", Code::schema_unsupported, "#/dependentSchemas "},
      {R"({"unevaluatedItems":false})", Code::schema_unsupported, "#/unevaluatedItems "},
      {R"({"unevaluatedProperties":false})", Code::schema_unsupported, "#/unevaluatedProperties "},
      {R"({"contentEncoding":"base64"})", Code::schema_unsupported, "#/contentEncoding "},
      {R"({"contentMediaType":"text/html"})", Code::schema_unsupported, "#/contentMediaType "},
      {R"({"contentSchema":{}})", Code::schema_unsupported, "#/contentSchema "},
      {R"({"$anchor":"a"})", Code::schema_unsupported, "#/$anchor "},
      {R"({"$dynamicAnchor":"a"})", Code::schema_unsupported, "#/$dynamicAnchor "},
      {R"({"$dynamicRef":"#a"})", Code::schema_unsupported, "#/$dynamicRef "},
      {R"({"$recursiveRef":"#"})", Code::schema_unsupported, "#/$recursiveRef "},
      {R"({"$recursiveAnchor":true})", Code::schema_unsupported, "#/$recursiveAnchor "},
      {R"({"$vocabulary":{}})", Code::schema_unsupported, "#/$vocabulary "},
      {R"({"minlength":3})", Code::schema_unsupported, "#/minlength "},
      {R"({"discriminator":{}})", Code::schema_unsupported, "#/discriminator "},
      {R"({"format":"uri"})", Code::schema_unsupported, "#/format "},
      {R"({"nullable":true})", Code::schema_unsupported, "#/nullable "},
      {R"({"additionalItems":false})", Code::schema_unsupported, "#/additionalItems "},
      {R"({"items":{},"additionalItems":false})", Code::schema_unsupported, "#/additionalItems "},
      {R"({"$ref":"other.json"})", Code::schema_unsupported, "#/$ref "},
      {R"({"$ref":"https://example.com/s.json#/a"})", Code::schema_unsupported, "#/$ref "},
      {R"({"$ref":"#name"})", Code::schema_unsupported, "#/$ref "},
      {R"({"items":{"$id":"x"}})", Code::schema_unsupported, "#/items/$id "},
      {R"({"items":{"$schema":"x"}})", Code::schema_unsupported, "#/items/$schema "},
      {R"({"$schema":"http://json-schema.org/draft-07/schema#","$ref":"#/definitions/a","minimum":1,
           "definitions":{"a":{}}})",
       Code::schema_unsupported, "#/$ref "},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", Code::schema_unsupported, "#/oneOf "},
      {R"({"properties":{"a":{"oneOf":[{"required":["x"]},{"required":["y"]}]}}})", Code::schema_unsupported,
       "#/properties/a/oneOf "},
      {R"({"type":"object","minProperties":2})", Code::schema_unsupported, "#/minProperties "},
      {R"({"type":"object","patternProperties":{"a":{},"b":{},"c":{},"d":{},"e":{},"f":{},"g":{}}})",
       Code::schema_unsupported, "#/patternProperties "},
      // deep inside, and where nothing refers to it
      {R"({"properties":{"a/b~c":{"items":[true,{"anyOf":[{},{"not":{}}]}]}}})", Code::schema_unsupported,
       "#/properties/a~1b~0c/items/1/anyOf/1/not "},
      {R"({"$defs":{"unused":{"not":{}}}})", Code::schema_unsupported, "#/$defs/unused/not "},
      {R"({"additionalProperties":{"if":{}}})", Code::schema_unsupported, "#/additionalProperties/if "},
      {R"({"patternProperties":{"^a":{"contains":{}}}})", Code::schema_unsupported, "#/patternProperties/^a/contains "},
      {R"({"propertyNames":{"format":"regex"}})", Code::schema_unsupported, "#/propertyNames/format "},
      {R"({"allOf":[{"uniqueItems":true}]})", Code::schema_unsupported, "#/allOf/0/uniqueItems "},
      // not schemas
      {"1", Code::schema_invalid, "#: "},
      {R"({"items":1})", Code::schema_invalid, "#/items: "},
      {R"({"type":"text"})", Code::schema_invalid, "#/type: "},
      {R"({"type":1})", Code::schema_invalid, "#/type: "},
      {R"({"type":[]})", Code::schema_invalid, "#/type: "},
      {R"({"type":["null","null"]})", Code::schema_invalid, "#/type: "},
      {R"({"enum":[]})", Code::schema_invalid, "#/enum: "},
      {R"({"enum":1})", Code::schema_invalid, "#/enum: "},
      {R"({"minLength":-1})", Code::schema_invalid, "#/minLength: "},
      {R"({"minLength":1.5})", Code::schema_invalid, "#/minLength: "},
      {R"({"maxItems":"3"})", Code::schema_invalid, "#/maxItems: "},
      {R"({"minLength":3,"maxLength":2})", Code::schema_invalid, "#/minLength: "},
      {R"({"minItems":3,"maxItems":2})", Code::schema_invalid, "#/minItems: "},
      {R"({"minProperties":3,"maxProperties":2})", Code::schema_invalid, "#/minProperties: "},
      {R"({"minimum":3,"maximum":2})", Code::schema_invalid, "#/minimum: "},
      {R"({"minimum":3,"exclusiveMaximum":3})", Code::schema_invalid, "#/minimum: "},
      {R"({"minimum":"3"})", Code::schema_invalid, "#/minimum: "},
      {R"({"exclusiveMinimum":true,"minimum":1})", Code::schema_invalid, "#/exclusiveMinimum: "},
      {R"({"multipleOf":0})", Code::schema_invalid, "#/multipleOf: "},
      {R"({"pattern":1})", Code::schema_invalid, "#/pattern: "},
      {R"({"format":1})", Code::schema_invalid, "#/format: "},
      {R"({"required":"a"})", Code::schema_invalid, "#/required: "},
      {R"({"required":["a","a"]})", Code::schema_invalid, "#/required: "},
      {R"({"required":[1]})", Code::schema_invalid, "#/required: "},
      {R"({"properties":[]})", Code::schema_invalid, "#/properties: "},
      {R"({"properties":{"a":null}})", Code::schema_invalid, "#/properties/a: "},
      {R"({"allOf":[]})", Code::schema_invalid, "#/allOf: "},
      {R"({"anyOf":{}})", Code::schema_invalid, "#/anyOf: "},
      {R"({"prefixItems":[{}],"items":[{}]})", Code::schema_invalid, "#/items: "},
      {R"({"uniqueItems":1})", Code::schema_invalid, "#/uniqueItems: "},
      {R"({"title":1})", Code::schema_invalid, "#/title: "},
      {R"({"deprecated":"yes"})", Code::schema_invalid, "#/deprecated: "},
      {R"({"examples":1})", Code::schema_invalid, "#/examples: "},
      {R"({"$ref":1})", Code::schema_invalid, "#/$ref: "},
      {R"({"$ref":"#/$defs/none"})", Code::schema_invalid, "#/$ref: "},
      {R"({"$ref":"#/enum/0","enum":[{}]})", Code::schema_invalid, "#/$ref: "},
      {R"({"$ref":"#"})", Code::schema_invalid, "#: "},
      {R"({"$defs":{"a":{"anyOf":[{"$ref":"#/$defs/b"}]},"b":{"allOf":[{"$ref":"#/$defs/a"}]}}})", Code::schema_invalid,
       "without end"},
      {R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", Code::schema_invalid,
       "allows no value"},
      {"false", Code::schema_invalid, "allows no value"},
      {R"({"const":1,"type":"string"})", Code::schema_invalid, "allows no value"},
      {R"({"type":"object","required":["a"],"additionalProperties":false})", Code::schema_invalid, "allows no value"},
      {R"({"type":"null","type":"string"})", Code::schema_invalid, "#/type"},
      // patterns
      {R"x({"items":{"pattern":"(?=a)"}})x", Code::regex, "#/items/pattern: "},
      {R"({"patternProperties":{"\\b":{}}})", Code::regex, "#/patternProperties: "},
      {R"({"pattern":"a{9999}"})", Code::grammar_limit, "#/pattern: "},
      {R"({"maxLength":1000000})", Code::grammar_limit, "#/maxLength "},
  };
  for (const Refusal& c : cases) {
    const Result<GrammarRules> rules = json_schema_rules(std::string_view(c.schema));
    ASSERT_FALSE(rules) << c.schema;
    EXPECT_EQ(rules.error().code, c.code) << c.schema << ": " << rules.error().message;
    EXPECT_NE((rules.error().message + " ").find(c.says), std::string::npos)
        << c.schema << ": " << rules.error().message;
  }
  std::printf("%zu refusals\n", std::size(cases));
}

// tests/bombs.h has those that do not fit.
TEST(JsonSchema, LargeSchemasThatFit) {
  std::string names, nested = "{}";
  for (int i = 0; i < 3000; ++i) names += fmt::format("{}\"n{:04}\":{{}}", i ? "," : "", i * 3);
  for (int i = 0; i < 60; ++i) nested = "{\"items\":" + nested + "}";
  std::string values;
  for (int i = 0; i < 6000; ++i) values += fmt::format("{}\"v{}\"", i ? "," : "", i);
  EXPECT_EQ(rules_of("{\"enum\":[" + values + "]}").rules.size(), 1u);
  rules_of("{\"type\":\"object\",\"properties\":{" + names + "},\"additionalProperties\":false}");
  rules_of(R"({"type":"string","maxLength":10000})");
  rules_of(nested);
  // Patterns that are used often are worked out once; long counts beside a pattern are cheap.
  std::string mails;
  for (int i = 0; i < 500; ++i)
    mails += fmt::format(R"({}"m{}":{{"type":"string","format":"email"}})", i ? "," : "", i);
  rules_of("{\"type\":\"object\",\"properties\":{" + mails + "}}");
  rules_of(R"({"type":"string","pattern":"^[a-z ]*$","minLength":2,"maxLength":4000})");
}

// The value with the members of its objects in a random order.
std::string shuffled(const Json& value, Random& random) {
  std::vector<std::string> parts;
  for (const Json& e : value.elements()) parts.push_back(shuffled(e, random));
  if (value.is_array()) return fmt::format("[{}]", fmt::join(parts, ","));
  if (!value.is_object()) return JsonWriter().value(value).text();
  for (const Json::Member& m : value.members()) parts.push_back(json_quote(m.key) + ":" + shuffled(m.value, random));
  for (size_t i = parts.size(); i-- > 1;) std::swap(parts[i], parts[size_t(random.below(int64_t(i) + 1))]);
  return fmt::format("{{{}}}", fmt::join(parts, ","));
}

TEST(JsonSchema, RandomSchemas) {
  Random random(11);
  RandomSchema maker(random);
  const int wanted = test_count(10'000);
  std::map<std::string_view, int> refused;
  int made = 0;
  int64_t texts = 0, sampled = 0, valid = 0, sampled_bytes = 0, reordered = 0;
  while (made < wanted) {
    const std::string text = maker.make();
    const Result<Json> schema = parse_json(text);
    ASSERT_TRUE(schema) << text;
    const Result<GrammarRules> rules = json_schema_rules(text);
    if (!rules) {
      const Code code = rules.error().code;
      ASSERT_TRUE(code == Code::schema_unsupported || code == Code::schema_invalid || code == Code::grammar_limit)
          << text << ": " << rules.error().message;
      ++refused[code_name(code)];
      // Only "oneOf" and counts of free names may be beyond it here.
      if (code == Code::schema_unsupported) {
        const std::string& message = rules.error().message;
        ASSERT_TRUE(message.find("oneOf") != message.npos || message.find("minProperties") != message.npos) << message;
      }
      continue;
    }
    ++made;
    ASSERT_EQ(malformed(*rules), "") << text;
    for (int i = 0; i < 2; ++i) {
      const std::string derived = random_text(*rules, random, 60);
      const Result<Json> value = parse_json(derived);
      ASSERT_TRUE(value) << text << "\n" << derived << "\n" << value.error().message;
      ASSERT_TRUE(schema_valid(*schema, *schema, *value)) << text << "\n" << derived;
      ++texts;
    }
    for (int i = 0; i < 3; ++i) {
      const std::string sample = RandomValue(*schema, random).make();
      if (sample.size() > 600) continue;
      const Result<Json> value = parse_json(sample);
      ASSERT_TRUE(value) << sample;
      const bool expected = schema_valid(*schema, *schema, *value);
      bool accepted = slow_accepts(*rules, sample);
      // Valid by an alternative that was not the one tried, which wants another order.
      if (expected && !accepted && text.find("Of\":") != text.npos) {
        ++reordered;
        for (int k = 0; k < 3000 && !accepted; ++k) accepted = slow_accepts(*rules, shuffled(*value, random));
      }
      ASSERT_EQ(accepted, expected) << text << "\n" << sample;
      ++sampled;
      valid += expected;
      sampled_bytes += int64_t(sample.size());
    }
  }
  std::printf(
      "%d schemas: %ld texts derived, %ld values tried (%ld valid, %ld of them in another order; %.0f bytes on "
      "average)\n",
      made, long(texts), long(sampled), long(valid), long(reordered), double(sampled_bytes) / double(sampled));
  for (const auto& [code, count] : refused) std::printf("  refused: %d %s\n", count, std::string(code).c_str());
  EXPECT_LT(reordered, valid / 100);
  EXPECT_GT(valid, sampled / 5);
  EXPECT_GT(sampled - valid, sampled / 20);
  int refusals = 0;
  for (const auto& [code, count] : refused) refusals += count;
  EXPECT_LT(refusals, made);
  const char* const supported[] = {"$comment",
                                   "title",
                                   "description",
                                   "default",
                                   "examples",
                                   "deprecated",
                                   "readOnly",
                                   "writeOnly",
                                   "$defs",
                                   "definitions",
                                   "$ref",
                                   "type",
                                   "nullable",
                                   "enum",
                                   "const",
                                   "allOf",
                                   "anyOf",
                                   "oneOf",
                                   "minimum",
                                   "maximum",
                                   "exclusiveMinimum",
                                   "exclusiveMaximum",
                                   "multipleOf",
                                   "minLength",
                                   "maxLength",
                                   "pattern",
                                   "format",
                                   "prefixItems",
                                   "items",
                                   "additionalItems",
                                   "minItems",
                                   "maxItems",
                                   "uniqueItems",
                                   "properties",
                                   "patternProperties",
                                   "additionalProperties",
                                   "propertyNames",
                                   "required",
                                   "minProperties",
                                   "maxProperties"};
  for (const char* keyword : supported) EXPECT_GT(maker.keywords[keyword], 0) << keyword;
  for (const auto& [keyword, count] : maker.keywords) std::printf("  %s %d", keyword.c_str(), count);
  std::printf("\n");
}

// Bytes, and pieces of JSON, words and characters, whole and in parts.
const TextVocabulary& piece_vocabulary() {
  static const TextVocabulary made = [] {
    std::vector<std::string> texts;
    for (int i = 0; i < 256; ++i) texts.push_back(std::string(1, char(i)));
    for (const char* text :
         {"{\"",  "\":",  "\": ", "\",",   "\", \"", "\"}",    "\"]",  "},",     "}]",       "[\"",      "[[",
          "{}",   "[]",   "[{",   "\\\"",  "\\\\",   "\\u00",  "\\n",  ",\n",    "\n  ",     "\n    ",   ": ",
          ", ",   "null", "true", "false", "nul",    "e\":",   "a\":", "b\",\"", "k1\"",     "\"k2",     "ab",
          "abc",  "yes",  "no",   "é",     "é\"",    "q\\\"u", "\xc3", "\xa9\"", "\xf0\x9f", "\x98\x80", "😀",
          "日本", "€",    "10",   "2024",  "-0",     "-1",     "0.",   "1e",     "e+",       "e-1",      "00",
          ":00",  "-02-", "T12:", "00Z",   "P1",     "127.",   "::1",  "@a.",    ".com",     "12345678"}) {
      texts.push_back(text);
    }
    return TextVocabulary(std::move(texts));
  }();
  return made;
}

// Tokens drawn from the masks until the grammar ends; after `size` of them mostly those that close something.
std::string generated_text(GrammarMatcher& matcher, Random& random, int size) {
  const TextVocabulary& vocabulary = piece_vocabulary();
  std::vector<uint64_t> mask(matcher.grammar().trie().mask_words());
  const auto allowed = [&](int32_t token) { return (mask[size_t(token) / 64] >> (token % 64) & 1) != 0; };
  std::string text;
  for (int i = 0; i < 20 * size + 2000; ++i) {
    const Status status = matcher.mask(mask);
    EXPECT_TRUE(status) << text << ": " << status.error().message;
    if (!status) return text;
    const bool only_end = std::count_if(mask.begin(), mask.end(), [](uint64_t word) { return word != 0; }) == 1 &&
                          mask.back() == uint64_t(1) << (vocabulary.eog() % 64);
    if (allowed(vocabulary.eog()) && (only_end || i >= size || random.below(3) == 0)) {
      EXPECT_TRUE(matcher.complete() && matcher.accept(vocabulary.eog())) << text;
      return text;
    }
    int32_t token = -1;
    if (i >= size) {
      // Each way alone may go on for ever: in strings, in properties that need themselves, where a pattern wants more.
      const int64_t way = random.below(3);
      for (const char c : std::string_view(way == 0 ? "\"}],0" : way == 1 ? "}]\",0" : "")) {
        if (token < 0 && allowed(uint8_t(c))) token = uint8_t(c);
      }
      static const char* const kWanted[] = {"\\\"", "\\\\", "abc", "b", "x", "1", "é", "@", "k1\"", "yes"};
      const int64_t first = random.below(std::ssize(kWanted));
      for (int64_t k = 0; way == 2 && token < 0 && k < std::ssize(kWanted); ++k) {
        const std::vector<int32_t> wanted = vocabulary.tokenize(kWanted[(first + k) % std::ssize(kWanted)]);
        if (allowed(wanted.at(0))) token = wanted[0];
      }
    }
    if (token < 0) {
      std::vector<int32_t> all, pieces;
      for (int32_t t = 0; t + 1 < vocabulary.size(); ++t) {
        if (!allowed(t)) continue;
        all.push_back(t);
        if (t >= 256 || (t >= ' ' && t < 0x7f)) pieces.push_back(t);
      }
      const std::vector<int32_t>& from = pieces.empty() || random.below(4) == 0 ? all : pieces;
      if (from.empty()) {
        ADD_FAILURE() << "nothing follows " << text;
        return text;
      }
      token = from[size_t(random.below(int64_t(from.size())))];
    }
    EXPECT_TRUE(matcher.accept(token)) << text;
    text += vocabulary.bytes(token);
  }
  ADD_FAILURE() << "no end after " << text;
  return text;
}

// From the text of a schema to a generated text, through all that a request goes through.
TEST(JsonSchema, GeneratedTextsValidate) {
  Random random(12);
  RandomSchema maker(random);
  const auto trie = std::make_shared<const TokenTrie>(piece_vocabulary());
  const int wanted = test_count(10'000);
  int made = 0, refused = 0;
  int64_t bytes = 0, states = 0;
  size_t longest = 0;
  while (made < wanted) {
    const std::string text = maker.make();
    const Result<Json> schema = parse_json(text);
    ASSERT_TRUE(schema) << text;
    const Result<GrammarRules> rules = json_schema_rules(text);
    if (!rules) {
      ++refused;
      continue;
    }
    ++made;
    const auto grammar = Grammar::compile(*rules, trie);
    ASSERT_TRUE(grammar) << text << ": " << grammar.error().message;
    states += (*grammar)->automaton().states();
    GrammarMatcher matcher(*grammar);
    const std::string generated = generated_text(matcher, random, 20);
    ASSERT_FALSE(testing::Test::HasFailure()) << text;
    const Result<Json> value = parse_json(generated);
    ASSERT_TRUE(value) << text << "\n" << generated << "\n" << value.error().message;
    ASSERT_TRUE(schema_valid(*schema, *schema, *value)) << text << "\n" << generated;
    bytes += int64_t(generated.size());
    longest = std::max(longest, generated.size());
  }
  std::printf("%d schemas (%d more refused), %.0f states and %.0f bytes of text on average, at most %zu bytes\n", made,
              refused, double(states) / made, double(bytes) / made, longest);
}

}  // namespace
}  // namespace linnet
