// A vocabulary of the size of real ones, for benchmarks on machines without reference data.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "gguf/base/utf8.h"
#include "tests/sampling/grammar_definition.h"
#include "tests/support.h"

namespace linnet {

// Words, numbers, punctuation and characters of many scripts, as byte pair encoding leaves them.
inline TextVocabulary made_up_vocabulary() {
  Random random(3);
  std::vector<std::string> texts;
  for (int i = 0; i < 256; ++i) texts.push_back(std::string(1, char(i)));
  for (const char* text :
       {"\",", "\":", "\": \"", "\",\n", "{\"", "},\n", "\"}", "[\"", "]]", "\"],", "\n\n", ":\"", "():", "='"}) {
    texts.push_back(text);
  }
  for (int n = 1; n <= 80; ++n) texts.push_back(std::string(size_t(n), ' '));
  for (int n = 10; n < 1000; ++n) texts.push_back(std::to_string(n));
  while (texts.size() < 151'000) {
    std::string text;
    const int64_t kind = random.below(10);
    if (kind < 5) text = " ";
    if (kind == 9) {
      for (int64_t n = 1 + random.below(4); n > 0; --n) utf8_append(text, uint32_t(0x3041 + random.below(20000)));
    } else {
      for (int64_t n = 2 + random.below(8); n > 0; --n) text += char('a' + random.below(26));
      if (kind == 8) text += "\",:;)}]>'"[random.below(9)];
      if (kind == 7) text[0] = char(text[0] - 32);
    }
    texts.push_back(text);
  }
  return TextVocabulary(std::move(texts));
}

}  // namespace linnet
