#include "runtime/bpe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

#include "gguf/base/utf8.h"
#include "runtime/byte_alphabet.h"

namespace linnet {
namespace {

constexpr std::string_view kMergesKey = "tokenizer.ggml.merges";

// A run of occupied slots this long does not happen by chance in a table that is at most two thirds full.
constexpr size_t kMaxProbes = 4096;

uint64_t hash(uint64_t pair) {
  const uint64_t h = (pair ^ pair >> 32) * 0x9e3779b97f4a7c15u;
  return h ^ h >> 32;
}

}  // namespace

Status Bpe::insert(uint64_t pair, Merge merge) {
  for (size_t probe = 0, h = hash(pair); probe < kMaxProbes; ++probe) {
    Slot& slot = slots_[(h + probe) & (slots_.size() - 1)];
    if (slot.pair == pair) return {};  // listed twice: the first counts
    if (slot.pair == UINT64_MAX) {
      slot = {pair, merge};
      return {};
    }
  }
  return fail(Code::gguf_vocabulary, "{}[{}] is one of more than {} pairs with equal hashes", kMergesKey,
              merge.priority, kMaxProbes);
}

Merge Bpe::find(uint64_t pair) const {
  for (size_t at = hash(pair);; ++at) {
    const Slot& slot = slots_[at & (slots_.size() - 1)];
    if (slot.pair == pair) return slot.merge;
    if (slot.pair == UINT64_MAX) return {};
  }
}

Status Bpe::read_merges(const Value& value) {
  const std::vector<std::string_view> merges = value.strings();
  slots_.resize(std::bit_ceil(merges.size() + merges.size() / 2 + 1));
  for (size_t i = 0; i < merges.size(); ++i) {
    const std::string_view merge = merges[i];
    const size_t space = merge.find(' ', 1);
    if (space == merge.npos || space + 1 == merge.size()) {
      return fail(Code::gguf_vocabulary, "{}[{}] is {}; expected two tokens separated by a space", kMergesKey, i,
                  quoted(merge));
    }
    const std::string_view head = merge.substr(0, space), tail = merge.substr(space + 1);
    const int32_t left = vocabulary_->find(head), right = vocabulary_->find(tail);
    const int32_t merged = vocabulary_->find(head, tail);
    if (left < 0 || right < 0 || merged < 0) {
      const std::string missing = left < 0    ? std::string(head)
                                  : right < 0 ? std::string(tail)
                                              : std::string(head).append(tail);
      return fail(Code::gguf_vocabulary, "{}[{}] is {}, but the vocabulary has no token {}", kMergesKey, i,
                  quoted(merge), quoted(missing));
    }
    if (!vocabulary_->textual(merged)) continue;  // ordinary text may not spell a control token
    LINNET_CHECK(insert(uint64_t(left) << 32 | uint32_t(right), {uint32_t(i), merged}));
  }
  return {};
}

Result<Bpe> Bpe::load(const Gguf& gguf, const Vocabulary& vocabulary, int32_t unknown) {
  const Value* merges = gguf.find(kMergesKey);
  if (merges == nullptr || merges->type != ValueType::array || merges->element != ValueType::string) {
    return fail(Code::gguf_vocabulary, "{} is {}{}; a vocabulary of model {} needs an array of string", kMergesKey,
                merges != nullptr && merges->type == ValueType::array ? "an array of " : "",
                merges == nullptr ? "missing" : value_type_name(merges->element), quoted(vocabulary.model_name()));
  }
  if (merges->count > kMaxMerges) {
    return fail(Code::gguf_vocabulary, "{} has {} elements; at most {} are possible (at byte {})", kMergesKey,
                merges->count, kMaxMerges, merges->offset);
  }
  Bpe bpe(vocabulary, *find_pretokenizer(vocabulary.pre()), unknown);  // the vocabulary has checked the name
  LINNET_CHECK(bpe.read_merges(*merges));
  return bpe;
}

// The token that is spelled like the whole word, or -1.
int32_t Bpe::whole(std::string_view word) const {
  if (word.size() > vocabulary_->longest()) return -1;
  std::string letters;
  if (vocabulary_->byte_letters()) {
    for (const char c : word) utf8_append(letters, kByteAlphabet.character[uint8_t(c)]);
    word = letters;
  }
  const int32_t id = vocabulary_->find(word);
  return id >= 0 && vocabulary_->textual(id) ? id : -1;
}

uint64_t Bpe::encode_word(std::string_view word, MergeScratch& scratch, std::vector<int32_t>& out) const {
  const bool letters = vocabulary_->byte_letters();
  // Gemma 4 takes runs of newlines whole.
  const bool try_whole = pretokenizer_->whole_words || (!letters && word[0] == '\n');
  if (const int32_t id = try_whole ? whole(word) : -1; id >= 0) {
    out.push_back(id);
    return 0;
  }
  scratch.clear();
  for (size_t at = 0; at < word.size();) {
    const uint32_t bytes = letters ? 1 : utf8_decode(word, at).bytes;
    const std::string_view character = word.substr(at, bytes);
    // A U+2581 of the text itself is not a space: it is spelled in bytes, and comes back as it was.
    const int32_t id = letters                  ? vocabulary_->byte_token(uint8_t(word[at]))
                       : character == " "       ? whole(kSpmSpace)
                       : character == kSpmSpace ? -1
                                                : whole(character);
    scratch.append(uint32_t(at), bytes, id);
    at += bytes;
  }
  const uint64_t entries = merge(scratch, [this](const Symbol& left, const Symbol& right) {
    if (left.id < 0 || right.id < 0) return Merge{};
    return find(uint64_t(left.id) << 32 | uint32_t(right.id));
  });
  for (int32_t i = 0; i >= 0; i = scratch.symbols[size_t(i)].next) {
    const Symbol& symbol = scratch.symbols[size_t(i)];
    if (symbol.id >= 0) {
      out.push_back(symbol.id);
    } else if (vocabulary_->has_byte_tokens()) {
      for (const char c : word.substr(symbol.start, symbol.bytes)) out.push_back(vocabulary_->byte_token(uint8_t(c)));
    } else if (unknown_ >= 0) {
      out.push_back(unknown_);
    }
  }
  return entries;
}

// The words of one text. A word that was there before is not merged again: its tokens are copied.
class Bpe::Words : public WordSink {
 public:
  Words(const Bpe& bpe, std::string_view text, std::vector<int32_t>& out)
      : bpe_(bpe), text_(text), out_(out), seen_(std::bit_ceil(std::clamp<size_t>(text.size() / 16, 16, 8192))) {}

