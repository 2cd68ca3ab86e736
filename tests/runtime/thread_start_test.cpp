// The system gives no more threads: the Nth start fails.
#include <dlfcn.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>

#include "runtime/masks_ahead.h"
#include "tests/runtime/engine_support.h"
#include "tests/runtime/tiny_model.h"

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define LINNET_FIXED_THREADS  // the sanitizer has a pthread_create of its own
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define LINNET_FIXED_THREADS
#endif
#endif

namespace {
std::atomic<int64_t> left = -1;  // until all starts fail; negative: none fails
}  // namespace

#ifndef LINNET_FIXED_THREADS
// In front of the system's, for std::thread, too.
extern "C" __attribute__((visibility("default"))) int pthread_create(pthread_t* thread,
                                                                     const pthread_attr_t* attributes,
                                                                     void* (*start)(void*), void* argument) {
  using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static const auto next = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
  if (left.load() == 0) return EAGAIN;
  if (left.load() > 0) --left;
  return next(thread, attributes, start, argument);
}
#endif

namespace linnet {
namespace {

struct FailThreads {
  explicit FailThreads(int64_t after) { left = after; }
  ~FailThreads() { left = -1; }
};

bool can_fail() {
#ifdef LINNET_FIXED_THREADS
  return false;
#else
  return true;
#endif
}

Request yes_or_no(int64_t seed) {
  Request r = make_request(random_prompt(20, 3), 10, seed);
  r.stopping.ignore_eos = false;
  r.sampling.grammar = {.kind = GrammarSource::Kind::choice, .text = R"(["yes","no","the end"])"};
  return r;
}

// No thread for the engine is the request's error, and the next request has one. None for masks ahead makes them late
// and nothing else.
TEST(ThreadStart, TheNthFails) {
  if (!can_fail()) GTEST_SKIP() << "a sanitizer starts the threads here";
  const auto model = tiny_model();
  std::vector<Completion> expected;
  for (int64_t seed = 1; seed <= 3; ++seed) expected.push_back(*make_engine(model)->generate(yes_or_no(seed)));
  for (int64_t n = 0; n < 4; ++n) {
    const auto engine = make_engine(model, {.forward = {.threads = 1}});
    for (int64_t seed = 1; seed <= 3; ++seed) {
      Result<Completion> result = Error{};
      {
        const FailThreads fails(n);
        result = engine->generate(yes_or_no(seed));
      }
      if (n == 0 && seed == 1) {
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().code, Code::thread_start) << result.error().message;
        result = engine->generate(yes_or_no(seed));
      }
      ASSERT_TRUE(result) << n << ": " << result.error().message;
      EXPECT_EQ(result->text, expected[static_cast<size_t>(seed) - 1].text);
      EXPECT_EQ(result->tokens, expected[static_cast<size_t>(seed) - 1].tokens);
      if (n == 1 && seed == 1) { EXPECT_EQ(engine->stats().masks_ahead, 0) << "the one thread is the engine's"; }
    }
  }
}

TEST(ThreadStart, ThePoolsFails) {
  if (!can_fail()) GTEST_SKIP() << "a sanitizer starts the threads here";
  const auto model = tiny_model();
  for (int64_t n = 0; n < 3; ++n) {
    Result<std::unique_ptr<Engine>> engine = Error{};
    Result<Completion> result = Error{};
    {
      const FailThreads fails(n);
      engine = Engine::create(model, {.forward = {.threads = 4}});
      if (engine) result = (*engine)->generate(yes_or_no(1));
    }
    ASSERT_FALSE(engine && result) << n << " threads are too few";
    const Error& error = engine ? result.error() : engine.error();
    EXPECT_EQ(error.code, Code::thread_start) << error.message;
    EXPECT_FALSE(error.message.empty());
    if (engine) { EXPECT_TRUE((*engine)->generate(yes_or_no(1))); }
  }
}

TEST(ThreadStart, MasksAreLateWithoutAThread) {
  if (!can_fail()) GTEST_SKIP() << "a sanitizer starts the threads here";
  const auto model = tiny_model();
  SamplingParams params;
  params.grammar = {.kind = GrammarSource::Kind::choice, .text = R"(["yes"])"};
  Result<Chain> chain = Chain::create(params, {.vocabulary = model->tokenizer(), .context = 64});
  ASSERT_TRUE(chain) << chain.error().message;
  MasksAhead masks;
  {
    const FailThreads fails(0);
    masks.add(*chain);
  }
  masks.finish();
  EXPECT_EQ(masks.prepared(), 0);
  EXPECT_TRUE(chain->can_prepare()) << "left to sample()";
  std::vector<float> logits(static_cast<size_t>(kTinyVocab), 0.0f);
  const auto token = chain->sample(logits.data(), 0);
  ASSERT_TRUE(token);
  EXPECT_TRUE(std::string_view("yes").starts_with(model->tokenizer().bytes(*token)));
  // With a thread again, the same helper works.
  chain->accept(*token);
  masks.add(*chain);
  masks.finish();
  EXPECT_LE(masks.prepared(), 1);
}

}  // namespace
}  // namespace linnet
