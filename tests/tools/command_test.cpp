// The command line from outside: what scripts rely on. Uses the embedded model where it is built in, else the small
// reference model.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "gguf/base/json.h"
#include "kernels/kernels.h"
#include "tests/support.h"
#include "tests/tools/command_line.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

std::string demo_model() { return LINNET_SOURCE_DIR "/tools/demo-model/demo.gguf"; }

std::string scratch(const std::string& name) {
  // Of this process: suites may run side by side.
  return (fs::temp_directory_path() / fmt::format("linnet-command-{}-{}", ::getpid(), name)).string();
}

Json json_of(const std::string& text) {
  auto json = parse_json(text);
  EXPECT_TRUE(json) << text;
  return json ? *json : Json();
}

// A member's value, or a failure and an empty one.
std::string text_of(const Json& json, const char* key) {
  const Json* value = json.find(key);
  EXPECT_TRUE(value && value->is_string()) << key;
  return value && value->is_string() ? std::string(*value->string()) : "";
}

int64_t number_of(const Json& json, const char* key) {
  const Json* value = json.find(key);
  EXPECT_TRUE(value && value->is_integer()) << key;
  return value && value->is_integer() ? *value->integer() : -1;
}

TEST(Command, UsageAndHelp) {
  const Outcome help = linnet_command({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* name : {"run", "chat", "tokenize", "detokenize", "logits", "embed", "perplexity", "inspect",
                           "validate", "bench", "quantize", "imatrix", "template", "synth", "options"}) {
    EXPECT_NE(help.out.find(name), std::string::npos) << name;
    const Outcome sub = linnet_command({name, "--help"});
    EXPECT_EQ(sub.code, 0) << name;
    EXPECT_GT(sub.out.size(), 80u) << name;
  }
  EXPECT_EQ(linnet_command({}).code, 2);
  EXPECT_EQ(linnet_command({"sing"}).code, 2);
  EXPECT_EQ(linnet_command({"run", "-p", "x", "--nonsense"}).code, 2);
  EXPECT_EQ(linnet_command({"run", "-p", "x", "--temp", "hot"}).code, 2);
  EXPECT_EQ(linnet_command({"run", "-p", "x", "--temp", "-1"}).code, 1);
  EXPECT_EQ(linnet_command({"--version"}).code, 0);
}

TEST(Command, ErrorsAreOneSentenceAndJson) {
  const Outcome plain = linnet_command({"run", "/nonexistent/model.gguf", "-p", "x"});
  EXPECT_EQ(plain.code, 1);
  EXPECT_EQ(plain.out, "");
  EXPECT_EQ(std::count(plain.err.begin(), plain.err.end(), '\n'), 1) << plain.err;
  const Outcome json = linnet_command({"run", "/nonexistent/model.gguf", "-p", "x", "--json"});
  EXPECT_EQ(json.code, 1);
  const Json error = json_of(json.out);
  ASSERT_TRUE(error.find("error"));
  EXPECT_EQ(*error.find("error")->find("code")->string(), "io_not_found");
  EXPECT_FALSE(error.find("error")->find("message")->string()->empty());
}

TEST(Command, BackendsByName) {
  if (!fs::exists(demo_model())) GTEST_SKIP() << "no embedded model";
  const Outcome unknown = linnet_command({"run", "-p", "x", "-n", "1", "--config", R"({"backend":"abacus"})"});
  EXPECT_EQ(unknown.code, 1);
  const Outcome scalar = linnet_command({"run", "--raw", "-p", "Once", "-n", "2", "--backend", "scalar"});
  EXPECT_EQ(scalar.code, 0);
  EXPECT_NE(scalar.err.find("(scalar)"), std::string::npos) << scalar.err;
}

class EmbeddedModel : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(demo_model())) GTEST_SKIP() << "no embedded model";
  }
};

TEST_F(EmbeddedModel, RunPrintsTextOrOneJsonObject) {
  const std::vector<std::string> common = {"run", "--raw", "-p", "Once upon a time", "-n", "12", "--temp", "0"};
  const Outcome text = linnet_command(common);
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_GT(text.out.size(), 5u);
  EXPECT_NE(text.err.find("GB/s"), std::string::npos);
  auto with_json = common;
  with_json.push_back("--json");
  const Outcome run = linnet_command(with_json);
  ASSERT_EQ(run.code, 0) << run.err;
  const Json j = json_of(run.out);
  for (const char* key :
       {"text", "tokens", "prompt_tokens", "completion_tokens", "finish_reason", "matched", "seed", "timings"})
    EXPECT_TRUE(j.find(key)) << key;
  for (const char* key : {"load_ms", "prefill_ms", "decode_ms", "ttft_ms"})
    EXPECT_TRUE(j.find("timings")->find(key)) << key;
  EXPECT_EQ(number_of(j, "completion_tokens"), static_cast<int64_t>(j.find("tokens")->elements().size()));
  EXPECT_EQ(text_of(j, "text") + "\n", text.out);
  // Standard input gives the same as -p.
  auto from_stdin = with_json;
  from_stdin[3] = "-";
  const Json piped = json_of(linnet_command(from_stdin, "Once upon a time").out);
  EXPECT_EQ(text_of(piped, "text"), text_of(j, "text"));
}

