// Context shifts with a model: positions are right, and what a request gets does not depend on how it was computed.
//
// In a model of one layer keys and values depend on their token and position alone, so a shifted text must be the shorter
// text. `Text` computes either; `first` puts a fresh text where the shifted one's tail is, so that equal keys of the tail
// are equal bits and only the sinks can differ: they were rounded once more when they were turned.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "kernels/kv_layout.h"
#include "runtime/sequence.h"
#include "tests/gguf/temp_folder.h"
#include "tests/runtime/engine_support.h"
#include "tests/runtime/llama_file.h"
#include "tests/runtime/relative_error.h"
#include "tests/runtime/rope_reference.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

using Tokens = std::vector<int32_t>;

Tokens without(const Tokens& tokens, int64_t begin, int64_t count) {
  Tokens rest(tokens.begin(), tokens.begin() + begin);
  rest.insert(rest.end(), tokens.begin() + begin + count, tokens.end());
  return rest;
}

class Text {
 public:
  explicit Text(std::shared_ptr<const Model> model, int64_t first = 0)
      : model_(std::move(model)),
        forward_(std::move(*Forward::create(*model_, {.threads = 1, .max_context = 4096}))),
        pool_(model_->groups(), 64, 1),
        first_(first),
        sequence(pool_, 0, true) {}

  // The logits after the last of `tokens`.
  std::vector<float> add(std::span<const int32_t> tokens, int64_t chunk = 64) {
    std::vector<float> logits(static_cast<size_t>(model_->facts.vocab));
    const size_t groups = model_->groups().size();
    for (size_t done = 0; done < tokens.size();) {
      const auto part = tokens.subspan(done, std::min(static_cast<size_t>(chunk), tokens.size() - done));
      const int64_t begin = sequence.size();
      EXPECT_TRUE(sequence.append(part));
      std::vector<RowPlace> places;
      std::vector<BatchRow> rows(part.size());
      for (size_t i = 0; i < part.size(); ++i)
        for (size_t g = 0; g < groups; ++g)
          places.push_back(sequence.place(static_cast<int32_t>(g), begin + static_cast<int64_t>(i)));
      for (size_t i = 0; i < part.size(); ++i) {
        rows[i].position[0] = begin + static_cast<int64_t>(i) + first_;
        rows[i].token = part[i];
        rows[i].places = &places[i * groups];
      }
      rows.back().wants_logits = true;
      const Status ran = forward_->run(rows, logits.data());
      EXPECT_TRUE(ran) << ran.error().message;
      sequence.mark_computed(sequence.size());
      done += part.size();
    }
    return logits;
  }

  Sequence::Turn turn() {
    return [this](int32_t group, std::byte* page, int64_t n) { forward_->rotate_page(group, page, n); };
  }
  void shift(int64_t keep, int64_t discard) { EXPECT_TRUE(sequence.shift(keep, discard, turn())); }

 private:
  std::shared_ptr<const Model> model_;
  std::unique_ptr<Forward> forward_;
  PagePool pool_;
  int64_t first_;

 public:
  Sequence sequence;
};

struct Family {
  const char* name;
  std::string architecture = "llama";  // adjacent pairs; qwen2: halves
  int64_t rope_dims = 32;              // of 32
  int64_t window = 0;
  bool alternating = false;  // the window in every other layer
  bool factors = false;
  const char* scaling = nullptr;
};

