#include "gguf/base/json.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "gguf/base/json_place.h"
#include "tests/support.h"

namespace linnet {
namespace {

Code code_of(std::string_view text) {
  const Result<Json> json = parse_json(text);
  return json ? Code::ok : json.error().code;
}

std::string written(const Json& json) { return JsonWriter().value(json).text(); }

TEST(Json, EveryKindOfValue) {
  const Result<Json> json =
      parse_json(R"({"n":null,"b":true,"i":-3,"d":1.5,"e":1e3,"s":"aé\n\u0000","a":[1,[2],{}],"o":{"x":0},)"
                 R"("max":9223372036854775807,"big":18446744073709551615})");
  ASSERT_TRUE(json) << json.error().message;
  const auto at = [&](std::string_view key) -> const Json& { return *json->find(key); };
  EXPECT_TRUE(at("n").is_null());
  EXPECT_EQ(*at("b").boolean(), true);
  EXPECT_EQ(*at("i").integer(), -3);
  EXPECT_EQ(*at("i").number(), -3.0);
  EXPECT_EQ(*at("d").number(), 1.5);
  EXPECT_FALSE(at("d").is_integer());
  EXPECT_FALSE(at("e").is_integer());  // an exponent makes a number, 1e3 too
  EXPECT_EQ(*at("e").number(), 1000.0);
  EXPECT_EQ(*at("s").string(), std::string_view("aé\n\0", 5));
  EXPECT_EQ(at("a").elements().size(), 3u);
  EXPECT_EQ(*at("a").elements()[1].elements()[0].integer(), 2);
  EXPECT_EQ(at("o").members()[0].key, "x");
  EXPECT_EQ(*at("max").integer(), std::numeric_limits<int64_t>::max());
  EXPECT_TRUE(at("big").is_integer());
  EXPECT_EQ(at("big").integer().error().code, Code::json_type);
  EXPECT_EQ(*at("big").number(), 0x1p64);
  EXPECT_EQ(json->find("absent"), nullptr);
  EXPECT_EQ(at("s").find("x"), nullptr);
  EXPECT_TRUE(at("s").elements().empty());

  EXPECT_EQ(at("s").number().error().code, Code::json_type);
  EXPECT_EQ(at("s").number().error().message, "expected a number, found string");
  EXPECT_EQ(at("d").integer().error().message, "expected an integer, found number");
  EXPECT_EQ(at("n").boolean().error().message, "expected a boolean, found null");
  EXPECT_EQ(at("a").string().error().message, "expected a string, found array");
}

TEST(Json, BadTextsAreRefused) {
  for (const char* text :
       {"{",   "}",   "[1,]", "{\"a\":}", "{a:1}",       "{'a':1}", "nul",       "01",     "1.", ".5",    "+1",
        "NaN", "--1", "\"a",  "\"\\x\"",  "\"\\ud800\"", "[1] 2",   "{\"a\" 1}", "\"\n\"", "1e", "[1 2]", "\"a\\"}) {
    EXPECT_EQ(code_of(text), Code::json_syntax) << text;
  }
  EXPECT_EQ(code_of(""), Code::json_syntax);
  EXPECT_EQ(code_of("  \n "), Code::json_syntax);
  EXPECT_EQ(code_of("\"\xff\""), Code::json_syntax);
  EXPECT_EQ(code_of(std::string_view("1\0", 2)), Code::json_syntax);
  EXPECT_EQ(code_of("123456789012345678901234567890"), Code::json_syntax);
  EXPECT_EQ(code_of("1e400"), Code::json_syntax);
  for (const char* text : {"null", " true ", "0", "-0", "\"\"", "[]", "{}", "\"\\ud83d\\ude00\""}) {
    EXPECT_EQ(code_of(text), Code::ok) << text;
  }
}

TEST(Json, TheErrorSaysWhere) {
  const auto message = [](std::string_view text) { return parse_json(text).error().message; };
  EXPECT_EQ(message("{\n  \"é\": 1,\n  \"b\" 2\n}").substr(0, 36), "not valid JSON at line 3, column 7: ");
  EXPECT_NE(message("[1, 2").find("line 1, column 6, where the text ends"), std::string::npos);
  EXPECT_NE(message("{\"é\":tru}").find("line 1, column 9"), std::string::npos);
  EXPECT_NE(message("[1,]").find("line 1, column 4"), std::string::npos);
  EXPECT_NE(message("{} x").find("line 1, column 4"), std::string::npos);
  EXPECT_NE(message("[01]").find("line 1, column 3"), std::string::npos);
  EXPECT_NE(message("\"\\u12g4\"").find("line 1, column 6"), std::string::npos);
  EXPECT_EQ(message("1e400").find("line"), std::string::npos);
}

// The scan for the place and the parser read the same grammar.
TEST(Json, PlacesAgreeWithTheParser) {
  Random random(9);
  const std::string alphabet = "{}[],:\"\\0e-.1tu \n";
  int with_place = 0;
  for (int i = 0; i < test_count(100000); ++i) {
    std::string text;
    for (int64_t n = 1 + random.below(8); n > 0; --n) text += alphabet[size_t(random.below(int64_t(alphabet.size())))];
    if (random.below(2) == 0) text = "[null,{\"k\":" + text + "}]";
    const std::optional<size_t> offset = json_error_offset(text);
    const Code code = code_of(text);
    if (offset) {
      ASSERT_EQ(code, Code::json_syntax) << text;
      ASSERT_LE(*offset, text.size());
      ++with_place;
    } else {
      // Only values may be wrong: numbers out of range, escapes of half a surrogate pair.
      ASSERT_TRUE(code == Code::ok || text.find_first_of("eu0123456789") != text.npos) << text;
    }
  }
  std::printf("%d places\n", with_place);
}

TEST(Json, SizeAndDepthAreLimited) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  size_t deepest = 0;
  for (size_t depth = 1; depth < 200; ++depth) {
    if (code_of(nested(depth)) == Code::ok) deepest = depth;
  }
  EXPECT_LE(deepest, kMaxJsonDepth);
  EXPECT_GE(deepest, kMaxJsonDepth - 1);
  EXPECT_EQ(code_of(nested(kMaxJsonDepth + 1)), Code::too_large);
  EXPECT_EQ(code_of(nested(100000)), Code::too_large);
  std::string large(kMaxJsonBytes - 2, 'x');
  EXPECT_EQ(code_of('"' + large + '"'), Code::ok);
  EXPECT_EQ(code_of('"' + large + "x\""), Code::too_large);
}

TEST(Json, TheFirstOfEqualKeysWins) {
  std::vector<std::string> again;
  const Result<Json> json = parse_json(R"({"a":1,"b":{"c":1,"c":2,"d":3},"a":4,"l":[{"x":1,"x":1,"x":1}]})", &again);
  ASSERT_TRUE(json);
  EXPECT_EQ(again, (std::vector<std::string>{"/b/c", "/l/0/x", "/l/0/x", "/a"}));
  EXPECT_EQ(written(*json), R"({"a":1,"b":{"c":1,"d":3},"l":[{"x":1}]})");
  ASSERT_TRUE(parse_json(R"({"a":1,"a":2})"));
}

TEST(Json, WhatIsWrittenIsRead) {
  for (const char* text : {R"({"a":[1,2.5,"x",null,true,false,{}],"b":{"c":[[]]}})", R"(["\u0001\"\\é"])", "[]", "-7",
                           R"([18446744073709551615,-9223372036854775808])"}) {
    const Result<Json> json = parse_json(text);
    ASSERT_TRUE(json);
    EXPECT_EQ(written(*json), text);
  }
  EXPECT_EQ(json_escape("\"\\\n\r\t\x1f\xff"), "\\\"\\\\\\n\\r\\t\\u001f\xef\xbf\xbd");
}

