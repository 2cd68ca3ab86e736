// Templates that are damaged or hostile: each is refused with a sentence. Those that ask for very much are in
// tests/bombs.h.
#include <gtest/gtest.h>

#include "tests/runtime/template_support.h"

namespace linnet {
namespace {

std::string repeated(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

// `open` and `close` around something, `times` times.
std::string nested(const std::string& open, const std::string& inside, const std::string& close, int times) {
  return repeated(open, times) + inside + repeated(close, times);
}

void expect_refused(const std::string& source, Code code, const std::string& says) {
  const auto text = render(source);
  ASSERT_FALSE(text) << source.substr(0, 200) << " gives " << text->size() << " bytes";
  EXPECT_EQ(text.error().code, code) << source.substr(0, 200) << ": " << text.error().message;
  EXPECT_NE(text.error().message.find(says), std::string::npos)
      << source.substr(0, 200) << ": " << text.error().message;
  EXPECT_LT(text.error().message.size(), 600u);
}

TEST(TemplateLimits, Unterminated) {
  for (const char* source : {"{{",
                             "{{ 1",
                             "{% if 1 %}",
                             "{% if 1",
                             "{% for x in [1] %}{{ x }}",
                             "{# no end",
                             "{% raw %} x",
                             "{% macro f() %}x",
                             "{% set x %}y",
                             "{% call f() %}",
                             "{% filter upper %}",
                             "{% with a = 1 %}",
                             "{% if 1 %}{% else %}",
                             "{% if 1 %}{% for x in y %}{% endif %}{% endfor %}",
                             "{{ 'text }}",
                             "{{ (1 }}",
                             "{{ [1, 2 }}",
                             "{{ {'a': 1 }}",
                             "{% generation %}x",
                             "{%",
                             "{% ",
                             "{%-",
                             "{{ a.",
                             "{{ a[",
                             "{{ f(",
                             "{{ x | ",
                             "{{ x is ",
                             "{{ x if "})
    expect_refused(source, Code::invalid_argument, "line 1, column ");
  expect_refused("a\nb\n  {% endif %}", Code::invalid_argument, "line 3, column 6");
  expect_refused("a\n{{ 1 +\n\xc3\xa9 \xc3\xa9 }}", Code::invalid_argument, "line 3, column 3");
}

TEST(TemplateLimits, Recursion) {
  const auto deep = render("{% macro f(n) %}{% if n > 0 %}({{ f(n - 1) }}){% endif %}{% endmacro %}{{ f(60) }}");
  ASSERT_TRUE(deep) << deep.error().message;
  EXPECT_EQ(*deep, nested("(", "", ")", 60));
}

// What is shared is small, but not when it is gone through.
TEST(TemplateLimits, SharedValues) {
  const std::string deep =
      "{% set ns = namespace(x=[], y=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}"
      "{% endfor %}";
  for (const char* use : {"{{ ns.x }}", "{{ ns.x|tojson }}", "{{ ns.x == ns.y }}", "{{ ns.x < ns.y }}"})
    expect_refused(deep + use, Code::too_large, "deep");
  EXPECT_TRUE(render(deep + "{{ ns.x|length }}"));
  EXPECT_EQ(*render("{% set x = [1] %}{% set _ = x.append(x) %}{{ x }}{{ x == x }}"), "[1, [...]]True");
  expect_refused("{% set x = [1] %}{% set _ = x.append(x) %}{{ x|tojson }}", Code::too_large, "deep");
}

TEST(TemplateLimits, Nesting) {
  for (const int times : {10000, 100000}) {
    for (const std::string& source : {
             "{{ " + nested("(", "1", ")", times) + " }}",
             "{{ " + nested("[", "1", "]", times) + " }}",
             "{{ " + nested("{1: ", "1", "}", times) + " }}",
             "{{ " + nested("(1 + ", "1", ")", times / 5) + " }}",
             "{{ " + nested("f(", "1", ")", times / 2) + " }}",
             "{{ " + nested("x[", "1", "]", times / 2) + " }}",
             "{{ " + repeated("not ", times) + "1 }}",
             "{{ " + repeated("- ", times) + "1 }}",
             "{{ " + repeated("1 if 1 else ", times / 4) + "1 }}",
             "{{ x" + repeated(".y", times) + " }}",
             "{{ x" + repeated("|upper", times / 2) + " }}",
             "{{ x" + repeated("()", times) + " }}",
             "{{ 1" + repeated(" + 1", times) + " }}",
             "{{ 1" + repeated(" ** 1", times / 2) + " }}",
             "{{ x is in " + repeated("x is in ", times / 4) + "x }}",
             nested("{% if 1 %}", "x", "{% endif %}", times / 10),
             nested("{% for i in [1] %}", "x", "{% endfor %}", times / 20),
             nested("{% macro f() %}", "x", "{% endmacro %}", times / 20),
             nested("{% set x %}", "x", "{% endset %}", times / 20),
             "{% for " + nested("(", "a", ")", times) + " in b %}{% endfor %}",
         }) {
      if (source.size() > ChatTemplate::kMaxBytes) continue;
      const auto text = render(source);
      ASSERT_FALSE(text) << source.substr(0, 60);
    }
  }
  expect_refused("{{ " + nested("(", "1", ")", 10000) + " }}", Code::too_large, "nested more than 250 deep");
  expect_refused("{{ " + repeated("(", 10000) + " }}", Code::too_large, "nested more than 250 deep");
  // Chains that need no depth.
  EXPECT_EQ(*render("{{ 1" + repeated(" ~ 1", 10000) + " }}"), repeated("1", 10001));
  EXPECT_EQ(*render("{{ 1" + repeated(" and 1", 10000) + " }}"), "1");
  EXPECT_EQ(*render("{% if 0 %}" + repeated("{% elif 0 %}", 10000) + "{% else %}x{% endif %}"), "x");
  EXPECT_EQ(*render("{{ " + nested("(", "1", ")", 200) + " }}"), "1");
}

TEST(TemplateLimits, Internals) {
  for (const char* source :
       {"{{ ''.__class__.__mro__ }}", "{{ ''['__class__']['__mro__'] }}",
        "{{ [].__class__.__base__.__subclasses__() }}", "{{ ''|attr('__class__')|attr('__mro__') }}",
        "{{ range.__globals__['os'] }}", "{{ cycler.__init__.__globals__.os }}",
        "{{ '{0.__class__.__mro__}'.format('') }}", "{{ '{0[__class__][__mro__]}'.format('') }}", "{{ s.__len__() }}",
        "{{ namespace.__init__() }}", "{{ self.__init__.__globals__ }}",
        "{{ [''.__class__]|map(attribute='__mro__')|list }}", "{{ lipsum.__globals__ }}", "{{ joiner().__class__.x }}"})
    expect_refused(source, Code::invalid_argument, "");
  EXPECT_EQ(*render("{{ ''.__class__ }}{{ s.__doc__ }}"), "");
}

TEST(TemplateLimits, NotUtf8) {
  for (const char* source : {"\xff", "{{ '\xc3' }}", "abc\xe2\x82", "{{ \xed\xa0\x80 }}", "\xc0\x80"})
    expect_refused(source, Code::invalid_argument, "not valid UTF-8");
}

TEST(TemplateLimits, Size) {
  expect_refused(std::string(1 << 20, 'x'), Code::too_large, "1048576 bytes");
  expect_refused(repeated("{{ x }}", (1 << 20) / 7), Code::too_large, "bytes");
  const auto largest = render(repeated("{{ n }}", int(ChatTemplate::kMaxBytes / 7)));
  ASSERT_TRUE(largest) << largest.error().message;
  EXPECT_EQ(largest->size(), ChatTemplate::kMaxBytes / 7);
}

TEST(TemplateLimits, OtherTemplates) {
  for (const char* source :
       {"{% include 'x' %}", "{% import 'x' as y %}", "{% from 'x' import y %}", "{% extends 'x' %}",
        "{% block a %}{% endblock %}", "{% include '/etc/passwd' ignore missing %}"})
    expect_refused(source, Code::unsupported, "is not supported");
  EXPECT_EQ(render("{% autoescape true %}{% endautoescape %}").error().code, Code::unsupported);
}

// Long needles do not make searching quadratic.
TEST(TemplateLimits, Searching) {
  const std::string setup = "{% set t = 'a' * 2000000 %}{% set p = 'a' * 1000000 ~ 'b' %}";
  EXPECT_EQ(*render(setup + "{{ p in t }}{{ t.find(p) }}{{ t.rfind(p) }}{{ t.count(p) }}{{ t.split(p)|length }}"
                            "{{ t.rsplit(p)|length }}{{ t.replace(p, 'x')|length }}"),
            "False-1-10112000000");
  EXPECT_EQ(*render("{{ ('abcdefghijklmnopqrstuvwxyz' * 3).find('jklmnopqrstuvwxyzabcdefghi', 10) }}"), "35");
}

// One template, many threads: see also the fuzz target. Limits belong to a rendering, so it can be repeated.
TEST(TemplateLimits, RenderingLeavesNothingBehind) {
  const auto made = ChatTemplate::compile("{% set _ = l.append(1) %}{% set _ = d.update(x=l) %}{{ l }}{{ d }}");
  const auto variables = parse_json(kVariables);
  ASSERT_TRUE(made && variables);
  const auto first = made->render(*variables);
  ASSERT_TRUE(first);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*made->render(*variables), *first);
}

// Filters beyond Jinja2's.
TEST(TemplateLimits, FromJson) {
  EXPECT_EQ(*render(R"({{ '{"a": [1, 2.5, null, true, "x"]}'|from_json }})"), "{'a': [1, 2.5, None, True, 'x']}");
  for (const char* wrong : {"{{ '{'|from_json }}", "{{ 1|from_json }}", "{{ '99999999999999999999'|from_json }}"})
    expect_refused(wrong, Code::invalid_argument, "from_json");
  expect_refused("{{ '18446744073709551615'|from_json }}", Code::json_type, "integer");
}

TEST(TemplateLimits, Times) {
  const auto at = [](const char* format, jinja::CivilTime time) {
    ChatTemplate::Options options;
    options.now = time;
    return render(std::string("{{ strftime_now('") + format + "') }}", kVariables, options);
  };
  EXPECT_EQ(*at("%Y-%m-%d %H:%M:%S.%f %j %U %A %a %B %b %y %I %p %-d %%|%z%Z", {2024, 2, 29, 13, 5, 9, 42}),
            "2024-02-29 13:05:09.000042 060 08 Thursday Thu February Feb 24 01 PM 29 %|");
  EXPECT_FALSE(at("%Q", {}));
  EXPECT_FALSE(at("%", {}));
  EXPECT_TRUE(jinja::parse_time("2024-07-26T13:45:10") && jinja::parse_time("2024-07-26 13:45"));
  for (const char* wrong : {"", "2024", "2024-13-01", "2024-02-30", "2024-07-26x", "2024-07-26 25:00", "24-07-26"})
    EXPECT_FALSE(jinja::parse_time(wrong)) << wrong;
  EXPECT_EQ(render("{{ strftime_now('%Y') }}", kVariables, {})->size(), 4u);
}

}  // namespace
}  // namespace linnet
