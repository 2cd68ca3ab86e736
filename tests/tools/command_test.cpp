// The command line from outside: what scripts rely on. Uses the embedded model where it is built in, else the small
// reference model.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>

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
  for (const char* name : {"run",      "chat",       "tokenize", "detokenize", "logits",  "record", "sample",
                           "embed",    "perplexity", "inspect",  "validate",   "plan",    "bench",  "load-test",
                           "quantize", "imatrix",    "template", "synth",      "options", "config"}) {
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

// What looks like a list to the parser of the command line reaches the option as it was given.
TEST_F(EmbeddedModel, BracketsAreText) {
  const std::vector<std::string> run = {"run", "-p",    "Hello, I am Alex, who are you?", "-n", "20", "--temp",
                                        "0",   "--json"};
  const auto with = [&](const std::vector<std::string>& more) {
    std::vector<std::string> all = run;
    all.insert(all.end(), more.begin(), more.end());
    return linnet_command(all);
  };
  const Json plain = json_of(with({}).out);
  ASSERT_NE(text_of(plain, "text").find("Alex"), std::string::npos);
  EXPECT_EQ(text_of(json_of(with({"--stop", "[Alex,my]"}).out), "text"), text_of(plain, "text"));
  EXPECT_EQ(text_of(json_of(with({"--stop", "[a]", "--stop", "Alex"}).out), "matched"), "Alex");
  EXPECT_EQ(with({"--semantic", R"([{"type":"completion_detection","threshold":0.8}])"}).code, 0);
  EXPECT_EQ(with({"--logit-bias", "[[5, 1.5], [6, -2]]"}).code, 0);
  EXPECT_EQ(with({"--chain", R"([{"type":"top_k","top_k":1},{"type":"dist"}])"}).out.find("error"), std::string::npos);
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

// --- linnet sample: one JSON object in, one out ---

struct Sampled {
  std::vector<std::pair<int64_t, double>> candidates;
  std::optional<int64_t> token;
};

Sampled sampled(const std::string& input, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"sample", "--json"});
  const Outcome run = linnet_command(more, input);
  EXPECT_EQ(run.code, 0) << input << "\n" << run.err;
  EXPECT_EQ(std::count(run.out.begin(), run.out.end(), '\n'), 1) << run.out;
  const Json j = json_of(run.out);
  Sampled result;
  if (!j.find("candidates") || !j.find("token")) {
    ADD_FAILURE() << run.out;
    return result;
  }
  for (const Json& pair : j.find("candidates")->elements())
    result.candidates.emplace_back(*pair.elements()[0].integer(), *pair.elements()[1].number());
  if (!j.find("token")->is_null()) result.token = *j.find("token")->integer();
  return result;
}

TEST(SampleCommand, PrintsSortedCandidatesAndTheToken) {
  const Outcome run =
      linnet_command({"sample", "--json"}, R"({"logits":[1,3,null,2,1],"chain":[{"type":"top_k","top_k":4}]})");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(run.err, "");
  // e^0, e^-1, e^-2, e^-2 over their sum; of equal ones the lower id first, the masked one nowhere.
  EXPECT_EQ(run.out,
            "{\"candidates\":[[1,0.610295685],[3,0.224515236],[0,0.0825945394],[4,0.0825945394]],\"token\":null}\n");
  // As left before the pick, normalized anew.
  const Sampled cut = sampled(
      R"({"logits":[0,1,2,3],"chain":[{"type":"top_k","top_k":2},{"type":"temperature","temperature":0.5},{"type":"dist"}],"seed":5})");
  ASSERT_EQ(cut.candidates.size(), 2u);
  EXPECT_EQ(cut.candidates[0].first, 3);
  EXPECT_NEAR(cut.candidates[0].second, 1 / (1 + std::exp(-2)), 1e-8);
  EXPECT_NEAR(cut.candidates[1].second, 1 / (1 + std::exp(2)), 1e-8);
  ASSERT_TRUE(cut.token);
  EXPECT_GE(*cut.token, 2);
  // The selector's own cut is not shown.
  EXPECT_EQ(sampled(R"({"logits":[0,1,2],"chain":[{"type":"greedy"}]})").candidates.size(), 3u);
  EXPECT_EQ(sampled(R"({"logits":[0,1,2],"chain":[{"type":"greedy"}]})").token, 2);
  EXPECT_EQ(sampled(R"({"logits":[0,9,2],"chain":[{"type":"mirostat2","mirostat_tau":0}],"seed":1})").token, 1);
  // No steps at all: the distribution as it is.
  EXPECT_EQ(sampled(R"({"logits":[1,2,3],"chain":[]})").candidates.size(), 3u);
  EXPECT_FALSE(sampled(R"({"logits":[1,2,3],"chain":[]})").token);
  EXPECT_EQ(sampled(R"({"logits":[-7.5],"chain":[{"type":"dist"}],"seed":0})").token, 0);
  // Without a chain, that of the options; the same without --json for people.
  EXPECT_EQ(sampled(R"({"logits":[1,2,3]})", {"--temp", "0"}).token, 2);
  EXPECT_EQ(linnet_command({"sample"}, R"({"logits":[0,0],"chain":[{"type":"greedy"}]})").out,
            "       0 0.500000\n       1 0.500000\npicked 0\n");
}

