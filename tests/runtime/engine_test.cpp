#include "runtime/engine.h"

#include <cmath>
#include <cstdio>
#include <latch>
#include <limits>
#include <stdexcept>

#include "gguf/base/os.h"
#include "tests/runtime/engine_support.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

const std::shared_ptr<const Model>& tiny() {
  static const std::shared_ptr<const Model> model = tiny_model();
  return model;
}

TEST(Engine, RefusesBeforeComputing) {
  auto engine = make_engine(tiny(), {.context = 128});
  const auto code = [&](const Request& r) {
    const auto result = engine->generate(r);
    EXPECT_FALSE(result);
    return result ? Code::ok : result.error().code;
  };
  EXPECT_EQ(code(make_request({}, 5)), Code::prompt_empty);
  EXPECT_EQ(code(make_request({1, 300}, 5)), Code::token_range);
  EXPECT_EQ(code(make_request({-1}, 5)), Code::token_range);
  EXPECT_EQ(code(make_request(random_prompt(129, 1), 5)), Code::prompt_too_long);
  EXPECT_EQ(code(make_request({1}, -2)), Code::option_range);
  Request bad = make_request({1}, 5);
  bad.sampling.temperature = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(engine->generate(bad));
  bad = make_request({1}, 5);
  bad.stopping.stop = {""};
  EXPECT_FALSE(engine->generate(bad));
  bad = make_request({1}, 5);
  bad.conversation = 17;
  EXPECT_EQ(code(bad), Code::invalid_argument);
  EXPECT_EQ(engine->logits({}, true).error().code, Code::prompt_empty);
  EXPECT_EQ(engine->logits(random_prompt(129, 1), false).error().code, Code::prompt_too_long);
  EXPECT_EQ(engine->score({1, 5, 400}).error().code, Code::token_range);
  EXPECT_FALSE(engine->fork_conversation(3));
  engine->close_conversation(3);
  EXPECT_EQ(engine->stats().steps, 0);
  EXPECT_EQ(engine->stats().kv_bytes, 0);

  auto small = make_engine(tiny(), {.context = 1024, .cache_tokens = 100});  // two pages
  EXPECT_EQ(small->generate(make_request(random_prompt(129, 1), 5)).error().code, Code::prompt_too_long);
  EXPECT_EQ(small->stats().steps, 0);

  EXPECT_FALSE(Engine::create(nullptr, {}));
  for (const EngineOptions& o :
       {EngineOptions{.context = -1}, EngineOptions{.max_concurrent = 0}, EngineOptions{.queue_size = -1},
        EngineOptions{.batch_tokens = 0}, EngineOptions{.cache_tokens = -1}}) {
    auto refused = Engine::create(tiny(), o);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::invalid_argument);
  }
}

TEST(Engine, MemoryIsTakenWhenItIsNeeded) {
  const uint64_t before = os::memory_use() ? os::memory_use()->anonymous : 0;
  auto engine = make_engine(tiny(), {.context = 1 << 20, .max_concurrent = 64, .cache_tokens = 64 << 20});
  const uint64_t after = os::memory_use() ? os::memory_use()->anonymous : 0;
  EXPECT_LT(after, before + (100u << 20));
  EXPECT_EQ(engine->stats().kv_bytes, 0);
  EXPECT_EQ(engine->stats().pages_total, 1 << 20);
  ASSERT_TRUE(engine->generate(make_request(random_prompt(100, 1), 2)));
  EXPECT_GT(engine->stats().kv_bytes, 0);
  EXPECT_LT(engine->stats().kv_bytes, 8 << 20);
  EXPECT_EQ(engine->stats().pages_used, 0);
  EXPECT_EQ(engine->stats().pages_cached, 1);
}

