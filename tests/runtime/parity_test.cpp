// Logits and greedy text of the reference models, on every backend: real and random models, computed in float64 from the
// definitions and by another engine (data/README.md of the reference data says how).
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "gguf/base/json.h"
#include "runtime/engine.h"
#include "tests/runtime/relative_error.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

std::vector<float> read_floats(const std::string& path) {
  const std::string bytes = read_text(path);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(float));
  return values;
}

std::vector<int32_t> read_ids(const Json& list) {
  std::vector<int32_t> ids;
  for (const Json& item : list.elements()) ids.push_back(static_cast<int32_t>(*item.integer()));
  return ids;
}

struct Reference {
  std::string name;
  std::string model;
  Json logits, greedy;
  std::vector<float> exact, peer;  // [16][vocab]; the other engine's may be absent
  std::vector<int32_t> tokens;     // [16]
};

// `name`: folder and name of the files.
std::optional<Reference> reference(const std::string& name) {
  const auto model = shared_data(name + ".gguf");
  const auto json = shared_data(name + ".json");
  if (!model || !json) return std::nullopt;
  const Json all = *parse_json(read_text(*json));
  Reference r{name.substr(name.find('/') + 1), *model, *all.find("logits"), *all.find("greedy"), {}, {}, {}};
  if (const auto exact_greedy = shared_data(name + ".greedy64.json"))
    r.greedy = *parse_json(read_text(*exact_greedy))->find("greedy");
  r.exact = read_floats(*shared_data(name + ".f64.bin"));
  if (const auto peer = shared_data(name + ".logits.bin")) r.peer = read_floats(*peer);
  r.tokens = read_ids(*r.logits.find("tokens"));
  return r;
}

EngineOptions engine_options(const Kernels& k) {
  EngineOptions o;
  o.forward.threads = 2;
  o.forward.backend = k.name;
  o.context = 256;
  return o;
}

std::vector<const Kernels*> backends() {
  std::vector<const Kernels*> all;
  const KernelList list = all_kernels();
  for (int32_t i = 0; i < list.count; ++i)
    if (list.items[i]->supported()) all.push_back(list.items[i]);
  return all;
}

double logits_error(const Reference& r, KvType kv, const Kernels& k, std::vector<float>* out = nullptr) {
  auto model = Model::load(r.model, {.kv_type = kv});
  EXPECT_TRUE(model) << model.error().message;
  if (!model) return std::nan("");
  auto engine = Engine::create(*model, engine_options(k));
  EXPECT_TRUE(engine) << engine.error().message;
  if (!engine) return std::nan("");
  EXPECT_STREQ((*engine)->forward().kernels().name, k.name);
  auto logits = (*engine)->logits(r.tokens, true);
  EXPECT_TRUE(logits) << logits.error().message;
  if (!logits) return std::nan("");
  if (out) *out = *logits;
  return relative_l2(*logits, r.exact);
}

// Greedy text token for token; where the best two logits are closer than 0.02 a right implementation may differ, and
// what follows is no longer comparable.
void check_greedy(const Reference& r, const Kernels& k) {
  auto model = Model::load(r.model, {.kv_type = KvType::f32});
  ASSERT_TRUE(model) << model.error().message;
  auto engine = Engine::create(*model, engine_options(k));
  ASSERT_TRUE(engine) << engine.error().message;
  for (const Json& run : r.greedy.elements()) {
    Request request;
    request.prompt = read_ids(*run.find("prompt"));
    request.stopping.max_tokens = 32;
    request.sampling.temperature = 0;
    request.sampling.repeat_penalty = 1;
    request.stopping.ignore_eos = true;
    auto completion = (*engine)->generate(request);
    ASSERT_TRUE(completion) << completion.error().message;
    const std::vector<int32_t> expected = read_ids(*run.find("tokens"));
    ASSERT_EQ(completion->tokens.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      if (completion->tokens[i] == expected[i]) continue;
      const double gap = *run.find("gaps")->elements()[i].number();
      EXPECT_LT(gap, 0.02) << r.name << ": token " << i << " of \"" << *run.find("text")->string() << "\" differs";
      break;
    }
    const auto encoded =
        (*model)->tokenizer().encode(*run.find("text")->string(), {.bos = (*model)->tokenizer().add_bos()});
    ASSERT_TRUE(encoded);
    EXPECT_EQ(*encoded, request.prompt) << r.name << ": the prompt's own tokens";
  }
}

class Parity : public testing::TestWithParam<const char*> {};
class PageParity : public testing::TestWithParam<const char*> {};

TEST_P(Parity, FloatWeights) {
  const auto r = reference(GetParam());
  if (!r) GTEST_SKIP() << "no reference data (" << GetParam() << ")";
  for (const Kernels* k : backends()) {
    const double error = logits_error(*r, KvType::f32, *k);
    std::printf("%-24s %-7s relative l2 error %.2e", r->name.c_str(), k->name, error);
    if (!r->peer.empty()) std::printf(" (other engine %.2e)", relative_l2(r->peer, r->exact));
    std::printf("\n");
    EXPECT_TRUE(error <= 1e-4) << r->name << " on " << k->name << ": " << error;
    check_greedy(*r, *k);
  }
}

