// Scenarios: who has which session, how long, and what it remembers.
#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/capi/client.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr int32_t kBad = ClientAbi::invalid_argument;
constexpr int32_t kFull = ClientAbi::runtime_error;

void pause_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

std::string limits(const std::string& keys) {
  return R"({"threads":1,"temp":0,"max_tokens":4,"ctx_size":256,"log_level":"none","backend":{)" + keys + "}}";
}

TEST(Sessions, ANameIsOneHandleAsLongAsItIsOpen) {
  Client c;
  c.load();
  const uint32_t ann = c.open("ann");
  EXPECT_EQ(c.open("ann"), ann);
  EXPECT_NE(c.open("bob"), ann);
  EXPECT_NE(c.open("Ann"), ann);
  c.close(ann);
  EXPECT_EQ(c.run(ann, "Hi"), kBad);
  EXPECT_GT(c.open("ann"), ann) << "a new one, without the old one's history";
}

TEST(Sessions, NamesAreUtf8AndNotEmpty) {
  Client c;
  c.load();
  uint32_t exec = 0;
  EXPECT_EQ(c.abi.init_execution_context_with_session_id(c.ctx, "", &exec), kBad);
  EXPECT_EQ(c.abi.init_execution_context_with_session_id(c.ctx, "\xff\xfe", &exec), kBad);
  EXPECT_EQ(exec, 0u);
  const std::string longest(100000, 'x');
  const uint32_t wide = c.open("sesión-会话-😀");
  EXPECT_EQ(c.open("sesión-会话-😀"), wide);
  EXPECT_EQ(c.open(longest.c_str()), c.open(longest.c_str()));
}

TEST(Sessions, HistoriesGrowAndAreSeparate) {
  Client c;
  c.load(R"({"max_tokens":24})");
  const uint32_t ann = c.open("ann"), bob = c.open("bob");
  c.say(ann, "My name is Ann.");
  c.say(bob, "My name is Bob.");
  c.say(ann, "What is my name?");
  EXPECT_EQ(c.session_number(ann, "messages"), 4);
  EXPECT_EQ(c.session_number(ann, "requests"), 2);
  EXPECT_EQ(c.session_number(bob, "messages"), 2);
  EXPECT_GT(c.session_number(ann, "cached_tokens"), 0) << "only what is new is computed";
  EXPECT_GT(c.session_number(ann, "history_bytes"), 30);
  // The same conversation without the other one gives the same text.
  Client alone;
  alone.load(R"({"max_tokens":24})");
  const uint32_t again = alone.open("ann");
  alone.say(again, "My name is Ann.");
  const std::string expected = alone.say(again, "What is my name?");
  const uint32_t third = c.open("third");
  c.say(third, "My name is Ann.");
  EXPECT_EQ(c.say(third, "What is my name?"), expected);
}

TEST(Sessions, TheOneUsedLongestAgoMakesRoom) {
  Client c(limits(R"("max_sessions":3)"));
  c.load();
  const uint32_t a = c.open("a"), b = c.open("b"), d = c.open("d");
  pause_ms(3);
  c.say(a, "Hi");
  pause_ms(3);
  c.say(d, "Hi");
  pause_ms(3);
  const uint32_t e = c.open("e");
  EXPECT_EQ(c.run(b, "Hi"), kBad) << "b was used longest ago";
  EXPECT_EQ(c.run(a, "Hi"), 0);
  EXPECT_EQ(c.run(d, "Hi"), 0);
  EXPECT_EQ(c.run(e, "Hi"), 0);
  EXPECT_EQ(c.number(kSessions, "evictions"), 1);
  EXPECT_EQ(c.number(kSessions, "named"), 3);
}

