// Templates with random damage: compiled and rendered, they give a text or a sentence.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "gguf/base/utf8.h"
#include "runtime/chat_format.h"
#include "tests/runtime/template_support.h"
#include "tests/support.h"

namespace linnet {
namespace {

// Uses about everything once.
constexpr std::string_view kSample = R"({#- a comment -#}
{%- set ns = namespace(i=0, seen=[]) -%}
{%- macro show(m, upper=false, *more) -%}{% endmacro -%}
{%- macro part(m, deep=true) -%}
  {%- if m.content is string and deep -%}{{ m.content | trim | replace('a', 'b') }}
  {%- elif m['content'] is none -%}none{%- else -%}{{ m.content | tojson(indent=2) }}{%- endif -%}
{%- endmacro -%}
{% for m in m if m.role != 'x' recursive %}
  {%- set ns.i = ns.i + loop.index0 * 2 - 1 // 3 % 4 ** 2 -%}
  {%- if loop.first or not loop.last and (ns.i in [1, 2.5, 'x']) %}{{ '<' ~ m.role|upper ~ '>' }}{% endif -%}
  {{ part(m) }}{% filter indent(2) %}{{ m.items()|list|length }}
  {% endfilter %}{% set t | title %}x {{ loop.cycle('a', "b\n") }}{% endset %}{{ t[::-1][1:3] }}
  {%- if m.tool_calls is defined %}{% for c in m.tool_calls %}{{ c.id }}{% continue %}{% else %}-{% endfor %}{% endif -%}
{% else %}nothing{% endfor %}
{% call(x, y=1) part({'content': 'q'}) %}{{ x }}{% endcall %}
{% with a, b = (1, 2) %}{{ "%05.2f|%s" % (a, b) }}{{ '{:>{w}}'.format(a, w=5) }}{% endwith %}
{{ items|selectattr('v', 'gt', 1)|map(attribute='k')|join(', ') }}{{ d|dictsort }}{{ l|sort(reverse=true)|first }}
{% raw %}{{ raw }}{% endraw %}{% generation %}{{ s.split('o')[0] if s.startswith(('H', 'h')) else raise_exception('no') }}
{%- endgeneration %}{{ strftime_now('%Y') }}{{ range(3)|list + [l.pop()] }})";

std::vector<std::string> samples() {
  std::vector<std::string> all = {std::string(kSample), std::string(built_in_template("chatml"))};
  if (const auto folder = shared_data("templates")) {
    for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
      if (entry.path().extension() != ".jinja") continue;
      std::ifstream in(entry.path(), std::ios::binary);
      all.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
  }
  return all;
}

std::string mutated(const std::string& from, Random& random) {
  constexpr std::string_view kPieces[] = {"{{",
                                          "}}",
                                          "{%",
                                          "%}",
                                          "{#",
                                          "#}",
                                          "-",
                                          "+",
                                          "(",
                                          ")",
                                          "[",
                                          "]",
                                          "{",
                                          "}",
                                          "'",
                                          "\"",
                                          "\\",
                                          "|",
                                          ".",
                                          ",",
                                          ":",
                                          "=",
                                          "~",
                                          "*",
                                          "**",
                                          "/",
                                          "//",
                                          "%",
                                          " if ",
                                          " else ",
                                          " for x in ",
                                          " is ",
                                          " not ",
                                          " in ",
                                          " and ",
                                          "loop",
                                          "caller()",
                                          "1",
                                          "0",
                                          "-1",
                                          "1e9",
                                          "''",
                                          "none",
                                          "true",
                                          "messages",
                                          "m",
                                          "|list",
                                          "|tojson",
                                          "|map('upper')",
                                          ".items()",
                                          "{% endif %}",
                                          "{% endfor %}",
                                          "{% for a in b %}",
                                          "{% if x %}",
                                          "{% set a = 1 %}",
                                          "{% break %}",
                                          "\n",
                                          "\xc3\xa9",
                                          "range(9)",
                                          "[::-1]"};
  std::string text = from;
  for (int64_t changes = 1 + random.below(3); changes > 0 && !text.empty(); --changes) {
    const size_t at = size_t(random.below(int64_t(text.size())));
    const size_t length = std::min(text.size() - at, size_t(1 + random.below(random.below(4) == 0 ? 200 : 6)));
    const std::string_view piece = kPieces[random.below(std::size(kPieces))];
    switch (random.below(4)) {
      case 0:
        text.erase(at, length);
        break;
      case 1:
        text.insert(at, piece);
        break;
      case 2:
        text.insert(at, text.substr(size_t(random.below(int64_t(text.size()))), length));
        break;
      default:
        text.replace(at, length, piece);
    }
  }
  return utf8_replace_invalid(text);
}

TEST(Template, MutationsGiveATextOrASentence) {
  const std::vector<std::string> all = samples();
  std::string variables(kVariables);
  variables.insert(1, R"("messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"},
    {"role": "assistant", "content": "a"}, {"role": "user", "content": "v"}], "add_generation_prompt": true,
    "tools": [{"type": "function", "function": {"name": "f", "description": "d",
      "parameters": {"type": "object", "properties": {"p": {"type": "string"}}, "required": ["p"]}}}],)");
  const auto json = parse_json(variables);
  ASSERT_TRUE(json) << json.error().message;
  ChatTemplate::Options options = test_options();
  options.limits.steps = 20'000;
  options.limits.work = 16 << 20;
  options.limits.memory = 16 << 20;
  Random random(7);
  int compiled = 0, rendered = 0;
  const int count = test_count(20'000);
  for (int i = 0; i < count; ++i) {
    const std::string source = mutated(all[size_t(random.below(int64_t(all.size())))], random);
    const auto made = ChatTemplate::compile(source);
    if (!made) {
      ASSERT_FALSE(made.error().message.empty());
      continue;
    }
    ++compiled;
    const auto text = made->render(*json, options);
    if (text) {
      ++rendered;
      ASSERT_TRUE(utf8_valid(*text)) << source;
    } else {
      ASSERT_FALSE(text.error().message.empty()) << source;
    }
  }
  EXPECT_GT(compiled, count / 20);
  EXPECT_GT(rendered, count / 50);
  std::printf("%d mutations of %zu templates: %d compiled, %d rendered\n", count, all.size(), compiled, rendered);
}

}  // namespace
}  // namespace linnet
