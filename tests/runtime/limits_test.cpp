// Options of the engine and the forward pass beyond sense: an error that names them, before anything is allocated.
#include <gtest/gtest.h>

#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "runtime/engine.h"
#include "tests/gguf/temp_folder.h"
#include "tests/runtime/failing_new.h"
#include "tests/runtime/llama_file.h"

namespace linnet {
namespace {

constexpr int64_t kVocab = 288;

// A model that says it was trained for `context` positions.
std::shared_ptr<const Model> model_of_context(uint32_t context) {
  LlamaFile file = random_llama({.layers = 1, .vocab = kVocab});
  file.set("llama.context_length", context);
  const TempFolder folder;  // the mapping stays when the name is gone
  auto model = Model::load(folder.write("model.gguf", file.encode()));
  EXPECT_TRUE(model) << model.error().message;
  return model ? *model : nullptr;
}

TEST(ForwardOptions, OutOfRangeIsRefused) {
  const auto model = model_of_context(2048);
  ASSERT_TRUE(model);
  const struct {
    ForwardOptions options;
    Code code;
    const char* mentions;
  } cases[] = {
      {{.threads = -1}, Code::invalid_argument, "threads is -1"},
      {{.threads = std::numeric_limits<int32_t>::min()}, Code::invalid_argument, "threads is -2147483648"},
      {{.threads = 257}, Code::invalid_argument, "threads is 257"},
      {{.threads = std::numeric_limits<int32_t>::max()}, Code::invalid_argument, "threads is 2147483647"},
      {{.threads = 1, .backend = "abacus"}, Code::backend_unknown, "abacus"},
      {{.threads = 1, .max_rows = 0}, Code::invalid_argument, "batch size is 0"},
      {{.threads = 1, .max_rows = -5}, Code::invalid_argument, "batch size is -5"},
      {{.threads = 1, .max_rows = 65537}, Code::invalid_argument, "batch size is 65537"},
      {{.threads = 1, .max_rows = std::numeric_limits<int64_t>::max()}, Code::invalid_argument, "batch size"},
      {{.threads = 1, .max_context = -1}, Code::invalid_argument, "context is -1"},
      {{.threads = 1, .max_context = (int64_t{1} << 31) + 1}, Code::invalid_argument, "context is 2147483649"},
      {{.threads = 1, .max_context = std::numeric_limits<int64_t>::max()}, Code::invalid_argument, "context"},
  };
  for (const auto& c : cases) {
    const auto forward = Forward::create(*model, c.options);
    ASSERT_FALSE(forward) << c.mentions;
    EXPECT_EQ(code_name(forward.error().code), code_name(c.code)) << forward.error().message;
    EXPECT_NE(forward.error().message.find(c.mentions), std::string::npos) << forward.error().message;
  }
}

TEST(ForwardRun, RefusesBadRows) {
  const auto model = model_of_context(2048);
  ASSERT_TRUE(model);
  auto forward = Forward::create(*model, {.threads = 1, .max_rows = 2, .max_context = 64});
  ASSERT_TRUE(forward) << forward.error().message;
  std::vector<float> logits(kVocab);
  const auto code = [](const Status& status) { return status ? Code::ok : status.error().code; };
  EXPECT_TRUE((*forward)->run({}, logits.data()));
  std::vector<BatchRow> rows(3);
  EXPECT_EQ(code((*forward)->run(rows, logits.data())), Code::invalid_argument);
  rows.resize(1);
  for (const int32_t token :
       {-1, static_cast<int32_t>(kVocab), std::numeric_limits<int32_t>::max(), std::numeric_limits<int32_t>::min()}) {
    rows[0].token = token;
    EXPECT_EQ(code((*forward)->run(rows, logits.data())), Code::token_range) << token;
  }
}

TEST(EngineOptions, OutOfRangeIsRefused) {
  const auto model = model_of_context(2048);
  ASSERT_TRUE(model);
  constexpr int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
  int refused = 0;
  const auto check = [&](const char* name, int64_t EngineOptions::*field, std::initializer_list<int64_t> values) {
    for (const int64_t value : values) {
      EngineOptions options;
      options.forward.threads = 1;
      options.*field = value;
      const auto engine = Engine::create(model, options);
      ASSERT_FALSE(engine) << name << " " << value;
      EXPECT_EQ(engine.error().code, Code::invalid_argument) << engine.error().message;
      EXPECT_NE(engine.error().message.find(name), std::string::npos) << engine.error().message;
      EXPECT_NE(engine.error().message.find(std::to_string(value)), std::string::npos) << engine.error().message;
      ++refused;
    }
  };
  check("context", &EngineOptions::context, {-1, least, (int64_t{1} << 30) + 1, most});
  check("max_concurrent", &EngineOptions::max_concurrent, {0, -1, least, 65537, most});
  check("queue_size", &EngineOptions::queue_size, {-1, least, most});
  check("batch_tokens", &EngineOptions::batch_tokens, {0, -1, least, 65537, most});
  check("cache_tokens", &EngineOptions::cache_tokens, {-1, least, (int64_t{1} << 40) + 1, most});
  EXPECT_FALSE(Engine::create(nullptr, {}));
  EngineOptions options;
  options.forward.threads = 1000;
  EXPECT_FALSE(Engine::create(model, options));
  std::printf("%d options refused\n", refused);
}

// What a model claims about its context costs nothing until it is used.
TEST(EngineOptions, HugeContextsCostLittle) {
  const auto model = model_of_context(uint32_t{1} << 31);
  ASSERT_TRUE(model);
  for (const int64_t context : {int64_t{0}, int64_t{1} << 20, int64_t{1} << 30}) {
    EngineOptions options;
    options.forward.threads = 1;
    options.context = context;
    options.batch_tokens = 8;
    const uint64_t before = allocated_bytes();
    auto engine = Engine::create(model, options);
    ASSERT_TRUE(engine) << context << ": " << engine.error().message;
    EXPECT_LE(allocated_bytes() - before, uint64_t{64} << 20) << context;
    const auto logits = (*engine)->logits({1, 5, 9}, false);
    EXPECT_TRUE(logits) << logits.error().message;
    std::printf("context %lld: %lld bytes of workspace, %llu others\n", static_cast<long long>(context),
                static_cast<long long>((*engine)->stats().workspace_bytes),
                static_cast<unsigned long long>(allocated_bytes() - before));
  }
}

}  // namespace
}  // namespace linnet
