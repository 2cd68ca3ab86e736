// One runtime of capi/linnet.h for tests, with the calls written short.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "capi/linnet.h"
#include "tests/capi/libraries.h"

namespace linnet {

inline constexpr std::string_view kQuietRuntime =
    R"({"threads":1,"temp":0,"max_tokens":8,"ctx_size":512,"log_level":"none"})";

struct Runtime {
  explicit Runtime(std::string_view config = kQuietRuntime, bool with_model = true) {
    EXPECT_EQ(linnet_runtime_create(config.data(), config.size(), nullptr, nullptr, &id, &error), LINNET_OK)
        << error.message;
    if (with_model) model = load("{}");
  }
  ~Runtime() {
    if (id != 0) linnet_runtime_destroy(id, nullptr);
  }
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  linnet_model load(std::string_view config, const std::string& path = kDemoModel) {
    linnet_model m = 0;
    EXPECT_EQ(linnet_model_load(id, path.data(), path.size(), config.data(), config.size(), &m, &error), LINNET_OK)
        << error.message;
    return m;
  }
  linnet_session open(const char* name = nullptr, std::string_view config = {}) {
    linnet_session session = 0;
    EXPECT_EQ(linnet_session_open(id, model, name, name ? std::string_view(name).size() : 0, config.data(),
                                  config.size(), &session, &error),
              LINNET_OK)
        << error.message;
    return session;
  }
  static linnet_request request(std::string_view input, std::string_view config = {}) {
    linnet_request r = {};
    r.size = sizeof(r);
    r.input = input.data();
    r.input_bytes = input.size();
    r.config = config.data();
    r.config_bytes = config.size();
    return r;
  }
  int32_t generate(linnet_session session, const linnet_request& r, std::string* text = nullptr,
                   int64_t* cached = nullptr) {
    linnet_completion completion = {};
    completion.size = sizeof(completion);
    const int32_t code = linnet_generate(id, session, &r, &completion, &error);
    if (code == LINNET_OK && text) text->assign(completion.text, completion.text_bytes);
    if (code == LINNET_OK && cached) *cached = completion.cached_tokens;
    linnet_completion_free(&completion);
    return code;
  }
  std::string say(linnet_session session, std::string_view input, std::string_view config = {},
                  int64_t* cached = nullptr) {
    std::string text;
    EXPECT_EQ(generate(session, request(input, config), &text, cached), LINNET_OK) << error.message;
    return text;
  }
  std::string status(int32_t topic) {
    size_t needed = 0;
    EXPECT_EQ(linnet_status(id, topic, nullptr, 0, &needed, &error), LINNET_OK);
    std::string text(needed + 256, '\0');  // it may grow meanwhile
    EXPECT_EQ(linnet_status(id, topic, text.data(), text.size(), &needed, &error), LINNET_OK) << error.message;
    text.resize(needed - 1);
    return text;
  }

  linnet_runtime id = 0;
  linnet_model model = 0;
  linnet_error error = {};
};

}  // namespace linnet