std::shared_ptr<const Model> make_model(const Family& family, int64_t layers, KvType type) {
  LlamaFile file = random_llama({.layers = layers,
                                 .heads = 4,
                                 .kv_heads = 2,
                                 .k_dim = 32,
                                 .v_dim = 32,
                                 .rope_dims = family.rope_dims,
                                 .window = family.window,
                                 .biases = family.architecture == "qwen2",
                                 .rope_factors = family.factors});
  if (family.alternating) file.set("llama.attention.sliding_window_pattern", uint32_t{2});
  if (family.scaling) {
    file.set("llama.rope.scaling.type", std::string(family.scaling));
    file.set("llama.rope.scaling.factor", 4.0f);
    file.set("llama.rope.scaling.original_context_length", uint32_t{512});
  }
  for (auto& [key, value] : file.keys) {
    if (key == "general.architecture") value = family.architecture;
    if (key.starts_with("llama.")) key = family.architecture + key.substr(5);
  }
  const TempFolder folder;  // the mapping stays when the name is gone
  const std::string path = folder.path("model.gguf");
  std::ofstream(path, std::ios::binary) << file.encode();
  auto model = Model::load(path, {.kv_type = type});
  EXPECT_TRUE(model) << family.name << ": " << model.error().message;
  if (!model) return nullptr;
  EXPECT_TRUE((*model)->groups()[0].type == type);
  return *model;
}

const Family kFamilies[] = {
    {.name = "adjacent pairs"},
    {.name = "halves", .architecture = "qwen2"},
    {.name = "partial", .rope_dims = 16},
    {.name = "window that leaves the sinks", .window = 100},
    {.name = "window that keeps them", .window = 900},
    {.name = "frequency factors", .factors = true},
    {.name = "linear scaling", .scaling = "linear"},
    {.name = "YaRN", .scaling = "yarn"},
};
const KvType kTypes[] = {KvType::f32, KvType::f16, KvType::q8_0};

// Sinks were rounded twice and the fresh text's once; `noise` is what rounding every key anew does to the logits.
TEST(ContextShift, AShiftedTextIsTheShorterText) {
  for (const Family& family : kFamilies)
    for (const KvType type : kTypes) {
      const auto model = make_model(family, 1, type);
      ASSERT_NE(model, nullptr);
      const Tokens tokens = random_prompt(900, 7);
      Text shifted(model), unturned(model);
      int64_t dropped = 0;
      double worst = 0;
      size_t at = 0;
      for (const int64_t discard : {192, 64, 128}) {
        const size_t full = at == 0 ? 400 : at + 100, end = full + 90;
        for (Text* text : {&shifted, &unturned}) text->add(std::span(tokens).subspan(at, full - at));
        shifted.shift(128, discard);
        EXPECT_TRUE(unturned.sequence.shift(128, discard, [](int32_t, std::byte*, int64_t) {}));
        dropped += discard;
        const auto is = shifted.add(std::span(tokens).subspan(full, end - full));
        const auto without_turn = unturned.add(std::span(tokens).subspan(full, end - full));
        at = end;
        const Tokens shorter = without(Tokens(tokens.begin(), tokens.begin() + int64_t(end)), 128, dropped);
        const auto there = Text(model, dropped).add(shorter), from_zero = Text(model).add(shorter);
        const double noise = relative_l2(from_zero, there), error = relative_l2(is, there);
        worst = std::max(worst, error / noise);
        EXPECT_LE(error, 2 * noise) << family.name << ", kv type " << int(type) << " after " << dropped;
        EXPECT_GT(noise, 0);
        if (family.window == 100) {
          EXPECT_EQ(is, there) << family.name;  // no sink in sight
        } else {
          EXPECT_GT(relative_l2(without_turn, there), 4 * noise) << family.name << ", kv type " << int(type);
        }
      }
      std::printf("%-28s kv type %d: error up to %.2f of rounding\n", family.name, int(type), worst);
    }
}

// Without sinks nothing is turned: the same bits.
TEST(ContextShift, WithoutSinksTheBitsAreThoseOfTheShorterText) {
  for (const KvType type : kTypes) {
    const auto model = make_model({.name = "llama"}, 1, type);
    const Tokens tokens = random_prompt(600, 8);
    Text shifted(model);
    shifted.add(std::span(tokens).first(500));
    shifted.shift(0, 192);
    const auto is = shifted.add(std::span(tokens).subspan(500), 7);
    EXPECT_EQ(is, Text(model, 192).add(without(tokens, 0, 192)));
  }
}

