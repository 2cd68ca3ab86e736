// Priorities, fairness and deadlines in a running engine; the policy itself is tested in scheduler_test.cpp.
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <utility>

#include "tests/runtime/engine_support.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

// A request that holds up the engine at its first token until it is let go.
class Gate {
 public:
  std::function<bool(std::string_view)> on_text() {
    return [this](std::string_view) {
      std::unique_lock lock(mutex_);
      arrived_ = true;
      changed_.notify_all();
      changed_.wait(lock, [&] { return open_; });
      return true;
    };
  }
  void wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return arrived_; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool arrived_ = false, open_ = false;
};

void wait_for_queue(const Engine& engine, int64_t n) {
  while (engine.stats().queued < n) std::this_thread::yield();
}

// One place: a low request runs, an urgent one comes, takes its place, ends first; the low one goes on to the same text.
TEST(EnginePriority, AnUrgentRequestTakesAPlaceAndTheTextStaysTheSame) {
  const auto model = tiny_model();
  Request low = make_request(random_prompt(200, 1), 40);
  low.priority = Priority::low;
  const auto expected = make_engine(model)->generate(low);
  ASSERT_TRUE(expected);
  for (const int64_t cache : {2048, 512}) {  // with pages for both, and with too few
    auto engine = make_engine(model, {.context = 512, .max_concurrent = 1, .cache_tokens = cache});
    Gate gate;
    // All on the engine's thread: how many pieces of the urgent text there were at each later piece of the low one.
    int64_t urgent_pieces = 0;
    std::vector<int64_t> seen;
    Result<Completion> result = Error{}, fast = Error{};
    Request held = low;
    held.on_text = [&, hold = gate.on_text(), first = true](std::string_view text) mutable {
      if (!std::exchange(first, false)) seen.push_back(urgent_pieces);
      return hold(text);
    };
    std::thread slow([&] { result = engine->generate(held); });
    gate.wait();
    Request urgent = make_request(random_prompt(300, 2), 30);
    urgent.priority = Priority::urgent;
    urgent.on_text = [&](std::string_view) { return ++urgent_pieces > 0; };
    std::thread quick([&] { fast = engine->generate(urgent); });
    wait_for_queue(*engine, 1);
    gate.open();
    slow.join();
    quick.join();
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_TRUE(fast) << fast.error().message;
    EXPECT_GT(urgent_pieces, 0);
    EXPECT_GT(seen.size(), 5u);
    for (const int64_t pieces : seen) EXPECT_EQ(pieces, urgent_pieces);
    EXPECT_EQ(result->tokens, expected->tokens);
    EXPECT_EQ(result->text, expected->text);
    EXPECT_EQ(engine->stats().displaced, 1);
    EXPECT_EQ(engine->stats().preemptions, cache == 512 ? 1 : 0);
    EXPECT_EQ(engine->stats().pages_used, 0);
  }
}

TEST(EnginePriority, WithoutPrioritiesNobodyIsDisplaced) {
  auto engine = make_engine(tiny_model(), {.max_concurrent = 1, .priorities = false});
  Gate gate;
  Request low = make_request(random_prompt(20, 1), 10);
  low.priority = Priority::low;
  low.on_text = gate.on_text();
  std::thread slow([&] { EXPECT_TRUE(engine->generate(low)); });
  gate.wait();
  Request urgent = make_request(random_prompt(20, 2), 10);
  urgent.priority = Priority::urgent;
  std::thread quick([&] { EXPECT_TRUE(engine->generate(urgent)); });
  wait_for_queue(*engine, 1);
  gate.open();
  slow.join();
  quick.join();
  EXPECT_EQ(engine->stats().displaced, 0);
}

TEST(EnginePriority, ADeadlineInTheQueueEndsOnlyThatRequest) {
  auto engine = make_engine(tiny_model(), {.max_concurrent = 1});
  Gate gate;
  Request first = make_request(random_prompt(20, 1), 10);
  first.on_text = gate.on_text();
  std::thread runs([&] { EXPECT_TRUE(engine->generate(first)); });
  gate.wait();
  Result<Completion> late = Error{}, patient = Error{};
  std::thread waits([&] {
    Request request = make_request(random_prompt(20, 2), 10);
    request.queue_timeout_ms = 1e-3;
    late = engine->generate(request);
  });
  std::thread waits_longer([&] {
    Request request = make_request(random_prompt(20, 3), 10);
    request.queue_timeout_ms = 1e9;
    patient = engine->generate(request);
  });
  wait_for_queue(*engine, 2);
  gate.open();
  runs.join();
  waits.join();
  waits_longer.join();
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::timeout);
  EXPECT_TRUE(patient);
}

TEST(EnginePriority, ADeadlineForTheFirstTokenEndsALongPrompt) {
  auto engine = make_engine(tiny_model(), {.batch_tokens = 8});
  Request request = make_request(random_prompt(1000, 2), 10);
  request.first_token_timeout_ms = 1e-3;
  const auto late = engine->generate(request);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::timeout);
  EXPECT_LT(engine->stats().rows, 1000);
  request.first_token_timeout_ms = 1e9;
  EXPECT_TRUE(engine->generate(request));
}

// Cancelling bites between the steps of a prompt.
TEST(EnginePriority, CancellingDuringThePromptEndsItWithinAStep) {
  auto engine = make_engine(tiny_model(), {.batch_tokens = 4});
  std::atomic<bool> cancel = false;
  const Request request = make_request(random_prompt(2000, 2), 10);
  Result<Completion> result = Error{};
  std::thread runs([&] { result = engine->generate(request, &cancel); });
  while (engine->stats().steps < 3) std::this_thread::yield();
  cancel = true;
  runs.join();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish_reason, FinishReason::cancelled);
  EXPECT_LT(engine->stats().rows, 2000);
}

// A conversation's pages as bytes, and on in another engine.
TEST(EnginePriority, AConversationIsParkedAndResumed) {
  const auto model = tiny_model();
  auto engine = make_engine(model);
  Request request = make_request(random_prompt(150, 4), 20);
  request.salt = 7;
  request.conversation = engine->open_conversation();
  const auto first = engine->generate(request);
  ASSERT_TRUE(first);
  const auto bytes = engine->park_conversation(request.conversation);
  ASSERT_TRUE(bytes);
  Request next = make_request(request.prompt, 20);
  next.salt = 7;
  next.prompt.insert(next.prompt.end(), first->tokens.begin(), first->tokens.end());
  next.prompt.push_back(50);
  const auto expected = make_engine(model)->generate(next);
  ASSERT_TRUE(expected);
  auto other = make_engine(model);
  EXPECT_FALSE(other->resume_conversation(*bytes, 8)) << "another tenant";
  const auto resumed = other->resume_conversation(*bytes, 7);
  ASSERT_TRUE(resumed) << resumed.error().message;
  next.conversation = *resumed;
  const auto second = other->generate(next);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->tokens, expected->tokens);
  EXPECT_GE(second->cached_tokens, static_cast<int64_t>(request.prompt.size() + first->tokens.size()) - 1);
  EXPECT_FALSE(other->park_conversation(999));
  EXPECT_TRUE(other->park_conversation(other->open_conversation())->empty());
  auto damaged = *bytes;
  damaged.resize(damaged.size() / 2);
  EXPECT_FALSE(other->resume_conversation(damaged, 7));
}

}  // namespace
}  // namespace linnet