TEST(Engine, EndsForTheReasonItSays) {
  auto engine = make_engine(tiny(), {.context = 128});
  const Request base = make_request(random_prompt(20, 3), 60);
  const auto full = engine->generate(base);
  ASSERT_TRUE(full);
  EXPECT_EQ(full->finish_reason, FinishReason::max_tokens);
  EXPECT_EQ(full->tokens.size(), 60u);
  EXPECT_EQ(full->prompt_tokens, 20);
  EXPECT_EQ(full->completion_tokens, 60);
  EXPECT_EQ(full->seed, 1u);

  Request r = base;
  r.stopping.max_tokens = -1;
  auto result = engine->generate(r);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish_reason, FinishReason::context_full);
  EXPECT_EQ(result->completion_tokens, 108);
  r.stopping.max_tokens = 108;
  EXPECT_EQ(engine->generate(r)->finish_reason, FinishReason::max_tokens);
  r.stopping.max_tokens = 109;
  EXPECT_EQ(engine->generate(r)->finish_reason, FinishReason::context_full);
  r.stopping.max_tokens = 0;
  result = engine->generate(r);
  EXPECT_EQ(result->finish_reason, FinishReason::max_tokens);
  EXPECT_EQ(result->completion_tokens, 0);
  result = engine->generate(make_request(random_prompt(128, 3), 5));
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish_reason, FinishReason::context_full);
  EXPECT_EQ(result->completion_tokens, 0);

  // A stop string out of the middle of the text, in pieces as they come.
  ASSERT_GT(full->text.size(), 12u);
  r = base;
  r.stopping.stop = {full->text.substr(6, 4), "never seen"};
  std::string shown;
  r.on_text = [&](std::string_view text) {
    shown += text;
    return true;
  };
  result = engine->generate(r);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish_reason, FinishReason::stop_string);
  EXPECT_EQ(result->matched, r.stopping.stop[0]);
  EXPECT_EQ(result->text, full->text.substr(0, full->text.find(r.stopping.stop[0])));
  EXPECT_EQ(shown, result->text);
  EXPECT_LT(result->tokens.size(), full->tokens.size());
}

TEST(Engine, EndsAtAnEndOfGenerationToken) {
  auto engine = make_engine(tiny());
  // Without ignore_eos a random model ends some of these early, and never shows the token.
  int ended = 0;
  for (int64_t seed = 1; seed <= 20; ++seed) {
    Request r = make_request(random_prompt(10, 3), 400, seed);
    r.sampling.temperature = 2;
    r.sampling.top_k = 0;
    r.sampling.top_p = 1;
    r.sampling.min_p = 0;
    const auto other = engine->generate(r);
    r.stopping.ignore_eos = false;
    const auto result = engine->generate(r);
    ASSERT_TRUE(result && other);
    EXPECT_EQ(other->tokens.size(), 400u);
    const auto eos = std::find(other->tokens.begin(), other->tokens.end(), kTinyEos);
    EXPECT_EQ(result->finish_reason, eos == other->tokens.end() ? FinishReason::max_tokens : FinishReason::eog);
    EXPECT_EQ(result->tokens, std::vector<int32_t>(other->tokens.begin(), eos));
    ended += result->finish_reason == FinishReason::eog;
  }
  EXPECT_GT(ended, 0);
}

TEST(Engine, CountsCacheHitsTruthfully) {
  auto engine = make_engine(tiny(), {.context = 512, .batch_tokens = 100});
  Request r = make_request(random_prompt(200, 4), 4);
  EXPECT_EQ(engine->generate(r)->cached_tokens, 0);
  const int64_t rows = engine->stats().rows;
  EXPECT_EQ(rows, 203);  // the last token is not computed
  EXPECT_EQ(engine->generate(r)->cached_tokens, 192);
  EXPECT_EQ(engine->stats().rows, rows + 8 + 3);
  r.salt = 9;
  EXPECT_EQ(engine->generate(r)->cached_tokens, 0);
  r.salt = 0;
  r.prompt[130] += r.prompt[130] > 100 ? -1 : 1;
  EXPECT_EQ(engine->generate(r)->cached_tokens, 128);
  r.prompt.resize(128);  // the last token of a prompt is always computed, in whole pages
  EXPECT_EQ(engine->generate(r)->cached_tokens, 64);
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.prompt_tokens, 200 * 4 + 128);
  EXPECT_EQ(stats.cached_tokens, 192 + 128 + 64);
  EXPECT_EQ(stats.completion_tokens, 20);
}

// A callback that holds the engine's thread at its first text, so that others are queued for certain.
struct Held {
  std::latch reached{1}, go{1};
  Request request;
  Held() {
    request = make_request(random_prompt(10, 1), 3);
    request.on_text = [this, first = true](std::string_view) mutable {
      if (first) {
        first = false;
        reached.count_down();
        go.wait();
      }
      return true;
    };
  }
};

TEST(Engine, SimultaneousStartersComputeACommonPrefixOnce) {
  for (const int64_t batch : {100, 1000}) {
    auto engine = make_engine(tiny(), {.context = 512, .batch_tokens = batch});
    Held held;  // so that all six begin in the same step
    std::thread holder([&] { EXPECT_TRUE(engine->generate(held.request)); });
    held.reached.wait();
    const int64_t before = engine->stats().rows;
    std::thread release([&] {
      while (engine->stats().queued < 6) std::this_thread::yield();
      held.go.count_down();
    });
    const std::vector<Request> requests(6, make_request(random_prompt(300, 4), 3));
    const auto results = generate_together(*engine, requests);
    holder.join();
    release.join();
    int64_t cached = 0;
    for (const auto& result : results) {
      ASSERT_TRUE(result);
      EXPECT_EQ(result->tokens, results[0]->tokens);
      cached += result->cached_tokens;
    }
    // 4 pages are computed once, 44 tokens and 2 generated ones by each; 2 more are those of the request that held.
    EXPECT_EQ(cached, 5 * 256);
    EXPECT_EQ(engine->stats().rows - before, 300 + 5 * 44 + 6 * 2 + 2);
  }
}