TEST(Json, WriterBuilds) {
  JsonWriter w;
  w.begin_object().member("a", 1).member("b", "text").member("f", 0.1f).key("list").begin_array();
  w.value(true).value(uint64_t(18446744073709551615u)).value(-1).value(nullptr).begin_object().end_object().end_array();
  w.member("nan", std::nan("")).member("inf", std::numeric_limits<float>::infinity());
  w.key("raw").raw("[1]").member("s", std::string("s")).end_object();
  EXPECT_EQ(w.text(), R"({"a":1,"b":"text","f":0.1,"list":[true,18446744073709551615,-1,null,{}],)"
                      R"("nan":null,"inf":null,"raw":[1],"s":"s"})");
  EXPECT_EQ(code_of(w.text()), Code::ok);
}

TEST(Json, NumbersReadBackTheSame) {
  Random random(3);
  int tried = 0;
  for (int i = 0; i < test_count(100000); ++i) {
    const uint64_t bits = random.next();
    const double d = std::bit_cast<double>(bits);
    const float f = std::bit_cast<float>(uint32_t(bits));
    if (!std::isfinite(d) || !std::isfinite(f)) continue;
    const Result<Json> back = parse_json(JsonWriter().value(d).text());
    ASSERT_TRUE(back) << JsonWriter().value(d).text() << back.error().message;
    ASSERT_EQ(*back->number(), d);
    const Result<Json> narrow = parse_json(JsonWriter().value(f).text());
    ASSERT_TRUE(narrow);
    ASSERT_EQ(float(*narrow->number()), f);
    ++tried;
  }
  std::printf("%d numbers\n", tried);
}

// Damaged texts never crash; what is accepted can be written and read again.
TEST(Json, RandomDamage) {
  const std::string good = R"({"model":{"threads":4,"name":"é😀"},"list":[1,-2.5e3,true,null,"\u00e9\n"],"o":{}})";
  Random random(5);
  int read = 0, refused = 0;
  for (int i = 0; i < test_count(50000); ++i) {
    std::string text = good;
    for (int64_t n = 1 + random.below(4); n > 0; --n) {
      text[size_t(random.below(int64_t(text.size())))] = "{}[],:\"\\0e-. xu\xff"[random.below(16)];
    }
    const Result<Json> json = parse_json(text);
    ++(json ? read : refused);
    if (!json) continue;
    const std::string once = written(*json);
    const Result<Json> again = parse_json(once);
    ASSERT_TRUE(again) << once;
    ASSERT_EQ(written(*again), once);
  }
  std::printf("%d refused, %d read\n", refused, read);
}

}  // namespace
}  // namespace linnet
