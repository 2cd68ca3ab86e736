// Text to tokens and back, from the vocabulary in a model file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/reader.h"
#include "runtime/special_tokens.h"
#include "sampling/vocabulary.h"

namespace linnet {

struct EncodeOptions {
  bool bos = false;      // put the BOS token first (of encoders: CLS); an error where the vocabulary has none
  bool special = false;  // texts of control and unknown tokens become these tokens; else they are ordinary text
  bool eos = false;      // put the EOS token last (of model "bert": SEP); an error where the vocabulary has none
  // Taken out of the text, and no special token is read across it (see veiled()). Empty: nothing is.
  std::string_view veil = {};
};

// Immutable and thread-safe. Its texts point into the file's mapping: the Gguf must outlive it.
//
// decode(encode(text)) == text for every valid UTF-8 text of the models "llama", "gpt2", "gemma4" and "rwkv", with two
// exceptions that lie in the vocabulary: one without byte tokens has no tokens for some characters, and one of model
// "gpt2" may lack some byte letters (both give the unknown token, or nothing where there is none). Bytes that are not
// UTF-8 are kept as well where there are byte tokens. The models "bert" and "t5" normalize: what they drop is lost.
class Tokenizer : public SamplingVocabulary {
 public:
  static constexpr size_t kMaxTextBytes = size_t(16) << 20;  // of one encode(): bounds its memory to about 1 GiB

  // Checks everything; a message names the key and the index.
  static Result<Tokenizer> load(const Gguf& gguf);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer() override;

  int32_t size() const override;
  // What the token means as text: empty for control and unknown tokens and for ids that are no tokens.
  std::string_view bytes(int32_t token) const override;
  bool is_eog(int32_t token) const override;
  // As encode() without options; a text that encode() refuses has no tokens.
  std::vector<int32_t> tokenize(std::string_view text) const override;
  int32_t find_token(std::string_view piece) const override { return find(piece).value_or(-1); }

  // Texts of user-defined tokens always become these tokens, texts of control tokens only with options.special. In a
  // text, the special token that starts first and is longest counts; with options.special, some of them take the white
  // space before or after them away (StripRules in tokenizer.cpp). Refused: more than kMaxTextBytes.
  Result<std::vector<int32_t>> encode(std::string_view text, EncodeOptions options) const;
  // `text` with `veil` inside the texts of control and unknown tokens, and after the beginning of one at its end: inside
  // a text that is encoded with this veil it is ordinary text, whatever it says (tokens of one character excepted). The
  // veil must not occur in the text.
  std::string veiled(std::string_view text, std::string_view veil) const;
  // With `special`, control and unknown tokens show their texts, else nothing. The space that encode() puts before a
  // text (not in all vocabularies) is taken away at the start and after special tokens. Ids that are no tokens are
  // skipped. The result is UTF-8 as far as the tokens spell it.
  std::string decode(std::span<const int32_t> tokens, bool special = false) const;
  // What decode() adds for a token that follows `previous` (-1: at the start).
  std::string_view shown(int32_t token, int32_t previous, bool special) const;

  // Whether a text should begin with BOS and end with EOS, as in EncodeOptions: what the file says, else the default of
  // its model.
  bool add_bos() const;
  bool add_eos() const;
  const SpecialIds& special() const;
  std::span<const int32_t> eog() const;  // the tokens that end a generation, ascending
  // The token's text as the file has it; empty for ids that are no tokens.
  std::string_view piece(int32_t token) const;
  // Of tokens with equal texts, the first.
  std::optional<int32_t> find(std::string_view piece) const;
  std::string_view model() const;          // tokenizer.ggml.model
  std::string_view pre() const;            // tokenizer.ggml.pre, "default" where absent
  std::string_view chat_template() const;  // tokenizer.chat_template, or empty

 private:
  struct Impl;
  explicit Tokenizer(std::unique_ptr<Impl> impl);
  std::unique_ptr<const Impl> impl_;
};

}  // namespace linnet