TEST(Engine, AConversationComputesOnlyWhatIsNew) {
  auto engine = make_engine(tiny(), {.context = 512, .prefix_cache = false});
  const int64_t id = engine->open_conversation();
  EXPECT_GT(id, 0);
  Request r = make_request(random_prompt(100, 4), 10);
  r.conversation = id;
  auto first = engine->generate(r);
  EXPECT_EQ(first->cached_tokens, 0);
  r.prompt.insert(r.prompt.end(), first->tokens.begin(), first->tokens.end());
  r.prompt.push_back(50);
  EXPECT_EQ(engine->generate(r)->cached_tokens, 109);  // the last generated token was never computed
  EXPECT_EQ(engine->stats().rows, 109 + 2 + 9);
  r.prompt.resize(90);
  EXPECT_EQ(engine->generate(r)->cached_tokens, 89);
  r.salt = 1;
  EXPECT_EQ(engine->generate(r)->cached_tokens, 0);
  EXPECT_GT(engine->stats().pages_used, 0);
  engine->close_conversation(id);
  EXPECT_EQ(engine->stats().pages_used, 0);
  EXPECT_EQ(engine->generate(r).error().code, Code::invalid_argument);
}

TEST(Engine, RestingConversationsGiveTheirPagesAway) {
  auto engine = make_engine(tiny(), {.context = 256, .cache_tokens = 256, .prefix_cache = false});
  std::vector<int64_t> ids;
  std::vector<Completion> first;
  for (uint64_t i = 0; i < 4; ++i) {
    ids.push_back(engine->open_conversation());
    Request r = make_request(random_prompt(150, i), 20);
    r.conversation = ids.back();
    auto result = engine->generate(r);
    ASSERT_TRUE(result) << result.error().message;
    first.push_back(*result);
  }
  Request again = make_request(random_prompt(150, 0), 20);
  again.conversation = ids[0];
  auto result = engine->generate(again);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->cached_tokens, 0);
  EXPECT_EQ(result->tokens, first[0].tokens);
}

TEST(Engine, PromptsThatDoNotFitTogetherWait) {
  auto engine = make_engine(tiny(), {.context = 256, .cache_tokens = 384});
  Held held;
  std::thread holder([&] { EXPECT_TRUE(engine->generate(held.request)); });
  held.reached.wait();
  std::thread release([&] {
    while (engine->stats().queued < 4) std::this_thread::yield();
    held.go.count_down();
  });
  const int64_t before = engine->stats().rows;
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 4; ++i) requests.push_back(make_request(random_prompt(200, 60 + i), 20));
  for (const auto& result : generate_together(*engine, requests)) {
    ASSERT_TRUE(result);
    EXPECT_EQ(result->completion_tokens, 20);
  }
  holder.join();
  release.join();
  EXPECT_EQ(engine->stats().preemptions, 0);
  EXPECT_EQ(engine->stats().rows - before, 4 * 219 + 2);
}

TEST(Engine, TheQueueIsBounded) {
  auto engine = make_engine(tiny(), {.max_concurrent = 1, .queue_size = 1});
  Held held;
  std::thread a([&] { EXPECT_TRUE(engine->generate(held.request)); });
  held.reached.wait();
  std::thread b([&] { EXPECT_TRUE(engine->generate(make_request({1}, 3))); });
  while (engine->stats().queued == 0) std::this_thread::yield();
  const auto refused = engine->generate(make_request({1}, 3));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::busy);
  EXPECT_EQ(engine->stats().running, 1);
  held.go.count_down();
  a.join();
  b.join();
  EXPECT_TRUE(engine->generate(make_request({1}, 3)));
}

