// libwasi_nn_backend.so function by function: layouts, numbers, what is refused, and what is written where.
#include "capi/wasi_nn/client.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "gguf/base/utf8.h"
#include "tests/capi/client.h"
#include "tests/capi/page_end.h"
#include "tests/gguf/temp_folder.h"

namespace linnet {
namespace {

static_assert(sizeof(::tensor) == sizeof(ClientAbi::Tensor));
static_assert(offsetof(::tensor, dimensions) == offsetof(ClientAbi::Tensor, dimensions));
static_assert(offsetof(::tensor, type) == offsetof(ClientAbi::Tensor, type));
static_assert(offsetof(::tensor, data) == offsetof(ClientAbi::Tensor, data));
static_assert(sizeof(::tensor_dimensions) == sizeof(Dims) && offsetof(::tensor_dimensions, size) == 8);
static_assert(sizeof(::graph_builder) == sizeof(Builder) && sizeof(::graph_builder_array) == sizeof(BuilderArray));
static_assert(sizeof(::wasi_nn_error) == 4 && sizeof(::graph_encoding) == 4 && sizeof(::execution_target) == 4);
static_assert(success == ClientAbi::success && invalid_argument == ClientAbi::invalid_argument);
static_assert(invalid_encoding == ClientAbi::invalid_encoding && timeout == ClientAbi::timeout);
static_assert(runtime_error == ClientAbi::runtime_error && too_large == ClientAbi::too_large);
static_assert(unsupported_operation == ClientAbi::unsupported_operation && not_found == ClientAbi::not_found);
static_assert(end_of_sequence == ClientAbi::end_of_sequence && context_full == ClientAbi::context_full);
static_assert(prompt_tool_long == ClientAbi::prompt_too_long);

constexpr int32_t kBad = ClientAbi::invalid_argument;
constexpr int32_t kFailed = ClientAbi::runtime_error;
constexpr int32_t kGgml = 5, kCpu = 0;

// Every function that takes a ctx, called with one and otherwise good arguments.
std::vector<int32_t> all_of(const ClientAbi& abi, void* ctx, uint32_t graph, uint32_t exec) {
  uint8_t text[] = "Hi";
  uint8_t out[64];
  char status[64];
  uint32_t size = sizeof(out), id = 0;
  ClientAbi::Tensor input{nullptr, 4, text};
  Builder part{text, 2};
  BuilderArray parts{&part, 1};
  const std::string& path = kDemoModel;
  const auto length = static_cast<uint32_t>(path.size());
  return {abi.load(ctx, &parts, kGgml, kCpu, &id),
          abi.load_by_name(ctx, path.data(), length, &id),
          abi.load_by_name_with_config(ctx, path.data(), length, "{}", 2, &id),
          abi.unload(ctx, graph),
          abi.init_execution_context(ctx, graph, &id),
          abi.init_execution_context_with_session_id(ctx, "s", &id),
          abi.init_execution_context_with_config(ctx, graph, "s", "{}", 2, &id),
          abi.close_execution_context(ctx, exec),
          abi.finalize_execution_context(ctx, exec),
          abi.run_inference(ctx, exec, 0, &input, out, &size, nullptr, 0),
          abi.set_input(ctx, exec, 0, &input),
          abi.compute(ctx, exec),
          abi.get_output(ctx, exec, 0, out, &size),
          abi.compute_single(ctx, exec),
          abi.get_output_single(ctx, exec, 0, out, &size),
          abi.fini_single(ctx, exec),
          abi.cancel(ctx, exec),
          abi.get_backend_status(ctx, kQueue, status, sizeof(status)),
          abi.deinit_backend(ctx)};
}

TEST(ClientAbi, AContextThatIsNoneIsRefusedByEveryFunction) {
  const ClientAbi& abi = client_abi();
  void* closed = nullptr;
  ASSERT_EQ(abi.init_backend(&closed), 0);
  ASSERT_NE(closed, nullptr);
  ASSERT_EQ(abi.deinit_backend(closed), 0);
  void* const none[] = {nullptr, closed, reinterpret_cast<void*>(uintptr_t{0xdeadbeef}),
                        reinterpret_cast<void*>(~uintptr_t{0}), static_cast<void*>(&closed)};
  for (void* ctx : none) {
    const auto codes = all_of(abi, ctx, 1, 1);
    for (size_t i = 0; i < codes.size(); ++i) EXPECT_EQ(codes[i], kBad) << "function " << i << " with " << ctx;
  }
}

TEST(ClientAbi, ContextsAreNeverTheSameAgain) {
  const ClientAbi& abi = client_abi();
  std::vector<void*> seen;
  for (int i = 0; i < 5; ++i) {
    void* ctx = nullptr;
    ASSERT_EQ(abi.init_backend_with_config(&ctx, kShort, 1000), 0);
    for (void* other : seen) EXPECT_NE(ctx, other);
    seen.push_back(ctx);
    EXPECT_EQ(abi.deinit_backend(ctx), 0);
    EXPECT_EQ(abi.deinit_backend(ctx), kBad) << "a second time";
  }
}

TEST(ClientAbi, EveryNullPointerIsRefused) {
  Client c;
  const ClientAbi& abi = c.abi;
  c.load();
  const uint32_t exec = c.open("s");
  uint8_t text[] = "Hi", out[64];
  uint32_t size = sizeof(out), id = 77;
  ClientAbi::Tensor input{nullptr, 4, text}, no_data{nullptr, 4, nullptr};
  Builder part{text, 2}, no_part{nullptr, 2};
  BuilderArray parts{&part, 1}, none{&part, 0}, no_parts{nullptr, 1}, of_null{&no_part, 1};
  const char* path = kDemoModel.c_str();
  const auto length = static_cast<uint32_t>(kDemoModel.size());
  EXPECT_EQ(abi.init_backend(nullptr), kBad);
  EXPECT_EQ(abi.init_backend_with_config(nullptr, "{}", 2), kBad);
  EXPECT_EQ(abi.load(c.ctx, nullptr, kGgml, kCpu, &id), kBad);
  EXPECT_EQ(abi.load(c.ctx, &none, kGgml, kCpu, &id), kBad);
  EXPECT_EQ(abi.load(c.ctx, &no_parts, kGgml, kCpu, &id), kBad);
  EXPECT_EQ(abi.load(c.ctx, &of_null, kGgml, kCpu, &id), kBad);
  EXPECT_EQ(abi.load(c.ctx, &parts, kGgml, kCpu, nullptr), kBad);
  EXPECT_EQ(abi.load_by_name(c.ctx, nullptr, length, &id), kBad);
  EXPECT_EQ(abi.load_by_name(c.ctx, path, length, nullptr), kBad);
  EXPECT_EQ(abi.load_by_name_with_config(c.ctx, nullptr, length, "{}", 2, &id), kBad);
  EXPECT_EQ(abi.load_by_name_with_config(c.ctx, path, length, "{}", 2, nullptr), kBad);
  EXPECT_EQ(abi.init_execution_context(c.ctx, c.graph, nullptr), kBad);
  EXPECT_EQ(abi.init_execution_context_with_session_id(c.ctx, nullptr, &id), kBad);
  EXPECT_EQ(abi.init_execution_context_with_session_id(c.ctx, "t", nullptr), kBad);
  EXPECT_EQ(abi.init_execution_context_with_config(c.ctx, c.graph, "t", "{}", 2, nullptr), kBad);
  EXPECT_EQ(abi.run_inference(c.ctx, exec, 0, nullptr, out, &size, nullptr, 0), kBad);
  EXPECT_EQ(abi.run_inference(c.ctx, exec, 0, &no_data, out, &size, nullptr, 0), kBad);
  EXPECT_EQ(abi.run_inference(c.ctx, exec, 0, &input, nullptr, &size, nullptr, 0), kBad);
  EXPECT_EQ(abi.run_inference(c.ctx, exec, 0, &input, out, nullptr, nullptr, 0), kBad);
  EXPECT_EQ(abi.set_input(c.ctx, exec, 0, nullptr), kBad);
  EXPECT_EQ(abi.set_input(c.ctx, exec, 0, &no_data), kBad);
  ASSERT_EQ(abi.set_input(c.ctx, exec, 0, &input), 0);
  ASSERT_EQ(abi.compute(c.ctx, exec), 0);
  EXPECT_EQ(abi.get_output(c.ctx, exec, 0, nullptr, &size), kBad);
  EXPECT_EQ(abi.get_output(c.ctx, exec, 0, out, nullptr), kBad);
  EXPECT_EQ(abi.get_output_single(c.ctx, exec, 0, nullptr, &size), kBad);
  EXPECT_EQ(abi.get_output_single(c.ctx, exec, 0, out, nullptr), kBad);
  EXPECT_EQ(abi.get_backend_status(c.ctx, kQueue, nullptr, 64), kBad);
  EXPECT_EQ(id, 77u) << "no result is written on failure";
  EXPECT_EQ(c.run(exec, "Hi", std::string(4, '\0')), 0) << "an empty configuration of four bytes";
}

TEST(ClientAbi, HandlesThatAreNoneAreRefused) {
  Client c;
  const ClientAbi& abi = c.abi;
  c.load();
  const uint32_t closed = c.open("closed");
  c.close(closed);
  uint32_t id = 0;
  for (const uint32_t exec : {0u, 99u, 0xffffffffu, closed}) {
    std::string text;
    EXPECT_EQ(abi.close_execution_context(c.ctx, exec), kBad) << exec;
    EXPECT_EQ(abi.finalize_execution_context(c.ctx, exec), kBad) << exec;
    EXPECT_EQ(c.run(exec, "Hi"), kBad) << exec;
    EXPECT_EQ(c.set_input(exec, "Hi"), kBad) << exec;
    EXPECT_EQ(c.set_input(exec, "{}", 1), kBad) << exec;
    EXPECT_EQ(abi.compute(c.ctx, exec), kBad) << exec;
    EXPECT_EQ(abi.compute_single(c.ctx, exec), kBad) << exec;
    EXPECT_EQ(abi.fini_single(c.ctx, exec), kBad) << exec;
    EXPECT_EQ(abi.cancel(c.ctx, exec), kBad) << exec;
    EXPECT_EQ(c.output(exec, text), kBad) << exec;
    EXPECT_EQ(c.output(exec, text, 0, true), kBad) << exec;
  }
  for (const uint32_t graph : {0u, c.graph + 1, 0xffffffffu}) {
    EXPECT_EQ(abi.unload(c.ctx, graph), kBad) << graph;
    EXPECT_EQ(abi.init_execution_context(c.ctx, graph, &id), kBad) << graph;
    EXPECT_EQ(abi.init_execution_context_with_config(c.ctx, graph, "x", "{}", 2, &id), kBad) << graph;
  }
  const uint32_t open = c.open("open");
  EXPECT_GT(open, closed) << "handles count up and do not come again";
  std::string text;
  for (const uint32_t index : {2u, 7u, 0xffffffffu}) {
    EXPECT_EQ(c.set_input(open, "Hi", index), kBad) << index;
    EXPECT_EQ(c.output(open, text, index), kBad) << index;
    EXPECT_EQ(c.output(open, text, index, true), kBad) << index;
  }
  char buffer[4096];
  for (const int32_t topic : {-1, 5, 6, 1000}) EXPECT_EQ(abi.get_backend_status(c.ctx, topic, buffer, 4096), kBad);
}

TEST(ClientAbi, CallsBeforeALoadAndAfterAnUnloadAreRefused) {
  Client c;
  const ClientAbi& abi = c.abi;
  const auto refused = [&](uint32_t graph, uint32_t exec) {
    uint32_t id = 0;
    EXPECT_EQ(abi.init_execution_context(c.ctx, graph, &id), kBad);
    EXPECT_EQ(abi.init_execution_context_with_session_id(c.ctx, "s", &id), kBad);
    EXPECT_EQ(c.run(exec, "Hi"), kBad);
    EXPECT_EQ(abi.compute(c.ctx, exec), kBad);
    EXPECT_EQ(abi.unload(c.ctx, graph), kBad);
  };
  refused(0, 0);
  refused(1, 1);
  const uint32_t graph = c.load();
  const uint32_t exec = c.open("s");
  ASSERT_EQ(abi.unload(c.ctx, graph), 0);
  refused(graph, exec);
  EXPECT_GT(c.load(), graph);
  EXPECT_FALSE(c.say(c.open("s"), "Hi").empty());
}

TEST(ClientAbi, AnInputComesBeforeACompute) {
  Client c;
  c.load();
  const uint32_t exec = c.open("s");
  std::string text;
  EXPECT_EQ(c.abi.compute(c.ctx, exec), kBad);
  EXPECT_EQ(c.abi.compute_single(c.ctx, exec), kBad);
  EXPECT_EQ(c.output(exec, text), kFailed) << "nothing was computed";
  EXPECT_EQ(c.abi.fini_single(c.ctx, exec), 0) << "nothing to finish is fine";
  ASSERT_EQ(c.set_input(exec, "Hello!"), 0);
  ASSERT_EQ(c.output(exec, text, 1), 0) << "the number of tokens is known before the computation";
  EXPECT_GT(*at_path(*parse_json(text), "input_tokens")->integer(), 0);
  ASSERT_EQ(c.abi.compute(c.ctx, exec), 0);
  ASSERT_EQ(c.output(exec, text, 1), 0);
  EXPECT_GT(*at_path(*parse_json(text), "output_tokens")->integer(), 0);
  ASSERT_EQ(c.output(exec, text), 0);
  EXPECT_FALSE(text.empty());
}

TEST(ClientAbi, TheTensorSaysHowLongTheInputIs) {
  Client c;
  c.load();
  const std::string expected = c.say(c.open(nullptr), "Hello!");
  // Each of these means "Hello!": the number of bytes by dimensions, at the end of memory; or a zero byte at the end.
  const PageEnd bare("Hello!"), ended(std::string_view("Hello!\0", 7));
  uint32_t six[] = {6}, two_three[] = {2, 3}, seven[] = {7}, many[] = {1u << 31, 1u << 31, 4}, zero[] = {0};
  Dims by_six{six, 1}, by_two{two_three, 2}, by_seven{seven, 1}, too_many{many, 3}, by_zero{zero, 1};
  Dims no_buf{nullptr, 1}, no_size{six, 0};
  const auto run = [&](Dims* dims, uint8_t* data, std::string& answer) {
    ClientAbi::Tensor input{dims, 1, data};
    uint8_t out[4096];
    uint32_t size = sizeof(out);
    const uint32_t exec = c.open(nullptr);
    const int32_t code = c.abi.run_inference(c.ctx, exec, 0, &input, out, &size, nullptr, 0);
    if (code == 0) answer = reinterpret_cast<const char*>(out);
    c.close(exec);
    return code;
  };
  std::string answer;
  for (Dims* dims : {&by_six, &by_two}) {
    EXPECT_EQ(run(dims, bare.bytes(), answer), 0);
    EXPECT_EQ(answer, expected);
  }
  for (Dims* dims : {&by_seven, &no_buf, &no_size, static_cast<Dims*>(nullptr)}) {
    EXPECT_EQ(run(dims, ended.bytes(), answer), 0);
    EXPECT_EQ(answer, expected);
  }
  EXPECT_EQ(run(&too_many, bare.bytes(), answer), kBad);
  EXPECT_EQ(run(&by_zero, bare.bytes(), answer), 0) << "an empty message is a message";
}

// The model is made to say a text of characters of one to four bytes.
constexpr std::string_view kWide = "aä€😀ß";
const std::string kSayWide = R"({"choices":["aä€😀ß"],"max_tokens":64})";

TEST(ClientAbi, AnAnswerIsCutAtACharactersEnd) {
  Client c;
  c.load();
  for (uint32_t room = 0; room <= kWide.size() + 3; ++room) {
    const uint32_t exec = c.open(nullptr);
    std::vector<uint8_t> out(64, 0xee);
    uint8_t text[] = "Hi";
    ClientAbi::Tensor input{nullptr, 4, text};
    uint32_t size = room;
    const int32_t code = c.abi.run_inference(c.ctx, exec, 0, &input, out.data(), &size, kSayWide.data(),
                                             static_cast<uint32_t>(kSayWide.size()));
    c.close(exec);
    for (size_t i = room; i < out.size(); ++i) ASSERT_EQ(out[i], 0xee) << "written beyond the room of " << room;
    if (room == 0) {
      EXPECT_EQ(code, ClientAbi::too_large);
      continue;
    }
    ASSERT_EQ(code, 0);
    ASSERT_GE(size, 1u);
    ASSERT_LE(size, room);
    const std::string_view got(reinterpret_cast<const char*>(out.data()), size - 1);
    EXPECT_EQ(out[size - 1], 0);
    EXPECT_TRUE(kWide.starts_with(got) && utf8_valid(got)) << got;
    EXPECT_GT(got.size() + 4, std::min<size_t>(room - 1, kWide.size())) << "no more is cut than one character";
  }
}

TEST(ClientAbi, AnOutputIsCutAtACharactersEnd) {
  Client c;
  c.load();
  const uint32_t exec = c.open(nullptr);
  ASSERT_EQ(c.set_input(exec, kSayWide, 1), 0);
  ASSERT_EQ(c.set_input(exec, "Hi"), 0);
  ASSERT_EQ(c.abi.compute(c.ctx, exec), 0);
  for (uint32_t room = 0; room <= kWide.size() + 3; ++room) {
    std::vector<uint8_t> out(64, 0xee);
    uint32_t size = room;
    ASSERT_EQ(c.abi.get_output(c.ctx, exec, 0, out.data(), &size), 0);
    ASSERT_LE(size, room);
    const std::string_view got(reinterpret_cast<const char*>(out.data()), size);
    EXPECT_TRUE(kWide.starts_with(got) && utf8_valid(got)) << got;
    EXPECT_EQ(out[size], size < room ? 0 : 0xee) << "a zero byte where there is room, and nothing beyond";
  }
}

TEST(ClientAbi, ConfigurationsAreReadNoFurtherThanTheyGo) {
  const ClientAbi& abi = client_abi();
  const std::string good = R"({"temp":0,"max_tokens":1,"threads":1,"log_level":"none"})";
  const PageEnd bare(good);
  Client c(std::string_view(bare.text(), good.size()));
  const PageEnd path(kDemoModel);
  uint32_t graph = 0;
  ASSERT_EQ(abi.load_by_name_with_config(c.ctx, path.text(), static_cast<uint32_t>(kDemoModel.size()), bare.text(),
                                         static_cast<uint32_t>(good.size()), &graph),
            0);
  c.graph = graph;
  uint32_t exec = 0;
  ASSERT_EQ(
      abi.init_execution_context_with_config(c.ctx, graph, "s", bare.text(), static_cast<uint32_t>(good.size()), &exec),
      0);
  // A length that counts the zero byte, or is far too large, and what callers of seven arguments leave there.
  const PageEnd ended(good + '\0');
  std::string whole;
  for (const uint32_t length : {static_cast<uint32_t>(good.size() + 1), 100000u, 0xffffffffu}) {
    uint8_t text[] = "Hi", out[256];
    uint32_t size = sizeof(out);
    ClientAbi::Tensor input{nullptr, 4, text};
    EXPECT_EQ(abi.run_inference(c.ctx, exec, 0, &input, out, &size, ended.text(), length), 0) << length;
  }
  EXPECT_EQ(c.session_number(exec, "completion_tokens"), 3) << "max_tokens 1, three times";
}

TEST(ClientAbi, ConfigurationsThatAreNoneGiveTheDefaults) {
  std::string deep(5000, '[');
  const std::string none[] = {"",
                              " \n\t ",
                              "{",
                              "}",
                              "[]",
                              "null",
                              "\"text\"",
                              "{\"temp\":}",
                              "\xff",
                              deep,
                              "{}{}",
                              "{\"a\":1,}",
                              "NaN",
                              "{\"temp\":\"warm\",\"seed\":{}}",
                              "{\"\xc3\x28\":1}",
                              R"({"max_sessions":-5,"queue_size":1e99,"log_level":7})"};
  for (const std::string& config : none) {
    Client c(config);
    c.load(config);
    const uint32_t exec = c.open("s", config);
    EXPECT_EQ(c.run(exec, "Hi", R"({"max_tokens":1})"), 0) << config;
    EXPECT_EQ(c.run(exec, "Hi", config.substr(0, 200) + R"( "max_tokens":1)"), 0) << config;
    EXPECT_EQ(c.number(kSessions, "max_sessions"), 100) << config;
  }
}

TEST(ClientAbi, ModelsThatAreNoneAreRefusedAndThePresentOneStays) {
  Client c;
  const TempFolder folder;
  const uint32_t graph = c.load();
  const uint32_t exec = c.open("s");
  const std::string first = c.say(exec, "Hi");
  const std::string paths[] = {folder.path("absent.gguf"), folder.path("."), folder.write("empty", ""),
                               folder.write("text", "no model"), folder.write("magic", "GGUF\x03")};
  uint32_t id = 5;
  for (const std::string& path : paths)
    EXPECT_EQ(c.abi.load_by_name(c.ctx, path.data(), static_cast<uint32_t>(path.size()), &id), kFailed) << path;
  EXPECT_EQ(c.abi.load_by_name(c.ctx, "", 0, &id), kBad);
  EXPECT_EQ(c.abi.load_by_name(c.ctx, "\0x", 2, &id), kBad);
  uint8_t junk[] = "GGUF and nothing else";
  Builder part{junk, sizeof(junk)};
  BuilderArray parts{&part, 1};
  EXPECT_EQ(c.abi.load(c.ctx, &parts, kGgml, kCpu, &id), kFailed);
  for (const int32_t encoding : {0, 1, 2, 3, 4, 7}) EXPECT_EQ(c.abi.load(c.ctx, &parts, encoding, kCpu, &id), 2);
  EXPECT_EQ(c.abi.load(c.ctx, &parts, kGgml, 2, &id), ClientAbi::unsupported_operation);
  EXPECT_EQ(id, 5u);
  EXPECT_EQ(c.graph, graph);
  EXPECT_EQ(c.run(exec, "And more?"), 0) << "the session goes on";
  EXPECT_EQ(c.session_number(exec, "messages"), 4);
}

TEST(ClientAbi, AModelIsLoadedFromBytes) {
  Client c;
  std::string bytes = TempFolder::read(kDemoModel);
  std::string config = R"({"max_tokens":3})";
  Builder part[] = {{reinterpret_cast<uint8_t*>(bytes.data()), static_cast<uint32_t>(bytes.size())},
                    {reinterpret_cast<uint8_t*>(config.data()), static_cast<uint32_t>(config.size())}};
  BuilderArray parts{part, 2};
  ASSERT_EQ(c.abi.load(c.ctx, &parts, kGgml, kCpu, &c.graph), 0);
  bytes.assign(bytes.size(), '\0');  // copied: the caller's memory may go
  const uint32_t exec = c.open("s");
  EXPECT_FALSE(c.say(exec, "Tell me a story.").empty());
  EXPECT_EQ(c.session_number(exec, "completion_tokens"), 3);
  uint32_t second = 0;
  bytes = TempFolder::read(kDemoModel);
  part[0].buf = reinterpret_cast<uint8_t*>(bytes.data());
  ASSERT_EQ(c.abi.load(c.ctx, &parts, 6, 1, &second), 0) << "autodetect, for a GPU";
  EXPECT_EQ(c.run(exec, "Hi"), kBad) << "a swap ends the old model's sessions";
}

}  // namespace
}  // namespace linnet
