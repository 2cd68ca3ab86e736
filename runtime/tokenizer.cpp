#include "runtime/tokenizer.h"

#include <algorithm>
#include <utility>

#include "gguf/base/utf8.h"
#include "runtime/bpe.h"
#include "runtime/rwkv.h"
#include "runtime/spm.h"
#include "runtime/text_set.h"
#include "runtime/unigram.h"
#include "runtime/vocabulary.h"
#include "runtime/wordpiece.h"

namespace linnet {

namespace {

struct Strip {
  bool before = false, after = false;
};

// Which special tokens take the white space before or after them away. GGUF does not say it of tokens; it is known of
// these models. Source: their tokenizer.json ("lstrip" and "rstrip" of added tokens).
class StripRules {
 public:
  StripRules(const Gguf& gguf, std::string_view pre) {
    const auto text_of = [&](std::string_view key) {
      const Value* value = gguf.find(key);
      std::string text(value != nullptr && value->type == ValueType::string ? value->string() : std::string_view());
      for (char& c : text) c = c >= 'A' && c <= 'Z' ? char(c | 0x20) : c;
      return text;
    };
    const std::string name = text_of("general.name"), architecture = text_of("general.architecture");
    phi3_ = name.find("phi-3") != name.npos || name.find("phi3") != name.npos;
    modern_bert_ = pre == "modern-bert";
    masked_ = pre == "jina-v2-de" || pre == "jina-v2-es" || pre == "jina-v2-code" || architecture == "nomic-bert-moe" ||
              architecture == "jina-bert-v3";
  }
  Strip of(std::string_view text) const {
    if (phi3_) return {.after = text != "<unk>" && text != "<s>" && text != "<|endoftext|>"};
    return {.before = (masked_ && text == "<mask>") || (modern_bert_ && text == "[MASK]")};
  }

 private:
  bool phi3_ = false, modern_bert_ = false, masked_ = false;
};

bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// `text` without the places where `part` stands.
std::string without(std::string_view text, std::string_view part) {
  std::string rest;
  for (size_t at = 0; at < text.size();) {
    const size_t next = std::min(text.find(part, at), text.size());
    rest += text.substr(at, next - at);
    at = next + part.size();
  }
  return rest;
}

}  // namespace

struct Tokenizer::Impl {
  explicit Impl(Vocabulary v) : vocabulary(std::move(v)) {}

  bool has(int32_t id) const { return id >= 0 && id < vocabulary.size(); }
  // Tokens that stand apart from ordinary text.
  bool stands_apart(int32_t id) const {
    const TokenKind kind = vocabulary.kind(id);
    return kind == TokenKind::control || kind == TokenKind::unknown || kind == TokenKind::user_defined;
  }
  // The token that ends a text.
  int32_t last() const { return vocabulary.model() == VocabularyModel::wordpiece ? special.sep : special.eos; }
  Status make_model(const Gguf& gguf);
  Status read_flags(const Gguf& gguf);
  void find_special(const Gguf& gguf);

