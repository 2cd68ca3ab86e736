// Vectors of texts: encoders against their float64 references, decoders against their own logits' inputs.
#include "runtime/embedder.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fstream>

#include "gguf/base/json.h"
#include "tests/runtime/relative_error.h"
#include "tests/runtime/tiny_model.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::string read_bytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

class Encoders : public testing::TestWithParam<const char*> {};

TEST_P(Encoders, MatchTheReference) {
  const std::string name = std::string("architectures/encoders/") + GetParam();
  const auto file = shared_data(name + ".gguf"), json = shared_data(name + ".json");
  if (!file || !json) GTEST_SKIP() << "no reference data (" << name << ")";
  const Json all = *parse_json(read_bytes(*json));
  std::vector<int32_t> tokens;
  for (const Json& id : all.find("embd")->find("tokens")->elements())
    tokens.push_back(static_cast<int32_t>(*id.integer()));
  const std::string bytes = read_bytes(*shared_data(name + ".f64.bin"));
  std::vector<float> exact(bytes.size() / sizeof(float));
  std::memcpy(exact.data(), bytes.data(), bytes.size());
  const auto model = Model::load(*file, {.kv_type = KvType::f32});
  ASSERT_TRUE(model) << model.error().message;
  for (int32_t i = 0; i < all_kernels().count; ++i) {
    const Kernels& k = *all_kernels().items[i];
    if (!k.supported()) continue;
    const auto embedder = Embedder::create(*model, {.threads = 2, .backend = k.name});
    ASSERT_TRUE(embedder) << embedder.error().message;
    const auto hidden = (*embedder)->hidden(tokens);
    ASSERT_TRUE(hidden) << hidden.error().message;
    const double error = relative_l2(*hidden, exact);
    std::printf("%-16s %-7s relative l2 error %.2e\n", GetParam(), k.name, error);
    EXPECT_TRUE(error <= 1e-4) << error;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Encoders, testing::Values("tiny-bert", "tiny-nomic-bert"));

TEST(Embedder, ChunksOfADecoderAreTheWhole) {
  const auto model = tiny_model();
  std::vector<int32_t> tokens;
  for (int32_t i = 0; i < 150; ++i) tokens.push_back(i * 7 % static_cast<int32_t>(model->facts.vocab));
  std::vector<float> whole;
  for (const int64_t rows : {150, 64, 7}) {
    const auto embedder = Embedder::create(model, {.threads = 1, .max_rows = rows, .max_context = 150});
    ASSERT_TRUE(embedder) << embedder.error().message;
    const auto hidden = (*embedder)->hidden(tokens);
    ASSERT_TRUE(hidden) << hidden.error().message;
    if (whole.empty()) whole = *hidden;
    EXPECT_EQ(whole, *hidden) << rows;
    const auto again = (*embedder)->hidden(tokens);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(whole, *again) << "the second text finds pages again";
    tokens.push_back(1);
    EXPECT_EQ((*embedder)->hidden(tokens).error().code, Code::prompt_too_long);
    tokens.pop_back();
  }
}

TEST(Embedder, Pools) {
  const std::vector<float> hidden = {1, 2, 3, 4, 5, 12};
  EXPECT_EQ(pool(hidden, 2, Pooling::none), hidden);
  EXPECT_EQ(pool(hidden, 2, Pooling::mean), (std::vector<float>{3, 6}));
  EXPECT_EQ(pool(hidden, 2, Pooling::cls), (std::vector<float>{1, 2}));
  EXPECT_EQ(pool(hidden, 2, Pooling::last), (std::vector<float>{5, 12}));
  std::vector<float> vectors = {3, 4, 0, 0, 5, 12};
  normalize(vectors, 2);
  EXPECT_EQ(vectors, (std::vector<float>{0.6f, 0.8f, 0, 0, 5.0f / 13, 12.0f / 13}));
}

}  // namespace
}  // namespace linnet
