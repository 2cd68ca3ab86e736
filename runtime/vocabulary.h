// The vocabulary of a model file: token texts, kinds and scores, the bytes each token stands for, and text -> id.
//
//   tokenizer.ggml.model       string: "llama" (SentencePiece BPE), "gpt2" (byte-level BPE), "gemma4" (BPE of
//                              characters), "bert" (WordPiece), "t5" (SentencePiece Unigram) or "rwkv" (longest match)
//   tokenizer.ggml.pre         string, optional: name of the pre-tokenizer of a BPE
//   tokenizer.ggml.tokens      string[n]: the texts
//   tokenizer.ggml.scores      f32[n] or i32[n]; needed by "llama" and "t5" only
//   tokenizer.ggml.token_type  i32[n], optional: TokenKind
//   tokenizer.chat_template    string, optional
// Source: the GGUF specification. Texts point into the file's mapping: the Gguf must outlive the vocabulary. Immutable.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/reader.h"

namespace linnet {

enum class TokenKind : uint8_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };
enum class VocabularyModel : uint8_t { spm, bpe, wordpiece, unigram, rwkv };

// U+2581, how SentencePiece writes a space. GGUF begins the texts of WordPiece tokens that begin a word with it, and
// leaves out the ## of the others.
inline constexpr std::string_view kSpmSpace = "\xe2\x96\x81";
// Whether U+2581 follows another character somewhere in the text. Where no token is so, nothing crosses the beginning
// of a word, and words can be made tokens one by one, with the same result.
bool has_inner_space(std::string_view text);

inline constexpr uint64_t kMaxTokens = uint64_t(1) << 22;
inline constexpr size_t kMaxTokenBytes = 4096;  // the longest text in published vocabularies has 512 bytes

class Vocabulary {
 public:
  static Result<Vocabulary> load(const Gguf& gguf);

  VocabularyModel model() const { return model_; }
  std::string_view model_name() const { return model_name_; }
  std::string_view pre() const { return pre_; }  // "default" where the file has none
  // How the texts are spelled: in the byte alphabet, or in characters with U+2581 for the space.
  bool byte_letters() const { return byte_letters_; }
  std::string_view chat_template() const { return chat_template_; }

  int32_t size() const { return int32_t(texts_.size()); }
  // The following take 0 <= id < size().
  std::string_view text(int32_t id) const { return texts_[size_t(id)]; }
  TokenKind kind(int32_t id) const { return kinds_[size_t(id)]; }
  float score(int32_t id) const { return scores_.empty() ? 0.0f : scores_[size_t(id)]; }
  // What a generated token means as text: empty for control and unknown tokens.
  std::string_view bytes(int32_t id) const {
    return std::string_view(bytes_).substr(starts_[size_t(id)], starts_[size_t(id) + 1] - starts_[size_t(id)]);
  }
  // Whether ordinary text may become this token: never one that only a template or the engine may put there.
  bool textual(int32_t id) const { return kind(id) == TokenKind::normal || kind(id) == TokenKind::user_defined; }

  // Id of the token whose text is head + tail, or -1. Of tokens with equal texts, the first.
  int32_t find(std::string_view head, std::string_view tail = {}) const;
  // Calls found(id, bytes) for every token whose text is a prefix of `text`, the shortest first; as find().
  template <class Found>
  void each_prefix(std::string_view text, const Found& found) const;
  // The token of one byte (its letter of the byte alphabet, or else <0xHH>), or -1.
  int32_t byte_token(uint8_t byte) const { return byte_tokens_[byte]; }
  // Whether there is a token <0xHH> for every byte.
  bool has_byte_tokens() const { return !byte_letters_ && byte_tokens_[0] >= 0; }
  // Bytes of the longest text.
  size_t longest() const { return longest_; }

 private:
  struct Slot {
    uint32_t tag;     // upper half of the hash
    int32_t id = -1;  // -1: free
  };

  // FNV-1a as it grows from byte to byte, and its finalizer (splitmix64), since FNV's upper bits are weak for short
  // texts.
  static constexpr uint64_t kHashSeed = 0xcbf29ce484222325u;
  static uint64_t hash_more(uint64_t h, std::string_view text) {
    for (const char c : text) h = (h ^ uint8_t(c)) * 0x100000001b3u;
    return h;
  }
  static uint64_t hash_end(uint64_t h) {
    h = (h ^ h >> 30) * 0xbf58476d1ce4e5b9u;
    h = (h ^ h >> 27) * 0x94d049bb133111ebu;
    return h ^ h >> 31;
  }
  int32_t find_hashed(uint64_t h, std::string_view head, std::string_view tail) const;

  Status read_model(const Gguf& gguf);
  Status read_texts(const Gguf& gguf);
  Status read_kinds(const Gguf& gguf);
  Status read_scores(const Gguf& gguf);
  Status build_table();
  Status collect_byte_tokens();
  Status collect_byte_letters();
  void infer_kinds();
  void correct_kinds();
  Status spell();
  void spell_token(int32_t id);

  VocabularyModel model_ = VocabularyModel::spm;
  bool byte_letters_ = false;
  std::string_view model_name_, pre_, chat_template_;
  std::vector<std::string_view> texts_;  // [n], into the mapping
  std::vector<TokenKind> kinds_;         // [n]
  std::vector<float> scores_;            // [n] or empty
  std::string bytes_;                    // of all tokens, back to back
  std::vector<uint32_t> starts_;         // [n + 1], into bytes_
  std::vector<Slot> slots_;              // open addressing, linear probing; size is a power of two
  std::array<int32_t, 256> byte_tokens_{};
  size_t longest_ = 0;
};

template <class Found>
void Vocabulary::each_prefix(std::string_view text, const Found& found) const {
  uint64_t h = kHashSeed;
  for (size_t n = 1; n <= text.size() && n <= longest_; ++n) {
    h = hash_more(h, text.substr(n - 1, 1));
    if (const int32_t id = find_hashed(hash_end(h), text.substr(0, n), {}); id >= 0) found(id, n);
  }
}

}  // namespace linnet