TEST(Sessions, OpeningANameAgainCountsAsUse) {
  Client c(limits(R"("max_sessions":2)"));
  c.load();
  const uint32_t a = c.open("a");
  pause_ms(3);
  const uint32_t b = c.open("b");
  pause_ms(3);
  EXPECT_EQ(c.open("a"), a);
  pause_ms(3);
  c.open("third");
  EXPECT_EQ(c.run(a, "Hi"), 0) << "whoever asked for it last wants it";
  EXPECT_EQ(c.run(b, "Hi"), kBad);
}

TEST(Sessions, IdleOnesGo) {
  Client c(limits(R"("max_sessions":10,"idle_timeout_ms":50)"));
  c.load();
  const uint32_t idle = c.open("idle"), anonymous = c.open(nullptr);
  c.say(idle, "Hi");
  pause_ms(120);
  const uint32_t fresh = c.open("fresh");
  EXPECT_EQ(c.run(idle, "Hi"), kBad);
  EXPECT_EQ(c.run(fresh, "Hi"), 0);
  EXPECT_EQ(c.run(anonymous, "Hi"), 0) << "sessions without a name stay until they are closed";
}

TEST(Sessions, WithoutCleanupFullIsAnError) {
  for (const char* key : {"auto_cleanup", "auto_cleanup_enabled", "auto_cleanup_sessions"}) {
    Client c(limits(R"("max_sessions":2,"idle_timeout_ms":50,")" + std::string(key) + R"(":false)"));
    c.load();
    const uint32_t a = c.open("a"), b = c.open("b");
    pause_ms(80);
    uint32_t exec = 0;
    EXPECT_EQ(c.abi.init_execution_context_with_session_id(c.ctx, "third", &exec), kFull) << key;
    EXPECT_EQ(c.open("a"), a) << "those that are there can be had";
    c.close(b);
    EXPECT_EQ(c.abi.init_execution_context_with_session_id(c.ctx, "third", &exec), 0);
  }
}

TEST(Sessions, AnonymousOnesHaveALimitOfTheirOwn) {
  Client c(limits(R"("max_sessions":2,"max_concurrent":3)"));
  c.load();
  std::set<uint32_t> open;
  for (int i = 0; i < 3; ++i) open.insert(c.open(nullptr));
  EXPECT_EQ(open.size(), 3u) << "each is another one";
  uint32_t exec = 0;
  EXPECT_EQ(c.abi.init_execution_context(c.ctx, c.graph, &exec), kFull);
  c.open("named");
  c.open("named too");
  EXPECT_EQ(c.number(kSessions, "anonymous"), 3);
  c.close(*open.begin());
  EXPECT_EQ(c.abi.init_execution_context(c.ctx, c.graph, &exec), 0);
}

TEST(Sessions, EachHasItsOwnSettings) {
  Client c(limits(R"("max_sessions":9)"));
  c.load(R"({"max_tokens":5})");
  const uint32_t model = c.open("model's");
  const uint32_t session = c.open("its own", R"({"stopping":{"max_tokens":3}})");
  for (const uint32_t exec : {model, session}) c.say(exec, "Tell me a story.", R"({"ignore_eos":true})");
  c.say(session, "Tell me more.", R"({"max_tokens":2,"ignore_eos":true})");
  EXPECT_EQ(c.session_number(model, "completion_tokens"), 5);
  EXPECT_EQ(c.session_number(session, "completion_tokens"), 3 + 2);
  c.say(session, "Tell me more.", R"({"ignore_eos":true})");
  EXPECT_EQ(c.session_number(session, "completion_tokens"), 3 + 2 + 3) << "a request's settings end with it";
  EXPECT_EQ(c.open("its own", R"({"max_tokens":1})"), session) << "other settings for a session that is open";
  c.say(session, "Tell me more.", R"({"ignore_eos":true})");
  EXPECT_EQ(c.session_number(session, "completion_tokens"), 3 + 2 + 3 + 1);
}

