// What the tests of chat templates share: rows of templates with what Jinja2 makes of them.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <span>
#include <string>
#include <string_view>

#include "tests/runtime/template_variables.h"

namespace linnet {

inline Result<std::string> render(std::string_view source, const Json& variables,
                                  const ChatTemplate::Options& options = test_options()) {
  LINNET_TRY(const ChatTemplate made, ChatTemplate::compile(source));
  return made.render(variables, options);
}

// With kVariables, or other JSON.
inline Result<std::string> render(std::string_view source, std::string_view variables = kVariables,
                                  const ChatTemplate::Options& options = test_options()) {
  LINNET_TRY(const Json json, parse_json(variables));
  return render(source, json, options);
}

struct Row {
  const char* source;
  const char* expected;  // null: an error
};

inline void check_rows(std::span<const Row> rows) {
  const auto variables = parse_json(kVariables);
  ASSERT_TRUE(variables);
  for (const auto& [source, expected] : rows) {
    const auto text = render(source, *variables);
    if (expected == nullptr) {
      EXPECT_FALSE(text) << source << " gives " << *text;
      if (text) continue;
      EXPECT_NE(text.error().message.find("line "), std::string::npos) << text.error().message;
    } else {
      ASSERT_TRUE(text) << source << ": " << text.error().message;
      EXPECT_EQ(*text, expected) << source;
    }
  }
  std::printf("%zu templates\n", rows.size());
}

}  // namespace linnet
