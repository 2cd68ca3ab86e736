// What a request gets must not depend, to the bit, on its batch mates, on chunking, on threads, on what came from the
// cache, or on whether it was preempted.
#include <cstdio>
#include <cstring>

#include "tests/runtime/engine_support.h"
#include "tests/runtime/relative_error.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

struct Expected {
  std::vector<Request> requests;
  std::vector<Completion> completions;
  std::vector<int32_t> probe;
  std::vector<float> logits;  // [probe][vocab]
  std::vector<float> scores;
};

// Eight requests: three share a long beginning, two are equal but for the seed, prompts from 1 token to several pages.
std::vector<Request> eight_requests(int64_t vocab) {
  std::vector<Request> requests;
  const int64_t lengths[] = {200, 150, 260, 1, 64, 128, 37, 128};
  const uint64_t seeds[] = {5, 5, 5, 7, 8, 9, 10, 9};
  for (size_t i = 0; i < 8; ++i) {
    requests.push_back(make_request(random_prompt(lengths[i], seeds[i], vocab), 12 + static_cast<int64_t>(i),
                                    40 + static_cast<int64_t>(i)));
  }
  requests[1].sampling.temperature = 0;
  requests[6].sampling.temperature = 1.5f;
  requests[6].sampling.top_k = 0;
  return requests;
}

// One at a time, no cache, one thread, the whole prompt in one chunk.
Expected expect(const std::shared_ptr<const Model>& model) {
  Expected e;
  e.requests = eight_requests(model->facts.vocab);
  auto engine = make_engine(model, {.forward = {.threads = 1}, .context = 320, .prefix_cache = false});
  for (const Request& request : e.requests) {
    auto result = engine->generate(request);
    EXPECT_TRUE(result) << result.error().message;
    e.completions.push_back(result ? *result : Completion{});
    EXPECT_EQ(e.completions.back().cached_tokens, 0);
  }
  EXPECT_NE(e.completions[5].tokens, e.completions[7].tokens);  // one prompt, two seeds
  e.probe = random_prompt(170, 5, model->facts.vocab);
  e.logits = *engine->logits(e.probe, true);
  e.scores = *engine->score(e.probe);
  return e;
}

void check_all(Engine& engine, const Expected& e, const std::string& what) {
  const auto results = generate_together(engine, e.requests);
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(results[i]) << what << ": " << results[i].error().message;
    EXPECT_EQ(results[i]->tokens, e.completions[i].tokens) << what << ", request " << i;
    EXPECT_EQ(results[i]->text, e.completions[i].text) << what << ", request " << i;
    EXPECT_EQ(results[i]->completion_tokens, e.requests[i].stopping.max_tokens);
  }
}

bool equal_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

void check_logits(Engine& engine, const Expected& e, const std::string& what) {
  const auto all = engine.logits(e.probe, true);
  const auto last = engine.logits(e.probe, false);
  const auto scores = engine.score(e.probe);
  ASSERT_TRUE(all && last && scores) << what;
  EXPECT_TRUE(equal_bits(*all, e.logits)) << what;
  EXPECT_TRUE(
      equal_bits(*last, std::vector<float>(e.logits.end() - static_cast<int64_t>(last->size()), e.logits.end())))
      << what;
  EXPECT_TRUE(equal_bits(*scores, e.scores)) << what;
}

void check_model(const std::shared_ptr<const Model>& model, const char* name, std::vector<int64_t> batches,
                 std::vector<int32_t> threads) {
  ASSERT_NE(model, nullptr);
  const Expected e = expect(model);
  int64_t runs = 0;
  for (const int64_t batch : batches) {
    for (const int32_t count : threads) {
      for (const bool prefix_cache : {true, false}) {
        const std::string what =
            fmt::format("{}: batch {}, {} threads, prefix cache {}", name, batch, count, prefix_cache);
        auto engine = make_engine(
            model,
            {.forward = {.threads = count}, .context = 320, .batch_tokens = batch, .prefix_cache = prefix_cache});
        check_all(*engine, e, what);
        check_logits(*engine, e, what);
        check_all(*engine, e, what + ", again");
        check_logits(*engine, e, what + ", again");
        runs += 2;
        EXPECT_EQ(engine->stats().cached_tokens > 0, prefix_cache);
      }
    }
  }
  std::printf("%s: %ld runs of 8 requests, all equal\n", name, static_cast<long>(runs));
}

TEST(EngineEquality, TinyModel) { check_model(tiny_model(), "tiny", {1, 7, 64, 512}, {1, 2, 5}); }

TEST(EngineEquality, TinyModelWithAWindow) { check_model(tiny_model({.window = 70}), "window", {7, 512}, {2}); }

TEST(EngineEquality, TinyModelWithF32Pages) {
  check_model(tiny_model({.kv_type = KvType::f32}), "f32 pages", {7, 512}, {2});
}

TEST(EngineEquality, TinyMixtureOfExperts) {
  check_model(tiny_model({.family = TinyFamily::mixtral}), "mixtral", {1, 7, 512}, {1, 2});
}

TEST(EngineEquality, TinyStateSpaceModel) {
  check_model(tiny_model({.family = TinyFamily::mamba}), "mamba", {1, 7, 64, 512}, {1, 2, 5});
}

TEST(EngineEquality, TinyLatentAttention) {
  check_model(tiny_model({.family = TinyFamily::latent}), "latent", {7, 512}, {2});
  check_model(tiny_model({.family = TinyFamily::absorbed}), "absorbed", {1, 7, 512}, {1, 2});
}