TEST_F(EmbeddedModel, SameSeedSameTextOnEveryBackend) {
  std::string first;
  const KernelList list = all_kernels();
  for (int32_t i = 0; i < list.count; ++i) {
    const char* backend = list.items[i]->name;
    const Outcome run = linnet_command(
        {"run", "-p", "Tell me a story.", "-n", "24", "--seed", "7", "--temp", "1", "--backend", backend, "--json"});
    if (run.code != 0 && run.err.find("processor does not have") != std::string::npos) continue;
    ASSERT_EQ(run.code, 0) << run.err;
    const std::string text(*json_of(run.out).find("text")->string());
    if (first.empty()) first = text;
    EXPECT_EQ(text, first) << backend;
  }
}

TEST_F(EmbeddedModel, StopStringsAndReasons) {
  const Json j = json_of(
      linnet_command({"run", "--raw", "-p", "Once upon a time", "-n", "200", "--temp", "0", "--stop", ".", "--json"})
          .out);
  EXPECT_EQ(text_of(j, "finish_reason"), "stop_string");
  EXPECT_EQ(text_of(j, "matched"), ".");
  EXPECT_EQ(text_of(j, "text").find('.'), std::string::npos);
  const Json full = json_of(
      linnet_command({"run", "--raw", "-p", "Once upon a time", "-n", "-1", "--ctx", "64", "--ignore-eos", "--json"})
          .out);
  EXPECT_EQ(text_of(full, "finish_reason"), "context_full");
}

TEST_F(EmbeddedModel, ChatKeepsItsConversation) {
  const Outcome chat = linnet_command({"chat", "--temp", "0", "-n", "40", "--json"},
                                      "Hello, I am Alex, who are you?\nWhat is my name?\n");
  ASSERT_EQ(chat.code, 0) << chat.err;
  const size_t line = chat.out.find('\n');
  const Json first = json_of(chat.out.substr(0, line)), second = json_of(chat.out.substr(line + 1));
  EXPECT_EQ(number_of(first, "cached_tokens"), 0);
  // All but the newest message, and the last token of what was generated, come from the conversation's pages.
  EXPECT_GE(number_of(second, "cached_tokens"), number_of(first, "prompt_tokens"));
}

TEST_F(EmbeddedModel, TokenizeAndBack) {
  const std::string text = "Hello  world,\n\tna\xc3\xafve \xf0\x9f\x8e\x89!";
  const Outcome ids = linnet_command({"tokenize", demo_model(), "--json"}, text);
  ASSERT_EQ(ids.code, 0) << ids.err;
  EXPECT_TRUE(json_of(ids.out).is_array());
  const Outcome back = linnet_command({"detokenize", demo_model()}, ids.out);
  EXPECT_EQ(back.code, 0);
  EXPECT_EQ(back.out, text);
  EXPECT_EQ(linnet_command({"detokenize", demo_model()}, "99999999").code, 1);
}

TEST_F(EmbeddedModel, LogitsFile) {
  const std::string file = scratch("logits.bin");
  ASSERT_EQ(linnet_command({"logits", demo_model(), "--tokens", "1,2,3", "--out", file}).code, 0);
  const auto one = fs::file_size(file);
  ASSERT_EQ(linnet_command({"logits", demo_model(), "--tokens", "1,2,3", "--out", file, "--all"}).code, 0);
  EXPECT_EQ(fs::file_size(file), 3 * one);
  EXPECT_EQ(linnet_command({"logits", demo_model(), "--tokens", "1,x", "--out", file}).code, 1);
  EXPECT_EQ(linnet_command({"logits", demo_model(), "--tokens", "99999999", "--out", file}).code, 1);
  fs::remove(file);
}