// Every step by its name and its keys.
TEST(SampleCommand, KnowsEveryStep) {
  const char* steps[] = {R"({"type":"logit_bias","logit_bias":[[0,-2],[1,false]]})",
                         R"({"type":"logit_bias","logit_bias":{"0":-2}})",
                         R"({"type":"penalties","repeat_penalty":1.1,"penalty_last_n":64})",
                         R"({"type":"dry","dry_multiplier":0.8,"dry_base":1.75,"dry_allowed_length":2})",
                         R"({"type":"top_n_sigma","top_n_sigma":1})",
                         R"({"type":"top_k","top_k":40})",
                         R"({"type":"tfs_z","tfs_z":0.95})",
                         R"({"type":"typical_p","typical_p":0.9})",
                         R"({"type":"top_p","top_p":0.9,"min_keep":2})",
                         R"({"type":"min_p","min_p":0.05})",
                         R"({"type":"xtc","xtc_probability":1,"xtc_threshold":0.1})",
                         R"({"type":"temperature","temperature":0.8})",
                         R"({"type":"dynatemp","temp":0.8,"dynatemp_range":0.4,"dynatemp_exponent":1})",
                         R"({"type":"infill"})",
                         R"({"type":"greedy"})",
                         R"({"type":"dist"})",
                         R"({"type":"mirostat1","mirostat_tau":5,"mirostat_eta":0.1})",
                         R"({"type":"mirostat2"})",
                         R"({"type":"adaptive_p","adaptive_target":0.5,"adaptive_decay":0.9})"};
  for (const char* step : steps) {
    const Sampled s =
        sampled(fmt::format(R"({{"logits":[3,2,1,0,-1],"history":[0,1,0,1],"seed":4,"chain":[{}]}})", step));
    ASSERT_FALSE(s.candidates.empty()) << step;
    double total = 0;
    for (size_t i = 0; i < s.candidates.size(); ++i) {
      total += s.candidates[i].second;
      EXPECT_LE(s.candidates[i].second, s.candidates[i > 0 ? i - 1 : 0].second);
    }
    EXPECT_NEAR(total, 1, 1e-8) << step;
  }
}

TEST(SampleCommand, SeedAndHistory) {
  const auto token = [](int seed, const std::string& history) {
    std::string logits = "0";
    for (int i = 1; i < 500; ++i) logits += ",0";
    return *sampled(fmt::format(R"({{"logits":[{}],"chain":[{{"type":"dist"}}],"seed":{},"history":[{}]}})", logits,
                                seed, history))
                .token;
  };
  EXPECT_EQ(token(7, ""), token(7, ""));
  EXPECT_NE(token(7, ""), token(8, ""));
  EXPECT_NE(token(7, ""), token(7, "1")) << "the position is part of the draw";
  // What was accepted is penalized, as often as it was, within the window.
  const auto p = [](const std::string& history) {
    const Sampled s = sampled(fmt::format(
        R"({{"logits":[0,0,0],"history":[{}],"chain":[{{"type":"penalties","repeat_penalty":1,"frequency_penalty":1,"penalty_last_n":3}}]}})",
        history));
    for (const auto& [id, q] : s.candidates) {
      if (id == 1) return q;
    }
    return -1.0;
  };
  EXPECT_NEAR(p(""), 1.0 / 3, 1e-8);
  EXPECT_NEAR(p("1"), std::exp(-1) / (2 + std::exp(-1)), 1e-7);
  EXPECT_NEAR(p("1,1"), std::exp(-2) / (2 + std::exp(-2)), 1e-7);
  EXPECT_NEAR(p("1,1,0,0,0"), 1 / (2 + std::exp(-3)), 1e-7);
}

