// linnet load-test sends what it says and counts what comes back. Numbers of requests, never milliseconds.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "gguf/base/json.h"
#include "tests/support.h"
#include "tests/tools/command_line.h"

namespace linnet {
namespace {

const std::string kDemo = LINNET_SOURCE_DIR "/tools/demo-model/demo.gguf";

int64_t number(const Json& json, const char* key) {
  const Json* value = json.find(key);
  EXPECT_TRUE(value && value->is_integer()) << key;
  return value && value->is_integer() ? *value->integer() : -1;
}

// The levels of a test with these arguments.
std::vector<Json> levels_of(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"load-test", kDemo, "--json"});
  const Outcome run = linnet_command(arguments);
  EXPECT_EQ(run.code, 0) << run.err;
  const auto json = parse_json(run.out);
  EXPECT_TRUE(json) << run.out;
  if (!json || !json->find("levels")) return {};
  const auto levels = json->find("levels")->elements();
  return {levels.begin(), levels.end()};
}

TEST(LoadTest, CountsEveryRequest) {
  const auto levels = levels_of({"--sessions", "1,6", "--turns", "2", "--requests", "30", "-n", "4", "--temp", "0"});
  ASSERT_EQ(levels.size(), 2u);
  EXPECT_EQ(number(levels[0], "sessions"), 1);
  EXPECT_EQ(number(levels[1], "sessions"), 6);
  for (const Json& level : levels) {
    EXPECT_EQ(number(level, "requests"), 30);
    EXPECT_EQ(number(level, "cancelled"), 0);
    EXPECT_TRUE(level.find("errors")->members().empty());
    EXPECT_EQ(number(level, "preemptions"), 0);
    EXPECT_EQ(number(level, "displaced"), 0);
    EXPECT_GT(number(level, "measured"), 0);
    EXPECT_LE(number(level, "measured"), 30);
    EXPECT_GT(number(level, "completion_tokens"), 0);
    EXPECT_LE(number(level, "completion_tokens"), 4 * 30);
    EXPECT_GT(number(*level.find("memory_start"), "resident_bytes"), 0);
    EXPECT_GT(number(*level.find("memory_end"), "kv_bytes"), 0);
    for (const char* measure : {"queue_ms", "first_token_ms", "per_token_ms", "total_ms"}) {
      double last = 0;
      for (const char* share : {"p50", "p90", "p99", "max"}) {
        const double value = *level.find(measure)->find(share)->number();
        EXPECT_GE(value, last) << measure << " " << share;
        last = value;
      }
      EXPECT_GT(last, 0) << measure;
    }
  }
}

TEST(LoadTest, CancelsItsShare) {
  const int64_t requests = test_count(40);
  const auto levels = levels_of(
      {"--sessions", "4", "--cancel", "1", "--requests", std::to_string(requests), "-n", "400", "--ignore-eos"});
  ASSERT_EQ(levels.size(), 1u);
  EXPECT_EQ(number(levels[0], "requests"), requests);
  EXPECT_TRUE(levels[0].find("errors")->members().empty());
  // A text may come to its end before somebody loses patience, on a fast machine.
  EXPECT_GT(number(levels[0], "cancelled"), requests / 2);
  EXPECT_LE(number(levels[0], "measured") + number(levels[0], "cancelled"), requests);
}

TEST(LoadTest, CountsRefusalsByTheirCode) {
  const auto levels = levels_of({"--sessions", "6", "--requests", "24", "-n", "30", "--config",
                                 R"({"max_concurrent":1,"queue_reject_threshold":1,"queue_warning_threshold":1})"});
  ASSERT_EQ(levels.size(), 1u);
  EXPECT_EQ(number(levels[0], "requests"), 24);
  const Json& errors = *levels[0].find("errors");
  ASSERT_EQ(errors.members().size(), 1u);
  EXPECT_GT(number(errors, "busy"), 0);
  EXPECT_LT(number(errors, "busy"), 24);
}

TEST(LoadTest, DrawsItsFigures) {
  const std::string base =
      (std::filesystem::temp_directory_path() / ("linnet-load-" + std::to_string(::getpid()))).string();
  const Outcome run = linnet_command({"load-test", kDemo, "--sessions", "1,2", "--requests", "6", "-n", "3", "--svg",
                                      base + ".svg", "--html", base + ".html"});
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("tokens/s"), std::string::npos);
  for (const char* end : {".svg", ".html"}) {
    std::ifstream in(base + end);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    EXPECT_NE(text.find("<svg xmlns="), std::string::npos) << end;
    EXPECT_NE(text.find("tokens/s, 2 sessions"), std::string::npos) << end;
    EXPECT_EQ(text.find("nan"), std::string::npos) << end;
    std::filesystem::remove(base + end);
  }
  EXPECT_EQ(linnet_command(
                {"load-test", kDemo, "--sessions", "1", "--requests", "1", "-n", "1", "--svg", "/nonexistent/x.svg"})
                .code,
            1);
}

TEST(LoadTest, RefusesWhatHasNoMeaning) {
  for (const auto& arguments : {std::vector<std::string>{"--sessions", "0"},
                                {"--cancel", "1.5"},
                                {"--turns", "0"},
                                {"--seconds", "0"},
                                {"--requests", "-1"}}) {
    const Outcome run = linnet_command({"load-test", kDemo, arguments[0], arguments[1]});
    EXPECT_EQ(run.code, 1) << arguments[0];
    EXPECT_NE(run.err.find(arguments[0]), std::string::npos) << run.err;
  }
  EXPECT_EQ(linnet_command({"load-test", "/nonexistent.gguf"}).code, 1);
}

}  // namespace
}  // namespace linnet