TEST_P(PageParity, PageTypes) {
  const auto r = reference(GetParam());
  if (!r) GTEST_SKIP() << "no reference data (" << GetParam() << ")";
  for (const Kernels* k : backends()) {
    const double half = logits_error(*r, KvType::f16, *k), quarter = logits_error(*r, KvType::q8_0, *k);
    std::printf("%-24s %-7s F16 pages %.2e, Q8_0 pages %.2e\n", r->name.c_str(), k->name, half, quarter);
    EXPECT_TRUE(half <= 1e-3) << half;
    EXPECT_TRUE(quarter <= 3e-2) << quarter;
  }
}

constexpr const char* kLlamas[] = {
    "models/stories260K-f32", "models/stories260K-F16",   "models/stories260K-pad192-F32",  "models/tiny-llama-F32",
    "models/tiny-llama-F16",  "models/tiny-llama-l3-F16", "architectures/tiny-llama-linear"};
INSTANTIATE_TEST_SUITE_P(Llamas, Parity, testing::ValuesIn(kLlamas));
INSTANTIATE_TEST_SUITE_P(Llamas, PageParity, testing::ValuesIn(kLlamas));
INSTANTIATE_TEST_SUITE_P(
    Architectures, Parity,
    testing::Values("architectures/tiny-bloom", "architectures/tiny-chatglm", "architectures/tiny-command-r",
                    "architectures/tiny-deepseek", "architectures/tiny-deepseek2", "architectures/tiny-deepseek3",
                    "architectures/tiny-dots1", "architectures/tiny-ernie4-5", "architectures/tiny-exaone",
                    "architectures/tiny-falcon", "architectures/tiny-gemma", "architectures/tiny-gemma2-small",
                    "architectures/tiny-gemma3-small", "architectures/tiny-glm4", "architectures/tiny-gpt-oss",
                    "architectures/tiny-gpt2", "architectures/tiny-gptneox", "architectures/tiny-granite",
                    "architectures/tiny-granitemoe", "architectures/tiny-internlm2", "architectures/tiny-mamba",
                    "architectures/tiny-minicpm", "architectures/tiny-minicpm3", "architectures/tiny-mistral3",
                    "architectures/tiny-mpt", "architectures/tiny-nemotron", "architectures/tiny-olmo",
                    "architectures/tiny-olmo2", "architectures/tiny-olmoe", "architectures/tiny-openelm",
                    "architectures/tiny-orion", "architectures/tiny-phi2", "architectures/tiny-phi3-longrope-short",
                    "architectures/tiny-phimoe", "architectures/tiny-qwen1", "architectures/tiny-refact",
                    "architectures/tiny-smollm3", "architectures/tiny-stablelm", "architectures/tiny-starcoder",
                    "architectures/tiny-starcoder2", "architectures/tiny-xverse", "models/tiny-gemma2-F16",
                    "models/tiny-mixtral-F16", "models/tiny-phi3-F16", "models/tiny-qwen2-F16",
                    "models/tiny-qwen3-F16"));

class QuantizedParity : public testing::TestWithParam<const char*> {};

TEST_P(QuantizedParity, NoWorseThanTheOtherEngine) {
  const auto r = reference(GetParam());
  if (!r) GTEST_SKIP() << "no reference data (" << GetParam() << ")";
  const double peer = relative_l2(r->peer, r->exact);
  std::vector<float> first;
  for (const Kernels* k : backends()) {
    std::vector<float> logits;
    const double error = logits_error(*r, KvType::f32, *k, &logits);
    std::printf("%-24s %-7s relative l2 error %.3e (other engine %.3e, ratio %.3f)\n", r->name.c_str(), k->name, error,
                peer, error / peer);
    EXPECT_TRUE(error <= 1.1 * peer) << r->name << " on " << k->name << ": " << error << " against " << peer;
    if (first.empty()) first = logits;
    ASSERT_EQ(first.size(), logits.size());
    EXPECT_EQ(std::memcmp(first.data(), logits.data(), first.size() * sizeof(float)), 0)
        << "backends differ in their bits";
  }
}

INSTANTIATE_TEST_SUITE_P(Models, QuantizedParity,
                         testing::Values("models/stories260K-pad192-IQ4_NL", "models/stories260K-pad192-Q4_0",
                                         "models/stories260K-pad192-Q4_1", "models/stories260K-pad192-Q5_0",
                                         "models/stories260K-pad192-Q5_1", "models/stories260K-pad192-Q8_0",
                                         "models/tiny-llama-IQ4_XS", "models/tiny-llama-Q2_K",
                                         "models/tiny-llama-Q3_K_M", "models/tiny-llama-Q4_0",
                                         "models/tiny-llama-Q4_K_M", "models/tiny-llama-Q5_K_M",
                                         "models/tiny-llama-Q6_K", "models/tiny-llama-Q8_0"));

}  // namespace
}  // namespace linnet