// Skipped text was never seen by anything, so here it is so in every layer.
TEST(ContextShift, SkippedTextIsTheShorterTextInModelsOfAnyDepth) {
  for (const Family& family : {Family{.name = "adjacent pairs"}, Family{.name = "halves", .architecture = "qwen2"},
                               Family{.name = "two groups", .window = 100, .alternating = true}})
    for (const KvType type : kTypes) {
      const auto model = make_model(family, 4, type);
      ASSERT_NE(model, nullptr);
      EXPECT_EQ(model->groups().size(), family.alternating ? 2u : 1u);
      const Tokens tokens = random_prompt(700, 9);
      Text text(model);
      text.add(std::span(tokens).first(128));
      ASSERT_TRUE(text.sequence.skip(std::span(tokens).subspan(128, 320), text.turn()));
      const auto is = text.add(std::span(tokens).subspan(448));
      const Tokens shorter = without(tokens, 128, 320);
      const auto there = Text(model, 320).add(shorter), from_zero = Text(model).add(shorter);
      const double noise = relative_l2(from_zero, there);
      EXPECT_LE(relative_l2(is, there), 2 * noise) << family.name << ", kv type " << int(type);
      std::printf("%-28s kv type %d: %.1e, rounding %.1e\n", family.name, int(type), relative_l2(is, there), noise);
    }
}

// The same with small models of all architectures: rope of every kind, ALiBi, layers without positions, attention sinks,
// windows, latent attention. Where nothing is turned the bits are equal.
TEST(ContextShift, SkippedTextIsTheShorterTextInEveryArchitecture) {
  const auto folder = shared_data("architectures");
  if (!folder) GTEST_SKIP() << "no shared reference data: set LINNET_SHARED_DATA";
  int shifted = 0, equal = 0, refused = 0, unknown = 0;
  double worst = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    if (entry.path().extension() != ".gguf") continue;
    const std::string name = entry.path().stem().string();
    auto loaded = Model::load(entry.path().string());
    if (!loaded && ++unknown) continue;
    const std::shared_ptr<const Model> model = *loaded;
    if (!(*Forward::create(*model, {.threads = 1}))->can_shift() && ++refused) continue;
    const Tokens tokens = random_prompt(330, 11, std::min<int64_t>(model->facts.vocab, 300));
    Text text(model);
    text.add(std::span(tokens).first(64));
    ASSERT_TRUE(text.sequence.skip(std::span(tokens).subspan(64, 128), text.turn())) << name;
    const auto is = text.add(std::span(tokens).subspan(192));
    const Tokens shorter = without(tokens, 64, 128);
    // Temperatures go by places, which `first` does not move: `there` and the shifted text agree on them.
    const auto there = Text(model, 128).add(shorter), from_zero = Text(model).add(shorter);
    const double noise = relative_l2(from_zero, there), error = relative_l2(is, there);
    EXPECT_LE(error, 2 * noise) << name;
    ++(noise == 0 ? equal : shifted);
    if (noise > 0) worst = std::max(worst, error / noise);
    EXPECT_LT(noise, 0.05) << name << ": where a text begins must not matter";
  }
  std::printf("%d models turned (error up to %.2f of rounding), %d equal to the bit, %d refused, %d not loaded\n",
              shifted, worst, equal, refused, unknown);
  EXPECT_GT(shifted, 10);
  EXPECT_GT(equal, 0);
}

