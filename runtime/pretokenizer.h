// Pre-tokenizers of byte-level BPE: how a text is cut into the words that are then merged one by one.
//
// Each vocabulary was trained with a regular expression; these are hand-written equivalents over Unicode classes:
// linear time, no recursion, any bytes (an invalid sequence counts as one character of class "other"). The patterns
// stand at the functions in pretokenizer.cpp.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace linnet {

struct Pretokenizer {
  std::string_view name;
  // The end of the word that begins at text[at]; at < text.size(), and `at` is the end of a word or 0.
  size_t (*next)(std::string_view text, size_t at);
  bool whole_words;  // a word that is a token is taken whole, without merging ("ignore_merges")
  bool add_bos;      // what an absent tokenizer.ggml.add_bos_token means
};

// nullptr for a name that is not known.
const Pretokenizer* find_pretokenizer(std::string_view name);
// For messages: the known names, separated by commas.
std::string pretokenizer_names();

}  // namespace linnet