TEST(Engine, AConversationTakesOneRequestAtATime) {
  auto engine = make_engine(tiny(), {.context = 1 << 16});
  const int64_t id = engine->open_conversation();
  Held held;
  held.request.conversation = id;
  held.request.stopping.max_tokens = -1;  // far more than it can do before it is cancelled
  Result<Completion> result = Error{};
  std::thread a([&] { result = engine->generate(held.request); });
  held.reached.wait();
  Request second = make_request({1}, 3);
  second.conversation = id;
  EXPECT_EQ(engine->generate(second).error().code, Code::busy);
  std::thread closer([&] { engine->close_conversation(id); });  // cancels it
  held.go.count_down();
  closer.join();
  a.join();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish_reason, FinishReason::cancelled);
  EXPECT_EQ(engine->stats().pages_used, 0);
  EXPECT_EQ(engine->generate(second).error().code, Code::invalid_argument);
}

TEST(Engine, CancellationBitesWithinAStep) {
  auto engine = make_engine(tiny(), {.context = 2048, .batch_tokens = 1});
  // During prefill.
  std::atomic<bool> cancel = false;
  Result<Completion> result = Error{};
  std::thread prompt([&] { result = engine->generate(make_request(random_prompt(2000, 1), 5), &cancel); });
  while (engine->stats().steps < 5) std::this_thread::yield();
  cancel = true;
  prompt.join();
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish_reason, FinishReason::cancelled);
  EXPECT_EQ(result->completion_tokens, 0);
  EXPECT_LT(engine->stats().rows, 2000);
  // In the queue, behind one that is held.
  Held held;
  std::thread a([&] { EXPECT_TRUE(engine->generate(held.request)); });
  held.reached.wait();
  cancel = true;
  std::thread b([&] { result = engine->generate(make_request({1}, 3), &cancel); });
  while (engine->stats().queued == 0) std::this_thread::yield();
  const int64_t rows = engine->stats().rows;
  held.go.count_down();
  a.join();
  b.join();
  EXPECT_EQ(result->finish_reason, FinishReason::cancelled);
  EXPECT_LE(engine->stats().rows, rows + 3);
  // By the callback, which sees nothing afterwards.
  for (const bool throws : {false, true}) {
    Request r = make_request(random_prompt(10, 1), 50);
    int calls = 0;
    std::string shown;
    r.on_text = [&](std::string_view text) {
      shown += text;
      if (++calls == 3 && throws) throw std::runtime_error("a caller's mistake");
      return calls < 3;
    };
    result = engine->generate(r);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->finish_reason, FinishReason::cancelled);
    EXPECT_EQ(calls, 3);
    EXPECT_EQ(result->text, shown);
  }
}

TEST(Engine, CallbacksMayNotCallTheEngine) {
  auto engine = make_engine(tiny());
  Request r = make_request(random_prompt(10, 1), 3);
  Code code = Code::ok;
  r.on_text = [&](std::string_view) {
    const auto inner = engine->generate(make_request({1}, 1));
    if (!inner) code = inner.error().code;
    return true;
  };
  ASSERT_TRUE(engine->generate(r));
  EXPECT_EQ(code, Code::invalid_argument);
}

TEST(Engine, NotFiniteLogitsEndOnlyTheirOwnRequest) {
  const auto model = tiny_model({.nan_token = 77});
  auto engine = make_engine(model, {.context = 256});
  std::vector<Request> requests;
  for (uint64_t i = 0; i < 6; ++i) {
    auto prompt = random_prompt(100, i);
    std::replace(prompt.begin(), prompt.end(), 77, 78);
    if (i % 3 == 1) prompt[50] = 77;
    requests.push_back(make_request(prompt, 5));
  }
  const auto results = generate_together(*engine, requests);
  auto healthy = make_engine(tiny_model(), {.context = 256});
  for (size_t i = 0; i < results.size(); ++i) {
    if (i % 3 == 1) {
      ASSERT_FALSE(results[i]);
      EXPECT_EQ(results[i].error().code, Code::logits_not_finite) << results[i].error().message;
    } else {
      ASSERT_TRUE(results[i]) << results[i].error().message;
      EXPECT_EQ(results[i]->tokens, healthy->generate(requests[i])->tokens);
    }
  }
  const auto score = engine->score(requests[1].prompt);
  ASSERT_FALSE(score);
  EXPECT_EQ(score.error().code, Code::logits_not_finite);
  EXPECT_EQ(engine->stats().pages_used, 0);
}

// The engine adds nothing of its own: logits, and a chain that is told every token and its position.
TEST(Engine, GeneratesWhatLogitsAndChainGive) {
  auto engine = make_engine(tiny());
  const Request r = make_request(random_prompt(80, 12), 30, 1234);
  const auto result = engine->generate(r);
  ASSERT_TRUE(result);
  auto chain = Chain::create(r.sampling, {tiny()->tokenizer(), 2048});
  ASSERT_TRUE(chain);
  std::vector<int32_t> tokens = r.prompt;
  for (const int32_t token : tokens) chain->accept(token);
  for (int64_t i = 0; i < r.stopping.max_tokens; ++i) {
    auto logits = engine->logits(tokens, false);
    ASSERT_TRUE(logits);
    const auto token = chain->sample(logits->data(), tokens.size());
    ASSERT_TRUE(token);
    chain->accept(*token);
    tokens.push_back(*token);
  }
  EXPECT_EQ(result->tokens, std::vector<int32_t>(tokens.end() - r.stopping.max_tokens, tokens.end()));
}