// The keys themselves, in deep models and those with latent attention: turned by all that was dropped, from what they
// were; values and everything behind the sinks are as before.
TEST(ContextShift, SinksAreTheirKeysTurnedFromWhereTheyWere) {
  std::vector<std::shared_ptr<const Model>> models;
  for (const KvType type : kTypes) {
    models.push_back(make_model({.name = "llama", .rope_dims = 16}, 3, type));
    models.push_back(make_model({.name = "qwen2", .architecture = "qwen2"}, 3, type));
  }
  for (const TinyFamily family : {TinyFamily::latent, TinyFamily::absorbed})
    models.push_back(tiny_model({.family = family}));
  for (const auto& model : models) {
    ASSERT_NE(model, nullptr);
    const Facts& f = model->facts;
    const LayerGroup& group = model->groups()[0];
    const RopeReference rope(f.ropes[0], {});
    const int64_t turned = f.ropes[0].dims, first = f.latent.kv_rank > 0 ? f.k_dim - turned : 0;
    const Tokens tokens = random_prompt(700, 10);
    Text text(model);
    text.add(std::span(tokens).first(400));
    const RowPlace row = text.sequence.place(0, 399);
    std::vector<std::vector<std::byte>> before;
    for (int i = 0; i < 7; ++i) before.emplace_back(row.pages[i], row.pages[i] + group.page_bytes);
    text.shift(64, 128);
    text.add(std::span(tokens).subspan(400, 60));
    text.shift(64, 64);
    const RowPlace now = text.sequence.place(0, 459);
    for (size_t i = 1; i < 3; ++i)
      EXPECT_EQ(std::memcmp(now.pages[i], before[i + 3].data(), before[i + 3].size()), 0) << "a page of the tail";
    for (const KvLayer& kv : group.layers)
      for (int64_t slot = 0; slot < 64; ++slot) {
        std::vector<float> old(size_t(kv.kv_heads * kv.k_dim)), is(old.size());
        std::vector<float> old_v(size_t(kv.kv_heads * kv.v_dim)), is_v(old_v.size());
        load_k_row(before[0].data(), kv, slot, old.data());
        load_k_row(now.pages[0], kv, slot, is.data());
        load_v_row(before[0].data(), kv, slot, old_v.data());
        load_v_row(now.pages[0], kv, slot, is_v.data());
        if (f.latent.absorbed) {  // a value is the unturned part of its key
          ASSERT_EQ(f.k_dim - turned, f.v_dim);
        }
        ASSERT_EQ(is_v, old_v);
        for (int64_t h = 0; h < kv.kv_heads; ++h) {
          std::vector<double> want(old.begin() + h * kv.k_dim, old.begin() + (h + 1) * kv.k_dim);
          for (size_t i = 0; i < rope.frequencies.size(); ++i) {
            const double angle = 192 * rope.frequencies[i];
            const size_t a = size_t(first) + (f.rope == Rope::half ? i : 2 * i);
            const size_t b = f.rope == Rope::half ? a + rope.frequencies.size() : a + 1;
            const double x = want[a], y = want[b];
            want[a] = x * std::cos(angle) - y * std::sin(angle);
            want[b] = x * std::sin(angle) + y * std::cos(angle);
          }
          double most = 0;
          for (const double w : want) most = std::max(most, std::abs(w));
          const double bound = kv.type == KvType::f32 ? 1e-6 : kv.type == KvType::f16 ? 0x1.1p-11 : 0.52 / 127;
          for (int64_t d = 0; d < kv.k_dim; ++d)
            ASSERT_LE(std::abs(double(is[size_t(h * kv.k_dim + d)]) - want[size_t(d)]), bound * most + 1e-7)
                << f.architecture << ", kv type " << int(kv.type) << ", slot " << slot << ", dim " << d;
        }
      }
  }
}

Request shifting(Tokens prompt, int64_t max_tokens, int64_t seed = 1) {
  Request r = make_request(std::move(prompt), max_tokens, seed);
  r.shift = true;
  r.sampling.repeat_penalty = 1;
  r.n_keep = 60;      // 64
  r.n_discard = 100;  // 128
  return r;
}

// The shift happens when the context is full and another row is to be computed, not before.
TEST(ContextShift, TheEngineShiftsAFullContext) {
  const auto model = tiny_model();
  auto engine = make_engine(model, {.context = 256});
  Request request = shifting(random_prompt(100, 3), 500);
  request.sampling.temperature = 0;
  const auto result = engine->generate(request);
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->finish_reason, FinishReason::max_tokens);
  ASSERT_EQ(result->completion_tokens, 500);
  EXPECT_EQ(result->discarded_tokens, 3 * 128);
  EXPECT_EQ(engine->stats().shifts, 3);
  Text text(model);
  std::vector<float> logits = text.add(request.prompt);
  Tokens by_hand;
  while (by_hand.size() < 500) {
    by_hand.push_back(static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
    if (text.sequence.in_view() == 256) text.shift(64, 128);
    logits = text.add(std::span(by_hand).last(1));
  }
  EXPECT_EQ(result->tokens, by_hand);
  request.shift = false;
  EXPECT_EQ(engine->generate(request)->finish_reason, FinishReason::context_full);
  EXPECT_EQ(engine->stats().pages_used, 0);
}