TEST(Sessions, PagesAreSharedBetweenEqualSaltsOnly) {
  Client c(limits(R"("max_sessions":9)"));
  c.load(R"({"max_tokens":1})");
  std::string secret = "The canary's word is";
  for (int i = 0; i < 24; ++i) secret += " yellow" + std::to_string(i);
  const auto cached = [&](const char* name, const char* config) {
    const uint32_t exec = c.open(name, config);
    c.say(exec, secret);
    return c.session_number(exec, "cached_tokens");
  };
  EXPECT_EQ(cached("first", R"({"cache_salt":"one"})"), 0);
  EXPECT_GE(cached("friend", R"({"cache_salt":"one"})"), 64) << "the same tenant: pages are shared";
  EXPECT_EQ(cached("stranger", R"({"cache_salt":"two"})"), 0) << "another tenant cannot even see that they are there";
  EXPECT_EQ(cached("nobody's", "{}"), 0);
  EXPECT_GE(cached("stranger's friend", R"({"cache_salt":"two"})"), 64);
}

TEST(Sessions, ALongConversationCostsTheSameEveryTurn) {
  Client c(R"({"threads":2,"temp":0,"ctx_size":256,"max_tokens":16,"log_level":"none","n_keep_tokens":64,
               "n_discard_tokens":64})");
  c.load();
  const uint32_t exec = c.open("long");
  int64_t before = 0, most_early = 0, most_late = 0, tokens = 0;
  const int turns = test_count(300);
  for (int turn = 0; turn < turns; ++turn) {
    c.say(exec, "Tell me about number " + std::to_string(turn) + ", please.", R"({"ignore_eos":true})");
    const Json status = c.status(kSessions);
    const int64_t computed = *at_path(status, "sessions.0.prompt_tokens")->integer() -
                             *at_path(status, "sessions.0.cached_tokens")->integer();
    int64_t& most = turn < turns / 2 ? most_early : most_late;
    most = std::max(most, computed - before);
    before = computed;
    tokens = *at_path(status, "sessions.0.completion_tokens")->integer() + computed;
  }
  EXPECT_GT(tokens, turns * 25) << "the whole conversation, far beyond the context of 256";
  EXPECT_GT(c.session_number(exec, "discarded_tokens"), turns * 10);
  EXPECT_GT(c.number(kMemory, "models.0.shifts"), turns / 10);
  EXPECT_LT(most_late, 64) << "a turn computes its own message";
  EXPECT_LT(most_early, 64);
}

// n_keep_tokens is 128 where nobody says otherwise, which is all of this context.
TEST(Sessions, ASmallContextShiftsWithTheDefaults) {
  Client c(R"({"threads":2,"temp":0,"ctx_size":128,"max_tokens":16,"log_level":"none"})");
  c.load();
  const uint32_t exec = c.open("small");
  for (int turn = 0; turn < 12; ++turn) c.say(exec, "Tell me about that.", R"({"ignore_eos":true})");
  EXPECT_GT(c.session_number(exec, "discarded_tokens"), 0);
}

TEST(Sessions, AHundredAtOnce) {
  Client c(R"({"threads":2,"temp":0,"ctx_size":128,"max_tokens":4,"log_level":"none","max_sessions":200,
               "max_concurrent":32,"queue_size":200,"default_task_timeout_ms":600000})");
  c.load();
  std::vector<uint32_t> open;
  for (int i = 0; i < 120; ++i) open.push_back(c.open(("session " + std::to_string(i)).c_str()));
  std::vector<std::thread> threads;
  std::vector<int32_t> codes(open.size(), -1);
  for (size_t i = 0; i < open.size(); ++i)
    threads.emplace_back([&, i] { codes[i] = c.run(open[i], "Hello, I am number " + std::to_string(i)); });
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < codes.size(); ++i) EXPECT_EQ(codes[i], 0) << i;
  EXPECT_EQ(c.number(kSessions, "named"), 120);
  EXPECT_EQ(c.number(kQueue, "requests"), 120);
  EXPECT_EQ(c.number(kQueue, "rejected"), 0);
  EXPECT_EQ(c.number(kQueue, "running"), 0);
}

}  // namespace
}  // namespace linnet
