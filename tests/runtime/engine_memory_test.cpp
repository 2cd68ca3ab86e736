// The Nth allocation fails, for N = 1, 2, ... until nothing fails: each time the requests concerned end with an error,
// and the engine goes on as if nothing had been.
#include <atomic>
#include <cstdio>

#include "tests/runtime/engine_support.h"
#include "tests/runtime/failing_new.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

TEST(EngineMemory, AnyAllocationMayFail) {
  if (!can_fail_allocations()) GTEST_SKIP() << "operator new cannot be replaced here";
  const auto model = tiny_model();
  Request request = make_request(random_prompt(150, 5), 6);
  request.stopping.stop = {"a stop string longer than any small string"};
  std::string shown;
  shown.reserve(1000);
  request.on_text = [&](std::string_view text) {
    shown += text;
    return true;
  };
  const auto expected = make_engine(model)->generate(request);
  ASSERT_TRUE(expected);
  // Once with a fresh engine each time, where thread, pages and index are new; once with one that goes on.
  for (const bool fresh : {true, false}) {
    auto engine = make_engine(model, {.forward = {.threads = 2}, .batch_tokens = 40});
    int64_t failed = 0, n = 0;
    for (bool ended = false; !ended && n < 100000; ++n) {
      if (fresh) engine = make_engine(model, {.forward = {.threads = 2}, .batch_tokens = 40});
      const int64_t id = engine->open_conversation();
      request.conversation = id;
      Result<Completion> result = Error{};
      Result<std::vector<float>> score = Error{};
      shown.clear();
      fail_allocation(n);
      result = engine->generate(request);
      score = engine->score(request.prompt);
      ended = none_failed();
      if (result) {
        ASSERT_EQ(result->tokens, expected->tokens) << n;
        ASSERT_EQ(result->text, expected->text) << n;
      } else {
        ASSERT_EQ(result.error().code, Code::out_of_memory) << n << ": " << result.error().message;
      }
      ASSERT_TRUE(score || score.error().code == Code::out_of_memory) << n;
      failed += !result + !score;
      const auto after = engine->generate(request);
      ASSERT_TRUE(after) << after.error().message;
      ASSERT_EQ(after->tokens, expected->tokens) << n;
      engine->close_conversation(id);
      ASSERT_EQ(engine->stats().pages_used, 0) << n;
      ASSERT_EQ(engine->stats().running + engine->stats().queued, 0) << n;
    }
    EXPECT_GT(failed, 0);
    std::printf("%ld failing allocations, %ld requests ended by them\n", static_cast<long>(n),
                static_cast<long>(failed));
  }
}

// With masks computed on another thread, forced text, phrases that go back and scores.
TEST(EngineMemory, GrammarsAndBans) {
  if (!can_fail_allocations()) GTEST_SKIP() << "operator new cannot be replaced here";
  const auto model = tiny_model();
  auto engine = make_engine(model, {.forward = {.threads = 2}});
  Request request = make_request(random_prompt(20, 3), 60, 2);
  request.sampling.grammar = {GrammarSource::Kind::regex, "a = ([b-d]{2}), ([b-d]{2}), end"};
  request.stopping.banned_phrases = {"cc", "db"};
  request.jump_forward = true;
  request.n_probs = 2;
  const auto expected = engine->generate(request);
  ASSERT_TRUE(expected) << expected.error().message;
  int64_t failed = 0, n = 0;
  for (bool ended = false; !ended && n < 100000; ++n) {
    fail_allocation(n);
    const auto result = engine->generate(request);
    ended = none_failed();
    if (result) {
      ASSERT_EQ(result->tokens, expected->tokens) << n;
      ASSERT_EQ(result->text, expected->text) << n;
    } else {
      ASSERT_EQ(result.error().code, Code::out_of_memory) << n << ": " << result.error().message;
      ++failed;
    }
    ASSERT_EQ(engine->stats().pages_used, 0) << n;
  }
  EXPECT_GT(failed, 0);
  const auto after = engine->generate(request);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->tokens, expected->tokens);
  std::printf("%ld failing allocations, %ld requests ended by them\n", static_cast<long>(n), static_cast<long>(failed));
}

// Two texts that outgrow their contexts in a pool that is too small for both: shifts, and one of them is parked.
TEST(EngineMemory, ContextShifts) {
  if (!can_fail_allocations()) GTEST_SKIP() << "operator new cannot be replaced here";
  const auto model = tiny_model();
  for (const bool prefix_cache : {true, false}) {
    auto engine = make_engine(
        model, {.forward = {.threads = 2}, .context = 128, .cache_tokens = 256, .prefix_cache = prefix_cache});
    Request request = make_request(random_prompt(70, 3), 130, 2);
    request.shift = true;
    request.n_keep = request.n_discard = 64;
    const auto expected = engine->generate_n(request, 2);
    ASSERT_TRUE(expected) << expected.error().message;
    EXPECT_GT(engine->stats().preemptions, 0);
    EXPECT_GT(engine->stats().shifts, 1);
    int64_t failed = 0, n = 0;
    for (bool ended = false; !ended; n += 1 + n / 50) {
      fail_allocation(n);
      const auto result = engine->generate_n(request, 2);
      ended = none_failed();
      if (result) {
        for (size_t i = 0; i < 2; ++i) ASSERT_EQ((*result)[i].tokens, (*expected)[i].tokens) << n;
      } else {
        ASSERT_EQ(result.error().code, Code::out_of_memory) << n << ": " << result.error().message;
        ++failed;
      }
      ASSERT_EQ(engine->stats().pages_used, 0) << n;
    }
    EXPECT_GT(failed, 0);
    const auto after = engine->generate_n(request, 2);
    ASSERT_TRUE(after) << after.error().message;
    EXPECT_EQ((*after)[1].tokens, (*expected)[1].tokens);
    std::printf("%ld failing allocations, %ld requests ended by them\n", static_cast<long>(n),
                static_cast<long>(failed));
  }
}

// Of several requests in one step a failure ends some; the others get what they would have got.
TEST(EngineMemory, OthersGoOn) {
  if (!can_fail_allocations()) GTEST_SKIP() << "operator new cannot be replaced here";
  const auto model = tiny_model();
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 4; ++i) requests.push_back(make_request(random_prompt(100, i), 8));
  auto engine = make_engine(model);
  std::vector<Completion> expected;
  for (const Request& request : requests) expected.push_back(*engine->generate(request));
  const int rounds = test_count(200);
  int64_t failed = 0;
  for (int n = 0; n < rounds; ++n) {
    std::vector<Result<Completion>> results(requests.size(), Error{});
    std::vector<std::thread> threads;
    std::atomic<bool> go = false;
    for (size_t i = 0; i < requests.size(); ++i) {
      threads.emplace_back([&, i] {
        while (!go) std::this_thread::yield();
        results[i] = engine->generate(requests[i]);
      });
    }
    fail_allocation(n);
    go = true;
    for (std::thread& thread : threads) thread.join();
    none_failed();
    for (size_t i = 0; i < requests.size(); ++i) {
      if (results[i]) {
        ASSERT_EQ(results[i]->tokens, expected[i].tokens);
      } else {
        ASSERT_EQ(results[i].error().code, Code::out_of_memory);
        ++failed;
      }
    }
    ASSERT_EQ(engine->stats().pages_used, 0);
  }
  std::printf("%d failing allocations among 4 requests: %ld of %d requests ended by them\n", rounds,
              static_cast<long>(failed), 4 * rounds);
}

}  // namespace
}  // namespace linnet