  void word(std::string_view word) override {
    if (word.size() > kLongest) {
      entries += bpe_.encode_word(word, scratch_, out_);
      return;
    }
    Seen& seen = seen_[hash(word) & (seen_.size() - 1)];
    const size_t first = out_.size();
    if (text_.substr(seen.start, seen.bytes) == word) {
      for (size_t i = 0; i < seen.tokens; ++i) out_.push_back(out_[seen.first + i]);
    } else {
      entries += bpe_.encode_word(word, scratch_, out_);
    }
    seen = {uint32_t(word.data() - text_.data()), uint32_t(word.size()), uint32_t(first),
            uint32_t(out_.size() - first)};
  }

  uint64_t entries = 0;  // of merge queues

 private:
  static constexpr size_t kLongest = 64;
  struct Seen {  // a word of the text, and its tokens in out
    uint32_t start = 0, bytes = 0, first = 0, tokens = 0;
  };

  static uint64_t hash(std::string_view word) {
    uint64_t head = 0, tail = 0;  // up to 8 bytes from either end
    const size_t n = std::min<size_t>(word.size(), 8);
    std::memcpy(&head, word.data(), n);
    std::memcpy(&tail, word.data() + word.size() - n, n);
    const uint64_t h = (head * 0x9e3779b97f4a7c15u ^ tail) * 0xbf58476d1ce4e5b9u + word.size();
    return h >> 32;
  }

  const Bpe& bpe_;
  const std::string_view text_;
  std::vector<int32_t>& out_;
  MergeScratch scratch_;
  std::vector<Seen> seen_;  // the last word of each hash
};

uint64_t Bpe::encode(std::string_view text, std::vector<int32_t>& out) const {
  Words words(*this, text, out);
  const uint64_t looked = pretokenizer_->split(text, words);
  return looked + words.entries;
}

}  // namespace linnet
