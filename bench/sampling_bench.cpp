// The sampler at a vocabulary of 151,936: the whole chain and what each step costs in it, with the scans of every
// backend that this machine can run. A row of logits is 608 KB; every sample begins with one pass over it, so the time
// per byte read ("bytes_per_second") against the machine's bandwidth bounds what the chain can reach.
//
// sample() changes the row, so what it wrote to is restored after every iteration, outside of the measured time.
#include <algorithm>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernels/kernels.h"
#include "sampling/chain.h"
#include "sampling/steps.h"
#include "sampling/stop.h"
#include "sampling/stop_engine.h"
#include "sampling/vocabulary.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr int32_t kTokens = 151936;

// Shaped like a language model's: a wide bulk and a few hundred tokens that stand out.
std::vector<float> make_row() {
  Random random(1);
  std::vector<float> row;
  for (int32_t i = 0; i < kTokens; ++i) row.push_back(float(random.normal() * 2.5));
  for (int i = 0; i < 300; ++i) row[size_t(random.below(kTokens))] = float(8 + 8 * random.uniform());
  return row;
}

// 1000 tokens of which the last 20 have come before.
std::vector<int32_t> make_history() {
  Random random(2);
  std::vector<int32_t> history;
  for (int i = 0; i < 1000; ++i) history.push_back(i < 980 ? int32_t(random.below(200)) : history[size_t(i - 500)]);
  return history;
}

// A text for every token, as long as a language model's are, and an end.
class Texts : public SamplingVocabulary {
 public:
  Texts() {
    Random random(3);
    for (int32_t i = 0; i < kTokens; ++i) {
      std::string text;
      for (int64_t length = 1 + random.below(8); length > 0; --length) text += char('a' + random.below(26));
      texts_.push_back(text);
    }
  }
  int32_t size() const override { return kTokens; }
  std::string_view bytes(int32_t token) const override { return texts_[size_t(token)]; }
  bool is_eog(int32_t token) const override { return token == 2; }
  std::vector<int32_t> tokenize(std::string_view) const override { return {}; }

 private:
  std::vector<std::string> texts_;
};

const Texts& texts() {
  static const Texts all;
  return all;
}

auto make_dry() {
  const PlainVocabulary vocabulary(kTokens);
  const SamplingParams params{.dry_multiplier = 0.8};
  return [dry = *Dry::make({params, vocabulary, 4096})](Candidates& c) mutable { dry.apply(c); };
}

Scans scans_of(const Kernels& k) { return {k.max, k.above, k.sum_exp, k.exp}; }

void run_chain(benchmark::State& state, SamplingParams params, Scans scans) {
  const PlainVocabulary vocabulary(kTokens);
  Result<Chain> chain = Chain::create(params, {vocabulary, 4096, scans});
  if (!chain) return state.SkipWithError(chain.error().message.c_str());
  const std::vector<float> source = make_row();
  std::vector<float> row = source;
  // Without a truncation before it, temperature writes to the whole row.
  const bool writes_all = params.mirostat > 0 || (params.temperature > 0 && chain->describe().size() == 2);
  std::vector<int32_t> window;  // the tokens whose logits the penalties changed
  uint64_t position = 0;
  for (auto _ : state) {
    const Result<int32_t> token = chain->sample(row.data(), position++);
    benchmark::DoNotOptimize(token);
    state.PauseTiming();
    chain->accept(*token);
    window.push_back(*token);
    if (writes_all) row = source;
    for (const int32_t t : window) row[size_t(t)] = source[size_t(t)];
    if (window.size() > 200) window.erase(window.begin(), window.end() - 100);
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * kTokens * int64_t(sizeof(float)));
}

// One step from where it stands in the default chain.
template <class Before, class Measured>
void run_step(benchmark::State& state, Scans scans, Before before, Measured measured) {
  const std::vector<float> source = make_row();
  std::vector<float> row = source;
  const std::vector<int32_t> history = make_history();
  Candidates candidates(scans);
  for (auto _ : state) {
    state.PauseTiming();
    row = source;
    benchmark::DoNotOptimize(candidates.begin(row, 1, 1, history));
    before(candidates);
    state.ResumeTiming();
    measured(candidates);
    benchmark::ClobberMemory();
  }
}

