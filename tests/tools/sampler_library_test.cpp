#include "capi/sampler_library.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include "sampling/chain.h"
#include "tests/gguf/temp_folder.h"
#include "tests/support.h"
#include "tests/tools/command_line.h"

namespace linnet {
namespace {

const std::string kFolder = LINNET_BINARY_DIR "/lib/";
const std::string kPLess = kFolder + "p_less.so", kHostile = kFolder + "hostile_sampler.so";

CustomSamplers loaded(const std::string& path) {
  CustomSamplers samplers;
  const Status status = load_sampler_library(path, samplers);
  EXPECT_TRUE(status) << (status ? "" : status.error().message);
  return samplers;
}

Result<Chain> create(const CustomSamplers& samplers, std::vector<StepSpec> steps, int32_t size) {
  const PlainVocabulary vocabulary(size);
  return Chain::create({.seed = 1, .chain = std::move(steps)},
                       {.vocabulary = vocabulary, .context = 4096, .custom = &samplers});
}

StepSpec hostile(const std::string& name, const std::string& misdeed) {
  return {name,
          {.custom_parameters =
               misdeed.empty() ? "{}" : JsonWriter().begin_object().member("do", misdeed).end_object().text()}};
}

std::string message(const Status& status) { return status ? "" : status.error().message; }

TEST(PLess, KeepsWhatItsDefinitionSays) {
  const CustomSamplers samplers = loaded(kPLess);
  Random random(5);
  int64_t rows = 0, kept_of_all = 0, near = 0;
  for (int i = 0; i < test_count(3000); ++i) {
    const auto n = int32_t(1 + random.below(i % 10 ? 60 : 3000));
    const double spread = random.uniform() * 6;
    std::vector<float> row;
    for (int32_t j = 0; j < n; ++j) {
      const bool masked = j > 0 && i % 3 == 1 && random.below(3) == 0;
      // With a spread of 0, or a coarse grid: ties.
      const float l = i % 7 == 0 ? std::round(random.normal()) : float(double(random.normal()) * spread);
      row.push_back(masked ? -std::numeric_limits<float>::infinity() : i % 11 == 0 ? 1 : l);
    }
    const bool normalized = i % 2 != 0;
    double total = 0, squares = 0, count = 0;
    for (const float l : row) total += std::exp(double(l));
    for (const float l : row) {
      const double p = std::exp(double(l)) / total;
      squares += p * p;
      count += p > 0;
    }
    const double threshold = normalized && count > 1 ? (count * squares - 1) / (count - 1) : squares;
    auto chain = create(samplers, {{"p_less", {.custom_parameters = normalized ? "{\"normalized\":true}" : "{}"}}}, n);
    ASSERT_TRUE(chain) << chain.error().message;
    EXPECT_EQ(chain->describe().front(), normalized ? "p_less(normalized true)" : "p_less(normalized false)");
    std::set<int32_t> kept;
    std::vector<float> changed = row;
    const auto see = [&kept](std::string_view, const Candidates& c) {
      kept.clear();
      for (const Candidate& x : c.copy()) kept.insert(x.id);
    };
    const auto token = chain->sample(changed.data(), 0, see);
    ASSERT_TRUE(token) << token.error().message;
    for (int32_t j = 0; j < n; ++j) {
      const double p = std::exp(double(row[size_t(j)])) / total;
      // Floats decide borders up to 3e-6 of the threshold (and of 1/n, which a normalized one is a difference to).
      const double slack = 3e-6 * (threshold + (normalized ? 1 / count : 0));
      if (std::abs(p - threshold) <= slack) {
        ++near;
      } else {
        ASSERT_EQ(kept.count(j) == 1, p > threshold) << "row " << i << " p " << p << " threshold " << threshold;
      }
    }
    const bool all_equal = i % 11 == 0 && i % 3 != 1;
    ASSERT_TRUE(!all_equal || int32_t(kept.size()) == n) << "all equally likely, all stay";
    ASSERT_GE(kept.size(), 1u);
    ++rows;
    kept_of_all += int64_t(kept.size());
  }
  std::printf("%lld rows, %lld tokens kept, %lld at the border\n", (long long)rows, (long long)kept_of_all,
              (long long)near);
}

TEST(PLess, RefusesParametersItDoesNotKnow) {
  const CustomSamplers samplers = loaded(kPLess);
  for (const char* bad : {R"({"normalised":true})", R"({"normalized":1})", R"({"normalized":"yes"})",
                          R"({"normalized":null})", R"({"normalized":[true]})", R"({"":{}})"}) {
    const auto chain = create(samplers, {{"p_less", {.custom_parameters = bad}}}, 10);
    ASSERT_FALSE(chain) << bad;
    EXPECT_EQ(chain.error().code, Code::sampler_failed);
    EXPECT_NE(chain.error().message.find("expected"), std::string::npos) << chain.error().message;
  }
}

TEST(SamplerLibrary, FilesThatAreNone) {
  const TempFolder folder;
  const std::string text = folder.write("text.so", "not a library"), empty = folder.write("empty.so", "");
  const struct {
    std::string path;
    Code code;
    const char* says;
  } cases[] = {
      {folder.path("absent.so"), Code::io_not_found, "absent.so: no such file"},
      {"libm.so.6", Code::io_not_found, "libm.so.6: no such file"},
      {"", Code::io_not_found, "no such file"},
      {folder.path("."), Code::io_not_regular, "regular file"},
      {text, Code::unsupported, "text.so: cannot be loaded as a shared library"},
      {empty, Code::unsupported, "empty.so: cannot be loaded as a shared library"},
      {kFolder + "no_sampler.so", Code::unsupported, "exports no function linnet_sampler_v1"},
  };
  for (const auto& [path, code, says] : cases) {
    CustomSamplers samplers;
    const Status status = load_sampler_library(path, samplers);
    ASSERT_FALSE(status) << path;
    EXPECT_EQ(status.error().code, code) << message(status);
    EXPECT_NE(message(status).find(says), std::string::npos) << message(status);
  }
}

TEST(SamplerLibrary, TablesThatAreWrong) {
  const struct {
    const char* what;
    const char* says;
  } cases[] = {
      {"null table", "returned NULL"},
      {"throw", "threw an exception"},
      {"version 0", "has version 0 of the sampler interface, expected 1"},
      {"version 2", "has version 2 of the sampler interface, expected 1"},
      {"no samplers", "has 0 samplers"},
      {"many samplers", "has 257 samplers"},
      {"null list", "has 0 samplers"},
      {"null sampler", "sampler 1 is NULL"},
      {"short", "expected sizeof(linnet_sampler)"},
      {"no name", "sampler 1 has no name"},
      {"bad name", "cannot be called 'a b'"},
      {"empty name", "cannot be called ''"},
      {"long name", "cannot be called 'nnnn"},
      {"name of a step", "a step of Linnet has this name"},
      {"same name", "two custom samplers called counter"},
      {"unknown flag", "has the flags 0x2"},
      {"no create", "has no function create"},
      {"no apply", "has no function apply"},
      {"no clone", "has no function clone"},
      {"no destroy", "has no function destroy"},
      {"no reset", "only one of accept and reset"},
      {"no accept", "only one of accept and reset"},
  };
  for (const auto& [what, says] : cases) {
    ASSERT_EQ(::setenv("LINNET_HOSTILE", what, 1), 0);
    CustomSamplers samplers;
    const Status status = load_sampler_library(kHostile, samplers);
    ASSERT_FALSE(status) << what;
    EXPECT_NE(message(status).find(says), std::string::npos) << what << ": " << message(status);
    EXPECT_NE(message(status).find("hostile_sampler.so"), std::string::npos) << message(status);
    EXPECT_LT(message(status).size(), 400u);
    EXPECT_TRUE(samplers.names().empty()) << "a refused library adds nothing";
  }
  for (const char* what : {"no describe", "no state"}) {
    ASSERT_EQ(::setenv("LINNET_HOSTILE", what, 1), 0);
    const CustomSamplers samplers = loaded(kHostile);
    auto chain = create(samplers, {hostile("last", "")}, 10);
    ASSERT_TRUE(chain) << what;
    chain->accept(1);
    chain->rewind(1);
    std::vector<float> row(10);
    EXPECT_TRUE(chain->sample(row.data(), 0));
    EXPECT_EQ(chain->describe().front(), what == std::string("no describe") ? "last()" : "last(0)");
  }
  ::unsetenv("LINNET_HOSTILE");
  CustomSamplers samplers = loaded(kHostile);
  const Status twice = load_sampler_library(kHostile, samplers);
  ASSERT_FALSE(twice);
  EXPECT_NE(message(twice).find("two custom samplers"), std::string::npos);
  std::printf("%zu tables refused\n", std::size(cases));
}

TEST(SamplerLibrary, KeepsStateThroughCloneAndRewind) {
  const CustomSamplers samplers = loaded(kHostile);
  auto made = create(samplers, {hostile("counter", ""), hostile("last", "")}, 5);
  ASSERT_TRUE(made) << made.error().message;
  Chain chain = *std::move(made);
  for (int32_t i = 0; i < 4; ++i) chain.accept(i);
  Chain copy = chain.clone();
  copy.accept(1);
  chain.rewind(3);
  EXPECT_EQ(copy.describe(), (std::vector<std::string>{"counter(5)", "last(5)"}));
  std::vector<float> row(5);
  const auto token = chain.sample(row.data(), 4);
  ASSERT_TRUE(token);
  EXPECT_EQ(*token, 4);
  EXPECT_EQ(chain.describe(), (std::vector<std::string>{"counter(1)", "last(1)"}));
}

// Samplers may outlive the list that they were made from.
TEST(SamplerLibrary, StaysLoadedAsLongAsItIsUsed) {
  std::optional<Chain> chain;
  {
    const CustomSamplers samplers = loaded(kPLess);
    auto made = create(samplers, {{"p_less"}}, 5);
    ASSERT_TRUE(made);
    chain = *std::move(made);
  }
  Chain copy = chain->clone();
  chain.reset();
  std::vector<float> row = {0, 5, 0, 0, 0};
  EXPECT_TRUE(copy.sample(row.data(), 0));
  EXPECT_EQ(copy.describe().front(), "p_less(normalized false)");
}

TEST(SamplerLibrary, MisdeedsEndTheRequestWithASentence) {
  const CustomSamplers samplers = loaded(kHostile);
  const struct {
    const char* sampler;
    const char* what;
    const char* says;  // empty: harmless
  } cases[] = {
      {"counter", "", ""},
      {"last", "", ""},
      {"counter", "nan", "logit nan"},
      {"counter", "infinity", "logit inf"},
      {"counter", "drop all", "dropped all 10 tokens"},
      {"counter", "bury all", "dropped all 10 tokens"},
      {"counter", "pick", "picked the token 0, expected a pick only from"},
      {"counter", "overwrite all", ""},
      {"counter", "overwrite ids", "picked the token 1073741824"},
      {"last", "pick negative", "picked -5"},
      {"last", "pick beyond", "picked 10, expected one of the 10 tokens"},
      {"last", "pick far beyond", "picked 2147483647"},
      {"last", "pick nothing", "picked -1"},
      {"last", "pick dropped", "picked the token 9, which it dropped"},
      {"last", "pick buried", "picked the token 9, which it dropped"},
      {"last", "overwrite ids", "picked 1073741824"},
      {"last", "overwrite all", ""},
      {"counter", "fail", "failed in apply: it is   Monday \xef\xbf\xbd"},
      {"counter", "fail silently", "it returned -1 and no sentence"},
      {"counter", "fail at length", "xxxx"},
      {"counter", "throw", "threw an exception in apply: 'a sampler in flames'"},
      {"counter", "throw a number", "of unknown type in apply"},
      {"counter", "throw bad_alloc", "no memory is left"},
      {"counter", "throw in create", "threw an exception in create"},
      {"counter", "fail in create", "failed in create: no such luck"},
      {"counter", "throw in accept", "threw an exception in accept"},
      {"counter", "fail in accept", "failed in accept: not acceptable"},
      {"counter", "throw in reset", "threw an exception in reset"},
      {"counter", "throw in clone", "threw an exception in clone"},
      {"counter", "fail in clone", "failed in clone: one is enough"},
      {"counter", "throw in destroy", ""},
      {"counter", "throw in describe", ""},
      {"counter", "describe at length", ""},
  };
  // A request that shares nothing but the library with the others.
  auto bystander = create(samplers, {hostile("counter", ""), {"greedy"}}, 10);
  ASSERT_TRUE(bystander);
  for (const auto& [sampler, what, says] : cases) {
    const auto run = [&, name = std::string(sampler), misdeed = std::string(what)]() -> Status {
      LINNET_TRY(const Chain chain, create(samplers, {hostile(name, misdeed)}, 10));
      Chain copy = chain.clone();
      copy.accept(1);
      copy.accept(2);
      copy.rewind(1);
      EXPECT_LT(copy.describe().front().size(), 1200u);
      std::vector<float> row = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
      LINNET_TRY(const int32_t token, copy.sample(row.data(), 1));
      EXPECT_EQ(token, name == "last" ? 9 : -1);
      return {};
    };
    const Status status = run();
    EXPECT_EQ(bool(status), std::string_view(says).empty()) << what << ": " << message(status);
    EXPECT_NE(message(status).find(says), std::string::npos) << what << ": " << message(status);
    EXPECT_LT(message(status).size(), 1200u);
    std::vector<float> row(10);
    const auto token = bystander->sample(row.data(), 0);
    ASSERT_TRUE(token);
    EXPECT_EQ(*token, 0);
  }
  std::printf("%zu misdeeds\n", std::size(cases));
}

// --- the command line, as in docs/tutorials/custom-sampler.md ---

TEST(SamplerLibrary, SampleCommand) {
  const std::string logits = R"({"logits":[2,1.9,1.8,0,-1,-2,null],"chain":[{"type":"p_less"}],"seed":1})";
  const Outcome done = linnet_command({"sample", "--json", "--sampler-library", kPLess}, logits);
  ASSERT_EQ(done.code, 0) << done.err;
  const auto json = parse_json(done.out);
  ASSERT_TRUE(json) << done.out;
  const auto candidates = json->find("candidates")->elements();
  // p is 0.341, 0.309, 0.280, 0.046, ..., their squares sum to 0.293.
  ASSERT_EQ(candidates.size(), 2u) << done.out;
  for (int64_t i = 0; i < 2; ++i) EXPECT_EQ(*candidates[size_t(i)].elements()[0].integer(), i);
  EXPECT_TRUE(json->find("token")->is_null());

  const Outcome by_config = linnet_command(
      {"sample", "--json", "--config",
       fmt::format(
           R"({{"sampler_libraries":["{}"],"samplers":["top_k","p_less"],"custom_parameters":{{"normalized":true}}}})",
           kPLess)},
      R"({"logits":[2,1.9,1.8,0,-1,-2,null],"seed":1})");
  ASSERT_EQ(by_config.code, 0) << by_config.err;
  EXPECT_NE(by_config.out.find("\"token\":"), std::string::npos);

  const Outcome unloaded = linnet_command({"sample", "--json"}, logits);
  EXPECT_EQ(unloaded.code, 1);
  EXPECT_NE(unloaded.out.find("sampler_unknown"), std::string::npos) << unloaded.out;
}

class SamplerRuns : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(LINNET_SOURCE_DIR "/tools/demo-model/demo.gguf")) GTEST_SKIP() << "no embedded model";
  }
};

