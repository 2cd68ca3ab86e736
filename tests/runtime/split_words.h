// The words that a pre-tokenizer makes of a text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "runtime/pretokenizer.h"

namespace linnet {

struct CollectedWords : WordSink {
  void word(std::string_view word) override { words.emplace_back(word); }
  std::vector<std::string> words;
};

inline std::vector<std::string> split_words(std::string_view name, std::string_view text) {
  CollectedWords collected;
  find_pretokenizer(name)->split(text, collected);
  return collected.words;
}

}  // namespace linnet
