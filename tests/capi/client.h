// A client of libwasi_nn_backend.so for scenarios: one ctx, closed in the end, with the calls written short.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "gguf/base/json.h"
#include "tests/capi/libraries.h"

namespace linnet {

enum Topic : int32_t { kQueue = 0, kMemory = 1, kSessions = 2, kPerformance = 3, kModel = 4 };

// The least work that shows something: few threads, no randomness, short answers, a silent log.
inline constexpr const char* kShort =
    R"({"threads":1,"temp":0,"max_tokens":8,"ctx_size":512,"logging":{"level":"none"}})";

class Client {
 public:
  // With a model when `model_config` is given.
  explicit Client(std::string_view config = kShort);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // These check that the call succeeds.
  uint32_t load(std::string_view config = {}, const std::string& path = kDemoModel);
  uint32_t open(const char* session);  // null: anonymous, of the graph that was loaded last
  uint32_t open(const char* session, std::string_view config);
  void close(uint32_t exec);
  std::string say(uint32_t exec, std::string_view text, std::string_view config = {});

  // The error's number; `text` (if given) becomes what is said.
  int32_t run(uint32_t exec, std::string_view text, std::string_view config = {}, std::string* answer = nullptr);
  int32_t set_input(uint32_t exec, std::string_view text, uint32_t index = 0);
  int32_t output(uint32_t exec, std::string& text, uint32_t index = 0, bool single = false);
  // The next piece, or the number that ends the stream.
  int32_t piece(uint32_t exec, std::string& text);

  Json status(Topic topic);
  // A number of the status by path: "sessions.0.cached_tokens".
  int64_t number(Topic topic, std::string_view path);
  // Of one session.
  int64_t session_number(uint32_t exec, std::string_view name);

  const ClientAbi& abi = client_abi();
  void* ctx = nullptr;
  uint32_t graph = 0;
};

// "a.0.b"; null when it is not there.
const Json* at_path(const Json& json, std::string_view path);

}  // namespace linnet
