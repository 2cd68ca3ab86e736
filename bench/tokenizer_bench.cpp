// Tokenizers on text, one core: MB/s of English, of source code and of other scripts.
//
//   build/bin/tokenizer_bench VOCABULARY.gguf... [--text FILE] [benchmark flags]
//   LINNET_VOCABULARY=FILE[:FILE...] build/bin/tokenizer_bench
//
// Any GGUF file with a vocabulary will do, a whole model too. Without --text, the English text is made of words with the
// frequencies of English, none of it twice in the same way: what repeats is what repeats in texts (Zipf's law).
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "gguf/base/utf8.h"
#include "runtime/tokenizer.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr size_t kBytes = size_t(1) << 20;

// Words of English and their frequency per million (rounded), then made-up ones, rarer and rarer.
std::string english() {
  const char* const common[] = {"the",  "of",  "and",  "to",    "in",    "a",     "is",    "that", "for",  "it",
                                "as",   "was", "with", "be",    "by",    "on",    "not",   "he",   "his",  "but",
                                "at",   "are", "this", "have",  "from",  "they",  "which", "one",  "you",  "were",
                                "all",  "her", "she",  "there", "would", "their", "we",    "him",  "been", "has",
                                "when", "who", "will", "no",    "more",  "if",    "out",   "so",   "up",   "said"};
  const char* const syllables[] = {"con",  "ment", "pre", "ter", "ing",  "ble", "over", "un",
                                   "tion", "al",   "re",  "der", "il",   "est", "ly",   "ma",
                                   "ver",  "per",  "ous", "so",  "ance", "st",  "ness", "work"};
  Random random(1);
  std::vector<std::string> words(std::begin(common), std::end(common));
  while (words.size() < 30000) {
    std::string word;
    for (int64_t n = 1 + random.below(4); n > 0; --n) word += syllables[random.below(std::ssize(syllables))];
    words.push_back(word);
  }
  std::string text;
  for (size_t n = 0; text.size() < kBytes; ++n) {
    // Rank r with a probability like 1 / r.
    const size_t rank = size_t(std::pow(double(words.size()), random.uniform())) - 1;
    std::string word = words[rank];
    if (n % 17 == 0) word[0] = char(word[0] - 'a' + 'A');
    text += n % 17 == 0 ? ". " : n % 11 == 0 ? ", " : n % 97 == 0 ? "\n\n" : " ";
    text += n % 53 == 0 ? std::to_string(random.below(2026)) : word;
  }
  return text;
}

std::string code() {
  std::string text;
  for (int i = 0; text.size() < kBytes; ++i) {
    text += "  for (int32_t i_" + std::to_string(i) + " = 0; i_" + std::to_string(i) +
            " < size(); ++i) {\n    if (kind(i) != TokenKind::byte) continue;  // not a byte\n\t\tout[i] += 0x" +
            std::to_string(i * 7919 % 4096) + ";\n  }\n";
  }
  return text;
}

std::string chinese() {
  Random random(2);
  std::string text;
  while (text.size() < kBytes) {
    for (int64_t n = 4 + random.below(20); n > 0; --n) utf8_append(text, 0x4e00 + uint32_t(random.below(3000)));
    text += "，";
  }
  return text;
}

struct Subject {
  std::string name;
  Gguf file;
  Tokenizer tokenizer;
};

void run(benchmark::State& state, const Subject& subject, const std::string& text) {
  size_t tokens = 0;
  for (auto _ : state) {
    const auto encoded = subject.tokenizer.encode(text, {});
    if (!encoded) return state.SkipWithError(encoded.error().message.c_str());
    tokens = encoded->size();
    benchmark::DoNotOptimize(encoded->data());
  }
  state.SetBytesProcessed(state.iterations() * int64_t(text.size()));
  state.counters["bytes/token"] = double(text.size()) / double(tokens);
}

void decode(benchmark::State& state, const Subject& subject, const std::string& text) {
  const auto encoded = subject.tokenizer.encode(text, {});
  if (!encoded) return state.SkipWithError(encoded.error().message.c_str());
  for (auto _ : state) benchmark::DoNotOptimize(subject.tokenizer.decode(*encoded));
  state.SetBytesProcessed(state.iterations() * int64_t(text.size()));
}

Result<std::unique_ptr<Subject>> open(const std::string& path) {
  LINNET_TRY(Gguf file, Gguf::open(path));
  LINNET_TRY(Tokenizer tokenizer, Tokenizer::load(file));
  return std::make_unique<Subject>(std::filesystem::path(path).stem().string(), std::move(file), std::move(tokenizer));
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  using namespace linnet;
  benchmark::Initialize(&argc, argv);
  std::vector<std::string> paths;
  std::string text;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--text" && i + 1 < argc) {
      std::ifstream in(argv[++i], std::ios::binary);
      text.assign(std::istreambuf_iterator<char>(in), {});
      text.resize(std::min(text.size(), Tokenizer::kMaxTextBytes));
    } else {
      paths.push_back(argument);
    }
  }
  if (const char* named = std::getenv("LINNET_VOCABULARY"); named && paths.empty()) {
    std::string list = named;
    for (size_t at = 0; at < list.size();) {
      const size_t end = std::min(list.find(':', at), list.size());
      if (end > at) paths.push_back(list.substr(at, end - at));
      at = end + 1;
    }
  }
  if (paths.empty()) {
    std::printf("skipped: no vocabulary is given (paths of GGUF files, or LINNET_VOCABULARY)\n");
    return 0;
  }
  std::vector<std::unique_ptr<Subject>> subjects;
  const std::vector<std::pair<std::string, std::string>> texts = {{"english", text.empty() ? english() : text},
                                                                  {"code", code()},
                                                                  {"chinese", chinese()},
                                                                  {"one letter", std::string(kBytes, 'a')},
                                                                  {"spaces", std::string(kBytes, ' ')}};
  for (const std::string& path : paths) {
    auto subject = open(path);
    if (!subject) {
      std::printf("%s: %s\n", path.c_str(), subject.error().message.c_str());
      return 1;
    }
    subjects.push_back(*std::move(subject));
    const Subject& s = *subjects.back();
    for (const auto& [name, content] : texts) {
      benchmark::RegisterBenchmark(("encode/" + s.name + "/" + name).c_str(),
                                   [&s, &content](benchmark::State& state) { run(state, s, content); });
    }
    benchmark::RegisterBenchmark(("decode/" + s.name + "/english").c_str(),
                                 [&s, &texts](benchmark::State& state) { decode(state, s, texts[0].second); });
  }
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