TEST(ContextShift, EqualToTheBitHoweverItWasComputed) {
  for (const TinyModel& tiny :
       {TinyModel{}, TinyModel{.window = 70}, TinyModel{.window = 200}, TinyModel{.family = TinyFamily::absorbed}}) {
    const auto model = tiny_model(tiny);
    std::vector<Request> requests;
    for (int64_t i = 0; i < 5; ++i) requests.push_back(shifting(random_prompt(40 + 50 * i, 5), 300, i));
    requests[1].n_keep = -1;
    requests[2].n_discard = 1;
    std::vector<Completion> alone;
    {
      auto engine = make_engine(model, {.forward = {.threads = 1}, .context = 256, .prefix_cache = false});
      for (const Request& request : requests) alone.push_back(*engine->generate(request));
    }
    int64_t preemptions = 0;
    for (const int64_t batch : {1, 7, 512})
      for (const int64_t cache_tokens : {0, 640}) {
        auto engine = make_engine(model, {.forward = {.threads = batch == 7 ? 3 : 2},
                                          .context = 256,
                                          .batch_tokens = batch,
                                          .cache_tokens = cache_tokens,
                                          .prefix_cache = batch != 7});
        const auto results = generate_together(*engine, requests);
        for (size_t i = 0; i < results.size(); ++i) {
          ASSERT_TRUE(results[i]) << results[i].error().message;
          EXPECT_EQ(results[i]->tokens, alone[i].tokens) << "batch " << batch << ", cache " << cache_tokens;
          EXPECT_EQ(results[i]->discarded_tokens, alone[i].discarded_tokens);
          EXPECT_GT(results[i]->discarded_tokens, 0);
        }
        EXPECT_EQ(engine->stats().pages_used, 0);
        preemptions += engine->stats().preemptions;
      }
    EXPECT_GT(preemptions, 0);
    std::printf("window %ld: %ld preemptions\n", static_cast<long>(tiny.window), static_cast<long>(preemptions));
  }
}

// The whole pool is one context: a text that was shifted holds its sinks twice, and what it sees is that much less.
TEST(ContextShift, APoolOfOneContextIsEnough) {
  const auto model = tiny_model();
  for (const int64_t n_discard : {1, 1000}) {
    auto engine = make_engine(model, {.context = 256, .max_concurrent = 1, .cache_tokens = 256});
    Request request = shifting(random_prompt(100, 3), 600);
    request.n_discard = n_discard;
    const auto result = engine->generate(request);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_EQ(result->completion_tokens, 600);
  }
}

struct Turns {
  Tokens history = random_prompt(150, 21);
  uint64_t seed = 100;

  // The next turn's prompt: all so far and `n` new tokens.
  Request next(int64_t conversation, int64_t n, int64_t max_tokens = 24) {
    const Tokens more = random_prompt(n, ++seed);
    history.insert(history.end(), more.begin(), more.end());
    Request r = shifting(history, max_tokens, static_cast<int64_t>(seed));
    r.conversation = conversation;
    return r;
  }
  void take(const Completion& c) { history.insert(history.end(), c.tokens.begin(), c.tokens.end()); }
};

