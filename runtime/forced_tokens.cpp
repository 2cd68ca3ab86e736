#include "runtime/forced_tokens.h"

#include <string>

namespace linnet {
namespace {

// Letters, digits and whatever is not ASCII.
bool is_word(char c) {
  const char lower = static_cast<char>(c | 0x20);
  return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || static_cast<signed char>(c) < 0;
}

// Drops the tokens at the end of `text` that may become others.
void drop_last(const Tokenizer& tokenizer, std::string_view text, std::vector<int32_t>& tokens) {
  size_t cut = text.size();
  do {
    cut -= tokenizer.bytes(tokens.back()).size();
    tokens.pop_back();
  } while (!tokens.empty() && is_word(text[cut]) && is_word(text[cut - 1]));
}

}  // namespace

std::vector<int32_t> forced_tokens(const Tokenizer& tokenizer, std::string_view text) {
  if (text.empty()) return {};
  // Some vocabularies put a space before a text; a line break takes it.
  for (const std::string_view before : {"", "\n"}) {
    std::vector<int32_t> tokens = tokenizer.tokenize(std::string(before).append(text));
    auto first = tokens.end();
    std::string spelt;
    while (first != tokens.begin() && spelt.size() < text.size()) {
      const std::string_view bytes = tokenizer.bytes(*--first);
      if (bytes.empty()) break;
      spelt.insert(0, bytes);
    }
    if (spelt != text) continue;
    tokens.erase(tokens.begin(), first);
    drop_last(tokenizer, text, tokens);
    return tokens;
  }
  return {};
}

}  // namespace linnet
