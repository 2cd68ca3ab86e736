// Conversations as prompts: messages through the model's chat template, and the text as tokens.
//
// The template is the one that the option chat_template gives, else the model's own (tokenizer.chat_template), else
// ChatML. Special tokens are read in what the template writes, not in what messages and tools say: those texts are veiled
// (Tokenizer::veiled) before they are rendered.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/template/template.h"
#include "runtime/tokenizer.h"

namespace linnet {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant" ...
  std::string content;
};
// [{"role":...,"content":...}]
std::string messages_json(std::span<const ChatMessage> messages);

struct ChatRequest {
  std::string messages;   // JSON array; whatever the template reads: tool calls, parts of contents ...
  std::string variables;  // JSON object of further template variables ("tools", "enable_thinking" ...), or empty
  bool add_generation_prompt = true;  // the text ends where the model's answer begins
};

// A conversation as the template writes it, with the veil that encode() takes out again.
struct ChatPrompt {
  std::string text, veil;
};

enum class TemplateSource : uint8_t { option, file, built_in };
// "given by the option chat_template", "in the file", "ChatML, built in"
std::string_view template_source_name(TemplateSource source);

// The templates that come along have names: "chatml". Empty for another name.
std::string_view built_in_template(std::string_view name);

// The template variables bos_token, eos_token, unk_token and pad_token, as far as the vocabulary has them.
std::vector<std::pair<std::string_view, std::string_view>> special_variables(const Tokenizer& tokenizer);

// Immutable and thread-safe. The tokenizer must outlive it.
class ChatFormat {
 public:
  // `chosen`: the text of a template or the name of a built-in one, or empty. An error says what is wrong with the
  // template, and names the key when it is the file's.
  static Result<ChatFormat> create(const Tokenizer& tokenizer, std::string_view chosen = {});

  TemplateSource source() const { return source_; }
  // Whether ChatML is used with a vocabulary that has no tokens for it: a model that was not trained to chat.
  bool foreign() const { return foreign_; }

  // The special_variables() count where the request has none of these names. Texts in the messages and variables are
  // veiled, but not those of variables called ..._token.
  Result<ChatPrompt> render(const ChatRequest& request) const;
  // With special tokens; BOS first where the vocabulary wants it, but not twice when the template wrote it.
  Result<std::vector<int32_t>> encode(const ChatPrompt& prompt) const;
  const Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  ChatFormat(const Tokenizer& tokenizer, ChatTemplate made, TemplateSource source)
      : tokenizer_(&tokenizer), template_(std::make_shared<const ChatTemplate>(std::move(made))), source_(source) {}
  const Tokenizer* tokenizer_;
  std::shared_ptr<const ChatTemplate> template_;
  TemplateSource source_;
  bool foreign_ = false;
};

// The tokens of one conversation, turn after turn. Each turn's text is rendered anew; as far as it repeats the last
// one with the model's answer, it keeps those very tokens, so that the KV cache of them counts: an answer encoded again
// need not give the tokens that the model chose.
class ChatTokens {
 public:
  explicit ChatTokens(const ChatFormat& format) : format_(&format) {}
  // The tokens of the prompt.
  Result<std::vector<int32_t>> turn(ChatPrompt prompt);
  // What the model wrote after the tokens of the last turn, when text and tokens are all of it.
  void answered(std::string_view text, std::span<const int32_t> tokens);

  // The last turn with its answer, to be kept elsewhere, and back.
  const std::string& text() const { return text_; }
  const std::vector<int32_t>& tokens() const { return tokens_; }
  void restore(std::string text, std::vector<int32_t> tokens);

 private:
  const ChatFormat* format_;
  std::string text_;
  std::vector<int32_t> tokens_;  // of text_
};

}  // namespace linnet
