#include "runtime/vocabulary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

#include "gguf/base/utf8.h"
#include "runtime/byte_alphabet.h"
#include "runtime/pretokenizer.h"
#include "runtime/special_tokens.h"

namespace linnet {
namespace {

constexpr std::string_view kModelKey = "tokenizer.ggml.model";
constexpr std::string_view kTokensKey = "tokenizer.ggml.tokens";
constexpr std::string_view kKindsKey = "tokenizer.ggml.token_type";
constexpr std::string_view kScoresKey = "tokenizer.ggml.scores";

// A run of occupied slots this long does not happen by chance in a table that is at most two thirds full.
constexpr size_t kMaxProbes = 4096;

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') return (c | 0x20) - 'a' + 10;
  return -1;
}

// The byte that "<0xHH>" stands for, or -1.
int32_t byte_of(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  const int high = hex_digit(text[3]), low = hex_digit(text[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// What Python's repr of bytes writes, without its quotes: \\t, \\n, \\r, \\xHH and \\ before any other character.
void rwkv_unescape(std::string_view text, std::string& out) {
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      out += text[at];
      continue;
    }
    const char c = text[++at];
    const int high = at + 2 < text.size() ? hex_digit(text[at + 1]) : -1;
    const int low = at + 2 < text.size() ? hex_digit(text[at + 2]) : -1;
    if (c == 'x' && high >= 0 && low >= 0) {
      out += char(high * 16 + low);
      at += 2;
    } else {
      out += c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
    }
  }
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

bool has_inner_space(std::string_view text) {
  for (size_t at = text.find(kSpmSpace, 1); at != text.npos; at = text.find(kSpmSpace, at + 1)) {
    if (at < kSpmSpace.size() || text.substr(at - kSpmSpace.size(), kSpmSpace.size()) != kSpmSpace) return true;
  }
  return false;
}

int32_t Vocabulary::find_hashed(uint64_t h, std::string_view head, std::string_view tail) const {
  for (size_t at = h;; ++at) {
    const Slot& slot = slots_[at & (slots_.size() - 1)];
    if (slot.id < 0) return -1;
    if (slot.tag != uint32_t(h >> 32)) continue;
    const std::string_view text = texts_[size_t(slot.id)];
    const bool equal = text.size() == head.size() + tail.size() && text.starts_with(head) && text.ends_with(tail);
    if (equal) return slot.id;
  }
}

int32_t Vocabulary::find(std::string_view head, std::string_view tail) const {
  if (head.size() + tail.size() > longest_) return -1;
  return find_hashed(hash_end(hash_more(hash_more(kHashSeed, head), tail)), head, tail);
}

Status Vocabulary::read_model(const Gguf& gguf) {
  LINNET_TRY(pre_, gguf.string_or("tokenizer.ggml.pre", "default"));
  const Value* value = gguf.find(kModelKey);
  if (value == nullptr || value->type != ValueType::string) {
    return fail(Code::gguf_vocabulary, "{} is {}; expected a string: \"llama\", \"gpt2\", \"bert\" or another model",
                kModelKey, value == nullptr ? "missing" : value_type_name(value->type));
  }
  model_name_ = value->string();
  static constexpr std::pair<std::string_view, VocabularyModel> kModels[] = {
      {"llama", VocabularyModel::spm},      {"gpt2", VocabularyModel::bpe},   {"gemma4", VocabularyModel::bpe},
      {"bert", VocabularyModel::wordpiece}, {"t5", VocabularyModel::unigram}, {"rwkv", VocabularyModel::rwkv}};
  const auto* const model = std::find_if(std::begin(kModels), std::end(kModels),
                                         [this](const auto& row) { return row.first == model_name_; });
  if (model == std::end(kModels)) {
    return fail(Code::unsupported,
                "{} is {}; the vocabularies that can be used are \"llama\" (SentencePiece), \"gpt2\" (byte-level BPE), "
                "\"gemma4\" (BPE of characters), \"bert\" (WordPiece), \"t5\" (Unigram) and \"rwkv\"",
                kModelKey, quoted(model_name_));
  }
  model_ = model->second;
  if (model_name_ == "gemma4") pre_ = "gemma4";
  if (model_ == VocabularyModel::bpe) {
    const Pretokenizer* pretokenizer = find_pretokenizer(pre_);
    if (pretokenizer == nullptr) {
      return fail(Code::unsupported, "tokenizer.ggml.pre is {}, a pre-tokenizer that is not known here; known are {}",
                  quoted(pre_), pretokenizer_names());
    }
    byte_letters_ = !pretokenizer->characters;
  }
  return {};
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
  if (value == nullptr) infer_kinds();
  for (size_t i = 0; value != nullptr && i < texts_.size(); ++i) {
    const int64_t kind = value->integer(i);
    if (kind < 1 || kind > 6) {
      return fail(Code::gguf_vocabulary,
                  "{}[{}] is {}; expected 1 (normal), 2 (unknown), 3 (control), 4 (user-defined), 5 (unused) or 6 "
                  "(byte)",
                  kKindsKey, i, kind);
    }
    kinds_[i] = TokenKind(kind);
  }
  correct_kinds();
  return {};
}

// A SentencePiece or WordPiece vocabulary without kinds names its few special tokens by their texts.
void Vocabulary::infer_kinds() {
  const auto mark = [this](std::initializer_list<std::string_view> texts, TokenKind kind) {
    for (TokenKind& k : kinds_) {
      const std::string_view text = texts_[size_t(&k - kinds_.data())];
      if (std::find(texts.begin(), texts.end(), text) != texts.end()) k = kind;
    }
  };
  if (model_ == VocabularyModel::wordpiece) {
    mark({"[PAD]", "[CLS]", "[SEP]", "[MASK]"}, TokenKind::control);
    mark({"[UNK]"}, TokenKind::unknown);
  } else if (model_ == VocabularyModel::spm || model_ == VocabularyModel::unigram) {
    mark({"<s>", "</s>", "<pad>"}, TokenKind::control);
    mark({"<unk>"}, TokenKind::unknown);
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (byte_of(texts_[i]) >= 0) kinds_[i] = TokenKind::byte;
    }
  }
}

// Converters have marked some tokens as ordinary text that are none.
void Vocabulary::correct_kinds() {
  for (size_t i = 0; i < texts_.size(); ++i) {
    if (kinds_[i] != TokenKind::normal) continue;
    if (is_mark_of_end(texts_[i])) kinds_[i] = TokenKind::control;
    const bool byte = model_ == VocabularyModel::bpe && !byte_letters_ && byte_of(texts_[i]) >= 0;
    if (byte) kinds_[i] = TokenKind::byte;
  }
}

Status Vocabulary::read_scores(const Gguf& gguf) {
  LINNET_TRY(const Value* value, token_array(gguf, kScoresKey, ValueType::f32, ValueType::i32, texts_.size()));
  if (value == nullptr) {
    if (model_ != VocabularyModel::spm && model_ != VocabularyModel::unigram) return {};
    return fail(Code::gguf_vocabulary, "{} is missing; a vocabulary of model {} needs a score for every token",
                kScoresKey, quoted(model_name_));
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
    const uint64_t h = hash_end(hash_more(kHashSeed, texts_[i]));
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

Status Vocabulary::collect_byte_tokens() {
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
Status Vocabulary::collect_byte_letters() {
  int32_t found = 0;
  for (size_t b = 0; b < 256; ++b) {
    std::string letter;
    utf8_append(letter, kByteAlphabet.character[b]);
    const int32_t id = find(letter);
    if (id < 0 || kind(id) != TokenKind::normal) continue;  // a user-defined token is the letter itself
    byte_tokens_[b] = id;
    ++found;
  }
  if (found > 0) return {};
  return fail(Code::gguf_vocabulary,
              "{} has none of the 256 byte letters that a vocabulary of model \"gpt2\" is made of", kTokensKey);
}

// Appends what the token stands for to bytes_.
void Vocabulary::spell_token(int32_t id) {
  const std::string_view t = text(id);
  const TokenKind k = kind(id);
  if (k == TokenKind::control || k == TokenKind::unknown) return;
  if (k == TokenKind::user_defined) {
    bytes_ += t;
  } else if (k == TokenKind::byte && byte_of(t) >= 0) {
    bytes_ += char(byte_of(t));
  } else if (model_ == VocabularyModel::rwkv) {
    rwkv_unescape(t, bytes_);
  } else if (byte_letters_) {
    for (size_t at = 0; at < t.size();) {
      const Utf8Char c = utf8_decode(t, at);
      const int32_t byte = kByteAlphabet.byte_of(c.code_point);
      if (byte >= 0) bytes_ += char(byte);
      if (byte < 0) bytes_ += t.substr(at, c.bytes);
      at += c.bytes;
    }
  } else {
    const size_t begin = bytes_.size();
    for (size_t at = 0; at < t.size();) {
      const bool space = t.substr(at).starts_with(kSpmSpace);
      bytes_ += space ? ' ' : t[at];
      at += space ? kSpmSpace.size() : 1;
    }
    // The WordPiece decoder writes no space before these signs.
    const std::string_view written = std::string_view(bytes_).substr(begin);
    const bool sign = written == " ." || written == " ," || written == " ?" || written == " !";
    if (sign && model_ == VocabularyModel::wordpiece) bytes_.erase(begin, 1);
  }
}

// Writes bytes_: what every token stands for.
Status Vocabulary::spell() {
  starts_.reserve(texts_.size() + 1);
  for (int32_t id = 0; id < size(); ++id) {
    if (bytes_.size() > UINT32_MAX - kMaxTokenBytes) {
      return fail(Code::gguf_vocabulary, "{}: the texts have more than 4 GiB together", kTokensKey);
    }
    starts_.push_back(uint32_t(bytes_.size()));
    spell_token(id);
  }
  starts_.push_back(uint32_t(bytes_.size()));
  bytes_.shrink_to_fit();
  return {};
}

Result<Vocabulary> Vocabulary::load(const Gguf& gguf) {
  Vocabulary v;
  LINNET_CHECK(v.read_model(gguf));
  LINNET_TRY(v.chat_template_, gguf.string_or("tokenizer.chat_template", ""));
  LINNET_CHECK(v.read_texts(gguf));
  LINNET_CHECK(v.read_kinds(gguf));
  LINNET_CHECK(v.read_scores(gguf));
  LINNET_CHECK(v.build_table());
  v.byte_tokens_.fill(-1);
  LINNET_CHECK(v.byte_letters_ ? v.collect_byte_letters() : v.collect_byte_tokens());
  LINNET_CHECK(v.spell());
  return v;
}

}  // namespace linnet