TEST(ContextShift, AConversationOfTenThousandTokensCostsTheSameEveryTurn) {
  const auto model = tiny_model();
  auto engine = make_engine(model, {.context = 512});
  const int64_t conversation = engine->open_conversation();
  Turns turns;
  int64_t most = 0, rows = 0, count = 0;
  for (; turns.history.size() < 10500; ++count) {
    const auto result = engine->generate(turns.next(conversation, 40));
    ASSERT_TRUE(result) << result.error().message;
    ASSERT_EQ(result->completion_tokens, 24);
    const int64_t now = engine->stats().rows;
    if (count > 0) most = std::max(most, now - rows);
    rows = now;
    if (count > 0) { EXPECT_EQ(result->cached_tokens, result->prompt_tokens - 41) << "turn " << count; }
    turns.take(*result);
  }
  // New tokens, the one token of the turn before that was not computed yet, and all generated ones but the last.
  EXPECT_EQ(most, 40 + 1 + 23);
  EXPECT_GT(engine->stats().shifts, 50);
  std::printf("%ld turns, %ld tokens, %ld shifts, at most %ld rows in a turn\n", static_cast<long>(count),
              static_cast<long>(turns.history.size()), static_cast<long>(engine->stats().shifts),
              static_cast<long>(most));
  // A fork goes on in the same way.
  const int64_t fork = *engine->fork_conversation(conversation);
  Request next = turns.next(conversation, 30);
  const auto a = engine->generate(next);
  next.conversation = fork;
  const auto b = engine->generate(next);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(a->tokens, b->tokens);
  EXPECT_EQ(b->cached_tokens, b->prompt_tokens - 31);
  // Cut within what is in view, and back into what was dropped: that text fits the context, and is computed whole.
  next.prompt.resize(next.prompt.size() - 20);
  EXPECT_GT(engine->generate(next)->cached_tokens, 10000);
  next.prompt.resize(300);
  const auto c = engine->generate(next);
  ASSERT_TRUE(c) << c.error().message;
  next.conversation = 0;
  EXPECT_EQ(c->tokens, make_engine(model, {.context = 512})->generate(next)->tokens);
}

// A prompt that outgrows the context in the middle gives the same bits however it is cut into steps.
TEST(ContextShift, ConversationsAreEqualHoweverTheyWereComputed) {
  for (const TinyModel& tiny : {TinyModel{}, TinyModel{.window = 70}}) {
    const auto model = tiny_model(tiny);
    std::vector<Tokens> expected;
    for (const int64_t batch : {512, 1, 13}) {
      auto engine = make_engine(model, {.context = 256, .batch_tokens = batch, .prefix_cache = batch != 13});
      const int64_t conversation = engine->open_conversation();
      Turns turns;
      for (size_t i = 0; i < 8; ++i) {
        const auto result = engine->generate(turns.next(conversation, i == 3 ? 200 : 50));
        ASSERT_TRUE(result) << result.error().message;
        if (batch == 512) expected.push_back(result->tokens);
        EXPECT_EQ(result->tokens, expected[i]) << "batch " << batch << ", turn " << i;
        turns.take(*result);
      }
    }
  }
}

