#include "runtime/vocabulary.h"

#include <bit>
#include <cmath>

#include "gguf/base/utf8.h"
#include "runtime/byte_alphabet.h"

namespace linnet {
namespace {

constexpr std::string_view kModelKey = "tokenizer.ggml.model";
constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kKindsKey = "tokenizer.ggml.token_type";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";

// A run of occupied slots this long does not happen by chance in a table that is at most two thirds full.
constexpr size_t kMaxProbes = 4096;

// FNV-1a, then a finalizer (splitmix64), since FNV's upper bits are weak for short texts.
uint64_t hash(std::string_view head, std::string_view tail) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char c : head) h = (h ^ uint8_t(c)) * 0x100000001b3u;
  for (const char c : tail) h = (h ^ uint8_t(c)) * 0x100000001b3u;
  h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
  h = (h ^ h >> 27) * 0x94d049bb133111ebu;
  return h ^ h >> 31;
}

// The byte that "<0xHH>" stands for, or -1.
int32_t byte_of(std::string_view text) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
    return -1;
  };
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = digit(text[3]), low = digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// The array at `key`, of one of the element types, with one element per token. nullptr where the key is absent.
Result<const Value*> token_array(const Gguf& gguf, std::string_view key, ValueType type, ValueType other, size_t n) {
  const Value* value = gguf.find(key);
  if (value == nullptr) return value;
  if (value->type != ValueType::array || (value->element != type && value->element != other)) {
    return fail(Code::gguf_vocabulary, "{} must be an array of {}, but is {}{} (at byte {})", key,
                value_type_name(type), value->type == ValueType::array ? "an array of " : "",
                value_type_name(value->element), value->offset);
  }
  if (value->count != n) {
    return fail(Code::gguf_vocabulary, "{} has {} elements, but {} has {} tokens (at byte {})", key, value->count,
                kTokensKey, n, value->offset);
  }
  return value;
}

}  // namespace

int32_t Vocabulary::find(std::string_view head, std::string_view tail) const {
  const size_t bytes = head.size() + tail.size();
  if (bytes > longest_) return -1;
  const uint64_t h = hash(head, tail);
  for (size_t at = h;; ++at) {
    const Slot& slot = slots_[at & (slots_.size() - 1)];
    if (slot.id < 0) return -1;
    if (slot.tag != uint32_t(h >> 32)) continue;
    const std::string_view text = texts_[size_t(slot.id)];
    if (text.size() == bytes && text.starts_with(head) && text.substr(head.size()) == tail) return slot.id;
  }
}

Status Vocabulary::read_texts(const Gguf& gguf) {
  const Value* value = gguf.find(kTokensKey);
  if (value == nullptr) {
    return fail(Code::gguf_vocabulary, "{} is missing: the file has no vocabulary; convert the model again",
                kTokensKey);
  }
  if (value->type != ValueType::array || value->element != ValueType::string) {
    return fail(Code::gguf_vocabulary, "{} must be an array of string, but is {}{} (at byte {})", kTokensKey,
                value->type == ValueType::array ? "an array of " : "", value_type_name(value->element), value->offset);
  }
  if (value->count == 0 || value->count > kMaxTokens) {
    return fail(Code::gguf_vocabulary, "{} has {} tokens; 1 to {} are possible (at byte {})", kTokensKey, value->count,
                kMaxTokens, value->offset);
  }
  texts_ = value->strings();
  for (size_t i = 0; i < texts_.size(); ++i) {
    const std::string_view text = texts_[i];
    if (text.empty()) return fail(Code::gguf_vocabulary, "{}[{}] is empty; every token needs a text", kTokensKey, i);
    if (text.size() > kMaxTokenBytes) {
      return fail(Code::gguf_vocabulary, "{}[{}] has {} bytes; at most {} are allowed", kTokensKey, i, text.size(),
                  kMaxTokenBytes);
    }
    if (!utf8_valid(text)) {
      return fail(Code::gguf_vocabulary, "{}[{}] is not valid UTF-8: {}", kTokensKey, i, quoted(text));
    }
    longest_ = std::max(longest_, text.size());
  }
  return {};
}

