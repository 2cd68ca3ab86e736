// Scenarios: a second load takes the first one's place, while the first one is at work.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "tests/capi/client.h"
#include "tests/gguf/temp_folder.h"

namespace linnet {
namespace {

constexpr int32_t kBad = ClientAbi::invalid_argument;
const std::string kLong = R"({"max_tokens":4000,"ignore_eos":true})";

bool wait_until_running(Client& c) {
  for (int i = 0; i < 2000; ++i) {
    if (c.number(kQueue, "running") > 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return false;
}

TEST(HotSwap, TheSameModelAndConfigurationChangesNothing) {
  Client c;
  const std::string config = R"({"max_tokens":6})";
  const uint32_t graph = c.load(config);
  const uint32_t exec = c.open("s");
  c.say(exec, "Hi");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(c.load(config), graph);
  EXPECT_EQ(c.open("s"), exec);
  EXPECT_EQ(c.run(exec, "And?"), 0);
  EXPECT_EQ(c.session_number(exec, "messages"), 4);
  EXPECT_EQ(c.number(kModel, "loaded"), 1) << "nothing was loaded again";
}

TEST(HotSwap, AnotherConfigurationIsAnotherModel) {
  Client c;
  const uint32_t graph = c.load(R"({"ctx_size":256})");
  const uint32_t exec = c.open("s");
  EXPECT_EQ(c.number(kModel, "models.0.context"), 256);
  EXPECT_GT(c.load(R"({"ctx_size":512})"), graph);
  EXPECT_EQ(c.number(kModel, "models.0.context"), 512);
  EXPECT_EQ(c.number(kModel, "count"), 1) << "the old one is freed";
  EXPECT_EQ(c.number(kModel, "replaced"), 1);
  EXPECT_EQ(c.run(exec, "Hi"), kBad) << "its sessions ended with it";
  uint32_t id = 0;
  EXPECT_EQ(c.abi.init_execution_context(c.ctx, graph, &id), kBad);
  EXPECT_FALSE(c.say(c.open("s"), "Hi").empty());
}

TEST(HotSwap, AnotherFileIsAnotherModel) {
  Client c;
  const TempFolder folder;
  const std::string copy = folder.path("copy.gguf");
  std::filesystem::copy_file(kDemoModel, copy);
  const uint32_t graph = c.load();
  EXPECT_GT(c.load({}, copy), graph);
  EXPECT_FALSE(c.say(c.open(nullptr), "Hi").empty());
}

TEST(HotSwap, AFailedLoadLeavesAllAsItWas) {
  Client c;
  const TempFolder folder;
  const uint32_t graph = c.load();
  const uint32_t exec = c.open("s");
  const std::string first = c.say(exec, "Hello!");
  std::string damaged = TempFolder::read(kDemoModel);
  damaged.resize(damaged.size() / 2);
  for (const std::string& path : {folder.path("absent"), folder.write("half.gguf", damaged), std::string("/")}) {
    uint32_t id = 0;
    EXPECT_EQ(c.abi.load_by_name(c.ctx, path.c_str(), static_cast<uint32_t>(path.size()), &id),
              ClientAbi::runtime_error);
  }
  EXPECT_EQ(c.number(kModel, "failed"), 3);
  EXPECT_EQ(c.number(kModel, "models.0.model"), graph);
  EXPECT_EQ(c.run(exec, "More"), 0);
  EXPECT_EQ(c.session_number(exec, "messages"), 4);
  EXPECT_EQ(c.say(c.open(nullptr), "Hello!"), first);
}

TEST(HotSwap, RequestsThatRunComeToTheirEnd) {
  Client c;
  c.load();
  const uint32_t exec = c.open("s");
  int32_t code = -1;
  std::string answer;
  std::thread runs([&] { code = c.run(exec, "Tell me a story.", R"({"max_tokens":150,"ignore_eos":true})", &answer); });
  ASSERT_TRUE(wait_until_running(c));
  c.load(R"({"ctx_size":256,"swap_timeout_ms":600000})");
  runs.join();
  EXPECT_EQ(code, 0);
  EXPECT_GT(answer.size(), 150u) << "it was not cut short";
  EXPECT_EQ(c.run(exec, "Hi"), kBad);
}

TEST(HotSwap, RequestsThatDoNotEndAreCancelled) {
  Client c;
  c.load();
  const uint32_t exec = c.open("s");
  int32_t code = -1;
  std::thread runs([&] { code = c.run(exec, "Tell me a story.", R"({"max_tokens":100000000,"ignore_eos":true})"); });
  ASSERT_TRUE(wait_until_running(c));
  c.load(R"({"ctx_size":256,"swap_timeout_ms":20})");
  runs.join();
  EXPECT_EQ(code, 0) << "what there was until then";
  EXPECT_EQ(c.number(kModel, "count"), 1);
}

TEST(HotSwap, UnderLoadFromManyThreads) {
  Client c;
  c.load();
  std::atomic<bool> stop = false;
  std::atomic<int> answers = 0, strange = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const std::string name = "thread " + std::to_string(t);
      while (!stop) {
        uint32_t exec = 0;
        if (c.abi.init_execution_context_with_session_id(c.ctx, name.c_str(), &exec) != 0) continue;
        const int32_t code = c.run(exec, "Hello!");
        if (code == 0) ++answers;
        // A session may end under a swap: its handle is unknown, or its request has failed.
        if (code != 0 && code != kBad && code != ClientAbi::runtime_error) ++strange;
      }
    });
  }
  for (int i = 0; i < 12; ++i) {
    c.load(R"({"ctx_size":)" + std::to_string(192 + 64 * (i % 3)) + "}");
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(answers, 0);
  EXPECT_EQ(strange, 0);
  EXPECT_EQ(c.number(kModel, "count"), 1);
  EXPECT_FALSE(c.say(c.open("after"), "Hello!").empty());
}

TEST(HotSwap, ASessionIsClosedWhileItComputes) {
  Client c;
  c.load();
  const uint32_t exec = c.open("s"), other = c.open("other");
  ASSERT_EQ(c.set_input(exec, kLong, 1), 0);
  ASSERT_EQ(c.set_input(exec, "Tell me a story."), 0);
  int32_t code = -1;
  std::thread computes([&] { code = c.abi.compute(c.ctx, exec); });
  ASSERT_TRUE(wait_until_running(c));
  c.close(exec);
  computes.join();
  EXPECT_TRUE(code == 0 || code == ClientAbi::runtime_error) << code;
  EXPECT_EQ(c.abi.compute(c.ctx, exec), kBad);
  EXPECT_EQ(c.run(other, "Hi"), 0);
}

TEST(HotSwap, AContextIsClosedWhileItComputes) {
  Client c;
  c.load();
  const uint32_t exec = c.open("s");
  std::thread runs([&] {
    const int32_t code = c.run(exec, "Tell me a story.", R"({"max_tokens":100000000,"ignore_eos":true})");
    EXPECT_TRUE(code == 0 || code == ClientAbi::runtime_error) << code;
  });
  ASSERT_TRUE(wait_until_running(c));
  EXPECT_EQ(c.abi.deinit_backend(c.ctx), 0) << "cancels, and waits";
  runs.join();
  EXPECT_EQ(c.abi.deinit_backend(c.ctx), kBad);
  c.ctx = nullptr;
}

}  // namespace
}  // namespace linnet
