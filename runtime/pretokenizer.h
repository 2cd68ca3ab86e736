// Pre-tokenizers of byte-level BPE: how a text is cut into the words that are then merged one by one.
//
// Each vocabulary was trained with one or more regular expressions; here are hand-written equivalents
// (pretokenizer_steps.h), by the names that GGUF gives them. docs/tokenizers.md has the table with the sources.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet {

class WordSink {
 public:
  virtual void word(std::string_view word) = 0;

 protected:
  ~WordSink() = default;
};

struct Pretokenizer {
  std::string_view names;  // separated by spaces
  // Gives every word of the text to the sink, in order; together they are the text. Returns how many characters were
  // looked at.
  uint64_t (*split)(std::string_view text, WordSink& sink);
  bool whole_words = false;  // a word that is a token is taken whole, without merging ("ignore_merges")
  bool add_bos = false;      // what an absent tokenizer.ggml.add_bos_token means
  // Tokens are spelled in characters, with U+2581 for the space and <0xHH> for bytes without a character, instead of
  // in the byte alphabet.
  bool characters = false;
};

// nullptr for a name that is not known.
const Pretokenizer* find_pretokenizer(std::string_view name);
// For messages: the known names, separated by commas.
std::string pretokenizer_names();

}  // namespace linnet
