// libwasi_nn_llamacpp.so function by function, as WAMR's iwasm calls it.
#include "capi/wasi_nn/host.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "gguf/base/json.h"
#include "tests/capi/libraries.h"
#include "tests/capi/page_end.h"
#include "tests/gguf/temp_folder.h"

namespace linnet {
namespace {

static_assert(sizeof(::tensor) == sizeof(HostAbi::Tensor) && sizeof(::tensor_data) == sizeof(HostAbi::Data));
static_assert(offsetof(::tensor, dimensions) == offsetof(HostAbi::Tensor, dimensions));
static_assert(offsetof(::tensor, type) == offsetof(HostAbi::Tensor, type) && sizeof(::tensor::type) == 1);
static_assert(offsetof(::tensor, data) == offsetof(HostAbi::Tensor, data));
static_assert(offsetof(::tensor_data, size) == offsetof(HostAbi::Data, size));
static_assert(success == HostAbi::success && invalid_argument == HostAbi::invalid_argument && busy == HostAbi::busy);
static_assert(invalid_encoding == HostAbi::invalid_encoding && runtime_error == HostAbi::runtime_error);
static_assert(unsupported_operation == HostAbi::unsupported_operation && too_large == HostAbi::too_large);
static_assert(not_found == HostAbi::not_found && end_of_sequence == HostAbi::end_of_sequence);
static_assert(context_full == HostAbi::context_full && prompt_tool_long == HostAbi::prompt_too_long);
static_assert(model_not_found == HostAbi::model_not_found);

constexpr int32_t kBad = HostAbi::invalid_argument;
constexpr uint8_t kBytes = 3;
const std::string kQuiet = R"({"threads":1,"temp":0,"n-predict":8,"ctx-size":256,"log_level":"none"})";
constexpr std::string_view kPrompt = "<|im_start|>user\nHello!<|im_end|>\n<|im_start|>assistant\n";

// One ctx, its calls written short.
struct Host {
  explicit Host(bool with_model = true) {
    EXPECT_EQ(abi.init_backend(&ctx), 0);
    if (with_model) graph = load(kQuiet);
  }
  ~Host() { EXPECT_EQ(abi.deinit_backend(ctx), 0); }
  uint32_t load(const std::string& config) {
    uint32_t g = 0;
    EXPECT_EQ(abi.load_by_name_with_config(ctx, kDemoModel.c_str(), static_cast<uint32_t>(kDemoModel.size()),
                                           config.c_str(), static_cast<uint32_t>(config.size()), &g),
              0);
    return g;
  }
  uint32_t open() {
    uint32_t exec = 0;
    EXPECT_EQ(abi.init_execution_context(ctx, graph, &exec), 0);
    return exec;
  }
  int32_t set_input(uint32_t exec, std::string_view text, uint32_t index = 0, uint8_t type = kBytes) {
    const PageEnd bytes(text);  // as in a guest's memory: no zero byte behind it, and gone after the call
    uint32_t one = 1;
    Dims dims{&one, 1};
    HostAbi::Tensor input{&dims, type, {}, {bytes.bytes(), static_cast<uint32_t>(text.size())}};
    return abi.set_input(ctx, exec, index, &input);
  }
  int32_t output(uint32_t exec, std::string& text, uint32_t index = 0, bool single = false) {
    std::vector<uint8_t> bytes(24576);
    HostAbi::Data out{bytes.data(), static_cast<uint32_t>(bytes.size())};
    uint32_t size = 12345;  // a guest's garbage
    const int32_t code = (single ? abi.get_output_single : abi.get_output)(ctx, exec, index, &out, &size);
    if (code == 0) text.assign(reinterpret_cast<const char*>(bytes.data()), size);
    return code;
  }
  std::string answer(uint32_t exec, std::string_view prompt) {
    EXPECT_EQ(set_input(exec, prompt), 0);
    EXPECT_EQ(abi.compute(ctx, exec), 0);
    std::string text;
    EXPECT_EQ(output(exec, text), 0);
    return text;
  }

