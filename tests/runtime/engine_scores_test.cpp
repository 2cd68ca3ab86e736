// Log-probabilities, several completions of one prompt, token healing.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "tests/runtime/engine_support.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

// log softmax of a row, in double.
std::vector<double> log_softmax(std::span<const float> row) {
  const double max = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (const float l : row) total += std::exp(l - max);
  std::vector<double> result;
  for (const float l : row) result.push_back(l - max - std::log(total));
  return result;
}

void expect_scores(const RowScores& scores, std::span<const float> row, int32_t token, size_t most) {
  const std::vector<double> expected = log_softmax(row);
  EXPECT_NEAR(scores.logprob, expected[static_cast<size_t>(token)], 1e-5);
  ASSERT_EQ(scores.top.size(), most);
  std::vector<int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)]; });
  for (size_t i = 0; i < most; ++i) {
    EXPECT_EQ(scores.top[i].token, order[i]);
    EXPECT_NEAR(scores.top[i].logprob, expected[static_cast<size_t>(order[i])], 1e-5);
  }
}

TEST(EngineScores, AreTheModelsLogits) {
  const auto model = tiny_model();
  for (const int64_t batch : {512, 7}) {
    EngineOptions options;
    options.batch_tokens = batch;
    const auto engine = make_engine(model, options);
    Request r = make_request(random_prompt(40, 3), 12);
    r.n_probs = 5;
    r.prompt_probs = 3;
    r.sampling.repeat_penalty = 1.3;
    const auto result = engine->generate(r);
    ASSERT_TRUE(result) << result.error().message;
    std::vector<int32_t> all = r.prompt;
    all.insert(all.end(), result->tokens.begin(), result->tokens.end());
    const auto logits = engine->logits(all, true);
    ASSERT_TRUE(logits);
    const auto vocab = static_cast<size_t>(model->facts.vocab);
    const auto row = [&](size_t position) { return std::span(*logits).subspan(position * vocab, vocab); };
    ASSERT_EQ(result->prompt_scores.size(), r.prompt.size() - 1);
    for (size_t p = 0; p + 1 < r.prompt.size(); ++p) expect_scores(result->prompt_scores[p], row(p), all[p + 1], 3);
    ASSERT_EQ(result->scores.size(), result->tokens.size());
    for (size_t i = 0; i < result->tokens.size(); ++i) {
      expect_scores(result->scores[i].model, row(r.prompt.size() - 1 + i), result->tokens[i], 5);
      // What was left to pick from: normalized, with the token in it.
      const RowScores& sampled = result->scores[i].sampled;
      EXPECT_TRUE(std::isfinite(sampled.logprob));
      double total = 0;
      for (const TokenScore& s : sampled.top) total += std::exp(s.logprob);
      EXPECT_LE(total, 1 + 1e-5);
      EXPECT_TRUE(std::is_sorted(sampled.top.begin(), sampled.top.end(),
                                 [](const TokenScore& a, const TokenScore& b) { return a.logprob > b.logprob; }));
    }
    // Scores change no text, and prompts that are in the cache are scored as well.
    const auto again = engine->generate(r);
    ASSERT_TRUE(again);
    EXPECT_EQ(again->tokens, result->tokens);
    EXPECT_EQ(again->prompt_scores.front().logprob, result->prompt_scores.front().logprob);
    r.n_probs = 0;
    r.prompt_probs = -1;
    const auto plain = engine->generate(r);
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->tokens, result->tokens);
    EXPECT_TRUE(plain->scores.empty());
  }
}

TEST(EngineScores, SeveralCompletionsShareOnePrefill) {
  const auto model = tiny_model();
  for (const int64_t concurrent : {8, 2}) {
    EngineOptions options;
    options.max_concurrent = concurrent;
    const auto engine = make_engine(model, options);
    Request r = make_request(random_prompt(150, 5), 10, 77);
    r.sampling.temperature = 1.5;
    std::mutex mutex;
    std::vector<std::string> texts(6);
    const auto results = engine->generate_n(r, 6, [&](int64_t i, std::string_view text) {
      const std::lock_guard lock(mutex);
      texts[static_cast<size_t>(i)] += text;
      return true;
    });
    ASSERT_TRUE(results) << results.error().message;
    ASSERT_EQ(results->size(), 6u);
    int64_t computed = 0;
    for (size_t i = 0; i < results->size(); ++i) {
      const Completion& c = (*results)[i];
      EXPECT_EQ(c.text, texts[i]);
      EXPECT_EQ(c.prompt_tokens, 150);
      computed += c.prompt_tokens - c.cached_tokens;
      Request single = r;
      single.sampling.seed = 77 + static_cast<int64_t>(i);
      const auto alone = make_engine(model)->generate(single);
      ASSERT_TRUE(alone);
      EXPECT_EQ(c.tokens, alone->tokens) << "completion " << i;
    }
    // One prompt, and of each other completion its last row (where there is no place yet: what is no full page).
    EXPECT_EQ(computed, concurrent == 8 ? 150 + 5 : 150 + 1 + 4 * (150 - 128));
  }
  const auto engine = make_engine(model);
  Request r = make_request(random_prompt(10, 5), 3);
  EXPECT_EQ(engine->generate_n(r, 0).error().code, Code::invalid_argument);
  r.conversation = engine->open_conversation();
  EXPECT_EQ(engine->generate_n(r, 2).error().code, Code::invalid_argument);
  // All or nothing: the queue holds fewer.
  EngineOptions options;
  options.max_concurrent = 1;
  options.queue_size = 2;
  const auto small = make_engine(model, options);
  r.conversation = 0;
  EXPECT_EQ(small->generate_n(r, 5).error().code, Code::busy);
  EXPECT_TRUE(small->generate_n(r, 3));
}

}  // namespace
}  // namespace linnet
