#include "runtime/bpe.h"

#include <bit>
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
  const Pretokenizer* pretokenizer = find_pretokenizer(vocabulary.pre());
  if (pretokenizer == nullptr) {
    return fail(Code::unsupported, "tokenizer.ggml.pre is {}, a pre-tokenizer that is not known here; known are {}",
                quoted(vocabulary.pre()), pretokenizer_names());
  }
  const Value* merges = gguf.find(kMergesKey);
  if (merges == nullptr || merges->type != ValueType::array || merges->element != ValueType::string) {
    return fail(Code::gguf_vocabulary, "{} is {}{}; a vocabulary of model \"gpt2\" needs an array of string",
                kMergesKey, merges != nullptr && merges->type == ValueType::array ? "an array of " : "",
                merges == nullptr ? "missing" : value_type_name(merges->element));
  }
  if (merges->count > kMaxMerges) {
    return fail(Code::gguf_vocabulary, "{} has {} elements; at most {} are possible (at byte {})", kMergesKey,
                merges->count, kMaxMerges, merges->offset);
  }
  Bpe bpe(vocabulary, *pretokenizer, unknown);
  LINNET_CHECK(bpe.read_merges(*merges));
  return bpe;
}

// The token that is spelled like the whole word, or -1.
int32_t Bpe::whole(std::string_view word) const {
  if (word.size() > vocabulary_->longest()) return -1;
  std::string letters;
  for (const char c : word) utf8_append(letters, kByteAlphabet.character[uint8_t(c)]);
  const int32_t id = vocabulary_->find(letters);
  return id >= 0 && vocabulary_->textual(id) ? id : -1;
}

uint64_t Bpe::encode(std::string_view text, std::vector<int32_t>& out) const {
  MergeScratch scratch;
  uint64_t entries = 0;
  for (size_t at = 0; at < text.size();) {
    const size_t end = pretokenizer_->next(text, at);
    const std::string_view word = text.substr(at, end - at);
    at = end;
    if (const int32_t id = pretokenizer_->whole_words ? whole(word) : -1; id >= 0) {
      out.push_back(id);
      continue;
    }
    scratch.clear();
    for (size_t i = 0; i < word.size(); ++i) scratch.append(uint32_t(i), 1, vocabulary_->byte_token(uint8_t(word[i])));
    entries += merge(scratch, [this](const Symbol& left, const Symbol& right) {
      if (left.id < 0 || right.id < 0) return Merge{};
      return find(uint64_t(left.id) << 32 | uint32_t(right.id));
    });
    for (int32_t i = 0; i >= 0; i = scratch.symbols[size_t(i)].next) {
      const int32_t id = scratch.symbols[size_t(i)].id;
      if (id >= 0) {
        out.push_back(id);
      } else if (unknown_ >= 0) {
        out.push_back(unknown_);
      }
    }
  }
  return entries;
}

}  // namespace linnet
