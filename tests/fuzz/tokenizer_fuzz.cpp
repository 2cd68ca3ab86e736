// Any text in sample vocabularies: no crash; nothing is lost, since every byte has a token; pieces of a stream are UTF-8.
// The first byte chooses the vocabulary and whether special tokens are parsed.
#include <cstdlib>

#include "gguf/base/utf8.h"
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
  require(tokenizer.decode(*tokens, special) == text);
  TokenStream stream(tokenizer, -1, special);
  std::string streamed;
  for (const int32_t token : *tokens) {
    const std::string piece = stream.push(token);
    require(utf8_valid(piece));
    streamed += piece;
  }
  streamed += stream.flush();
  require(streamed == utf8_replace_invalid(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Subject subjects[] = {Subject(sample_spm()), Subject(sample_bpe("gpt-2")),
                                     Subject(sample_bpe("llama-bpe")), Subject(sample_bpe("qwen2")),
                                     Subject(sample_bpe("default"))};
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  check(subjects[data[0] % std::size(subjects)].tokenizer, text, data[0] & 0x80);
  return 0;
}
