// Any text in sample vocabularies: no crash; nothing is lost where every byte has a token; pieces of a stream are UTF-8.
// The first byte chooses the vocabulary and whether special tokens are parsed, or that the input is a normalization
// table with the text it is used on.
#include <cstdlib>

#include "gguf/base/utf8.h"
#include "runtime/charsmap.h"
#include "runtime/token_stream.h"
#include "runtime/tokenizer.h"
#include "tests/runtime/sample_vocabulary.h"

namespace {

using namespace linnet;

// A file in memory with its tokenizer, for the life of the process.
struct Subject {
  explicit Subject(const VocabularyFile& file)
      : bytes(file.bytes()), gguf(*Gguf::parse(as_bytes(bytes))), tokenizer(*Tokenizer::load(gguf)) {}
  std::string bytes;
  Gguf gguf;
  Tokenizer tokenizer;
};

void require(bool fact) {
  if (!fact) std::abort();
}

void check(const Tokenizer& tokenizer, std::string_view text, bool special) {
  const auto tokens = tokenizer.encode(text, {.special = special});
  require(bool(tokens));
  for (const int32_t token : *tokens) require(token >= 0 && token < tokenizer.size());
  const bool normalizes = tokenizer.model() == "bert" || tokenizer.model() == "t5";
  const std::string decoded = tokenizer.decode(*tokens, special);
  if (!normalizes) require(decoded == text);
  TokenStream stream(tokenizer, -1, special);
  std::string streamed;
  for (const int32_t token : *tokens) {
    const std::string piece = stream.push(token);
    require(utf8_valid(piece));
    streamed += piece;
  }
  streamed += stream.flush();
  require(streamed == utf8_replace_invalid(decoded));
}

void check_charsmap(std::string_view bytes, std::string_view text) {
  const auto map = Charsmap::parse(bytes, "table");
  if (!map) return require(!map.error().message.empty());
  for (size_t at = 0; at < text.size(); ++at) {
    const Charsmap::Match match = map->longest(text, at);
    require(match.bytes <= Charsmap::kMaxSequence && match.bytes <= text.size() - at);
    require(match.replacement.size() <= match.bytes * Charsmap::kMaxGrowth);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Subject subjects[] = {
      Subject(sample_spm()),          Subject(sample_gemma4()),           Subject(sample_rwkv()),
      Subject(sample_wordpiece()),    Subject(sample_unigram()),          Subject(sample_bpe("gpt-2")),
      Subject(sample_bpe("qwen2")),   Subject(sample_bpe("llama-bpe")),   Subject(sample_bpe("default")),
      Subject(sample_bpe("falcon")),  Subject(sample_bpe("gpt-4o")),      Subject(sample_bpe("deepseek-llm")),
      Subject(sample_bpe("kimi-k2")), Subject(sample_bpe("deepseek-v3")), Subject(sample_bpe("superbpe")),
      Subject(sample_bpe("jais-2")),  Subject(sample_bpe("chameleon")),   Subject(sample_bpe("exaone-moe"))};
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t choice = data[0] & 0x7f;
  if (choice < std::size(subjects)) {
    check(subjects[choice].tokenizer, text, data[0] & 0x80);
  } else {
    check_charsmap(text, text.substr(text.size() / 2));
  }
  return 0;
}