Status Vocabulary::read_kinds(const Gguf& gguf) {
  kinds_.assign(texts_.size(), TokenKind::normal);
  LINNET_TRY(const Value* value, token_array(gguf, kKindsKey, ValueType::i32, ValueType::u32, texts_.size()));
  if (value == nullptr) {
    infer_kinds();
    return {};
  }
  for (size_t i = 0; i < texts_.size(); ++i) {
    const int64_t kind = value->integer(i);
    if (kind < 1 || kind > 6) {
      return fail(Code::gguf_vocabulary,
                  "{}[{}] is {}; expected 1 (normal), 2 (unknown), 3 (control), 4 (user-defined), 5 (unused) or 6 "
                  "(byte)",
                  kKindsKey, i, kind);
    }
    kinds_[i] = TokenKind(kind);
  }
  return {};
}

// A SentencePiece vocabulary without kinds names its few special tokens by their texts.
void Vocabulary::infer_kinds() {
  if (model_ != VocabularyModel::spm) return;
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (byte_of(texts_[i]) >= 0) kinds_[i] = TokenKind::byte;
    if (texts_[i] == "<s>" || texts_[i] == "</s>") kinds_[i] = TokenKind::control;
    if (texts_[i] == "<unk>") kinds_[i] = TokenKind::unknown;
  }
}

Status Vocabulary::read_scores(const Gguf& gguf) {
  LINNET_TRY(const Value* value, token_array(gguf, kScoresKey, ValueType::f32, ValueType::f32, texts_.size()));
  if (value == nullptr) {
    if (model_ == VocabularyModel::bpe) return {};
    return fail(Code::gguf_vocabulary, "{} is missing; a vocabulary of model \"llama\" needs a score for every token",
                kScoresKey);
  }
  scores_.resize(texts_.size());
  for (size_t i = 0; i < texts_.size(); ++i) {
    scores_[i] = float(value->number(i));
    if (std::isnan(scores_[i])) return fail(Code::gguf_vocabulary, "{}[{}] is not a number (NaN)", kScoresKey, i);
  }
  return {};
}

Status Vocabulary::build_table() {
  slots_.resize(std::bit_ceil(texts_.size() + texts_.size() / 2 + 1));
  for (size_t i = 0; i < texts_.size(); ++i) {
    const uint64_t h = hash(texts_[i], {});
    const uint32_t tag = uint32_t(h >> 32);
    for (size_t probe = 0;; ++probe) {
      if (probe == kMaxProbes) {
        return fail(Code::gguf_vocabulary, "{}[{}] is one of more than {} texts with equal hashes: {}", kTokensKey, i,
                    kMaxProbes, quoted(texts_[i]));
      }
      Slot& slot = slots_[(h + probe) & (slots_.size() - 1)];
      if (slot.id < 0) {
        slot = {tag, int32_t(i)};
        break;
      }
      if (slot.tag == tag && texts_[size_t(slot.id)] == texts_[i]) break;  // equal texts: the first stays
    }
  }
  return {};
}

Status Vocabulary::collect_spm_bytes() {
  int32_t found = 0;
  for (int32_t id = 0; id < size(); ++id) {
    if (kind(id) != TokenKind::byte) continue;
    const int32_t byte = byte_of(text(id));
    if (byte < 0) {
      return fail(Code::gguf_vocabulary, "{}[{}] is a byte token but its text is {}; expected <0x00> to <0xFF>",
                  kTokensKey, id, quoted(text(id)));
    }
    int32_t& token = byte_tokens_[size_t(byte)];
    if (token >= 0) {
      return fail(Code::gguf_vocabulary, "{}[{}] and [{}] are both the token of byte 0x{:02X}", kTokensKey, token, id,
                  byte);
    }
    token = id;
    ++found;
  }
  if (found == 0 || found == 256) return {};
  for (size_t b = 0; b < 256; ++b) {
    if (byte_tokens_[b] >= 0) continue;
    return fail(Code::gguf_vocabulary, "{} has {} byte tokens, all 256 or none are needed: <0x{:02X}> is missing",
                kTokensKey, found, b);
  }
  return {};
}

