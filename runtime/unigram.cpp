#include "runtime/unigram.h"

#include <algorithm>
#include <limits>

#include "gguf/base/utf8.h"

namespace linnet {
namespace {

constexpr std::string_view kCharsmapKey = "tokenizer.ggml.precompiled_charsmap";
constexpr double kNone = -std::numeric_limits<double>::infinity();

}  // namespace

struct Unigram::Work {
  struct Best {  // the best way to write the word up to a byte
    double score = kNone;
    uint32_t start = 0;  // of its last token
    int32_t id = -1;     // -1: a character without a token
  };
  std::vector<int32_t>& out;
  std::string word;  // spaces as U+2581
  std::vector<Best> best;
  std::vector<Best> path;
  bool begun = false;          // something was written
  bool space_waits = false;    // a space that is written if something follows
  bool after_space = true;     // the word is empty or ends with a space
  bool after_unknown = false;  // the last token is an unknown one
  uint64_t steps = 0;
};

Unigram::Unigram(const Vocabulary& vocabulary, int32_t unknown) : vocabulary_(&vocabulary), unknown_(unknown) {
  double lowest = std::numeric_limits<double>::infinity();
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.kind(id) == TokenKind::normal) lowest = std::min(lowest, double(vocabulary.score(id)));
    words_apart_ = words_apart_ && !(vocabulary.textual(id) && has_inner_space(vocabulary.text(id)));
  }
  if (lowest <= std::numeric_limits<float>::max()) unknown_score_ = lowest - 10;
}

Result<Unigram> Unigram::load(const Gguf& gguf, const Vocabulary& vocabulary, int32_t unknown) {
  Unigram unigram(vocabulary, unknown);
  LINNET_TRY(unigram.space_prefix_, gguf.boolean_or("tokenizer.ggml.add_space_prefix", false));
  LINNET_TRY(unigram.merge_spaces_, gguf.boolean_or("tokenizer.ggml.remove_extra_whitespaces", false));
  if (const Value* value = gguf.find(kCharsmapKey)) {
    if (value->type != ValueType::array || (value->element != ValueType::u8 && value->element != ValueType::i8)) {
      return fail(Code::gguf_vocabulary, "{} must be an array of u8, but is {}{} (at byte {})", kCharsmapKey,
                  value->type == ValueType::array ? "an array of " : "", value_type_name(value->element),
                  value->offset);
    }
    LINNET_TRY(unigram.charsmap_,
               Charsmap::parse({reinterpret_cast<const char*>(value->data), value->count}, kCharsmapKey));
  }
  return unigram;
}

void Unigram::best_path(Work& work) const {
  const std::string_view word = work.word;
  if (word.empty()) return;
  work.best.assign(word.size() + 1, {});
  work.best[0].score = 0;
  const auto offer = [&](size_t start, size_t end, double score, int32_t id) {
    if (score > work.best[end].score) work.best[end] = {score, uint32_t(start), id};
  };
  for (size_t at = 0; at < word.size();) {
    const double score = work.best[at].score;
    const size_t character = utf8_decode(word, at).bytes;
    bool has_token = false;
    vocabulary_->each_prefix(word.substr(at), [&](int32_t id, size_t bytes) {
      if (!vocabulary_->textual(id)) return;
      has_token |= bytes == character;
      offer(at, at + bytes, score + double(vocabulary_->score(id)), id);
    });
    if (!has_token) offer(at, at + character, score + unknown_score_, -1);
    work.steps += 1 + std::min(word.size() - at, vocabulary_->longest());
    at += character;
  }

  work.path.clear();
  for (size_t end = word.size(); end > 0; end = work.path.back().start) work.path.push_back(work.best[end]);
  size_t end = 0;
  for (size_t i = work.path.size(); i-- > 0;) {
    const size_t start = end;
    end = i > 0 ? work.path[i - 1].start : word.size();
    const int32_t id = work.path[i].id;
    if (id >= 0) {
      work.out.push_back(id);
    } else if (vocabulary_->has_byte_tokens()) {
      for (const char c : word.substr(start, end - start)) work.out.push_back(vocabulary_->byte_token(uint8_t(c)));
    } else if (unknown_ >= 0 && !work.after_unknown) {
      work.out.push_back(unknown_);
    }
    work.after_unknown = id < 0;
  }
  work.word.clear();
}

void Unigram::put_space(Work& work) const {
  if (words_apart_ && !work.after_space) best_path(work);
  work.word += kSpmSpace;
  work.after_space = true;
}

// A byte of the normalized text.
void Unigram::put(Work& work, char c) const {
  ++work.steps;
  if (c == ' ' && merge_spaces_) {
    work.space_waits = work.begun;
    return;
  }
  if (work.space_waits || (!work.begun && space_prefix_)) put_space(work);
  work.space_waits = false;
  work.begun = true;
  if (c == ' ') return put_space(work);
  work.word += c;
  work.after_space = false;
}

uint64_t Unigram::encode(std::string_view text, std::vector<int32_t>& out) const {
  Work work{.out = out};
  for (size_t at = 0; at < text.size();) {
    const Charsmap::Match match = charsmap_.longest(text, at);
    const Utf8Char c = utf8_decode(text, at);
    // What is not UTF-8 becomes U+FFFD, byte by byte.
    const std::string_view normalized = match.bytes > 0 ? match.replacement
                                        : c.valid       ? text.substr(at, c.bytes)
                                                        : std::string_view("\ufffd");
    at += match.bytes > 0 ? match.bytes : c.valid ? c.bytes : 1;
    for (const char byte : normalized) put(work, byte);
  }
  best_path(work);
  return work.steps;
}

}  // namespace linnet