TEST_F(EmbeddedModel, ValidateFindsAFlippedBit) {
  EXPECT_EQ(linnet_command({"validate", demo_model()}).code, 0);
  const std::string file = scratch("damaged.gguf");
  fs::copy_file(demo_model(), file, fs::copy_options::overwrite_existing);
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekg(-100, std::ios::end);
  const char byte = static_cast<char>(stream.get() ^ 1);
  stream.seekp(-100, std::ios::end);
  stream.put(byte);
  stream.close();
  const Outcome damaged = linnet_command({"validate", file});
  EXPECT_EQ(damaged.code, 1);
  EXPECT_EQ(std::count(damaged.err.begin(), damaged.err.end(), '\n'), 1) << damaged.err;
  fs::remove(file);
}

TEST_F(EmbeddedModel, QuantizeAndInspect) {
  const std::string file = scratch("q4.gguf");
  const Outcome made = linnet_command({"quantize", demo_model(), file, "Q4_K_M"});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_LT(fs::file_size(file), fs::file_size(demo_model()));
  EXPECT_EQ(linnet_command({"validate", file}).code, 0);
  const Json j = json_of(linnet_command({"inspect", file, "--json", "--checksums"}).out);
  EXPECT_EQ(*j.find("metadata")->find("general.architecture")->string(), "llama");
  for (const Json& tensor : j.find("tensors")->elements())
    EXPECT_EQ(text_of(tensor, "xxh64"), text_of(tensor, "stored_xxh64"));
  EXPECT_EQ(linnet_command({"run", file, "--raw", "-p", "Once", "-n", "4"}).code, 0);
  EXPECT_EQ(linnet_command({"quantize", demo_model(), file, "Q99"}).code, 1);
  fs::remove(file);
}

TEST_F(EmbeddedModel, ImportanceAndQuantizationReport) {
  const std::string matrix = scratch("imatrix.gguf"), file = scratch("q2.gguf");
  std::string story;
  for (int i = 0; i < 20; ++i) story += "Once upon a time there was a little fox. The fox was happy. It met a bird. ";
  const Outcome made = linnet_command({"imatrix", demo_model(), matrix, "--json"}, story);
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_GT(*json_of(made.out).find("matrices")->integer(), 10);
  EXPECT_EQ(linnet_command({"inspect", matrix}).code, 0);

  const auto report = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {"quantize", demo_model(), file, "IQ2_XS", "--json", "-p", story};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome done = linnet_command(words);
    EXPECT_EQ(done.code, 0) << done.err;
    return json_of(done.out);
  };
  const Json weighed = report({"--imatrix", matrix}), plain = report({});
  int tensors = 0, important = 0;
  for (const Json& tensor : weighed.find("tensors")->elements()) {
    ++tensors;
    important += *tensor.find("importance")->boolean();
    const std::string to = text_of(tensor, "to");
    EXPECT_EQ(*tensor.find("relative_error")->number() == 0, to == "F32") << text_of(tensor, "name");
    EXPECT_LT(*tensor.find("relative_error")->number(), 0.5);
  }
  EXPECT_EQ(tensors, static_cast<int>(
                         json_of(linnet_command({"inspect", file, "--json"}).out).find("tensors")->elements().size()));
  EXPECT_GT(important, 10);
  for (const Json& tensor : plain.find("tensors")->elements()) EXPECT_FALSE(*tensor.find("importance")->boolean());
  // On the very text that was measured, weighing helps.
  const auto after = [](const Json& j) { return *j.find("perplexity")->find("after")->number(); };
  EXPECT_LT(after(weighed), after(plain));
  EXPECT_NE(after(weighed), *weighed.find("perplexity")->find("before")->number());

  const Outcome table = linnet_command({"quantize", demo_model(), file, "Q8_0", "--report"});
  EXPECT_NE(table.out.find("blk.0.attn_q.weight"), std::string::npos);
  EXPECT_NE(table.out.find("bits a weight"), std::string::npos);
  const Outcome refused = linnet_command({"quantize", demo_model(), file, "IQ2_XS", "--imatrix", demo_model()});
  EXPECT_EQ(refused.code, 1);
  EXPECT_NE(refused.err.find("imatrix"), std::string::npos) << refused.err;
  fs::remove(file);
  fs::remove(matrix);
}