TEST(SampleCommand, TextsOfTokens) {
  // "a" begins "ab": the likelier takes both; what is no end and below 0.2 goes.
  const Sampled merged = sampled(
      R"({"logits":[-1.6094,-0.9163,-1.2040,-2.3026,-12],"tokens":["a","ab","x","y",""],"eog":[4],"chain":[{"type":"infill"}]})");
  ASSERT_EQ(merged.candidates.size(), 2u);
  EXPECT_EQ(merged.candidates[0].first, 1);
  EXPECT_NEAR(merged.candidates[0].second, 1, 1e-3);
  EXPECT_EQ(merged.candidates[1].first, 4);
  const Sampled end =
      sampled(R"({"logits":[0,0,-1],"tokens":["a","b",""],"eog":[2],"chain":[{"type":"infill"},{"type":"greedy"}]})");
  EXPECT_EQ(end.candidates.size(), 1u);
  EXPECT_EQ(end.token, 2);
  // Breakers of DRY are texts.
  const auto dry = [](const char* tokens) {
    return sampled(fmt::format(
        R"({{"logits":[0,0,0],"tokens":{},"history":[0,1,2,0,1],"chain":[{{"type":"dry","dry_multiplier":1}}]}})",
        tokens));
  };
  EXPECT_EQ(dry(R"(["a","b","c"])").candidates.back().first, 2);
  EXPECT_LT(dry(R"(["a","b","c"])").candidates.back().second, 0.2);
  EXPECT_NEAR(dry(R"(["a","b:","c"])").candidates.back().second, 1.0 / 3, 1e-8);
  // A bias by text.
  EXPECT_EQ(
      sampled(
          R"({"logits":[9,0],"tokens":["a","b"],"chain":[{"type":"logit_bias","logit_bias":{"a":false}},{"type":"greedy"}]})")
          .token,
      1);
}

TEST(SampleCommand, RefusesWhatIsNotMeant) {
  const std::pair<const char*, const char*> bad[] = {
      {"", "json"},
      {"[1,2]", "json_type"},
      {"{}", "json_type"},
      {R"({"logits":5})", "json_type"},
      {R"({"logits":[]})", "json_type"},
      {R"({"logits":[NaN]})", "json_syntax"},
      {R"({"logits":[1,"2"]})", "json_type"},
      {R"({"logits":[1,true]})", "json_type"},
      {R"({"logits":[1,[2]]})", "json_type"},
      {R"({"logits":[1,1e39]})", "option_range"},
      {R"({"logits":[1,-1e39]})", "option_range"},
      {R"({"logits":[null,null]})", "logits_not_finite"},
      {R"({"logits":[1,2],"history":[2]})", "token_range"},
      {R"({"logits":[1,2],"history":[-1]})", "token_range"},
      {R"({"logits":[1,2],"history":[0.5]})", "token_range"},
      {R"({"logits":[1,2],"history":"0"})", "json_type"},
      {R"({"logits":[1,2],"seed":-2})", "option_range"},
      {R"({"logits":[1,2],"seed":"x"})", "option_type"},
      {R"({"logits":[1,2],"chain":{}})", "option_type"},
      {R"({"logits":[1,2],"chain":[1]})", "option_type"},
      {R"({"logits":[1,2],"chain":[{}]})", "option_type"},
      {R"({"logits":[1,2],"chain":[{"type":1}]})", "option_type"},
      {R"({"logits":[1,2],"chain":[{"type":"sing"}]})", "sampler_unknown"},
      {R"({"logits":[1,2],"chain":[{"type":"top_k","k":2}]})", "option_unknown"},
      {R"({"logits":[1,2],"chain":[{"type":"top_k","max_tokens":2}]})", "option_unknown"},
      {R"({"logits":[1,2],"chain":[{"type":"top_k","top_k":"2"}]})", "option_type"},
      {R"({"logits":[1,2],"chain":[{"type":"top_k","top_k":2.5}]})", "option_type"},
      {R"({"logits":[1,2],"chain":[{"type":"top_p","top_p":1.5}]})", "option_range"},
      {R"({"logits":[1,2],"chain":[{"type":"dist"},{"type":"top_k"}]})", "option_range"},
      {R"({"logits":[1,2],"chain":[{"type":"logit_bias","logit_bias":[[2,1]]}]})", "token_range"},
      {R"({"logits":[1,2],"chain":[{"type":"logit_bias","logit_bias":[[0,false],[1,false]]}]})", "grammar_dead_end"},
      {R"({"logits":[1,2],"tokens":["a"]})", "json_type"},
      {R"({"logits":[1,2],"tokens":"ab"})", "json_type"},
      {R"({"logits":[1,2],"tokens":["a",2]})", "json_type"},
      {R"({"logits":[1,2],"tokens":["a","b"],"eog":[2]})", "token_range"},
      {R"({"logits":[1,2],"eog":[1]})", "json_type"},
      {R"({"logits":[1,2],"logit":[1]})", "option_unknown"},
  };
  for (const auto& [input, code] : bad) {
    const Outcome run = linnet_command({"sample", "--json"}, input);
    EXPECT_EQ(run.code, 1) << input << "\n" << run.out;
    const Json j = json_of(run.out);
    ASSERT_TRUE(j.find("error")) << input;
    EXPECT_TRUE(text_of(*j.find("error"), "code").starts_with(code)) << input << "\n" << run.out;
    EXPECT_EQ(std::count(run.err.begin(), run.err.end(), '\n'), 1) << run.err;
  }
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
