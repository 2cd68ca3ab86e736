#include "runtime/special_tokens.h"

#include <algorithm>

namespace linnet {
namespace {

// Texts by which published models end a turn or a text.
constexpr std::string_view kEndOfTurn[] = {"<|eot_id|>", "<|im_end|>", "<end_of_turn>", "<|end|>",
                                           "<|eot|>",    "<EOT>",      "[EOT]"};
constexpr std::string_view kEndOfMessage[] = {"<|eom_id|>"};
constexpr std::string_view kEndOfText[] = {
    "<|endoftext|>", "<|end_of_text|>",
    "</s>",          "<eos>",
    "[EOS]",         "<|eos|>",
    "<EOS>",         "<|endofturn|>",
    "<|return|>",    "<end_of_utterance>",
    "<|call|>",      "<｜end▁of▁sentence｜>",
};

Result<int32_t> read_id(const Gguf& gguf, std::string_view key, const Vocabulary& vocabulary, int32_t otherwise) {
  const Value* value = gguf.find(key);
  if (value == nullptr) return otherwise;
  if (value->type == ValueType::array || !value->is_integer()) {
    return fail(Code::gguf_vocabulary, "{} must be an integer, but is {} (at byte {})", key,
                value_type_name(value->type), value->offset);
  }
  const int64_t id = value->integer();
  if (id == -1 || id == int64_t(UINT32_MAX)) return -1;
  if (id < 0 || id >= vocabulary.size()) {
    return fail(Code::gguf_vocabulary, "{} is {}; the vocabulary has the ids 0 to {} (at byte {})", key, id,
                vocabulary.size() - 1, value->offset);
  }
  return int32_t(id);
}

// The token with this text if it is one that stands for no ordinary text, else -1.
int32_t marked(const Vocabulary& vocabulary, std::string_view text) {
  const int32_t id = vocabulary.find(text);
  if (id < 0) return -1;
  const TokenKind kind = vocabulary.kind(id);
  return kind == TokenKind::control || kind == TokenKind::user_defined ? id : -1;
}

int32_t first_marked(const Vocabulary& vocabulary, std::span<const std::string_view> texts) {
  for (const std::string_view text : texts) {
    if (const int32_t id = marked(vocabulary, text); id >= 0) return id;
  }
  return -1;
}

}  // namespace

Result<SpecialIds> read_special_ids(const Gguf& gguf, const Vocabulary& vocabulary) {
  const bool spm = vocabulary.model() == VocabularyModel::spm;
  const auto read = [&](std::string_view key, int32_t otherwise) { return read_id(gguf, key, vocabulary, otherwise); };
  SpecialIds ids;
  LINNET_TRY(ids.bos, read("tokenizer.ggml.bos_token_id", spm ? marked(vocabulary, "<s>") : -1));
  LINNET_TRY(ids.eos, read("tokenizer.ggml.eos_token_id", spm ? marked(vocabulary, "</s>") : -1));
  LINNET_TRY(ids.unk, read("tokenizer.ggml.unknown_token_id", spm ? vocabulary.find("<unk>") : -1));
  LINNET_TRY(ids.pad, read("tokenizer.ggml.padding_token_id", -1));
  LINNET_TRY(ids.eot, read("tokenizer.ggml.eot_token_id", first_marked(vocabulary, kEndOfTurn)));
  LINNET_TRY(ids.eom, read("tokenizer.ggml.eom_token_id", first_marked(vocabulary, kEndOfMessage)));
  return ids;
}

std::vector<int32_t> end_of_generation(const Vocabulary& vocabulary, const SpecialIds& ids) {
  // In the harmony format (gpt-oss) <|end|> closes a message, after which the model goes on; <|return|> ends.
  const bool harmony = marked(vocabulary, "<|return|>") >= 0 && marked(vocabulary, "<|call|>") >= 0;
  std::vector<int32_t> found = {ids.eos, ids.eot, ids.eom};
  for (const std::string_view text : kEndOfTurn) found.push_back(marked(vocabulary, text));
  for (const std::string_view text : kEndOfMessage) found.push_back(marked(vocabulary, text));
  for (const std::string_view text : kEndOfText) found.push_back(marked(vocabulary, text));
  const int32_t message_end = harmony ? marked(vocabulary, "<|end|>") : -1;
  std::erase_if(found, [&](int32_t id) { return id < 0 || id == message_end; });
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

SpecialMatcher::SpecialMatcher(const Vocabulary& vocabulary, std::vector<int32_t> ids) {
  entries_.reserve(ids.size());
  for (const int32_t id : ids) entries_.push_back({vocabulary.text(id), id});
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.text != b.text ? a.text < b.text : a.id < b.id; });
  for (const Entry& entry : entries_) ++first_[uint8_t(entry.text[0]) + 1u];
  for (size_t b = 0; b < 256; ++b) first_[b + 1] += first_[b];
}

SpecialMatcher::Match SpecialMatcher::find(std::string_view text, size_t from) const {
  for (size_t start = from; start < text.size(); ++start) {
    const uint8_t byte = uint8_t(text[start]);
    auto low = entries_.begin() + first_[byte], high = entries_.begin() + first_[byte + 1u];
    // [low, high): the entries that agree with the text so far; the shortest of them is `low`.
    Match best;
    for (size_t n = 1; low != high; ++n) {
      if (low->text.size() == n) {
        best = {start, n, low->id};
        while (low != high && low->text.size() == n) ++low;  // equal texts: the first counts
      }
      if (start + n == text.size()) break;
      const uint8_t next = uint8_t(text[start + n]);
      const auto before = [n](const Entry& e, uint8_t b) { return uint8_t(e.text[n]) < b; };
      const auto after = [n](uint8_t b, const Entry& e) { return b < uint8_t(e.text[n]); };
      low = std::lower_bound(low, high, next, before);
      high = std::upper_bound(low, high, next, after);
    }
    if (best.id >= 0) return best;
  }
  return {text.size(), 0, -1};
}

}  // namespace linnet
