// The text of generated tokens as it grows, always cut between characters.
//
// A token may end inside a character: its bytes are held back until the next tokens complete it. What can never become
// valid UTF-8 is replaced by U+FFFD, so that everything given out is valid. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/tokenizer.h"

namespace linnet {

class TokenStream {
 public:
  // The tokenizer must outlive the stream. `previous`: the last token of the prompt, -1 at the start of a text: the
  // space prefix is treated as in Tokenizer::decode. `special`: control tokens show their texts.
  explicit TokenStream(const Tokenizer& tokenizer, int32_t previous = -1, bool special = false)
      : tokenizer_(&tokenizer), previous_(previous), special_(special) {}

  // The text that a token completes; may be empty.
  std::string push(int32_t token);
  // At the end: what was held back, as U+FFFD.
  std::string flush();

 private:
  const Tokenizer* tokenizer_;
  int32_t previous_;
  bool special_;
  std::string held_;  // an unfinished character, at most 3 bytes between calls
};

}  // namespace linnet