  const HostAbi& abi = host_abi();
  void* ctx = nullptr;
  uint32_t graph = 0;
};

TEST(HostAbi, AGuestsWholeLife) {
  Host h;
  const uint32_t exec = h.open();
  ASSERT_EQ(h.set_input(exec, kPrompt), 0);
  std::string metadata, text;
  ASSERT_EQ(h.output(exec, metadata, 1), 0) << "before the computation";
  const auto before = parse_json(metadata);
  ASSERT_TRUE(before) << metadata;
  EXPECT_GT(*before->find("input_tokens")->integer(), 4);
  ASSERT_EQ(h.abi.compute(h.ctx, exec), 0);
  ASSERT_EQ(h.output(exec, text), 0);
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(text.find('\0'), text.npos) << "no zero byte";
  ASSERT_EQ(h.output(exec, metadata, 1), 0);
  const auto after = parse_json(metadata);
  ASSERT_TRUE(after) << metadata;
  EXPECT_EQ(*after->find("input_tokens")->integer(), *before->find("input_tokens")->integer());
  EXPECT_GT(*after->find("output_tokens")->integer(), 0);
  EXPECT_LE(*after->find("output_tokens")->integer(), 8);
  EXPECT_TRUE(after->find("llama_build_number")->is_integer() && after->find("llama_commit")->is_string());
  EXPECT_EQ(h.answer(exec, kPrompt), text) << "each input is a whole prompt: no history";
  ASSERT_EQ(h.abi.compute(h.ctx, exec), 0) << "the same input again";
  std::string again;
  ASSERT_EQ(h.output(exec, again), 0);
  EXPECT_EQ(again, text);
}

TEST(HostAbi, ContextsThatAreNoneAreRefused) {
  const HostAbi& abi = host_abi();
  void* closed = nullptr;
  ASSERT_EQ(abi.init_backend(&closed), 0);
  ASSERT_EQ(abi.deinit_backend(closed), 0);
  for (void* ctx : {static_cast<void*>(nullptr), closed, static_cast<void*>(&closed)}) {
    uint8_t text[] = "Hi", bytes[64];
    uint32_t size = 0, id = 0;
    HostAbi::Tensor input{nullptr, kBytes, {}, {text, 2}};
    HostAbi::Data out{bytes, 64};
    Builder part{text, 2};
    BuilderArray parts{&part, 1};
    char status[64];
    const int32_t codes[] = {abi.load(ctx, &parts, 5, 0, &id),
                             abi.load_by_name(ctx, "m", 1, &id),
                             abi.load_by_name_with_config(ctx, "m", 1, "", 0, &id),
                             abi.unload(ctx, 1),
                             abi.init_execution_context(ctx, 1, &id),
                             abi.finalize_execution_context(ctx, 1),
                             abi.set_input(ctx, 1, 0, &input),
                             abi.compute(ctx, 1),
                             abi.get_output(ctx, 1, 0, &out, &size),
                             abi.compute_single(ctx, 1),
                             abi.get_output_single(ctx, 1, 0, &out, &size),
                             abi.fini_single(ctx, 1),
                             abi.cancel(ctx, 1),
                             abi.get_backend_status(ctx, 0, status, 64),
                             abi.deinit_backend(ctx)};
    for (size_t i = 0; i < std::size(codes); ++i) EXPECT_EQ(codes[i], kBad) << "function " << i;
  }
  EXPECT_EQ(abi.init_backend(nullptr), kBad);
}

TEST(HostAbi, NullAndWrongValuesAreRefused) {
  Host h;
  const HostAbi& abi = h.abi;
  const uint32_t exec = h.open();
  uint8_t text[] = "Hi", bytes[4096];
  uint32_t size = 0, id = 9;
  HostAbi::Data out{bytes, sizeof(bytes)}, nowhere{nullptr, 64};
  HostAbi::Tensor no_data{nullptr, kBytes, {}, {nullptr, 2}}, empty{nullptr, kBytes, {}, {nullptr, 0}};
  EXPECT_EQ(abi.set_input(h.ctx, exec, 0, nullptr), kBad);
  EXPECT_EQ(abi.set_input(h.ctx, exec, 0, &no_data), kBad);
  EXPECT_EQ(abi.compute(h.ctx, exec), kBad) << "no input";
  EXPECT_EQ(abi.get_output(h.ctx, exec, 0, &out, &size), HostAbi::runtime_error) << "no output";
  for (const uint8_t type : {0, 1, 5, 6, 255}) EXPECT_EQ(h.set_input(exec, "Hi", 0, type), kBad) << int{type};
  for (const uint8_t type : {2, 3, 4}) EXPECT_EQ(h.set_input(exec, kPrompt, 0, type), 0) << int{type};
  EXPECT_EQ(h.set_input(exec, "Hi", 2), kBad);
  ASSERT_EQ(abi.compute(h.ctx, exec), 0);
  EXPECT_EQ(abi.get_output(h.ctx, exec, 0, nullptr, &size), kBad);
  EXPECT_EQ(abi.get_output(h.ctx, exec, 0, &nowhere, &size), kBad);
  EXPECT_EQ(abi.get_output(h.ctx, exec, 0, &out, nullptr), kBad);
  EXPECT_EQ(abi.get_output(h.ctx, exec, 2, &out, &size), kBad);
  EXPECT_EQ(abi.init_execution_context(h.ctx, h.graph, nullptr), kBad);
  for (const uint32_t graph : {0u, h.graph + 1, ~0u}) {
    EXPECT_EQ(abi.init_execution_context(h.ctx, graph, &id), kBad);
    EXPECT_EQ(abi.unload(h.ctx, graph), kBad);
  }
  for (const uint32_t none : {0u, exec + 1, ~0u}) {
    EXPECT_EQ(h.set_input(none, "Hi"), kBad);
    EXPECT_EQ(abi.compute(h.ctx, none), kBad);
    EXPECT_EQ(abi.compute_single(h.ctx, none), kBad);
    EXPECT_EQ(abi.fini_single(h.ctx, none), kBad);
    EXPECT_EQ(abi.cancel(h.ctx, none), kBad);
    EXPECT_EQ(abi.get_output(h.ctx, none, 0, &out, &size), kBad);
    EXPECT_EQ(abi.finalize_execution_context(h.ctx, none), kBad);
  }
  EXPECT_EQ(abi.get_backend_status(h.ctx, 0, nullptr, 64), kBad);
  EXPECT_EQ(abi.get_backend_status(h.ctx, 5, reinterpret_cast<char*>(bytes), 64), kBad);
  EXPECT_EQ(id, 9u);
  EXPECT_NE(abi.set_input(h.ctx, exec, 0, &empty), HostAbi::runtime_error);
  (void)text;
}

TEST(HostAbi, AnOutputThatDoesNotFitIsNotWritten) {
  Host h;
  const uint32_t exec = h.open();
  const std::string text = h.answer(exec, kPrompt);
  ASSERT_GT(text.size(), 2u);
  const auto whole = static_cast<uint32_t>(text.size());
  for (const uint32_t room : {0u, 1u, whole - 1}) {
    std::vector<uint8_t> bytes(4096, 0xee);
    HostAbi::Data out{bytes.data(), room};
    uint32_t size = 0;
    EXPECT_EQ(h.abi.get_output(h.ctx, exec, 0, &out, &size), HostAbi::too_large) << room;
    EXPECT_EQ(size, whole) << "what it takes";
    EXPECT_EQ(bytes, std::vector<uint8_t>(4096, 0xee)) << room;
  }
  std::vector<uint8_t> bytes(4096, 0xee);
  HostAbi::Data out{bytes.data(), whole};
  uint32_t size = 0;
  EXPECT_EQ(h.abi.get_output(h.ctx, exec, 0, &out, &size), 0);
  EXPECT_EQ(size, whole);
  EXPECT_EQ(bytes[whole], 0xee) << "no zero byte behind it";
}

TEST(HostAbi, ModelsHaveTheirNumbers) {
  Host h(false);
  const TempFolder folder;
  const std::string absent = folder.path("absent.gguf"), junk = folder.write("junk.gguf", "no model at all");
  uint32_t g = 0;
  const auto load = [&](const std::string& path) {
    return h.abi.load_by_name_with_config(h.ctx, path.c_str(), static_cast<uint32_t>(path.size()), "", 0, &g);
  };
  EXPECT_EQ(load(absent), HostAbi::model_not_found);
  EXPECT_EQ(load(junk), HostAbi::runtime_error);
  EXPECT_EQ(load(""), kBad);
  EXPECT_EQ(h.abi.load_by_name(h.ctx, nullptr, 4, &g), kBad);
  EXPECT_EQ(h.abi.load_by_name(h.ctx, "x", 1, nullptr), kBad);
  EXPECT_EQ(h.abi.load_by_name_with_config(h.ctx, "x", 1, nullptr, 0, nullptr), kBad);
  std::string preload = "preload:" + kDemoModel, config = kQuiet;
  Builder part[] = {{reinterpret_cast<uint8_t*>(preload.data()), static_cast<uint32_t>(preload.size())},
                    {reinterpret_cast<uint8_t*>(config.data()), static_cast<uint32_t>(config.size())}};
  BuilderArray parts{part, 2}, none{part, 0};
  EXPECT_EQ(h.abi.load(h.ctx, &none, 5, 0, &g), kBad);
  EXPECT_EQ(h.abi.load(h.ctx, &parts, 1, 0, &g), HostAbi::invalid_encoding);
  EXPECT_EQ(h.abi.load(h.ctx, &parts, 5, 2, &g), HostAbi::unsupported_operation);
  ASSERT_EQ(h.abi.load(h.ctx, &parts, 5, 0, &g), 0);
  h.graph = g;
  EXPECT_FALSE(h.answer(h.open(), kPrompt).empty());
}

TEST(HostAbi, ModelsAndContextsLiveBesideEachOther) {
  Host h;
  const uint32_t first = h.open();
  const std::string text = h.answer(first, kPrompt);
  const uint32_t other = h.load(R"({"threads":1,"temp":0,"n-predict":2,"ctx-size":256})");
  EXPECT_NE(other, h.graph);
  EXPECT_EQ(h.load(kQuiet), h.graph) << "the same again is the same";
  EXPECT_EQ(h.answer(first, kPrompt), text) << "the first model is still there";
  uint32_t second = 0;
  ASSERT_EQ(h.abi.init_execution_context(h.ctx, other, &second), 0);
  EXPECT_NE(h.answer(second, kPrompt), text);
  ASSERT_EQ(h.abi.unload(h.ctx, other), 0);
  EXPECT_EQ(h.abi.compute(h.ctx, second), kBad);
  EXPECT_EQ(h.answer(first, kPrompt), text);
  ASSERT_EQ(h.abi.finalize_execution_context(h.ctx, first), 0);
  EXPECT_EQ(h.abi.finalize_execution_context(h.ctx, first), kBad) << "a second time";
}

TEST(HostAbi, APromptThatIsTooLongAndATextThatFillsTheContext) {
  Host h;
  const uint32_t exec = h.open();
  std::string prompt;
  for (int i = 0; i < 600; ++i) prompt += "word ";
  ASSERT_EQ(h.set_input(exec, prompt), 0);
  EXPECT_EQ(h.abi.compute(h.ctx, exec), HostAbi::prompt_too_long);
  h.graph = h.load(R"({"threads":1,"ctx-size":256,"ignore-eos":true})");  // to the end of the context is the default
  const uint32_t endless = h.open();
  ASSERT_EQ(h.set_input(endless, kPrompt), 0);
  EXPECT_EQ(h.abi.compute(h.ctx, endless), HostAbi::context_full);
  std::string text;
  ASSERT_EQ(h.output(endless, text), 0) << "what there is can be had";
  EXPECT_GT(text.size(), 100u);
}

TEST(HostAbi, AStreamIsTheSameTextPieceByPiece) {
  Host h;
  const uint32_t exec = h.open();
  const std::string whole = h.answer(exec, kPrompt);
  for (int round = 0; round < 2; ++round) {
    ASSERT_EQ(h.set_input(exec, kPrompt), 0);
    std::string joined, piece;
    int32_t code = 0;
    while ((code = h.abi.compute_single(h.ctx, exec)) == 0) {
      ASSERT_EQ(h.output(exec, piece, 0, true), 0);
      EXPECT_FALSE(piece.empty());
      joined += piece;
    }
    EXPECT_EQ(code, HostAbi::end_of_sequence);
    EXPECT_EQ(joined, whole);
    EXPECT_EQ(h.abi.fini_single(h.ctx, exec), 0);
  }
}

TEST(HostAbi, FullIsBusy) {
  Host h;  // max_concurrent 8
  std::vector<uint32_t> open;
  for (int i = 0; i < 8; ++i) open.push_back(h.open());
  uint32_t ninth = 0;
  EXPECT_EQ(h.abi.init_execution_context(h.ctx, h.graph, &ninth), HostAbi::busy);
  EXPECT_EQ(ninth, 0u);
  ASSERT_EQ(h.abi.finalize_execution_context(h.ctx, open[3]), 0);
  EXPECT_GT(h.open(), open.back());
}

}  // namespace
}  // namespace linnet
