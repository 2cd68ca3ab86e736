#include "runtime/chat_format.h"

#include <string>

namespace linnet {

std::optional<ChatFormat> ChatFormat::find(const Tokenizer& tokenizer) {
  const auto start = tokenizer.find("<|im_start|>"), end = tokenizer.find("<|im_end|>");
  if (!start || !end) return std::nullopt;
  return ChatFormat(tokenizer, *start, *end);
}

std::vector<int32_t> ChatFormat::begin() const {
  if (tokenizer_->add_bos() && tokenizer_->special().bos >= 0) return {tokenizer_->special().bos};
  return {};
}

Result<std::vector<int32_t>> ChatFormat::open(std::string_view role) const {
  std::vector<int32_t> tokens = {start_};
  LINNET_TRY(const auto head, tokenizer_->encode(std::string(role) + "\n", {}));
  tokens.insert(tokens.end(), head.begin(), head.end());
  return tokens;
}

Result<std::vector<int32_t>> ChatFormat::close() const {
  std::vector<int32_t> tokens = {end_};
  LINNET_TRY(const auto tail, tokenizer_->encode("\n", {}));
  tokens.insert(tokens.end(), tail.begin(), tail.end());
  return tokens;
}

Result<std::vector<int32_t>> ChatFormat::message(std::string_view role, std::string_view text) const {
  std::vector<int32_t> tokens = {start_};
  LINNET_TRY(const auto body, tokenizer_->encode(std::string(role) + "\n" + std::string(text), {}));
  tokens.insert(tokens.end(), body.begin(), body.end());
  LINNET_TRY(const auto tail, close());
  tokens.insert(tokens.end(), tail.begin(), tail.end());
  return tokens;
}

}  // namespace linnet
