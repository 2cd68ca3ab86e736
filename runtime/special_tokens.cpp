#include "runtime/special_tokens.h"

#include <algorithm>
#include <span>

namespace linnet {
namespace {

// Texts by which published models end a turn or a text.
constexpr std::string_view kEndOfTurn[] = {
    "<|eot_id|>",     // Llama 3
    "<|im_end|>",     // ChatML: Qwen, Yi, SmolLM, ...
    "<end_of_turn>",  // Gemma
    "<turn|>",        // Gemma 4
    "<|end|>",        // Phi 3, Granite; not in the harmony format, see below
    "<|eot|>",        // Llama 4
    "<EOT>",          // Code Llama
    "_<EOT>",
    "[EOT]",                  // Kimi
    "<|END_OF_TURN_TOKEN|>",  // Command R, Aya
    "<|endofturn|>",          // EXAONE, HyperCLOVA
    "<end_of_utterance>",     // SmolVLM, Granite Docling
};
constexpr std::string_view kEndOfMessage[] = {"<|eom_id|>"};
constexpr std::string_view kEndOfText[] = {
    "<|endoftext|>",  // GPT-2, Falcon, Qwen, GLM, ...
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<EOS>",
    "[EOS]",
    "<|eos|>",
    "<|return|>",             // harmony
    "<|call|>",               // harmony: the model waits for the result of a tool
    "<|flush|>",              // Solar Open
    "<|calls|>",              // Solar Open
    "<|tool_response>",       // Gemma 4
    "<｜end▁of▁sentence｜>",  // DeepSeek
    "[e~[",                   // MiniMax
};
constexpr std::string_view kWideOpen = "<｜", kWideClose = "｜>";

// Texts that surround files where a model fills in code: padding, the name of a repository, the end of a file. A model
// that writes one of them has filled in what it should.
constexpr std::string_view kFimPad[] = {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"};
constexpr std::string_view kFimRepo[] = {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"};
constexpr std::string_view kFimSep[] = {"<|file_sep|>"};

Result<int32_t> read_id(const Gguf& gguf, std::string_view key, const Vocabulary& vocabulary, int32_t otherwise) {
  const Value* value = gguf.find(key);
  if (value == nullptr) return otherwise;
  if (value->type == ValueType::array || !value->is_integer()) {
    return fail(Code::gguf_vocabulary, "{} must be an integer, but is {} (at byte {})", key,
                value_type_name(value->type), value->offset);
  }
  const int64_t id = value->integer();
  if (id == -1 || id == int64_t(UINT32_MAX)) return -1;
  if (id < 0 || id >= vocabulary.size()) {
    return fail(Code::gguf_vocabulary, "{} is {}; the vocabulary has the ids 0 to {} (at byte {})", key, id,
                vocabulary.size() - 1, value->offset);
  }
  return int32_t(id);
}

// The token with this text if it is one that stands for no ordinary text, else -1.
int32_t marked(const Vocabulary& vocabulary, std::string_view text) {
  const int32_t id = vocabulary.find(text);
  if (id < 0) return -1;
  const TokenKind kind = vocabulary.kind(id);
  return kind == TokenKind::control || kind == TokenKind::user_defined ? id : -1;
}

int32_t first_marked(const Vocabulary& vocabulary, std::span<const std::string_view> texts) {
  for (const std::string_view text : texts) {
    if (const int32_t id = marked(vocabulary, text); id >= 0) return id;
  }
  return -1;
}

}  // namespace

Result<SpecialIds> read_special_ids(const Gguf& gguf, const Vocabulary& vocabulary) {
  // What stands for an absent key, by model.
  struct Texts {
    std::string_view bos, eos, unk, pad, sep, mask;
  } texts;
  if (vocabulary.model() == VocabularyModel::spm) texts = {.bos = "<s>", .eos = "</s>", .unk = "<unk>"};
  if (vocabulary.model() == VocabularyModel::unigram) texts = {.eos = "</s>", .unk = "<unk>", .pad = "<pad>"};
  if (vocabulary.model() == VocabularyModel::wordpiece) {
    texts = {.bos = "[CLS]", .unk = "[UNK]", .pad = "[PAD]", .sep = "[SEP]", .mask = "[MASK]"};
  }
  const auto read = [&](std::string_view name, int32_t otherwise) {
    return read_id(gguf, fmt::format("tokenizer.ggml.{}_token_id", name), vocabulary, otherwise);
  };
  SpecialIds ids;
  LINNET_TRY(const int32_t cls, read("cls", marked(vocabulary, texts.bos)));
  LINNET_TRY(ids.bos, read("bos", cls));
  LINNET_TRY(ids.eos, read("eos", marked(vocabulary, texts.eos)));
  LINNET_TRY(ids.unk, read("unknown", vocabulary.find(texts.unk)));
  LINNET_TRY(ids.pad, read("padding", marked(vocabulary, texts.pad)));
  LINNET_TRY(ids.sep, read("seperator", marked(vocabulary, texts.sep)));
  LINNET_TRY(ids.mask, read("mask", marked(vocabulary, texts.mask)));
  LINNET_TRY(ids.eot, read("eot", first_marked(vocabulary, kEndOfTurn)));
  LINNET_TRY(ids.eom, read("eom", first_marked(vocabulary, kEndOfMessage)));
  LINNET_TRY(ids.fim_pad, read("fim_pad", first_marked(vocabulary, kFimPad)));
  LINNET_TRY(ids.fim_repo, read("fim_rep", first_marked(vocabulary, kFimRepo)));
  LINNET_TRY(ids.fim_sep, read("fim_sep", first_marked(vocabulary, kFimSep)));
  return ids;
}

std::vector<int32_t> end_of_generation(const Vocabulary& vocabulary, const SpecialIds& ids) {
  std::vector<int32_t> found = {ids.eos, ids.eot, ids.eom, ids.fim_pad, ids.fim_repo, ids.fim_sep};
  for (const std::string_view text : kEndOfTurn) found.push_back(marked(vocabulary, text));
  for (const std::string_view text : kEndOfMessage) found.push_back(marked(vocabulary, text));
  for (const std::string_view text : kEndOfText) found.push_back(marked(vocabulary, text));

  const auto has = [&](std::string_view text) { return marked(vocabulary, text) >= 0; };
  std::vector<int32_t> inner;  // tokens that only look like an end
  // In the harmony format (gpt-oss) <|end|> closes a message, after which the model goes on; <|return|> ends. So it is
  // in Solar Open, where <|flush|> ends.
  const bool calls = has("<|call|>") || has("<|calls|>");
  if (calls && (has("<|return|>") || has("<|flush|>"))) inner.push_back(marked(vocabulary, "<|end|>"));
  // Gemma 4 has the HTML tag </s> among its tokens.
  if (has("<|tool_response>")) inner.push_back(marked(vocabulary, "</s>"));
  std::erase_if(found, [&](int32_t id) { return id < 0 || std::find(inner.begin(), inner.end(), id) != inner.end(); });
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

bool is_mark_of_end(std::string_view text) {
  const bool mark =
      (text.starts_with("<|") && text.ends_with("|>")) || (text.starts_with(kWideOpen) && text.ends_with(kWideClose));
  const auto in = [text](std::span<const std::string_view> list) {
    return std::find(list.begin(), list.end(), text) != list.end();
  };
  return mark && (in(kEndOfTurn) || in(kEndOfMessage) || in(kEndOfText));
}

}  // namespace linnet