TEST_F(SamplerRuns, RunCommand) {
  const TempFolder folder;
  const std::string config = folder.write(
      "p_less.json",
      fmt::format(
          R"({{"sampler_libraries":["{}"],"chain":[{{"type":"temperature","temp":1.5}},{{"type":"p_less"}},{{"type":"dist"}}]}})",
          kPLess));
  const std::vector<std::string> arguments = {"run", "--json", "-p", "Tell me a story.", "-n", "20", "--seed", "4"};
  std::vector<std::string> with = arguments, wild = arguments;
  with.insert(with.end(), {"--config", config});
  wild.insert(wild.end(), {"--temp", "1.5", "--top-k", "0", "--top-p", "1", "--min-p", "0", "--repeat-penalty", "1"});
  const Outcome a = linnet_command(with), b = linnet_command(with), c = linnet_command(wild);
  ASSERT_EQ(a.code, 0) << a.err;
  const auto text = [](const Outcome& o) {
    const auto json = parse_json(o.out);
    return json && json->find("text") ? std::string(*json->find("text")->string()) : o.out + o.err;
  };
  EXPECT_FALSE(text(a).empty());
  EXPECT_EQ(text(a), text(b)) << "same seed, same text";
  EXPECT_NE(text(a), text(c)) << "it takes part";

  std::vector<std::string> flags = arguments;
  flags.insert(flags.end(), {"--sampler-library", kHostile, "--custom-sampler", "counter", "--custom-parameters",
                             R"({"do":"nan"})"});
  const Outcome bad = linnet_command(flags);
  EXPECT_EQ(bad.code, 1);
  EXPECT_NE(bad.err.find("the custom sampler counter gave the token"), std::string::npos) << bad.err;
}

