// Scenarios: what the status says, and what the log holds.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/capi/client.h"
#include "tests/gguf/temp_folder.h"

namespace linnet {
namespace {

constexpr Topic kTopics[] = {kQueue, kMemory, kSessions, kPerformance, kModel};

TEST(Status, EveryTopicIsJsonFromTheFirstMoment) {
  Client c;
  for (const Topic topic : kTopics) EXPECT_TRUE(c.status(topic).is_object()) << topic;
  EXPECT_EQ(c.number(kModel, "count"), 0);
  EXPECT_EQ(c.number(kSessions, "count"), 0);
}

TEST(Status, TheNumbersAreThoseOfWhatHappened) {
  Client c(R"({"threads":1,"temp":0,"log_level":"none","max_sessions":7,"max_concurrent":3,"queue_size":11})");
  c.load(R"({"ctx_size":320,"ignore_eos":true})");
  const uint32_t named = c.open("a \"quoted\" name"), anonymous = c.open(nullptr);
  c.say(named, "Hello!", R"({"max_tokens":5})");
  c.say(named, "Hello again!", R"({"max_tokens":6})");
  c.say(anonymous, "Hello!", R"({"max_tokens":2})");

  EXPECT_EQ(c.number(kQueue, "max_concurrent"), 3);
  EXPECT_EQ(c.number(kQueue, "queue_size"), 11);
  EXPECT_EQ(c.number(kQueue, "reject_threshold"), 11);
  EXPECT_EQ(c.number(kQueue, "requests"), 3);
  EXPECT_EQ(c.number(kQueue, "wait_ms.count"), 3);
  EXPECT_EQ(c.number(kQueue, "running"), 0);

  const Json sessions = c.status(kSessions);
  EXPECT_EQ(*at_path(sessions, "count")->integer(), 2);
  EXPECT_EQ(*at_path(sessions, "named")->integer(), 1);
  EXPECT_EQ(*at_path(sessions, "anonymous")->integer(), 1);
  EXPECT_EQ(*at_path(sessions, "max_sessions")->integer(), 7);
  EXPECT_EQ(*at_path(sessions, "sessions.0.name")->string(), "a \"quoted\" name");
  EXPECT_EQ(*at_path(sessions, "sessions.0.completion_tokens")->integer(), 11);
  EXPECT_EQ(*at_path(sessions, "sessions.0.messages")->integer(), 4);
  EXPECT_EQ(*at_path(sessions, "sessions.1.completion_tokens")->integer(), 2);

  EXPECT_EQ(c.number(kPerformance, "completion_tokens"), 13);
  EXPECT_EQ(c.number(kPerformance, "finish_reasons.max_tokens"), 3);
  EXPECT_EQ(c.number(kPerformance, "first_token_ms.count"), 3);
  EXPECT_EQ(c.number(kPerformance, "prompt_tokens"),
            c.session_number(named, "prompt_tokens") + c.session_number(anonymous, "prompt_tokens"));

  EXPECT_EQ(c.number(kModel, "count"), 1);
  EXPECT_EQ(c.number(kModel, "models.0.context"), 320);
  EXPECT_EQ(*at_path(c.status(kModel), "models.0.path")->string(), kDemoModel);
  EXPECT_EQ(*at_path(c.status(kModel), "models.0.architecture")->string(), "llama");

  EXPECT_GT(c.number(kMemory, "models.0.weight_bytes"), 1000000);
  EXPECT_GT(c.number(kMemory, "models.0.kv_bytes"), 0);
  EXPECT_GT(c.number(kMemory, "owners.session_histories"), 20);
  EXPECT_GT(c.number(kMemory, "resident_bytes"), c.number(kMemory, "models.0.weight_bytes"));
  EXPECT_EQ(c.number(kMemory, "owners.weights_mapped"), c.number(kMemory, "models.0.weight_bytes"));
}

TEST(Status, ABufferThatIsTooShortSaysHowMuchItTakes) {
  Client c;
  c.load();
  std::vector<char> big(65536);
  for (const Topic topic : kTopics) {
    for (const uint32_t size : {0u, 1u, 23u, 24u, 64u}) {
      std::vector<char> buffer(128, 'x');
      ASSERT_EQ(c.abi.get_backend_status(c.ctx, topic, buffer.data(), size), ClientAbi::too_large);
      for (size_t i = size; i < buffer.size(); ++i) ASSERT_EQ(buffer[i], 'x') << size;
      if (size < 24) continue;
      const auto note = parse_json(buffer.data());
      ASSERT_TRUE(note) << buffer.data();
      EXPECT_GT(*note->find("needed")->integer(), 64);
    }
  }
  // Exactly what it takes is enough, of a topic whose text does not change.
  ASSERT_EQ(c.abi.get_backend_status(c.ctx, kModel, big.data(), 65536), 0);
  const auto whole = static_cast<uint32_t>(std::string(big.data()).size() + 1);
  EXPECT_EQ(c.abi.get_backend_status(c.ctx, kModel, big.data(), whole), 0);
  EXPECT_EQ(c.abi.get_backend_status(c.ctx, kModel, big.data(), whole - 1), ClientAbi::too_large);
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> lines;
  std::istringstream text(TempFolder::read(path));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

TEST(Logging, TheFileIsThereAndNotEmptyAfterInit) {
  const TempFolder folder;
  const std::string path = folder.path("linnet.log");
  Client c(R"({"logging":{"level":"info","file":)" + json_quote(path) + "}}");
  EXPECT_FALSE(lines_of(path).empty());
}

TEST(Logging, JsonLinesAreJson) {
  const TempFolder folder;
  const std::string path = folder.path("linnet.log");
  {
    Client c(R"({"threads":1,"logging":{"level":"debug","format":"json","file":)" + json_quote(path) + "}}");
    c.load(R"({"max_tokens":3,"tempp":1})");
    c.say(c.open("a\nname with \"quotes\" and ä"), "Hello!");
    std::string absent = folder.path("absent\n.gguf");
    uint32_t id = 0;
    EXPECT_NE(c.abi.load_by_name(c.ctx, absent.data(), static_cast<uint32_t>(absent.size()), &id), 0);
  }
  const auto lines = lines_of(path);
  ASSERT_GT(lines.size(), 5u);
  bool performance = false, warning = false, error = false;
  for (const std::string& line : lines) {
    const auto json = parse_json(line);
    ASSERT_TRUE(json) << line;
    for (const char* key : {"time", "level", "tag", "message"}) EXPECT_TRUE(json->find(key)) << line;
    const std::string_view level = *json->find("level")->string();
    const std::string_view message = *json->find("message")->string();
    if (*json->find("tag")->string() == "PERF") performance |= json->find("tokens") != nullptr;
    warning |= level == "warning" && message.find("tempp") != message.npos;
    error |= level == "error" && message.find("absent") != message.npos;
  }
  EXPECT_TRUE(performance && warning && error);
}

TEST(Logging, LevelsLetThroughTheirsAndWhatIsWorse) {
  const TempFolder folder;
  size_t before = 0;
  for (const char* level : {"none", "error", "warn", "info", "debug"}) {
    const std::string path = folder.path(level);
    {
      Client c(R"({"threads":1,"bad key":1,"logging":{"level":")" + std::string(level) + R"(","file":)" +
               json_quote(path) + "}}");
      uint32_t id = 0;
      EXPECT_NE(c.abi.load_by_name(c.ctx, "/absent", 7, &id), 0);
      c.load(R"({"max_tokens":1})");
      c.say(c.open("s"), "Hi");
    }
    const size_t lines = lines_of(path).size();
    if (std::string_view(level) == "none") {
      EXPECT_EQ(lines, 0u);
    } else {
      EXPECT_GT(lines, before) << level;
    }
    before = lines;
  }
}

TEST(Logging, AFileThatCannotBeOpenedIsNoReasonToFail) {
  const TempFolder folder;
  const std::string path = folder.write("file", "") + "/below/a/file.log";
  Client c(R"({"threads":1,"logging":{"level":"error","file":)" + json_quote(path) + "}}");
  c.load(R"({"max_tokens":1})");
  EXPECT_EQ(c.run(c.open("s"), "Hi"), 0);
}

TEST(Logging, AFileIsRenamedWhenItIsFull) {
  const TempFolder folder;
  const std::string path = folder.path("linnet.log");
  Client c(R"({"threads":1,"logging":{"level":"debug","max_mb":1,"kept_files":2,"file":)" + json_quote(path) + "}}");
  c.load(R"({"max_tokens":1})");
  // A warning names the key: lines of some 60 kB each.
  const std::string config = "{\"" + std::string(60000, 'k') + "\":1}";
  const uint32_t exec = c.open("s");
  for (int i = 0; i < 60; ++i) c.run(exec, "", config);
  EXPECT_LE(folder.entries(), 3u);
  EXPECT_LE(TempFolder::read(path).size(), size_t{2} << 20);
}

}  // namespace
}  // namespace linnet