// Resting conversations lose their pages to a large request; the next turn computes beginning and end only, and gives
// the same as the same text skipped by hand.
TEST(ContextShift, AConversationThatLostItsPagesTakesUpItsShortenedText) {
  const auto model = tiny_model();
  Tokens expected;
  for (const int64_t batch : {512, 5}) {
    auto engine = make_engine(model, {.context = 256, .batch_tokens = batch, .cache_tokens = 384});
    const int64_t conversation = engine->open_conversation();
    Turns turns;
    for (int i = 0; i < 12; ++i) turns.take(*engine->generate(turns.next(conversation, 40)));
    ASSERT_GT(turns.history.size(), 800u);
    ASSERT_TRUE(engine->generate(make_request(random_prompt(250, 77), 4)));
    ASSERT_TRUE(engine->generate(make_request(random_prompt(250, 78), 4)));
    Request next = turns.next(conversation, 40, 20);
    next.sampling.temperature = 0;
    const int64_t before = engine->stats().rows;
    const auto result = engine->generate(next);
    ASSERT_TRUE(result) << result.error().message;
    EXPECT_LE(engine->stats().rows - before, 256 + 20);
    EXPECT_GT(result->discarded_tokens, 500);
    EXPECT_LE(result->cached_tokens, 64);
    if (expected.empty()) {
      const auto size = static_cast<int64_t>(next.prompt.size());
      const int64_t limit = 256, skipped = (size - limit + 127) / 128 * 128;
      Text text(model);
      text.add(std::span(next.prompt).first(64));
      ASSERT_TRUE(text.sequence.skip(std::span(next.prompt).subspan(64, size_t(skipped)), text.turn()));
      auto logits = text.add(std::span(next.prompt).subspan(size_t(64 + skipped)));
      while (expected.size() < 20) {
        expected.push_back(static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
        if (text.sequence.in_view() == limit) text.shift(64, 128);
        logits = text.add(std::span(expected).last(1));
      }
    }
    EXPECT_EQ(result->tokens, expected) << "batch " << batch;
  }
}

TEST(ContextShift, WhatIsRefused) {
  const auto model = tiny_model();
  auto engine = make_engine(model, {.context = 256});
  const auto code = [&](const Request& r) {
    const auto result = engine->generate(r);
    return result ? Code::ok : result.error().code;
  };
  EXPECT_EQ(code(shifting(random_prompt(257, 1), 5)), Code::prompt_too_long);
  Request first = shifting(random_prompt(257, 1), 5);
  first.conversation = engine->open_conversation();
  EXPECT_EQ(code(first), Code::prompt_too_long);
  first.prompt.resize(256);
  EXPECT_EQ(code(first), Code::ok);
  first.prompt = random_prompt(256 + 260 + 2, 1);  // 260 are known: the last token was not computed
  EXPECT_EQ(code(first), Code::prompt_too_long);
  first.prompt.resize(256 + 260);
  EXPECT_EQ(code(first), Code::ok);
  first.prompt_probs = 0;
  EXPECT_EQ(code(first), Code::prompt_too_long);
  first.prompt_probs = -1;
  first.n_keep = -1;
  EXPECT_EQ(code(first), Code::option_range);
  for (const auto& [n_keep, n_discard] :
       {std::pair<int64_t, int64_t>{-2, 64}, {0, 0}, {INT64_MAX, 64}, {0, INT64_MAX}}) {
    Request r = shifting(random_prompt(20, 1), 5);
    r.n_keep = n_keep;
    r.n_discard = n_discard;
    EXPECT_EQ(code(r), Code::option_range);
  }
  // Nothing to discard behind the sinks: the text ends with the context, and says so.
  Request tight = shifting(random_prompt(20, 1), 400);
  tight.n_keep = 200;
  const auto result = engine->generate(tight);
  ASSERT_TRUE(result);
  EXPECT_EQ(result->finish_reason, FinishReason::context_full);
  EXPECT_TRUE(std::ranges::any_of(result->notes, [](const std::string& n) { return n.starts_with("shift:"); }));

  auto mamba = make_engine(tiny_model({.family = TinyFamily::mamba}), {.context = 256});
  EXPECT_EQ(mamba->generate(shifting(random_prompt(20, 1), 5)).error().code, Code::unsupported);
}

// A request that does not ask for shifts gets its whole text, whatever its conversation holds.
TEST(ContextShift, WithoutShiftAConversationForgetsItsShortenedText) {
  const auto model = tiny_model();
  auto engine = make_engine(model, {.context = 256});
  Request r = shifting(random_prompt(200, 4), 100);
  r.conversation = engine->open_conversation();
  const auto long_text = engine->generate(r);
  ASSERT_TRUE(long_text);
  EXPECT_EQ(long_text->discarded_tokens, 128);
  r.prompt.insert(r.prompt.end(), long_text->tokens.begin(), long_text->tokens.begin() + 30);
  r.shift = false;
  r.stopping.max_tokens = 20;
  const auto is = engine->generate(r);
  r.conversation = 0;
  ASSERT_TRUE(is) << is.error().message;
  EXPECT_EQ(is->tokens, make_engine(model, {.context = 256})->generate(r)->tokens);
}

}  // namespace
}  // namespace linnet
