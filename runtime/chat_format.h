// Conversations as tokens, in ChatML: <|im_start|>role\ntext<|im_end|>\n. Texts of messages are never parsed for
// special tokens, so what a user writes cannot end or begin a message.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/tokenizer.h"

namespace linnet {

class ChatFormat {
 public:
  // Nothing when the vocabulary lacks ChatML's two special tokens. The tokenizer must outlive the format.
  static std::optional<ChatFormat> find(const Tokenizer& tokenizer);

  // BOS, if the vocabulary says so: how a conversation begins.
  std::vector<int32_t> begin() const;
  // A whole message.
  Result<std::vector<int32_t>> message(std::string_view role, std::string_view text) const;
  // The opening of a message that the model is to write.
  Result<std::vector<int32_t>> open(std::string_view role) const;
  // What follows the model's text when its message ends.
  Result<std::vector<int32_t>> close() const;

 private:
  ChatFormat(const Tokenizer& tokenizer, int32_t start, int32_t end)
      : tokenizer_(&tokenizer), start_(start), end_(end) {}
  const Tokenizer* tokenizer_;
  int32_t start_, end_;
};

}  // namespace linnet
