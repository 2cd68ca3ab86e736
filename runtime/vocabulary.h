// The vocabulary of a model file: token texts, kinds and scores, the bytes each token stands for, and text -> id.
//
//   tokenizer.ggml.model       string: "llama" (SentencePiece) or "gpt2" (byte-level BPE)
//   tokenizer.ggml.pre         string, optional: name of the pre-tokenizer
//   tokenizer.ggml.tokens      string[n]: the texts
//   tokenizer.ggml.scores      f32[n]; needed by "llama" only
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
enum class VocabularyModel : uint8_t { spm, bpe };

inline constexpr std::string_view kSpmSpace = "\xe2\x96\x81";  // U+2581, how SentencePiece writes a space
inline constexpr uint64_t kMaxTokens = uint64_t(1) << 22;
inline constexpr size_t kMaxTokenBytes = 4096;  // the longest text in published vocabularies has 512 bytes

class Vocabulary {
 public:
  static Result<Vocabulary> load(const Gguf& gguf);

  VocabularyModel model() const { return model_; }
  std::string_view model_name() const { return model_ == VocabularyModel::spm ? "llama" : "gpt2"; }
  std::string_view pre() const { return pre_; }  // "default" where the file has none
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
  // The token of one byte (SPM: <0xHH>; BPE: its letter of the byte alphabet), or -1.
  int32_t byte_token(uint8_t byte) const { return byte_tokens_[byte]; }
  // Bytes of the longest text.
  size_t longest() const { return longest_; }

 private:
  struct Slot {
    uint32_t tag;     // upper half of the hash
    int32_t id = -1;  // -1: free
  };

  Status read_texts(const Gguf& gguf);
  Status read_kinds(const Gguf& gguf);
  Status read_scores(const Gguf& gguf);
  Status build_table();
  Status collect_spm_bytes();
  Status collect_bpe_bytes();
  void infer_kinds();
  Status spell();

  VocabularyModel model_ = VocabularyModel::spm;
  std::string_view pre_, chat_template_;
  std::vector<std::string_view> texts_;  // [n], into the mapping
  std::vector<TokenKind> kinds_;         // [n]
  std::vector<float> scores_;            // [n] or empty
  std::string bytes_;                    // of all tokens, back to back
  std::vector<uint32_t> starts_;         // [n + 1], into bytes_
  std::vector<Slot> slots_;              // open addressing, linear probing; size is a power of two
  std::array<int32_t, 256> byte_tokens_{};
  size_t longest_ = 0;
};

}  // namespace linnet