void add_steps(const std::string& name, Scans scans) {
  const auto add = [&](const char* step, auto before, auto measured) {
    benchmark::RegisterBenchmark(("step/" + std::string(step) + "/" + name).c_str(),
                                 [=](benchmark::State& s) { run_step(s, scans, before, measured); });
  };
  using C = Candidates;
  Penalties penalties{1.1f, 0, 0, CountedWindow(64)};
  std::vector<int32_t> text;
  for (int32_t i = 0; i < 64; ++i) {
    text.push_back(i * 997);
    penalties.accept({text, true});
  }
  const auto nothing = [](C&) {};
  const auto k40 = [](C& c) { TopK{40}.apply(c); };
  benchmark::RegisterBenchmark(("step/begin/" + name).c_str(), [=](benchmark::State& s) {
    std::vector<float> row = make_row();
    Candidates candidates(scans);
    for (auto _ : s) benchmark::DoNotOptimize(candidates.begin(row, 1, 1));
    s.SetBytesProcessed(s.iterations() * kTokens * int64_t(sizeof(float)));
  });
  add("penalties(64 tokens)", nothing, [penalties](C& c) { penalties.apply(c); });
  // Each as the row meets it, and from where it stands in the default chain.
  const auto both = [&](const std::string& step, auto apply) {
    add((step + " of the row").c_str(), nothing, apply);
    add((step + " of 40").c_str(), k40, apply);
  };
  std::vector<std::pair<int32_t, float>> biases;
  for (int32_t i = 0; i < 64; ++i) biases.emplace_back(i * 997, 0.5f);
  add("logit_bias(64 tokens)", nothing, [step = LogitBiases{biases}](C& c) { step.apply(c); });
  add(
      "dry(1000 tokens)", [](C&) {}, make_dry());
  add("top_n_sigma(1) of the row", nothing, [](C& c) { TopNSigma{1}.apply(c); });
  add("top_k(40) of the row", nothing, k40);
  add("top_k(1000) of the row", nothing, [](C& c) { TopK{1000}.apply(c); });
  both("tfs_z(0.95)", [step = TailFree{0.95, 1}](C& c) { step.apply(c); });
  both("typical_p(0.95)", [step = Typical{0.95, 1}](C& c) mutable { step.apply(c); });
  both("top_p(0.95)", [](C& c) { TopP{0.95, 1}.apply(c); });
  both("min_p(0.05)", [](C& c) { MinP{0.05, 1}.apply(c); });
  both("xtc(0.1)", [](C& c) { Xtc{1, 0.1, 1, 1}.apply(c); });
  both("temperature", [](C& c) { Temperature{0.7f}.apply(c); });
  both("dynatemp", [](C& c) { DynamicTemperature{0.8, 0.4, 1}.apply(c); });
  const auto text_order = std::make_shared<TextOrder>(texts());
  (void)text_order->places();  // made once for a vocabulary
  both("infill", [step = Infill{&texts(), text_order}](C& c) mutable { step.apply(c); });
  both("dist", [](C& c) { Dist{}.apply(c); });
  both("mirostat1", [step = Mirostat1{5, 0.1, Tracked(10)}](C& c) mutable { step.apply(c); });
  both("mirostat2", [step = Mirostat2{5, 0.1, Tracked(10)}](C& c) mutable { step.apply(c); });
  both("adaptive_p", [step = AdaptiveP{0.5, 0.9, Tracked(5), Tracked(10)}](C& c) mutable { step.apply(c); });
  add("greedy of the row", nothing, [](C& c) { Greedy{}.apply(c); });
}

