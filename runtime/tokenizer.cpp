#include "runtime/tokenizer.h"

#include <algorithm>

#include "runtime/bpe.h"
#include "runtime/spm.h"
#include "runtime/vocabulary.h"

namespace linnet {

struct Tokenizer::Impl {
  explicit Impl(Vocabulary v) : vocabulary(std::move(v)) {}

  bool has(int32_t id) const { return id >= 0 && id < vocabulary.size(); }
  // Tokens that stand apart from ordinary text.
  bool stands_apart(int32_t id) const {
    const TokenKind kind = vocabulary.kind(id);
    return kind == TokenKind::control || kind == TokenKind::unknown || kind == TokenKind::user_defined;
  }
  Status read_flags(const Gguf& gguf);

  const Vocabulary vocabulary;
  SpecialIds special;
  std::vector<int32_t> eog;
  SpecialMatcher always, with_special;
  std::optional<Spm> spm;  // one of the two
  std::optional<Bpe> bpe;
  bool add_bos = false, add_eos = false;
  bool space_prefix = false;
};

Status Tokenizer::Impl::read_flags(const Gguf& gguf) {
  const bool bos_default = special.bos >= 0 && (spm ? true : bpe->pretokenizer().add_bos);
  LINNET_TRY(add_bos, gguf.boolean_or("tokenizer.ggml.add_bos_token", bos_default));
  LINNET_TRY(add_eos, gguf.boolean_or("tokenizer.ggml.add_eos_token", false));
  if (spm) { LINNET_TRY(space_prefix, gguf.boolean_or("tokenizer.ggml.add_space_prefix", true)); }
  if (add_bos && special.bos < 0) {
    return fail(Code::gguf_vocabulary,
                "tokenizer.ggml.add_bos_token is true, but there is no BOS token "
                "(tokenizer.ggml.bos_token_id)");
  }
  if (add_eos && special.eos < 0) {
    return fail(Code::gguf_vocabulary,
                "tokenizer.ggml.add_eos_token is true, but there is no EOS token "
                "(tokenizer.ggml.eos_token_id)");
  }
  return {};
}

Result<Tokenizer> Tokenizer::load(const Gguf& gguf) {
  LINNET_TRY(Vocabulary vocabulary, Vocabulary::load(gguf));
  auto impl = std::make_unique<Impl>(std::move(vocabulary));
  const Vocabulary& v = impl->vocabulary;
  LINNET_TRY(impl->special, read_special_ids(gguf, v));
  impl->eog = end_of_generation(v, impl->special);

  std::vector<int32_t> user_defined, apart;
  for (int32_t id = 0; id < v.size(); ++id) {
    if (impl->stands_apart(id)) apart.push_back(id);
    if (v.kind(id) == TokenKind::user_defined) user_defined.push_back(id);
  }
  impl->always = SpecialMatcher(v, std::move(user_defined));
  impl->with_special = SpecialMatcher(v, std::move(apart));

  if (v.model() == VocabularyModel::spm) {
    if (v.byte_token(0) < 0 && impl->special.unk < 0) {
      return fail(Code::gguf_vocabulary,
                  "tokenizer.ggml.tokens has neither the byte tokens <0x00> to <0xFF> nor an unknown token "
                  "(tokenizer.ggml.unknown_token_id): most texts could not be written in it");
    }
    impl->spm.emplace(v, impl->special.unk);
  } else {
    LINNET_TRY(Bpe bpe, Bpe::load(gguf, v, impl->special.unk));
    impl->bpe.emplace(std::move(bpe));
  }
  LINNET_CHECK(impl->read_flags(gguf));
  return Tokenizer(std::move(impl));
}

Tokenizer::Tokenizer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

int32_t Tokenizer::size() const { return impl_->vocabulary.size(); }

std::string_view Tokenizer::bytes(int32_t token) const {
  return impl_->has(token) ? impl_->vocabulary.bytes(token) : std::string_view();
}

bool Tokenizer::is_eog(int32_t token) const { return std::binary_search(impl_->eog.begin(), impl_->eog.end(), token); }

std::vector<int32_t> Tokenizer::tokenize(std::string_view text) const {
  auto tokens = encode(text, {});
  return tokens ? *std::move(tokens) : std::vector<int32_t>();
}

Result<std::vector<int32_t>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kMaxTextBytes) {
    return fail(Code::prompt_too_long, "the text has {} bytes; at most {} can be made tokens at once", text.size(),
                kMaxTextBytes);
  }
  if (options.bos && impl_->special.bos < 0) {
    return fail(Code::invalid_argument, "a BOS token was asked for, but the vocabulary has none");
  }
  std::vector<int32_t> out;
  out.reserve(text.size() / 4 + 8);
  if (options.bos) out.push_back(impl_->special.bos);
  const SpecialMatcher& matcher = options.special ? impl_->with_special : impl_->always;
  for (size_t at = 0; at < text.size();) {
    const SpecialMatcher::Match match = matcher.find(text, at);
    const std::string_view plain = text.substr(at, match.start - at);
    if (!plain.empty()) {
      if (impl_->spm) {
        impl_->spm->encode(plain, impl_->space_prefix, out);
      } else {
        impl_->bpe->encode(plain, out);
      }
    }
    if (match.id >= 0) out.push_back(match.id);
    at = match.start + match.bytes;
  }
  return out;
}

std::string_view Tokenizer::shown(int32_t token, int32_t previous, bool special) const {
  if (!impl_->has(token)) return {};
  const Vocabulary& v = impl_->vocabulary;
  if (impl_->stands_apart(token)) {
    return special || v.kind(token) == TokenKind::user_defined ? v.text(token) : std::string_view();
  }
  std::string_view bytes = v.bytes(token);
  const bool begins = previous == -1 || (impl_->has(previous) && impl_->stands_apart(previous));
  if (impl_->space_prefix && begins && bytes.starts_with(' ')) bytes.remove_prefix(1);
  return bytes;
}

std::string Tokenizer::decode(std::span<const int32_t> tokens, bool special) const {
  std::string text;
  int32_t previous = -1;
  for (const int32_t token : tokens) {
    if (!impl_->has(token)) continue;
    text += shown(token, previous, special);
    previous = token;
  }
  return text;
}

bool Tokenizer::add_bos() const { return impl_->add_bos; }
bool Tokenizer::add_eos() const { return impl_->add_eos; }
const SpecialIds& Tokenizer::special() const { return impl_->special; }
std::span<const int32_t> Tokenizer::eog() const { return impl_->eog; }

std::string_view Tokenizer::piece(int32_t token) const {
  return impl_->has(token) ? impl_->vocabulary.text(token) : std::string_view();
}

std::optional<int32_t> Tokenizer::find(std::string_view piece) const {
  const int32_t id = impl_->vocabulary.find(piece);
  return id < 0 ? std::nullopt : std::optional(id);
}

std::string_view Tokenizer::model() const { return impl_->vocabulary.model_name(); }
std::string_view Tokenizer::pre() const { return impl_->vocabulary.pre(); }
std::string_view Tokenizer::chat_template() const { return impl_->vocabulary.chat_template(); }

}  // namespace linnet