// What the tutorial shows is what happens: its commands with their output, its configuration, its calls of linnet run.
TEST_F(SamplerRuns, TheTutorialIsTrue) {
  const TempFolder folder;
  std::filesystem::copy_file(kPLess, folder.path("p_less.so"));
  const auto shell = [&](const std::string& command) {
    const std::string script = folder.write(
        "script", "cd " + folder.path("") + "; PATH=" LINNET_BINARY_DIR "/bin:$PATH\n(" + command + ") 2>&1\n");
    std::string out;
    FILE* pipe = ::popen(("sh " + script).c_str(), "r");
    if (!pipe) return out;
    for (int c; (c = std::fgetc(pipe)) != EOF;) out += static_cast<char>(c);
    return ::pclose(pipe) == 0 || out.find("linnet: ") == 0 ? out : "failed: " + out;
  };
  const std::string page = TempFolder::read(LINNET_SOURCE_DIR "/docs/tutorials/custom-sampler.md");
  int shown = 0, runs = 0;
  for (size_t at = 0; (at = page.find("\n```", at)) != page.npos;) {
    const size_t line = page.find('\n', at + 1), end = page.find("\n```", line);
    ASSERT_NE(end, page.npos);
    const std::string kind = page.substr(at + 4, line - at - 4), body = page.substr(line + 1, end - line);
    at = end + 4;
    if (kind == "console") {
      ASSERT_TRUE(body.starts_with("$ "));
      size_t command = body.find('\n');  // goes on after lines that end with '|' or ','
      while (body[command - 1] == '|' || body[command - 1] == ',') command = body.find('\n', command + 1);
      EXPECT_EQ(shell(body.substr(2, command - 2)), body.substr(command + 1));
      ++shown;
    } else if (kind == "json") {
      folder.write("p_less.json", body);
    } else if (kind == "sh" && body.starts_with("linnet run")) {
      const std::string out = shell(body.substr(0, body.size() - 1) + " -n 5");
      EXPECT_NE(out.find("finished: max_tokens"), std::string::npos) << out;
      ++runs;
    }
  }
  EXPECT_EQ(shown, 3);
  EXPECT_EQ(runs, 2);
}

