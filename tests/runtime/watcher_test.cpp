// What an InputWatcher sees of a forward pass: each matrix with its inputs, experts with the rows that chose them.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/runtime/engine_support.h"
#include "tests/runtime/tiny_model.h"

namespace linnet {
namespace {

struct Seen : InputWatcher {
  void see(const Weight& w, const float* x, int64_t n) override {
    auto& [rows, sums] = matrices[w.data];
    rows += n;
    sums.resize(static_cast<size_t>(w.cols));
    for (int64_t i = 0; i < n * w.cols; ++i) sums[static_cast<size_t>(i % w.cols)] += double(x[i]) * x[i];
  }
  std::map<const void*, std::pair<int64_t, std::vector<double>>> matrices;
};

constexpr int64_t kTokens = 100;

Seen watched(const std::shared_ptr<const Model>& model, int64_t batch) {
  Seen seen;
  EngineOptions options{.context = 320, .batch_tokens = batch, .prefix_cache = false};
  options.forward.watcher = &seen;
  options.forward.threads = 2;
  auto engine = make_engine(model, options);
  EXPECT_TRUE(engine->logits(random_prompt(kTokens, 3), true));
  return seen;
}

TEST(InputWatcher, SeesEveryMatrixOnceForEachRow) {
  for (const TinyFamily family :
       {TinyFamily::llama, TinyFamily::mixtral, TinyFamily::mamba, TinyFamily::latent, TinyFamily::absorbed}) {
    const auto model = tiny_model({.family = family});
    ASSERT_NE(model, nullptr);
    const Seen all = watched(model, 512), pieces = watched(model, 7);
    int64_t matrices = 0, expert_rows = 0;
    model->for_each_matrix([&](const Weight& w, double share) {
      ++matrices;
      const auto found = all.matrices.find(w.data);
      const int64_t rows = found == all.matrices.end() ? 0 : found->second.first;
      if (share < 1) {
        expert_rows += rows;
      } else if (&w != &model->output.w) {
        EXPECT_EQ(rows, kTokens);
      }
    });
    EXPECT_GT(matrices, 10);
    // Every row chose two of the experts, each with three matrices in each of two layers.
    EXPECT_EQ(expert_rows, family == TinyFamily::mixtral ? kTokens * 2 * 3 * 2 : 0);
    // However the prompt was cut.
    ASSERT_EQ(all.matrices.size(), pieces.matrices.size());
    for (const auto& [data, what] : all.matrices) {
      const auto& other = pieces.matrices.at(data);
      EXPECT_EQ(what.first, other.first);
      for (size_t c = 0; c < what.second.size(); ++c)
        EXPECT_NEAR(what.second[c], other.second[c], 1e-9 * (1 + what.second[c]));
    }
  }
}

// Of the first layer they can be computed by hand: the norms of the embeddings.
TEST(InputWatcher, SeesTheInputs) {
  const auto model = tiny_model();
  const Seen seen = watched(model, 512);
  const int64_t dim = model->facts.dim;
  std::vector<double> want(static_cast<size_t>(dim));
  const auto* embedding = static_cast<const float*>(model->token_embd.data);
  for (const int32_t token : random_prompt(kTokens, 3)) {
    const float* x = embedding + token * dim;
    double squares = 0;
    for (int64_t c = 0; c < dim; ++c) squares += double(x[c]) * x[c];
    const double scale = 1 / std::sqrt(squares / static_cast<double>(dim) + model->facts.norm_eps);
    for (int64_t c = 0; c < dim; ++c)
      want[static_cast<size_t>(c)] += std::pow(x[c] * scale * model->layers[0].attn_norm.weight[c], 2);
  }
  const auto& got = seen.matrices.at(model->layers[0].q.w.data).second;
  for (size_t c = 0; c < want.size(); ++c) EXPECT_NEAR(got[c], want[c], 1e-5 * want[c]);
}

}  // namespace
}  // namespace linnet