  const Vocabulary vocabulary;
  SpecialIds special;
  std::vector<int32_t> eog;
  TextSet always, with_special, control;  // user-defined tokens; all that stand apart; all but user-defined ones
  std::vector<std::pair<int32_t, Strip>> strips;  // of the tokens that strip; ascending
  std::unique_ptr<TextModel> text;
  bool bos_default = false;
  bool add_bos = false, add_eos = false;
  bool space_prefix = false;  // a text's first token shows a space that is not in the text
};

Status Tokenizer::Impl::make_model(const Gguf& gguf) {
  const bool writes_all = vocabulary.has_byte_tokens() || vocabulary.byte_letters() || special.unk >= 0;
  switch (vocabulary.model()) {
    case VocabularyModel::spm: {
      if (!writes_all) {
        return fail(Code::gguf_vocabulary,
                    "tokenizer.ggml.tokens has neither the byte tokens <0x00> to <0xFF> nor an unknown token "
                    "(tokenizer.ggml.unknown_token_id): most texts could not be written in it");
      }
      LINNET_TRY(space_prefix, gguf.boolean_or("tokenizer.ggml.add_space_prefix", true));
      text = std::make_unique<Spm>(vocabulary, special.unk, space_prefix);
      bos_default = true;
      return {};
    }
    case VocabularyModel::bpe: {
      LINNET_TRY(Bpe bpe, Bpe::load(gguf, vocabulary, special.unk));
      bos_default = bpe.pretokenizer().add_bos;
      text = std::make_unique<Bpe>(std::move(bpe));
      return {};
    }
    case VocabularyModel::wordpiece: {
      LINNET_TRY(WordPiece wordpiece, WordPiece::load(gguf, vocabulary, special.unk));
      text = std::make_unique<WordPiece>(std::move(wordpiece));
      space_prefix = bos_default = true;
      return {};
    }
    case VocabularyModel::unigram: {
      LINNET_TRY(Unigram unigram, Unigram::load(gguf, vocabulary, special.unk));
      space_prefix = unigram.space_prefix();
      text = std::make_unique<Unigram>(std::move(unigram));
      return {};
    }
    case VocabularyModel::rwkv:
      text = std::make_unique<Rwkv>(vocabulary, special.unk);
      return {};
  }
  return {};
}

Status Tokenizer::Impl::read_flags(const Gguf& gguf) {
  const VocabularyModel model = vocabulary.model();
  LINNET_TRY(add_bos, gguf.boolean_or("tokenizer.ggml.add_bos_token", bos_default && special.bos >= 0));
  if (model == VocabularyModel::bpe && vocabulary.pre() == "gemma4")
    add_bos = special.bos >= 0;  // files say no, wrongly
  if (model == VocabularyModel::wordpiece) {
    LINNET_TRY(add_eos, gguf.boolean_or("tokenizer.ggml.add_sep_token", special.sep >= 0));
  } else {
    const bool eos_default = model == VocabularyModel::unigram && special.eos >= 0;
    LINNET_TRY(add_eos, gguf.boolean_or("tokenizer.ggml.add_eos_token", eos_default));
  }
  if (add_bos && special.bos < 0) {
    return fail(Code::gguf_vocabulary,
                "tokenizer.ggml.add_bos_token is true, but there is no BOS token "
                "(tokenizer.ggml.bos_token_id)");
  }
  if (add_eos && last() < 0) {
    const bool sep = model == VocabularyModel::wordpiece;
    return fail(Code::gguf_vocabulary, "tokenizer.ggml.{} is true, but there is no {} token (tokenizer.ggml.{})",
                sep ? "add_sep_token" : "add_eos_token", sep ? "SEP" : "EOS",
                sep ? "seperator_token_id" : "eos_token_id");
  }
  return {};
}

// The special tokens that are looked for in texts.
void Tokenizer::Impl::find_special(const Gguf& gguf) {
  const StripRules rules(gguf, vocabulary.pre());
  std::vector<TextSet::Entry> user_defined, apart, others;
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (!stands_apart(id)) continue;
    apart.push_back({vocabulary.text(id), id});
    (vocabulary.kind(id) == TokenKind::user_defined ? user_defined : others).push_back(apart.back());
    const Strip strip = rules.of(vocabulary.text(id));
    if (strip.before || strip.after) strips.emplace_back(id, strip);
  }
  always = TextSet(std::move(user_defined));
  with_special = TextSet(std::move(apart));
  control = TextSet(std::move(others));
}

Result<Tokenizer> Tokenizer::load(const Gguf& gguf) {
  LINNET_TRY(Vocabulary vocabulary, Vocabulary::load(gguf));
  auto impl = std::make_unique<Impl>(std::move(vocabulary));
  LINNET_TRY(impl->special, read_special_ids(gguf, impl->vocabulary));
  impl->eog = end_of_generation(impl->vocabulary, impl->special);
  impl->find_special(gguf);
  LINNET_CHECK(impl->make_model(gguf));
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
  if (options.eos && impl_->last() < 0) {
    return fail(Code::invalid_argument, "an EOS token was asked for, but the vocabulary has none");
  }
  std::vector<int32_t> out;
  out.reserve(text.size() / 4 + 8);
  if (options.bos) out.push_back(impl_->special.bos);
  const TextSet& set = options.special ? impl_->with_special : impl_->always;
  for (size_t at = 0; at < text.size();) {
    const TextSet::Match match = set.find(text, at);
    std::string_view plain = text.substr(at, match.start - at);
    at = match.start + match.bytes;
    const auto strip = std::lower_bound(impl_->strips.begin(), impl_->strips.end(), match.id,
                                        [](const auto& row, int32_t id) { return row.first < id; });
    if (options.special && strip != impl_->strips.end() && strip->first == match.id) {
      while (strip->second.before && !plain.empty() && is_blank(plain.back())) plain.remove_suffix(1);
      while (strip->second.after && at < text.size() && is_blank(text[at])) ++at;
    }
    std::string unveiled;
    if (!options.veil.empty() && plain.find(options.veil) != plain.npos) {
      unveiled = without(plain, options.veil);
      plain = unveiled;
    }
    if (!plain.empty()) impl_->text->encode(plain, out);
    if (match.id >= 0) out.push_back(match.id);
  }
  if (options.eos) out.push_back(impl_->last());
  return out;
}

std::string Tokenizer::veiled(std::string_view text, std::string_view veil) const {
  std::string out;
  size_t done = 0;
  for (auto match = impl_->control.find(text, 0); match.id >= 0; match = impl_->control.find(text, match.start + 1)) {
    const size_t cut = match.start + utf8_decode(text, match.start).bytes;
    out += text.substr(done, cut - done);
    out += veil;
    done = cut;
  }
  out += text.substr(done);
  if (impl_->control.ends_unfinished(text)) out += veil;
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