// Published vocabularies lack the letters of bytes that their training text did not have, so some may be missing.
Status Vocabulary::collect_bpe_bytes() {
  int32_t found = 0;
  for (size_t b = 0; b < 256; ++b) {
    std::string letter;
    utf8_append(letter, kByteAlphabet.character[b]);
    const int32_t id = find(letter);
    if (id < 0 || !textual(id)) continue;
    byte_tokens_[b] = id;
    ++found;
  }
  if (found > 0) return {};
  return fail(Code::gguf_vocabulary,
              "{} has none of the 256 byte letters that a vocabulary of model \"gpt2\" is made of", kTokensKey);
}

// Writes bytes_: what every token stands for.
Status Vocabulary::spell() {
  starts_.reserve(texts_.size() + 1);
  for (int32_t id = 0; id < size(); ++id) {
    if (bytes_.size() > UINT32_MAX - kMaxTokenBytes) {
      return fail(Code::gguf_vocabulary, "{}: the texts have more than 4 GiB together", kTokensKey);
    }
    starts_.push_back(uint32_t(bytes_.size()));
    const std::string_view t = text(id);
    const TokenKind k = kind(id);
    if (k == TokenKind::control || k == TokenKind::unknown) continue;
    if (k == TokenKind::user_defined) {
      bytes_ += t;
    } else if (k == TokenKind::byte && byte_of(t) >= 0) {
      bytes_ += char(byte_of(t));
    } else {
      for (size_t at = 0; at < t.size();) {
        const Utf8Char c = utf8_decode(t, at);
        const std::string_view letter = t.substr(at, c.bytes);
        const int32_t byte = model_ == VocabularyModel::bpe ? kByteAlphabet.byte_of(c.code_point)
                             : letter == kSpmSpace          ? ' '
                                                            : -1;
        if (byte >= 0) {
          bytes_ += char(byte);
        } else {
          bytes_ += letter;
        }
        at += c.bytes;
      }
    }
  }
  starts_.push_back(uint32_t(bytes_.size()));
  bytes_.shrink_to_fit();
  return {};
}

Result<Vocabulary> Vocabulary::load(const Gguf& gguf) {
  Vocabulary v;
  const Value* model = gguf.find(kModelKey);
  if (model == nullptr || model->type != ValueType::string) {
    return fail(Code::gguf_vocabulary, "{} is {}; expected a string: \"llama\" or \"gpt2\"", kModelKey,
                model == nullptr ? "missing" : value_type_name(model->type));
  }
  if (model->string() == "llama") {
    v.model_ = VocabularyModel::spm;
  } else if (model->string() == "gpt2") {
    v.model_ = VocabularyModel::bpe;
  } else {
    return fail(Code::unsupported,
                "{} is {}; the vocabularies that can be used are \"llama\" (SentencePiece) and \"gpt2\" (byte-level "
                "BPE)",
                kModelKey, quoted(model->string()));
  }
  LINNET_TRY(v.pre_, gguf.string_or("tokenizer.ggml.pre", "default"));
  LINNET_TRY(v.chat_template_, gguf.string_or("tokenizer.chat_template", ""));
  LINNET_CHECK(v.read_texts(gguf));
  LINNET_CHECK(v.read_kinds(gguf));
  LINNET_CHECK(v.read_scores(gguf));
  LINNET_CHECK(v.build_table());
  v.byte_tokens_.fill(-1);
  LINNET_CHECK(v.model_ == VocabularyModel::spm ? v.collect_spm_bytes() : v.collect_bpe_bytes());
  LINNET_CHECK(v.spell());
  return v;
}

}  // namespace linnet
