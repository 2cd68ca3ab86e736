// The variables that templates of tests and of the fuzz target are rendered with.
#pragma once

#include <string_view>

#include "gguf/base/json.h"
#include "runtime/template/template.h"

namespace linnet {

inline constexpr std::string_view kVariables = R"({
  "s": "Hello World", "e": "", "u": "na\u00efve \u00dcn\u00efcode \u65e5\u672c \ud83d\ude00", "q": "it's \"q\"\n\t\\",
  "ws": "  a b\tc\n ", "html": "<a href=\"x\">&'</a>", "line": "a\nb\r\nc\n\nd",
  "n": 5, "z": 0, "neg": -7, "f": 2.5, "g": 1e+20, "b": true, "c": false, "no": null,
  "l": [3, 1, 2], "ls": ["b", "A", "c"], "el": [], "mixed": [1, "a", null, 2.0, true, [1], {"k": "v"}],
  "d": {"b": 1, "a": 2, "C": 3}, "ed": {}, "nest": {"x": {"y": [{"z": 1}, {"z": 2}]}},
  "items": [{"k": "x", "v": 2, "g": "B"}, {"k": "y", "v": 1, "g": "a"}, {"k": "z", "v": 3, "g": "b"}],
  "m": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1"}]},
        {"role": "user", "content": "bye"}]})";

inline ChatTemplate::Options test_options() {
  ChatTemplate::Options options;
  options.now = jinja::CivilTime{.year = 2024, .month = 7, .day = 26};
  return options;
}

}  // namespace linnet