TEST_F(EmbeddedModel, PerplexityAndBench) {
  const Json p = json_of(linnet_command({"perplexity", demo_model(), "--json"},
                                        "Once upon a time there was a little fox. The fox was happy.")
                             .out);
  EXPECT_GT(*p.find("perplexity")->number(), 1);
  EXPECT_GT(*p.find("perplexity_standard_error")->number(), 0);
  // Overlapping windows score the same tokens, from more context.
  const std::string story = "Once upon a time there was a little fox. The fox was happy. One day the fox met a bird.";
  const auto windows = [&](const char* stride) {
    return json_of(
        linnet_command({"perplexity", demo_model(), "--ctx", "12", "--stride", stride, "--json"}, story).out);
  };
  const Json apart = windows("0"), overlapping = windows("2");
  EXPECT_GE(*overlapping.find("tokens")->integer(), *apart.find("tokens")->integer());
  EXPECT_LT(*overlapping.find("nll")->number(), *apart.find("nll")->number());
  EXPECT_EQ(linnet_command({"perplexity", demo_model(), "--ctx", "12", "--stride", "13"}, story).code, 1);
  const Json b = json_of(linnet_command({"bench", demo_model(), "-p", "32", "-n", "4", "-t", "2", "-r", "1",
                                         "--parallel", "1,3", "--json"})
                             .out);
  ASSERT_TRUE(b.find("machine") && b.find("bound") && b.find("rows"));
  EXPECT_GT(*b.find("bound")->find("read_gbs")->number(), 0);
  EXPECT_GT(*b.find("bound")->find("int8_gops")->number(), 0);
  ASSERT_EQ(b.find("rows")->elements().size(), 3u);
  for (const Json& row : b.find("rows")->elements())
    for (const char* key : {"kind", "n", "parallel", "threads", "tok_s", "bytes_per_token", "share"})
      EXPECT_TRUE(row.find(key)) << key;
}

TEST(Command, SynthWritesALoadableModel) {
  const std::string file = scratch("synth.gguf");
  const Outcome made = linnet_command({"synth", "smollm2-135m", "Q8_0", file});
  ASSERT_EQ(made.code, 0) << made.err;
  EXPECT_EQ(linnet_command({"validate", file}).code, 0);
  const Json j = json_of(linnet_command({"run", file, "--raw", "-p", "hello", "-n", "2", "--json"}).out);
  EXPECT_EQ(number_of(j, "completion_tokens"), 2);
  EXPECT_EQ(linnet_command({"synth", "no-such-shape", "Q8_0", file}).code, 1);
  fs::remove(file);
}

TEST(Command, ReferenceStory) {
  const auto model = shared_data("models/stories260K-f32.gguf");
  if (!model) GTEST_SKIP() << "no reference data";
  const Json j = json_of(linnet_command({"run", *model, "--raw", "-p", "Once upon a time", "-n", "32", "--temp", "0",
                                         "--repeat-penalty", "1", "--json"})
                             .out);
  EXPECT_EQ(text_of(j, "text"),
            ", there was a little girl named Lily. She loved to play outside in the park. One day, she saw");
}

TEST_F(EmbeddedModel, EmbedsTextsAndTokens) {
  const Json text = json_of(linnet_command({"embed", demo_model(), "-p", "A little fox.", "--json"}).out);
  EXPECT_TRUE(*text.find("normalized")->boolean());
  ASSERT_EQ(text.find("embeddings")->elements().size(), 1u);
  const auto vector = text.find("embeddings")->elements()[0].elements();
  EXPECT_EQ(static_cast<int64_t>(vector.size()), *text.find("dim")->integer());
  double square = 0;
  for (const Json& x : vector) square += *x.number() * *x.number();
  EXPECT_NEAR(square, 1, 1e-5);
  const Json all =
      json_of(linnet_command({"embed", demo_model(), "--tokens", "5,6,7", "--pooling", "none", "--json"}).out);
  EXPECT_EQ(all.find("embeddings")->elements().size(), 3u);
  EXPECT_FALSE(*all.find("normalized")->boolean());
  EXPECT_EQ(linnet_command({"embed", demo_model(), "-p", "x", "--pooling", "sum"}).code, 1);
  EXPECT_EQ(linnet_command({"embed", demo_model(), "-p", "x", "--normalize", "l3"}).code, 1);
}

TEST_F(EmbeddedModel, IsDrawn) {
  const std::string file = testing::TempDir() + "linnet-page.html";
  EXPECT_EQ(linnet_command({"inspect", demo_model(), "--html", file}).code, 0);
  std::ifstream in(file);
  const std::string page(std::istreambuf_iterator<char>(in), {});
  const Json j = json_of(linnet_command({"inspect", demo_model(), "--json"}).out);
  for (const Json& tensor : j.find("tensors")->elements())
    EXPECT_NE(page.find("<title>" + text_of(tensor, "name")), std::string::npos) << text_of(tensor, "name");
  EXPECT_EQ(linnet_command({"inspect", demo_model(), "--html", "/nowhere/page.html"}).code, 1);
  fs::remove(file);
}

}  // namespace
}  // namespace linnet
