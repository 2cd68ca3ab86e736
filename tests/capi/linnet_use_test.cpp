// capi/linnet.h: threads and callbacks, layers of configuration, structs that grow (conventions 6 to 8); swapping.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "gguf/base/json.h"
#include "gguf/base/utf8.h"
#include "tests/capi/runtime.h"
#include "tests/gguf/temp_folder.h"

namespace linnet {
namespace {

// What callbacks may and may not do (convention 6).
struct InCallback {
  Runtime* runtime;
  linnet_session session;
  std::string text;
  std::vector<int32_t> codes;
  int32_t cancel = -1;
};

TEST(LinnetUse, CallbacksMayNotWaitAndMayCancel) {
  Runtime r;
  InCallback seen{&r, r.open(), {}, {}};
  linnet_request request = Runtime::request("Tell me a story.", R"({"max_tokens":100000,"ignore_eos":true})");
  request.context = &seen;
  request.on_text = [](void* context, const char* text, size_t bytes) -> int32_t {
    auto& s = *static_cast<InCallback*>(context);
    EXPECT_EQ(text[bytes], 0);
    EXPECT_TRUE(utf8_valid({text, bytes}));
    s.text.append(text, bytes);
    if (!s.codes.empty()) return 0;
    const linnet_runtime id = s.runtime->id;
    const linnet_request inner = Runtime::request("Hi");
    uint32_t made = 0;
    s.codes = {s.runtime->generate(s.session, inner),
               linnet_session_close(id, s.session, nullptr),
               linnet_session_reset(id, s.session, nullptr),
               linnet_session_fork(id, s.session, &made, nullptr),
               linnet_session_save(id, s.session, "/tmp/x", 6, nullptr),
               linnet_session_resume(id, s.session, "/tmp/x", 6, nullptr),
               linnet_model_unload(id, s.runtime->model, nullptr),
               linnet_model_replace(id, s.runtime->model, "/x", 2, nullptr, 0, &made, nullptr),
               linnet_runtime_destroy(id, nullptr)};
    EXPECT_FALSE(s.runtime->status(LINNET_STATUS_ALL).empty()) << "asking is allowed";
    s.cancel = linnet_cancel(id, s.session, nullptr);
    return 0;
  };
  std::string text;
  EXPECT_EQ(r.generate(seen.session, request, &text), LINNET_OK) << r.error.message;
  EXPECT_EQ(seen.codes, std::vector<int32_t>(9, LINNET_INVALID_ARGUMENT));
  EXPECT_EQ(seen.cancel, LINNET_OK);
  EXPECT_EQ(text, seen.text);
  EXPECT_LT(text.size(), 2000u) << "cancelled";
}

TEST(LinnetUse, ACallbackThatSaysNoEndsTheText) {
  Runtime r;
  int calls = 0;
  linnet_request request = Runtime::request("Tell me a story.", R"({"max_tokens":100000,"ignore_eos":true})");
  request.context = &calls;
  request.on_text = [](void* context, const char*, size_t) -> int32_t { return ++*static_cast<int*>(context) == 3; };
  EXPECT_EQ(r.generate(r.open(), request), LINNET_OK);
  EXPECT_EQ(calls, 3);
  linnet_stream stream = 0;
  EXPECT_EQ(linnet_stream_start(r.id, r.open(), &request, &stream, &r.error), LINNET_INVALID_ARGUMENT)
      << "a stream has no callback";
}

struct Lines {
  std::atomic<int> count = 0, inside = 0, levels = 0;
  std::atomic<bool> together = false;
};

TEST(LinnetUse, TheLogComesOneLineAtATime) {
  Lines lines;
  linnet_runtime id = 0;
  const std::string config = R"({"threads":1,"max_tokens":2,"log_level":"debug","max_concurrent":64})";
  ASSERT_EQ(linnet_runtime_create(
                config.data(), config.size(),
                [](void* context, int32_t level, const char* tag, const char* message, size_t bytes) {
                  auto& l = *static_cast<Lines*>(context);
                  if (++l.inside > 1) l.together = true;
                  EXPECT_EQ(message[bytes], 0);
                  EXPECT_NE(tag[0], 0);
                  l.levels |= 1 << level;
                  ++l.count;
                  --l.inside;
                },
                &lines, &id, nullptr),
            LINNET_OK);
  linnet_model model = 0;
  ASSERT_EQ(linnet_model_load(id, kDemoModel.data(), kDemoModel.size(), "{\"tempp\":1}", 11, &model, nullptr), 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10; ++i) {
        linnet_session session = 0;
        EXPECT_EQ(linnet_session_open(id, model, nullptr, 0, nullptr, 0, &session, nullptr), LINNET_OK);
        EXPECT_EQ(linnet_session_close(id, session, nullptr), LINNET_OK);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(linnet_runtime_destroy(id, nullptr), LINNET_OK);
  EXPECT_GT(lines.count, 80);
  EXPECT_FALSE(lines.together);
  EXPECT_EQ(lines.levels & 7, 7) << "debug, info and a warning";
}

// Convention 7.
TEST(LinnetUse, LaterLayersAreStronger) {
  Runtime r(R"({"log_level":"none","threads":1,"temp":0.1,"top_k":11,"min_p":0.2})", false);
  r.model = r.load(R"({"temp":0.2,"top_k":22})");
  const linnet_session s = r.open(nullptr, R"({"temp":0.3})");
  const auto value = [&](linnet_model model, linnet_session session, const char* key, const char* member) {
    std::vector<char> text(1 << 20);
    EXPECT_EQ(linnet_config(r.id, model, session, text.data(), text.size(), nullptr, &r.error), LINNET_OK);
    const auto json = parse_json(text.data());
    return json ? JsonWriter().value(*json->find(key)->find(member)).text() : std::string();
  };
  EXPECT_EQ(value(0, 0, "temp", "value"), "0.1");
  EXPECT_EQ(value(r.model, 0, "temp", "value"), "0.2");
  EXPECT_EQ(value(r.model, s, "temp", "value"), "0.3");
  EXPECT_EQ(value(0, s, "temp", "origin"), "\"session\"");
  EXPECT_EQ(value(0, s, "top_k", "origin"), "\"model\"");
  EXPECT_EQ(value(0, s, "min_p", "origin"), "\"backend\"");
  EXPECT_EQ(value(0, s, "mirostat", "origin"), "\"fallback\"");
}

TEST(LinnetUse, StrictRefusesWhatIsElseWarnedOf) {
  Runtime r;
  linnet_runtime id = 0;
  const std::string bad = R"({"strict":true,"log_level":"none","tempp":1})";
  EXPECT_EQ(linnet_runtime_create(bad.data(), bad.size(), nullptr, nullptr, &id, &r.error), LINNET_CONFIGURATION);
  EXPECT_NE(std::string(r.error.message).find("tempp"), std::string::npos) << r.error.message;
  EXPECT_EQ(r.generate(r.open(), Runtime::request("Hi", R"({"tempp":1})")), LINNET_OK) << "lenient";
  EXPECT_EQ(r.generate(r.open(), Runtime::request("Hi", R"({"tempp":1,"strict":true})")), LINNET_CONFIGURATION);
  const linnet_session strict = r.open(nullptr, R"({"strict":true})");
  EXPECT_EQ(r.generate(strict, Runtime::request("Hi", R"({"tempp":1})")), LINNET_CONFIGURATION);
  EXPECT_EQ(r.generate(strict, Runtime::request("Hi", R"({"temp":1})")), LINNET_OK);
  EXPECT_EQ(r.generate(strict, Runtime::request("Hi", R"({"temp":)")), LINNET_CONFIGURATION) << "no JSON";
}

// Convention 8.
TEST(LinnetUse, StructsSayTheirSize) {
  Runtime r;
  const linnet_session s = r.open();
  linnet_request request = Runtime::request("Hi");
  linnet_completion completion = {};
  EXPECT_EQ(linnet_generate(r.id, s, &request, &completion, &r.error), LINNET_INVALID_ARGUMENT);
  completion.size = sizeof(completion);
  request.size = 8;
  EXPECT_EQ(linnet_generate(r.id, s, &request, &completion, &r.error), LINNET_INVALID_ARGUMENT);
  linnet_stream stream = 0;
  EXPECT_EQ(linnet_stream_start(r.id, s, &request, &stream, &r.error), LINNET_INVALID_ARGUMENT);
}

TEST(LinnetUse, RawPromptsAndTokensLeaveTheHistoryAlone) {
  Runtime r;
  const linnet_session s = r.open();
  r.say(s, "Hello!");
  linnet_request raw = Runtime::request("Once upon a time");
  raw.raw = 1;
  std::string by_text, by_tokens;
  ASSERT_EQ(r.generate(s, raw, &by_text), LINNET_OK) << r.error.message;
  std::vector<int32_t> tokens(64);
  size_t needed = 0;
  ASSERT_EQ(linnet_tokenize(r.id, r.model, "Once upon a time", 16, LINNET_TOKENIZE_SPECIAL | LINNET_TOKENIZE_BOS,
                            tokens.data(), tokens.size(), &needed, &r.error),
            LINNET_OK);
  linnet_request direct = Runtime::request({});
  direct.tokens = tokens.data();
  direct.token_count = needed;
  ASSERT_EQ(r.generate(s, direct, &by_tokens), LINNET_OK) << r.error.message;
  EXPECT_EQ(by_text, by_tokens);
  const auto sessions = parse_json(r.status(LINNET_STATUS_SESSIONS));
  ASSERT_TRUE(sessions);
  EXPECT_EQ(*sessions->find("sessions")->elements()[0].find("messages")->integer(), 2);
}

TEST(LinnetUse, SwappingOneModelLeavesTheOthersAlone) {
  Runtime r;
  const linnet_model other = r.load(R"({"ctx_size":256})");
  const linnet_session mine = r.open("mine");
  linnet_session its = 0;
  ASSERT_EQ(linnet_session_open(r.id, other, "its", 3, nullptr, 0, &its, &r.error), LINNET_OK);
  r.say(mine, "Hello!");
  linnet_model fresh = 0;
  const auto replace = [&](linnet_model old, std::string_view path, std::string_view config) {
    return linnet_model_replace(r.id, old, path.data(), path.size(), config.data(), config.size(), &fresh, &r.error);
  };
  EXPECT_EQ(replace(other, "/absent", {}), LINNET_NOT_FOUND);
  r.say(its, "Hello!");
  ASSERT_EQ(replace(other, kDemoModel, R"({"ctx_size":256})"), LINNET_OK);
  EXPECT_EQ(fresh, other) << "nothing to do";
  r.say(its, "Hello!");
  ASSERT_EQ(replace(other, kDemoModel, R"({"ctx_size":320})"), LINNET_OK);
  EXPECT_GT(fresh, other);
  EXPECT_EQ(r.generate(its, Runtime::request("Hi")), LINNET_NOT_FOUND);
  EXPECT_EQ(replace(other, kDemoModel, R"({"ctx_size":384})"), LINNET_NOT_FOUND) << "it is gone";
  r.say(mine, "Hello again!");
}

TEST(LinnetUse, OfTwoWhoReplaceAModelOneDoes) {
  for (int round = 0; round < 10; ++round) {
    Runtime r;
    std::atomic<int> good = 0, gone = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        linnet_model fresh = 0;
        const std::string config = R"({"ctx_size":)" + std::to_string(200 + t) + "}";
        const int32_t code = linnet_model_replace(r.id, r.model, kDemoModel.data(), kDemoModel.size(), config.data(),
                                                  config.size(), &fresh, nullptr);
        ++(code == LINNET_OK ? good : gone);
        EXPECT_TRUE(code == LINNET_OK || code == LINNET_NOT_FOUND) << code;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(good, 1);
    EXPECT_EQ(gone, 3);
    const auto models = parse_json(r.status(LINNET_STATUS_MODEL));
    EXPECT_EQ(*models->find("count")->integer(), 1) << "those who came too late left nothing";
  }
}

TEST(LinnetUse, APlanNeedsNoRuntime) {
  std::vector<char> text(65536);
  size_t needed = 0;
  linnet_error error = {};
  ASSERT_EQ(linnet_plan(kDemoModel.data(), kDemoModel.size(), "{\"ctx_size\":256}", 16, text.data(), text.size(),
                        &needed, &error),
            LINNET_OK)
      << error.message;
  const auto plan = parse_json(text.data());
  ASSERT_TRUE(plan);
  EXPECT_EQ(*plan->find("context")->integer(), 256);
  EXPECT_GT(*plan->find("total_bytes")->integer(), *plan->find("weight_bytes")->integer());
  EXPECT_EQ(linnet_plan("/absent", 7, nullptr, 0, nullptr, 0, &needed, &error), LINNET_NOT_FOUND);
}

}  // namespace
}  // namespace linnet
