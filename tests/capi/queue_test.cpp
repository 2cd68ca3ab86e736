// Scenarios: many requests at once, limits, priorities, deadlines, cancellation.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/capi/client.h"

namespace linnet {
namespace {

constexpr int32_t kFull = ClientAbi::runtime_error;
const std::string kEndless = R"({"max_tokens":100000000,"ignore_eos":true})";

using Clock = std::chrono::steady_clock;
int64_t ms_since(Clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin).count();
}

std::string backend(const std::string& keys) {
  return R"({"threads":1,"temp":0,"max_tokens":4,"ctx_size":256,"log_level":"none","backend":{)" + keys + "}}";
}

// A request on a thread of its own.
class Running {
 public:
  Running(Client& client, uint32_t exec, std::string config)
      : thread_([this, &client, exec, config = std::move(config)] {
          code = client.run(exec, "Tell me a story.", config, &text);
          end = Clock::now();
          done = true;
        }) {}
  ~Running() { join(); }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  std::atomic<int32_t> code = -1;
  std::atomic<bool> done = false;
  std::string text;
  Clock::time_point end;

 private:
  std::thread thread_;
};

// Whether the queue comes to have so many running and waiting requests.
bool reaches(Client& c, int64_t running, int64_t queued) {
  for (const auto begin = Clock::now(); ms_since(begin) < 20000;) {
    const Json status = c.status(kQueue);
    if (*at_path(status, "running")->integer() == running && *at_path(status, "queued")->integer() == queued)
      return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

TEST(Queue, EightThreadsOnOneContext) {
  Client c;
  c.load(R"({"max_tokens":12})");
  const std::string expected = c.say(c.open("reference"), "Hello!");
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) {
        const uint32_t exec = c.open(("thread " + std::to_string(t) + " " + std::to_string(i)).c_str());
        if (c.say(exec, "Hello!") != expected) ++wrong;
        c.close(exec);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0) << "what others do makes no difference";
  EXPECT_EQ(c.number(kQueue, "requests"), 41);
  EXPECT_EQ(c.number(kPerformance, "errors"), 0);
}

TEST(Queue, EightThreadsOnOneSessionTakeTurns) {
  Client c;
  c.load();
  const uint32_t exec = c.open("shared");
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) threads.emplace_back([&] { c.say(exec, "Hello!"); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(c.session_number(exec, "messages"), 16);
  EXPECT_EQ(c.session_number(exec, "requests"), 8);
}

TEST(Queue, AFullQueueRefusesAndRecovers) {
  Client c(backend(R"("max_concurrent":1,"queue_size":2)"));
  c.load();
  std::vector<uint32_t> exec;
  for (int i = 0; i < 4; ++i) exec.push_back(c.open(("s" + std::to_string(i)).c_str()));
  Running first(c, exec[0], kEndless);
  ASSERT_TRUE(reaches(c, 1, 0));
  Running second(c, exec[1], {}), third(c, exec[2], {});
  ASSERT_TRUE(reaches(c, 1, 2));
  EXPECT_EQ(c.run(exec[3], "Hi"), kFull);
  EXPECT_EQ(c.number(kQueue, "rejected"), 1);
  EXPECT_TRUE(*at_path(c.status(kQueue), "nearly_full")->boolean());
  EXPECT_EQ(c.abi.cancel(c.ctx, exec[0]), 0);
  for (Running* each : {&first, &second, &third}) {
    each->join();
    EXPECT_EQ(each->code, 0);
  }
  EXPECT_EQ(c.run(exec[3], "Hi"), 0);
}

TEST(Queue, TheRejectThresholdIsTheQueuesEnd) {
  Client c(backend(R"("max_concurrent":1,"queue_size":10,"queue_warning_threshold":1,"queue_reject_threshold":1)"));
  c.load();
  const uint32_t a = c.open("a"), b = c.open("b"), d = c.open("d");
  Running first(c, a, kEndless);
  ASSERT_TRUE(reaches(c, 1, 0));
  Running second(c, b, {});
  ASSERT_TRUE(reaches(c, 1, 1));
  EXPECT_EQ(c.run(d, "Hi"), kFull);
  EXPECT_EQ(c.abi.cancel(c.ctx, a), 0);
}

TEST(Queue, AnUrgentRequestTakesThePlaceOfAnotherWhichGoesOn) {
  Client c(backend(R"("max_concurrent":1)"));
  c.load();
  const std::string some = R"({"max_tokens":150,"ignore_eos":true})";
  const std::string alone = c.say(c.open("alone"), "Tell me a story.", some);
  const uint32_t low = c.open("low"), urgent = c.open("urgent");
  Running slow(c, low, R"({"max_tokens":150,"ignore_eos":true,"priority":"low"})");
  ASSERT_TRUE(reaches(c, 1, 0));
  EXPECT_EQ(c.run(urgent, "Hi", R"({"max_tokens":2,"priority":"urgent"})"), 0);
  EXPECT_FALSE(slow.done) << "the urgent one was done first";
  slow.join();
  EXPECT_EQ(slow.text, alone) << "the interrupted one says what it would have said";
}

TEST(Queue, WhoWaitsTooLongIsToldSo) {
  Client c(backend(R"("max_concurrent":1)"));
  c.load();
  const uint32_t a = c.open("a"), b = c.open("b");
  Running first(c, a, kEndless);
  ASSERT_TRUE(reaches(c, 1, 0));
  const auto begin = Clock::now();
  EXPECT_EQ(c.run(b, "Hi", R"({"queue_timeout_ms":60})"), ClientAbi::timeout);
  EXPECT_GE(ms_since(begin), 55);
  EXPECT_LT(ms_since(begin), 10000);
  EXPECT_EQ(c.run(a, "Hi", R"({"queue_timeout_ms":60})"), ClientAbi::timeout) << "the session itself is busy";
  EXPECT_EQ(c.number(kQueue, "timeouts"), 2);
  EXPECT_EQ(c.number(kQueue, "queued"), 0);
  EXPECT_EQ(c.session_number(b, "messages"), 0) << "nothing was said";
  EXPECT_EQ(c.abi.cancel(c.ctx, a), 0);
}

TEST(Queue, TheTaskTimeoutIsTheDeadlineOfAll) {
  Client c(backend(R"("max_concurrent":1,"default_task_timeout_ms":1000)"));
  c.load();
  const uint32_t a = c.open("a"), b = c.open("b");
  Running first(c, a, kEndless);
  ASSERT_TRUE(reaches(c, 1, 0));
  EXPECT_EQ(c.run(b, "Hi"), ClientAbi::timeout);
  EXPECT_EQ(c.abi.cancel(c.ctx, a), 0);
}

TEST(Queue, AFirstTokenHasADeadline) {
  Client c(backend(R"("max_concurrent":1)"));
  c.load();
  const uint32_t a = c.open("a"), b = c.open("b");
  Running first(c, a, kEndless);
  ASSERT_TRUE(reaches(c, 1, 0));
  EXPECT_EQ(c.run(b, "Hi", R"({"first_token_timeout_ms":40})"), ClientAbi::timeout);
  EXPECT_EQ(c.abi.cancel(c.ctx, a), 0);
}

TEST(Queue, ATextHasADeadlineAndKeepsWhatIsThere) {
  Client c;
  c.load();
  const uint32_t exec = c.open("s");
  const auto begin = Clock::now();
  const std::string text =
      c.say(exec, "Tell me a story.", R"({"max_tokens":100000000,"ignore_eos":true,"max_time_ms":100})");
  EXPECT_GE(ms_since(begin), 95);
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(c.session_number(exec, "messages"), 2);
}

TEST(Queue, CancellingFromAnotherThreadEndsWithinAStep) {
  Client c;
  c.load();
  const uint32_t exec = c.open("s");
  EXPECT_EQ(c.abi.cancel(c.ctx, exec), 0) << "nothing runs";
  Running endless(c, exec, kEndless);
  ASSERT_TRUE(reaches(c, 1, 0));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const auto begin = Clock::now();
  EXPECT_EQ(c.abi.cancel(c.ctx, exec), 0);
  endless.join();
  EXPECT_LT(std::chrono::duration_cast<std::chrono::milliseconds>(endless.end - begin).count(), 2000);
  EXPECT_EQ(endless.code, 0);
  EXPECT_FALSE(endless.text.empty()) << "what there was";
  EXPECT_EQ(c.number(kPerformance, "finish_reasons.cancelled"), 1);
  EXPECT_EQ(c.run(exec, "Hi"), 0) << "the session goes on";
}

TEST(Queue, CancellingReachesThoseWhoWait) {
  Client c(backend(R"("max_concurrent":1)"));
  c.load();
  const uint32_t a = c.open("a"), b = c.open("b");
  Running first(c, a, kEndless);
  ASSERT_TRUE(reaches(c, 1, 0));
  Running second(c, b, {});
  ASSERT_TRUE(reaches(c, 1, 1));
  EXPECT_EQ(c.abi.cancel(c.ctx, b), 0);
  second.join();
  EXPECT_EQ(second.code, 0) << "it has said nothing";
  EXPECT_TRUE(second.text.empty());
  EXPECT_EQ(c.session_number(b, "messages"), 0);
  EXPECT_FALSE(first.done);
  Running third(c, a, {});  // behind the first, in the same session
  while (c.session_number(a, "waiting") == 0) std::this_thread::yield();
  EXPECT_EQ(c.abi.cancel(c.ctx, a), 0);
  third.join();
  first.join();
  EXPECT_EQ(third.code, 0);
  EXPECT_TRUE(third.text.empty());
  EXPECT_EQ(c.session_number(a, "messages"), 2);
}

}  // namespace
}  // namespace linnet
