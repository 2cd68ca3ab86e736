// capi/linnet.h by its conventions, one after the other.
#include "capi/linnet.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gguf/base/json.h"
#include "gguf/base/utf8.h"
#include "tests/capi/page_end.h"
#include "tests/capi/runtime.h"
#include "tests/gguf/temp_folder.h"

namespace linnet {
namespace {

TEST(Linnet, NamesItsVersionAndCodes) {
  EXPECT_STREQ(linnet_version(), "0.1.0");
  std::set<std::string> names;
  for (int code = LINNET_OK; code <= LINNET_INTERNAL; ++code) names.insert(linnet_code_name(code));
  EXPECT_EQ(names.size(), 16u);
  EXPECT_STREQ(linnet_code_name(LINNET_PROMPT_TOO_LONG), "prompt_too_long");
  EXPECT_STREQ(linnet_code_name(16), "unknown");
  EXPECT_STREQ(linnet_code_name(-1), "unknown");
}

// Convention 1.
TEST(Linnet, ErrorsHaveANameAndASentence) {
  Runtime r;
  linnet_model m = 0;
  EXPECT_EQ(linnet_model_load(r.id, "/absent.gguf", 12, nullptr, 0, &m, &r.error), LINNET_NOT_FOUND);
  EXPECT_STREQ(r.error.name, "io_not_found");
  EXPECT_NE(std::string(r.error.message).find("/absent.gguf"), std::string::npos) << r.error.message;
  EXPECT_EQ(linnet_model_load(r.id, "/absent.gguf", 12, nullptr, 0, &m, nullptr), LINNET_NOT_FOUND);
  EXPECT_EQ(linnet_session_reset(r.id, r.open(), &r.error), LINNET_OK);
  EXPECT_STREQ(r.error.name, "") << "nothing is left of an earlier error";
  EXPECT_STREQ(r.error.message, "");
  // A sentence that is too long ends with a whole character.
  std::string path = "/";
  while (path.size() < 3000) path += "ä";
  EXPECT_NE(linnet_model_load(r.id, path.data(), path.size(), nullptr, 0, &m, &r.error), LINNET_OK);
  EXPECT_LT(std::strlen(r.error.message), sizeof(r.error.message));
  EXPECT_TRUE(utf8_valid(r.error.message));
}

TEST(Linnet, ErrorsSayWhatKindOfFailureItWas) {
  Runtime r;
  const TempFolder folder;
  linnet_model m = 0;
  const auto load = [&](const std::string& path) {
    return linnet_model_load(r.id, path.data(), path.size(), nullptr, 0, &m, &r.error);
  };
  EXPECT_EQ(load(""), LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(load(std::string("a\0b", 3)), LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(load(folder.path("")), LINNET_IO) << "a folder";
  EXPECT_EQ(load(folder.write("text", "this is no model")), LINNET_MODEL);
  EXPECT_EQ(linnet_model_load_bytes(r.id, nullptr, 8, nullptr, 0, &m, &r.error), LINNET_INVALID_ARGUMENT);
  EXPECT_EQ(linnet_model_load_bytes(r.id, "GGUF", 4, nullptr, 0, &m, &r.error), LINNET_MODEL);
  EXPECT_EQ(linnet_model_load_bytes(r.id, nullptr, 0, nullptr, 0, &m, &r.error), LINNET_MODEL);
  EXPECT_EQ(m, 0u);
  std::string words(20000, 'w');
  const linnet_session strict = r.open(nullptr, R"({"context_shifting":false})");
  EXPECT_EQ(r.generate(strict, Runtime::request(words)), LINNET_PROMPT_TOO_LONG) << r.error.message;
  EXPECT_EQ(r.generate(strict, Runtime::request("\xff\xfe")), LINNET_INVALID_ARGUMENT);
  const int32_t far[] = {1 << 30};
  linnet_request tokens = Runtime::request({});
  tokens.tokens = far;
  tokens.token_count = 1;
  EXPECT_EQ(r.generate(strict, tokens), LINNET_INVALID_ARGUMENT);
  linnet_stream stream = 0;
  ASSERT_EQ(linnet_stream_start(r.id, strict, &(tokens = Runtime::request("Hi")), &stream, &r.error), LINNET_OK);
  linnet_stream second = 0;
  EXPECT_EQ(linnet_stream_start(r.id, strict, &tokens, &second, &r.error), LINNET_BUSY);
  EXPECT_EQ(linnet_stream_finish(r.id, stream, nullptr, &r.error), LINNET_OK);
}

TEST(Linnet, NullWhereAValueIsNeeded) {
  Runtime r;
  const linnet_session s = r.open();
  const linnet_request request = Runtime::request("Hi");
  linnet_completion completion = {};
  completion.size = sizeof(completion);
  linnet_stream stream = 0;
  const char* text = nullptr;
  size_t bytes = 0;
  uint32_t id = 0;
  const int32_t codes[] = {
      linnet_runtime_create(nullptr, 0, nullptr, nullptr, nullptr, &r.error),
      linnet_runtime_create(nullptr, 3, nullptr, nullptr, &id, &r.error),
      linnet_runtime_add_samplers(r.id, nullptr, &r.error),
      linnet_model_load(r.id, nullptr, 0, nullptr, 0, &id, &r.error),
      linnet_model_load(r.id, nullptr, 3, nullptr, 0, &id, &r.error),
      linnet_model_load(r.id, "x", 1, nullptr, 3, &id, &r.error),
      linnet_model_load(r.id, "x", 1, nullptr, 0, nullptr, &r.error),
      linnet_model_load_bytes(r.id, "x", 1, nullptr, 0, nullptr, &r.error),
      linnet_model_replace(r.id, r.model, "x", 1, nullptr, 0, nullptr, &r.error),
      linnet_tokenize(r.id, r.model, nullptr, 3, 0, nullptr, 0, &bytes, &r.error),
      linnet_tokenize(r.id, r.model, "x", 1, 0, nullptr, 5, &bytes, &r.error),
      linnet_tokenize(r.id, r.model, "x", 1, 4, nullptr, 0, &bytes, &r.error),
      linnet_detokenize(r.id, r.model, nullptr, 3, 0, nullptr, 0, &bytes, &r.error),
      linnet_embed(r.id, r.model, nullptr, 3, nullptr, 0, &bytes, &r.error),
      linnet_session_open(r.id, r.model, nullptr, 3, nullptr, 0, &id, &r.error),
      linnet_session_open(r.id, r.model, nullptr, 0, nullptr, 3, &id, &r.error),
      linnet_session_open(r.id, r.model, nullptr, 0, nullptr, 0, nullptr, &r.error),
      linnet_session_open(r.id, r.model, "", 0, nullptr, 0, &id, &r.error),
      linnet_session_fork(r.id, s, nullptr, &r.error),
      linnet_session_save(r.id, s, nullptr, 0, &r.error),
      linnet_session_resume(r.id, s, nullptr, 2, &r.error),
      linnet_generate(r.id, s, nullptr, &completion, &r.error),
      linnet_generate(r.id, s, &request, nullptr, &r.error),
      linnet_stream_start(r.id, s, nullptr, &stream, &r.error),
      linnet_stream_start(r.id, s, &request, nullptr, &r.error),
      linnet_stream_next(r.id, 1, nullptr, &bytes, &r.error),
      linnet_stream_next(r.id, 1, &text, nullptr, &r.error),
      linnet_status(r.id, 8, nullptr, 0, &bytes, &r.error),
      linnet_status(r.id, -1, nullptr, 0, &bytes, &r.error),
      linnet_status(r.id, 0, nullptr, 5, &bytes, &r.error),
      linnet_plan(nullptr, 0, nullptr, 0, nullptr, 0, &bytes, &r.error),
  };
  for (size_t i = 0; i < std::size(codes); ++i) EXPECT_EQ(codes[i], LINNET_INVALID_ARGUMENT) << "call " << i;
  EXPECT_EQ(linnet_status(r.id, 0, nullptr, 0, nullptr, &r.error), LINNET_TOO_LARGE) << "nowhere to put anything";
  linnet_completion_free(nullptr);
}

// Convention 2.
TEST(Linnet, HandlesCountUpAndStayUnknownOnceClosed) {
  Runtime r;
  linnet_runtime gone = 0;
  {
    Runtime other(kQuietRuntime, false);
    EXPECT_GT(other.id, r.id);
    gone = other.id;
  }
  size_t needed = 0;
  uint32_t id = 0;
  for (const linnet_runtime none : {0u, gone, 0xffffffffu}) {
    EXPECT_EQ(linnet_status(none, 0, nullptr, 0, &needed, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_runtime_destroy(none, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_session_open(none, 1, nullptr, 0, nullptr, 0, &id, &r.error), LINNET_NOT_FOUND);
  }
  const linnet_session first = r.open();
  ASSERT_EQ(linnet_session_close(r.id, first, &r.error), LINNET_OK);
  for (const linnet_session none : {0u, first, 0xffffffffu}) {
    EXPECT_EQ(linnet_session_close(r.id, none, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_session_reset(r.id, none, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_session_fork(r.id, none, &id, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_session_save(r.id, none, "/tmp/x", 6, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_session_resume(r.id, none, "/tmp/x", 6, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_cancel(r.id, none, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(r.generate(none, Runtime::request("Hi")), LINNET_NOT_FOUND);
  }
  EXPECT_GT(r.open(), first);
  ASSERT_EQ(linnet_model_unload(r.id, r.model, &r.error), LINNET_OK);
  for (const linnet_model none : {0u, r.model, 0xffffffffu}) {
    EXPECT_EQ(linnet_model_unload(r.id, none, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_tokenize(r.id, none, "x", 1, 0, nullptr, 0, &needed, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_embed(r.id, none, "x", 1, nullptr, 0, &needed, &r.error), LINNET_NOT_FOUND);
    EXPECT_EQ(linnet_model_replace(r.id, none, "x", 1, nullptr, 0, &id, &r.error), LINNET_NOT_FOUND);
  }
  EXPECT_GT(r.load("{}"), r.model);
  const char* text = nullptr;
  EXPECT_EQ(linnet_stream_next(r.id, 1, &text, &needed, &r.error), LINNET_NOT_FOUND);
  EXPECT_EQ(linnet_stream_finish(r.id, 0, nullptr, &r.error), LINNET_NOT_FOUND);
}

// Convention 3.
TEST(Linnet, TextsHaveLengthsAndNeedNoZero) {
  Runtime r;
  const PageEnd path(kDemoModel), config(R"({"ctx_size":256})"), name("name"), input("Hello!");
  ASSERT_EQ(linnet_model_load(r.id, path.text(), kDemoModel.size(), config.text(), 16, &r.model, &r.error), LINNET_OK)
      << r.error.message;
  linnet_session s = 0;
  ASSERT_EQ(linnet_session_open(r.id, r.model, name.text(), 4, config.text(), 16, &s, &r.error), LINNET_OK);
  EXPECT_EQ(r.open("name"), s);
  linnet_completion completion = {};
  completion.size = sizeof(completion);
  const linnet_request request = Runtime::request({input.text(), 6});
  ASSERT_EQ(linnet_generate(r.id, s, &request, &completion, &r.error), LINNET_OK) << r.error.message;
  EXPECT_EQ(std::strlen(completion.text), completion.text_bytes);
  EXPECT_EQ(std::strlen(completion.json), completion.json_bytes);
  EXPECT_TRUE(parse_json(completion.json));
  EXPECT_GT(completion.token_count, 0u);
  EXPECT_GT(completion.prompt_tokens, 0);
  linnet_completion_free(&completion);
  EXPECT_EQ(completion.text, nullptr);
  linnet_completion_free(&completion);
}

// Convention 4: what is given is copied. The texts are gone before the stream has begun to use them.
TEST(Linnet, KeepsNoPointerToWhatItWasGiven) {
  Runtime r;
  const linnet_session s = r.open();
  linnet_stream stream = 0;
  {
    const PageEnd input("Tell me a story."), config(R"({"choices":["copied"]})");
    const linnet_request request = Runtime::request({input.text(), 16}, {config.text(), 22});
    ASSERT_EQ(linnet_stream_start(r.id, s, &request, &stream, &r.error), LINNET_OK);
  }
  std::string joined;
  const char* text = nullptr;
  size_t bytes = 0;
  while (linnet_stream_next(r.id, stream, &text, &bytes, &r.error) == LINNET_OK) joined.append(text, bytes);
  EXPECT_EQ(joined, "copied");
  EXPECT_EQ(linnet_stream_next(r.id, stream, &text, &bytes, &r.error), LINNET_END) << "again and again";
  linnet_completion completion = {};
  completion.size = sizeof(completion);
  ASSERT_EQ(linnet_stream_finish(r.id, stream, &completion, &r.error), LINNET_OK);
  EXPECT_STREQ(completion.text, "copied");
  linnet_completion_free(&completion);
  EXPECT_EQ(linnet_stream_finish(r.id, stream, nullptr, &r.error), LINNET_NOT_FOUND);
}

// Convention 5.
TEST(Linnet, WhatDoesNotFitIsNotWritten) {
  Runtime r;
  size_t needed = 0;
  const std::string text = "Hello there, friend!";
  ASSERT_EQ(linnet_tokenize(r.id, r.model, text.data(), text.size(), 0, nullptr, 0, &needed, &r.error), LINNET_OK);
  ASSERT_GT(needed, 1u);
  const size_t count = needed;
  std::vector<int32_t> tokens(count + 1, -7);
  for (size_t room = 0; room < count; ++room) {
    needed = 0;
    EXPECT_EQ(linnet_tokenize(r.id, r.model, text.data(), text.size(), 0, tokens.data(), room, &needed, &r.error),
              LINNET_TOO_LARGE);
    EXPECT_EQ(needed, count);
    EXPECT_EQ(tokens, std::vector<int32_t>(count + 1, -7));
  }
  ASSERT_EQ(linnet_tokenize(r.id, r.model, text.data(), text.size(), 0, tokens.data(), count, nullptr, &r.error),
            LINNET_OK);
  EXPECT_EQ(tokens[count], -7);
  std::string back(100, 'x');
  EXPECT_EQ(linnet_detokenize(r.id, r.model, tokens.data(), count, 0, back.data(), text.size(), &needed, &r.error),
            LINNET_TOO_LARGE)
      << "the zero byte counts";
  EXPECT_EQ(needed, text.size() + 1);
  EXPECT_EQ(back, std::string(100, 'x'));
  ASSERT_EQ(linnet_detokenize(r.id, r.model, tokens.data(), count, 0, back.data(), needed, &needed, &r.error),
            LINNET_OK);
  EXPECT_STREQ(back.c_str(), text.c_str());

  ASSERT_EQ(linnet_embed(r.id, r.model, "Hello", 5, nullptr, 0, &needed, &r.error), LINNET_OK);
  std::vector<float> vector(needed);
  ASSERT_EQ(linnet_embed(r.id, r.model, "Hello", 5, vector.data(), needed, &needed, &r.error), LINNET_OK);
  double sum = 0;
  for (const float x : vector) sum += double{x} * x;
  EXPECT_NEAR(sum, 1, 1e-4);
  EXPECT_EQ(linnet_embed(r.id, r.model, "Hello", 5, vector.data(), vector.size() - 1, nullptr, &r.error),
            LINNET_TOO_LARGE);
  for (int32_t topic = LINNET_STATUS_QUEUE; topic < LINNET_STATUS_PROMETHEUS; ++topic)
    EXPECT_TRUE(parse_json(r.status(topic))) << topic;
  EXPECT_NE(r.status(LINNET_STATUS_PROMETHEUS).find("# TYPE linnet_requests_total counter"), std::string::npos);
}

}  // namespace
}  // namespace linnet