// The same model in both forms: sums in another order, no more.
TEST(EngineEquality, LatentAttentionExpandedAndAbsorbed) {
  std::vector<std::vector<float>> logits;
  for (const TinyFamily family : {TinyFamily::latent, TinyFamily::absorbed}) {
    const auto model = tiny_model({.kv_type = KvType::f32, .family = family});
    ASSERT_NE(model, nullptr);
    EXPECT_TRUE(model->warnings.empty()) << model->warnings[0];
    auto engine = make_engine(model, {.context = 320});
    logits.push_back(*engine->logits(random_prompt(150, 3), true));
  }
  const double error = relative_l2(logits[1], logits[0]);
  std::printf("relative l2 %.1e\n", error);
  EXPECT_LT(error, 1e-5);
}

TEST(EngineEquality, RealModels) {
  int found = 0;
  for (const char* name : {"models/stories260K-f32.gguf", "models/tiny-llama-Q4_K_M.gguf"}) {
    const auto path = shared_data(name);
    if (!path) continue;
    ++found;
    auto model = Model::load(*path);
    ASSERT_TRUE(model) << model.error().message;
    check_model(*model, name, {7, 512}, {1, 2});
  }
  if (found == 0) GTEST_SKIP() << "no shared reference data: set LINNET_SHARED_DATA";
}

TEST(EngineEquality, EmbeddedDemoModel) {
  const std::string path = std::string(LINNET_SOURCE_DIR) + "/tools/demo-model/demo.gguf";
  auto model = Model::load(path);
  if (!model) GTEST_SKIP() << "no demo model: " << model.error().message;
  check_model(*model, "demo", {64}, {2});
}

// A pool too small for all: the youngest lose their pages and are computed again.
TEST(EngineEquality, Preemption) {
  const auto model = tiny_model();
  const Expected e = expect(model);
  int64_t preemptions = 0;
  for (const int64_t cache_tokens : {320, 448, 576}) {
    for (const bool prefix_cache : {true, false}) {
      auto engine = make_engine(model, {.context = 320, .cache_tokens = cache_tokens, .prefix_cache = prefix_cache});
      check_all(*engine, e, fmt::format("cache of {} tokens", cache_tokens));
      check_logits(*engine, e, fmt::format("cache of {} tokens", cache_tokens));
      EXPECT_EQ(engine->stats().pages_used, 0);
      preemptions += engine->stats().preemptions;
    }
  }
  // Admission keeps prompts that do not fit waiting; what grows while it generates is what runs out of pages.
  std::vector<Request> growing;
  std::vector<Completion> alone;
  for (int64_t i = 0; i < 4; ++i)
    growing.push_back(make_request(random_prompt(20 + i, 50 + static_cast<uint64_t>(i)), 200, i + 1));
  {
    auto engine = make_engine(model, {.context = 320});
    for (const Request& request : growing) alone.push_back(*engine->generate(request));
  }
  auto engine = make_engine(model, {.context = 320, .cache_tokens = 448});
  const auto results = generate_together(*engine, growing);
  for (size_t i = 0; i < growing.size(); ++i) {
    ASSERT_TRUE(results[i]) << results[i].error().message;
    EXPECT_EQ(results[i]->tokens, alone[i].tokens) << i;
    EXPECT_EQ(results[i]->cached_tokens, 0) << "its own pages, found again, are no cache hit";
  }
  EXPECT_GT(engine->stats().preemptions, 0);
  std::printf("%ld preemptions\n", static_cast<long>(preemptions + engine->stats().preemptions));
}

// A conversation continues from its pages; the same prompt elsewhere computes everything.
TEST(EngineEquality, ConversationsAndForksEqualFreshRequests) {
  for (const TinyModel& tiny : {TinyModel{}, TinyModel{.window = 70}, TinyModel{.family = TinyFamily::mamba}}) {
    const auto model = tiny_model(tiny);
    const std::string name = tiny.family == TinyFamily::mamba ? "mamba" : fmt::format("window {}", tiny.window);
    auto engine = make_engine(model, {.context = 1024});
    auto fresh = make_engine(model, {.context = 1024, .prefix_cache = false});
    Random random(3);
    std::vector<int64_t> conversations = {engine->open_conversation()};
    std::vector<std::vector<int32_t>> texts = {random_prompt(30, 77)};
    const int turns = test_count(40);
    int64_t cached = 0;
    for (int turn = 0; turn < turns; ++turn) {
      const size_t i = static_cast<size_t>(random.below(static_cast<int64_t>(texts.size())));
      auto& text = texts[i];
      if (random.below(4) == 0 && texts.size() < 5) {
        auto copy = engine->fork_conversation(conversations[i]);
        ASSERT_TRUE(copy) << copy.error().message;
        conversations.push_back(*copy);
        texts.push_back(std::vector<int32_t>(text));
        continue;
      }
      if (random.below(4) == 0) text.resize(1 + static_cast<size_t>(random.below(static_cast<int64_t>(text.size()))));
      for (int64_t n = random.below(80); n >= 0; --n) text.push_back(static_cast<int32_t>(3 + random.below(297)));
      if (text.size() > 900) text.resize(300);
      Request request = make_request(text, 10, turn);
      const auto expected = fresh->generate(request);
      request.conversation = conversations[i];
      const auto got = engine->generate(request);
      ASSERT_TRUE(expected && got);
      ASSERT_EQ(got->tokens, expected->tokens) << name << ", turn " << turn;
      cached += got->cached_tokens;
      text.insert(text.end(), got->tokens.begin(), got->tokens.end());
    }
    for (const int64_t id : conversations) engine->close_conversation(id);
    EXPECT_EQ(engine->stats().pages_used, 0);
    EXPECT_GT(cached, 0);
    std::printf("%s: %d turns, %ld cached tokens\n", name.c_str(), turns, static_cast<long>(cached));
  }
}

}  // namespace
}  // namespace linnet
