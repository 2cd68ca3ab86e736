#include "runtime/memory_plan.h"

#include <gtest/gtest.h>

#include "tests/runtime/engine_support.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

TEST(MemoryPlan, SaysWhatTheEngineTakes) {
  const auto model = tiny_model();
  const EngineOptions options = {.forward = {.threads = 2}, .context = 1024, .max_concurrent = 3, .batch_tokens = 64};
  const auto plan = plan_memory(model, options);
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->weight_bytes, model->weight_bytes());
  EXPECT_EQ(plan->context, 1024);
  EXPECT_EQ(plan->cache_tokens, 3 * 1024);
  EXPECT_EQ(plan->kv_bytes, plan->kv_token_bytes * 3 * 1024);
  auto engine = make_engine(model, options);
  ASSERT_TRUE(engine->generate(make_request(random_prompt(100, 1), 4)));
  EXPECT_EQ(static_cast<uint64_t>(engine->stats().workspace_bytes), plan->workspace_bytes);
  EXPECT_EQ(static_cast<uint64_t>(engine->stats().page_bytes), plan->kv_token_bytes * kPageTokens);
  EXPECT_GT(plan->vocabulary_bytes, 0u);
  EXPECT_GT(plan->available_bytes, 0u);
}

// Less and less memory: first the cache, then the batch, then the context becomes smaller, and what comes out fits.
TEST(MemoryPlan, WhatDoesNotFitBecomesSmaller) {
  const auto model = tiny_model();
  const EngineOptions wished = {.forward = {.threads = 1}, .context = 2048, .max_concurrent = 8, .batch_tokens = 512};
  const auto whole = plan_memory(model, wished);
  ASSERT_TRUE(whole);
  int64_t cache = whole->cache_tokens, batch = 512, context = 2048;
  int cut = 0;
  for (uint64_t bytes = whole->total() + 1000;; bytes = bytes * 9 / 10) {
    std::vector<std::string> remarks;
    const auto fitted = fit_to_memory(model, wished, {.bytes = bytes, .strict = true}, remarks);
    if (!fitted) {
      EXPECT_EQ(fitted.error().code, Code::out_of_memory);
      EXPECT_NE(fitted.error().message.find("Suggestion"), std::string::npos);
      break;
    }
    EXPECT_LE(fitted->batch_tokens, batch);
    EXPECT_LE(fitted->context, context);
    batch = fitted->batch_tokens, context = fitted->context;
    const auto plan = plan_memory(model, *fitted);
    ASSERT_TRUE(plan);
    EXPECT_LE(plan->total(), bytes);
    EXPECT_GE(plan->cache_tokens, fitted->context);
    cut += plan->cache_tokens < cache;
    EXPECT_EQ(remarks.empty(), plan->cache_tokens == whole->cache_tokens && batch == 512 && context == 2048);
    ASSERT_GT(bytes, 1000u);
  }
  EXPECT_GT(cut, 3);
  EXPECT_LT(batch, 512);
  EXPECT_LT(context, 2048);
}

TEST(MemoryPlan, WithoutALimitItIsARemark) {
  const auto model = tiny_model();
  std::vector<std::string> remarks;
  const auto fitted = fit_to_memory(model, {.forward = {.threads = 1}}, {.bytes = 1000}, remarks);
  ASSERT_TRUE(fitted) << fitted.error().message;
  EXPECT_GE(remarks.size(), 2u);
  const auto same = fit_to_memory(model, {.forward = {.threads = 1}, .context = 512, .batch_tokens = 64},
                                  {.bytes = 1000, .smaller_batch = false, .smaller_context = false}, remarks);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->batch_tokens, 64);
  EXPECT_EQ(same->context, 512);
}

// Memory that nobody holds goes back, cached prompts are forgotten, and what is generated afterwards is the same.
TEST(MemoryPlan, AnEngineGivesMemoryBack) {
  const auto model = tiny_model();
  auto engine = make_engine(model, {.forward = {.threads = 2}});
  Request request = make_request(random_prompt(700, 3), 8);
  request.conversation = engine->open_conversation();
  const auto first = engine->generate(request);
  ASSERT_TRUE(first);
  Request other = make_request(random_prompt(700, 4), 8);
  ASSERT_TRUE(engine->generate(other));
  const EngineStats before = engine->stats();
  ASSERT_GT(before.pages_cached, 0);
  const int64_t cached = before.pages_cached * before.page_bytes / static_cast<int64_t>(model->groups().size());
  EXPECT_GE(engine->release_memory(1, false), 1);
  EXPECT_GE(engine->release_memory(int64_t{1} << 40, false), cached - before.page_bytes);
  EXPECT_EQ(engine->stats().pages_cached, 0);
  EXPECT_GT(engine->stats().pages_used, 0);  // the conversation's
  EXPECT_LT(engine->stats().kv_bytes, before.kv_bytes);
  EXPECT_GT(engine->release_memory(int64_t{1} << 40, true), 0);
  EXPECT_EQ(engine->stats().pages_used, 0);
  const auto again = engine->generate(request);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->tokens, first->tokens);
  EXPECT_EQ(again->cached_tokens, 0);
  engine->limit_batch(7);
  EXPECT_EQ(engine->stats().batch_tokens, 7);
  const int64_t steps = engine->stats().steps;
  other.prompt = random_prompt(70, 9);
  ASSERT_TRUE(engine->generate(other));
  EXPECT_GE(engine->stats().steps - steps, 10 + 7);
  engine->limit_batch(int64_t{1} << 40);
  EXPECT_EQ(engine->stats().batch_tokens, 512);
}

}  // namespace
}  // namespace linnet