// One request fails; those in the same batch get what they would have got alone.
TEST_F(SamplerRuns, OthersOfTheBatchGoOn) {
  const auto model = Model::load(LINNET_SOURCE_DIR "/tools/demo-model/demo.gguf", {});
  ASSERT_TRUE(model) << model.error().message;
  Options options;
  options.sampler_libraries = {kHostile, kPLess};
  options.threads = 2;
  EngineOptions engine_chosen = engine_options(options);
  auto samplers = custom_samplers(options);
  ASSERT_TRUE(samplers) << samplers.error().message;
  engine_chosen.custom_samplers = *samplers;
  samplers = std::shared_ptr<const CustomSamplers>();
  auto engine = Engine::create(*model, engine_chosen);
  ASSERT_TRUE(engine) << engine.error().message;
  Request good;
  good.prompt = *(*model)->tokenizer().encode("Once upon a time", {});
  good.stopping.max_tokens = 40;
  good.stopping.ignore_eos = true;
  good.sampling = {.top_k = 0, .top_p = 1, .min_p = 0, .custom_sampler = "p_less", .seed = 9};
  const auto alone = (*engine)->generate(good);
  ASSERT_TRUE(alone) << alone.error().message;
  std::vector<std::string> problems(8);
  std::vector<std::thread> threads;
  const char* misdeeds[] = {"nan", "throw", "drop all", "fail", "throw in accept", "pick", "bury all", "infinity"};
  for (size_t i = 0; i < problems.size(); ++i) {
    threads.emplace_back([&, i] {
      Request bad = good;
      bad.sampling.custom_sampler = "counter";
      bad.sampling.custom_parameters = fmt::format("{{\"do\":\"{}\"}}", misdeeds[i]);
      const auto failed = (*engine)->generate(bad);
      if (!failed) problems[i] = failed.error().message;
    });
  }
  const auto beside = (*engine)->generate(good);
  for (std::thread& t : threads) t.join();
  ASSERT_TRUE(beside) << beside.error().message;
  EXPECT_EQ(beside->tokens, alone->tokens);
  for (const std::string& problem : problems) EXPECT_NE(problem.find("custom sampler counter"), std::string::npos);
  EXPECT_TRUE((*engine)->generate(good));
}

}  // namespace
}  // namespace linnet
