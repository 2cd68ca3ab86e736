// What the planner says beforehand is what a model takes once it works.
#include "capi/plan.h"

#include <gtest/gtest.h>

#include "capi/context.h"
#include "gguf/base/json.h"
#include "runtime/engine.h"
#include "tests/tools/command_line.h"

namespace linnet {
namespace {

const std::string kDemo = LINNET_SOURCE_DIR "/tools/demo-model/demo.gguf";

int64_t number(const Json& json, const char* key) {
  const Json* value = json.find(key);
  EXPECT_TRUE(value && value->is_integer()) << key;
  return value && value->is_integer() ? *value->integer() : -1;
}

TEST(Plan, NumbersAreThoseOfTheEngineThatWorked) {
  for (const char* kv_type : {"f16", "q8_0", "f32"}) {
    for (const int64_t batch : {16, 200}) {
      Options o;
      o.ctx_size = 320;
      o.max_cache_tokens = 320;
      o.batch_size = batch;
      o.kv_type = kv_type;
      const auto model = Model::load(kDemo, {.kv_type = *kv_type_of(o)});
      ASSERT_TRUE(model) << model.error().message;
      const auto engine = Engine::create(*model, engine_options(o));
      ASSERT_TRUE(engine) << engine.error().message;
      // To the context's end, so that every page of the pool is taken.
      Request request;
      request.prompt.assign(250, 1);
      request.stopping.ignore_eos = true;
      request.stopping.max_tokens = -1;
      const auto completion = (*engine)->generate(request);
      ASSERT_TRUE(completion) << completion.error().message;
      EXPECT_EQ(completion->finish_reason, FinishReason::context_full);
      const EngineStats stats = (*engine)->stats();

      const auto plan = plan_memory(*model, engine_options(o));
      ASSERT_TRUE(plan) << plan.error().message;
      EXPECT_EQ(static_cast<int64_t>(plan->kv_bytes), stats.kv_bytes) << kv_type << " " << batch;
      EXPECT_EQ(static_cast<int64_t>(plan->workspace_bytes), stats.workspace_bytes) << kv_type << " " << batch;
      EXPECT_GT(plan->workspace_bytes, 0u);
      EXPECT_EQ(plan->weight_bytes, (*model)->weight_bytes());
      EXPECT_EQ(plan->kv_bytes, plan->kv_token_bytes * static_cast<uint64_t>(plan->cache_tokens));
      EXPECT_EQ(plan->context, 320);
      EXPECT_EQ(plan->batch_tokens, batch);
      EXPECT_EQ(plan->total(), plan->weight_bytes + plan->kv_bytes + plan->workspace_bytes + plan->vocabulary_bytes);
    }
  }
}

TEST(Plan, CommandAndLibraryGiveTheSameNumbers) {
  const std::string config = R"({"ctx_size":512,"batch_size":64,"max_cache_tokens":1000,"kv_type":"q8_0"})";
  const Outcome command = linnet_command({"plan", kDemo, "--config", config, "--json"});
  ASSERT_EQ(command.code, 0) << command.err;
  const auto here = parse_json(command.out);
  const auto text = plan_json(kDemo, config);
  ASSERT_TRUE(here && text);
  const auto there = parse_json(*text);
  ASSERT_TRUE(there);
  for (const char* key : {"weight_bytes", "kv_bytes", "workspace_bytes", "vocabulary_bytes", "total_bytes", "context",
                          "cache_tokens", "kv_token_bytes", "batch_tokens"})
    EXPECT_EQ(number(*here, key), number(*there, key)) << key;
  EXPECT_EQ(number(*here, "context"), 512);
  EXPECT_EQ(number(*here, "batch_tokens"), 64);
  EXPECT_EQ(number(*here, "cache_tokens"), 1024);  // whole pages
  EXPECT_TRUE(here->find("warnings")->elements().empty());

  const Outcome flags = linnet_command({"plan", kDemo, "--ctx", "512", "--batch", "64"});
  EXPECT_EQ(flags.code, 0) << flags.err;
  for (const char* row : {"weights", "KV cache", "workspace", "vocabulary", "total", "available"})
    EXPECT_NE(flags.out.find(row), std::string::npos) << row;
  EXPECT_NE(flags.out.find(std::to_string(number(*here, "weight_bytes"))), std::string::npos);
  EXPECT_NE(flags.out.find("it fits"), std::string::npos) << flags.out;
}

TEST(Plan, SaysWhatALoadWillMakeSmaller) {
  const std::string config = R"({"max_memory_mb":64,"max_cache_tokens":200000,"ctx_size":1024})";
  const Outcome command = linnet_command({"plan", kDemo, "--config", config, "--json"});
  ASSERT_EQ(command.code, 0) << command.err;
  const auto plan = parse_json(command.out);
  ASSERT_TRUE(plan && plan->find("fitted")) << command.out;
  const Json& fitted = *plan->find("fitted");
  EXPECT_GE(number(*plan, "cache_tokens"), 200000);
  EXPECT_LT(number(fitted, "cache_tokens"), 40000);
  EXPECT_LE(number(fitted, "total_bytes"), 64 << 20);
  ASSERT_EQ(plan->find("remarks")->elements().size(), 1u);
  EXPECT_FALSE(*plan->find("refused")->boolean());

  const auto context = Context::create(R"({"log_level":"none"})", {});
  ASSERT_TRUE(context) << context.error().message;
  const auto loaded = (*context)->load(kDemo, config);
  ASSERT_TRUE(loaded) << loaded.error().message;
  const EngineStats stats = (*(*context)->served(*loaded))->engine->stats();
  EXPECT_EQ(stats.pages_total * kPageTokens, number(fitted, "cache_tokens"));
  // The budget of a model counts for its runtime, and the status tells of the model as it is.
  const auto memory = parse_json((*context)->status(StatusTopic::memory));
  ASSERT_TRUE(memory);
  EXPECT_EQ(number(*memory, "limit_mb"), 64);
  const auto smaller = (*context)->load(kDemo, R"({"ctx_size":100000,"max_memory_mb":128})");
  ASSERT_TRUE(smaller) << smaller.error().message;
  const auto models = parse_json((*context)->status(StatusTopic::model));
  ASSERT_TRUE(models);
  const Json& second = models->find("models")->elements()[1];
  EXPECT_LT(number(second, "context"), 100000);
  const auto session = (*context)->open_session(*smaller, std::nullopt, R"({"context_shifting":false})");
  ASSERT_TRUE(session);
  const std::vector<int32_t> prompt(static_cast<size_t>(number(second, "context")) + 1, 5);
  const auto answer = (*context)->generate(*session, {.tokens = prompt});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::prompt_too_long);
  EXPECT_NE(answer.error().message.find(fmt::format("holds {}", number(second, "context"))), std::string::npos)
      << answer.error().message;
  (*context)->close();
}

TEST(Plan, SaysWhatALoadWillRefuse) {
  const std::string config =
      R"({"max_memory_mb":64,"max_cache_tokens":100000,"ctx_size":100000,"smart_context_size":false})";
  const auto text = plan_json(kDemo, config);
  ASSERT_TRUE(text) << text.error().message;
  const auto plan = parse_json(*text);
  ASSERT_TRUE(plan);
  EXPECT_TRUE(*plan->find("refused")->boolean()) << *text;
  const auto context = Context::create(R"({"log_level":"none"})", {});
  ASSERT_TRUE(context) << context.error().message;
  const auto loaded = (*context)->load(kDemo, config);
  ASSERT_FALSE(loaded);
  EXPECT_EQ(loaded.error().code, Code::out_of_memory);
  EXPECT_EQ(*plan->find("remarks")->elements()[0].string(), loaded.error().message);
  (*context)->close();
  EXPECT_NE(linnet_command({"plan", kDemo, "--config", config}).out.find("It is refused"), std::string::npos);
}

TEST(Plan, SaysWhatDoesNotFit) {
  const Outcome big = linnet_command({"plan", kDemo, "--config", R"({"max_cache_tokens":1000000000})"});
  EXPECT_EQ(big.code, 0) << big.err;
  EXPECT_NE(big.out.find("it does not fit"), std::string::npos) << big.out;
  const Outcome none = linnet_command({"plan", "/nonexistent.gguf", "--json"});
  EXPECT_EQ(none.code, 1);
  EXPECT_NE(none.out.find("io_not_found"), std::string::npos);
  const auto warned = plan_json(kDemo, R"({"ctx_sise":512})");
  ASSERT_TRUE(warned);
  EXPECT_NE(warned->find("did you mean"), std::string::npos) << *warned;
}

}  // namespace
}  // namespace linnet