void add_chains(const std::string& name, Scans scans) {
  const auto add = [&](const char* chain, SamplingParams params) {
    params.seed = 1;
    benchmark::RegisterBenchmark(("chain/" + std::string(chain) + "/" + name).c_str(),
                                 [=](benchmark::State& s) { run_chain(s, params, scans); });
  };
  add("default", {});
  add("greedy", {.temperature = 0});
  add("only_temperature", {.temperature = 0.7f, .top_k = 0, .top_p = 1, .min_p = 0, .repeat_penalty = 1});
  add("only_min_p", {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0.05f, .repeat_penalty = 1});
  add("all_steps", {.typical_p = 0.95,
                    .tfs_z = 0.95,
                    .top_n_sigma = 3,
                    .xtc_probability = 0.5,
                    .dry_multiplier = 0.8,
                    .logit_bias = {{.token = 7, .bias = 1}}});
  add("mirostat1", {.mirostat = 1});
  add("mirostat2", {.mirostat = 2});
  add("only_top_p", {.temperature = 1, .top_k = 0, .top_p = 0.95f, .min_p = 0, .repeat_penalty = 1});
}

// Text of the letter that almost completes a long stop string: the most a byte can cost.
void stop_strings(benchmark::State& state) {
  Result<StopStrings> stop = StopStrings::create({std::string(1023, 'a') + "b", "</s>", "User:"});
  if (!stop) return state.SkipWithError(stop.error().message.c_str());
  const std::string piece(4, 'a');
  for (auto _ : state) benchmark::DoNotOptimize(stop->push(piece));
  state.SetBytesProcessed(state.iterations() * int64_t(piece.size()));
}

// A token of 4 bytes. With everything on, the text stays below what would end it; full patterns cost most while it is
// nearly 64 KiB long ([^z]* reads all of it), and nothing after.
void stop_engine(benchmark::State& state, StopParams params, int64_t before) {
  params.max_tokens = -1;
  const PlainVocabulary vocabulary(kTokens);
  Result<StopEngine> made = StopEngine::create(params, vocabulary);
  if (!made) return state.SkipWithError(made.error().message.c_str());
  for (int64_t i = 0; i < before; ++i) (void)made->add({.id = int32_t(i * 7919 % kTokens), .bytes = "abc "});
  StopEngine engine = *made;
  int64_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(engine.add({.id = int32_t(i * 7919 % kTokens), .bytes = "abc ", .entropy = 2}));
    if (++i % 256 != 0) continue;
    state.PauseTiming();
    engine = *made;
    state.ResumeTiming();
  }
}

void add_stop_engine() {
  const auto add = [](const char* name, StopParams params, int64_t before = 0) {
    benchmark::RegisterBenchmark(("stop_engine/" + std::string(name)).c_str(),
                                 [=](benchmark::State& s) { stop_engine(s, params, before); });
  };
  StopParams patterns;
  patterns.pattern_conditions.assign(16, {"\\b(done|finished|complete)\\b"});
  StopParams full;
  full.pattern_conditions = {{"[^z]*z", PatternCondition::Match::full}};
  StopParams detectors;
  detectors.repetition_detection = detectors.completion_detection = detectors.coherence_break = 0.9;
  detectors.max_repetition_count = 10;
  detectors.context_aware = true;
  StopParams bans;
  bans.banned_phrases.assign(64, "c ab x");
  add("nothing on", {});
  add("16 patterns", patterns, 2000);
  add("a full pattern, text of 60 KiB", full, 15000);
  add("all detectors", detectors, 500);
  add("banned phrases, always one open", bans);
}

void add_all() {
  const KernelList list = all_kernels();
  for (int32_t i = 0; i < list.count; ++i) {
    if (!list.items[i]->supported()) continue;
    add_chains(list.items[i]->name, scans_of(*list.items[i]));
    add_steps(list.items[i]->name, scans_of(*list.items[i]));
  }
  add_chains("definition", Scans::scalar());
  benchmark::RegisterBenchmark("stop_strings/piece of 4 bytes", stop_strings);
  add_stop_engine();
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  linnet::add_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
