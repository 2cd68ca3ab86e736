#include "runtime/token_stream.h"

#include "gguf/base/utf8.h"

namespace linnet {

std::string TokenStream::push(int32_t token) {
  held_ += tokenizer_->shown(token, previous_, special_);
  if (token >= 0 && token < tokenizer_->size()) previous_ = token;
  const size_t ready = held_.size() - utf8_unfinished(held_);
  std::string text = utf8_replace_invalid(std::string_view(held_).substr(0, ready));
  held_.erase(0, ready);
  return text;
}

std::string TokenStream::flush() {
  std::string text = utf8_replace_invalid(held_);
  held_.clear();
  return text;
}

}  // namespace linnet