TEST(Engine, ScoresAreLogProbabilitiesOfTheLogits) {
  auto engine = make_engine(tiny(), {.batch_tokens = 33});
  const auto tokens = random_prompt(100, 6);
  const auto logits = engine->logits(tokens, true);
  const auto scores = engine->score(tokens);
  ASSERT_TRUE(logits && scores);
  ASSERT_EQ(logits->size(), 100u * kTinyVocab);
  ASSERT_EQ(scores->size(), 99u);
  for (size_t i = 0; i < 99; ++i) {
    const float* row = logits->data() + i * kTinyVocab;
    double sum = 0;
    for (int v = 0; v < kTinyVocab; ++v) sum += std::exp(static_cast<double>(row[v]));
    const double expected = static_cast<double>(row[tokens[i + 1]]) - std::log(sum);
    // Terms of about 1e-7 each, from the subtraction of the maximum and the float sum.
    const double error = std::abs(static_cast<double>((*scores)[i]) - expected);
    if (!(error <= 2e-6 * (1 + std::abs(expected)))) ADD_FAILURE() << i << ": " << (*scores)[i] << " " << expected;
  }
  EXPECT_TRUE(engine->score({1})->empty());
}

TEST(Engine, TimesAddUp) {
  auto engine = make_engine(tiny());
  const auto result = engine->generate(make_request(random_prompt(50, 6), 10));
  ASSERT_TRUE(result);
  const Timings& t = result->timings;
  EXPECT_GE(t.queue_ms, 0);
  EXPECT_GT(t.prefill_ms, 0);
  EXPECT_GT(t.decode_ms, 0);
  EXPECT_NEAR(t.ttft_ms, t.queue_ms + t.prefill_ms, 1e-6);
}

TEST(Engine, ClosingCancelsWhatRunsAndWaits) {
  for (int round = 0; round < test_count(20); ++round) {
    auto engine = make_engine(tiny(), {.max_concurrent = 2});
    std::vector<std::thread> threads;
    std::atomic<int> cancelled = 0;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i, e = engine.get()] {
        const auto result = e->generate(make_request(random_prompt(500, static_cast<uint64_t>(i)), -1));
        cancelled += result && result->finish_reason == FinishReason::cancelled;
      });
    }
    while (engine->stats().running + engine->stats().queued < 4) std::this_thread::yield();
    engine.reset();
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(cancelled, 4);
  }
}

// Everything at once from many threads, with cancellations and conversations: for the thread sanitizer above all.
TEST(Engine, ManyThreads) {
  auto engine = make_engine(tiny(), {.context = 256, .max_concurrent = 4, .batch_tokens = 64, .cache_tokens = 640});
  const auto expected = engine->generate(make_request(random_prompt(100, 1), 8));
  ASSERT_TRUE(expected);
  std::atomic<int64_t> done = 0, cancelled = 0;
  std::vector<std::thread> threads;
  const int rounds = test_count(30);
  for (uint64_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      Random random(t);
      for (int round = 0; round < rounds; ++round) {
        std::atomic<bool> cancel = random.below(8) == 0;
        const int64_t id = random.below(3) == 0 ? engine->open_conversation() : 0;
        Request r = make_request(random_prompt(100, 1), 8);
        r.conversation = id;
        const auto result = engine->generate(r, &cancel);
        ASSERT_TRUE(result) << result.error().message;
        if (result->finish_reason == FinishReason::cancelled) {
          ++cancelled;
        } else {
          EXPECT_EQ(result->tokens, expected->tokens);
          ++done;
        }
        if (id) {
          const auto copy = engine->fork_conversation(id);
          EXPECT_TRUE(copy);
          engine->close_conversation(id);
          if (copy) engine->close_conversation(*copy);
        }
        if (random.below(4) == 0) { EXPECT_TRUE(engine->score(random_prompt(30, t))); }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(engine->stats().pages_used, 0);
  EXPECT_EQ(engine->stats().running, 0);
  std::printf("%ld requests equal, %ld cancelled, %ld preemptions\n", static_cast<long>(done),
              static_cast<long>(cancelled), static_cast<long>(engine->stats().preemptions));
}

}  // namespace
}  // namespace linnet
