// Helpers of the engine's tests.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

#include "runtime/engine.h"
#include "tests/support.h"

namespace linnet {

// A prompt of `n` random tokens below `vocab`, BOS first; equal seeds share their beginnings.
inline std::vector<int32_t> random_prompt(int64_t n, uint64_t seed, int64_t vocab = 300) {
  Random random(seed);
  std::vector<int32_t> tokens = {1};
  while (static_cast<int64_t>(tokens.size()) < n) tokens.push_back(static_cast<int32_t>(3 + random.below(vocab - 3)));
  return tokens;
}

inline Request make_request(std::vector<int32_t> prompt, int64_t max_tokens, int64_t seed = 1) {
  Request r;
  r.prompt = std::move(prompt);
  r.stopping.max_tokens = max_tokens;
  r.sampling.seed = seed;
  r.sampling.temperature = 0.8f;
  r.stopping.ignore_eos = true;
  return r;
}

inline std::unique_ptr<Engine> make_engine(const std::shared_ptr<const Model>& model, EngineOptions options = {}) {
  if (options.forward.threads == 0) options.forward.threads = 2;
  auto engine = Engine::create(model, options);
  EXPECT_TRUE(engine) << engine.error().message;
  return engine ? std::move(*engine) : nullptr;
}

// All at the same time, each from a thread of its own.
inline std::vector<Result<Completion>> generate_together(Engine& engine, const std::vector<Request>& requests) {
  std::vector<Result<Completion>> results(requests.size(), Error{});
  std::vector<std::thread> threads;
  for (size_t i = 0; i < requests.size(); ++i) {
    threads.emplace_back([&, i] { results[i] = engine.generate(requests[i]); });
  }
  for (std::thread& thread : threads) thread.join();
  return results;
}

}  // namespace linnet
