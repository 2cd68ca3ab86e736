#include "runtime/chat_format.h"

#include "gguf/base/json.h"
#include "gguf/base/utf8.h"

namespace linnet {
namespace {

constexpr std::string_view kChatMl = R"({%- for message in messages -%}
    {{- '<|im_start|>' + message.role + '\n' -}}
    {%- if message.content is string -%}
        {{- message.content -}}
    {%- else -%}
        {%- for part in message.content or [] if part.type == 'text' -%}{{- part.text -}}{%- endfor -%}
    {%- endif -%}
    {{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%})";

Result<ChatTemplate> compile_chosen(std::string_view chosen) {
  if (chosen.find("{{") != chosen.npos || chosen.find("{%") != chosen.npos) return ChatTemplate::compile(chosen);
  const std::string_view named = built_in_template(chosen);
  if (!named.empty()) return ChatTemplate::compile(named);
  return fail(Code::option_range, "chat_template is {}, expected the text of a template or the name chatml",
              quoted(chosen));
}

// One of the 32 code points that Unicode keeps for such inner uses (noncharacters) that is in neither text.
Result<std::string> veil_for(std::string_view messages, std::string_view variables) {
  for (uint32_t c = 0xfdd0; c <= 0xfdef; ++c) {
    std::string veil;
    utf8_append(veil, c);
    if (messages.find(veil) == messages.npos && variables.find(veil) == variables.npos) return veil;
  }
  return fail(Code::invalid_argument,
              "the messages use all of the characters U+FDD0 to U+FDEF; at most 31 can be used");
}

void write_veiled(JsonWriter& w, const Json& json, const Tokenizer& tokenizer, std::string_view veil) {
  if (json.is_string()) {
    w.value(tokenizer.veiled(*json.string(), veil));
  } else if (json.is_array()) {
    w.begin_array();
    for (const Json& element : json.elements()) write_veiled(w, element, tokenizer, veil);
    w.end_array();
  } else if (json.is_object()) {
    w.begin_object();
    for (const auto& [key, value] : json.members())
      write_veiled(w.key(tokenizer.veiled(key, veil)), value, tokenizer, veil);
    w.end_object();
  } else {
    w.value(json);
  }
}

}  // namespace

std::string messages_json(std::span<const ChatMessage> messages) {
  JsonWriter w;
  w.begin_array();
  for (const ChatMessage& m : messages)
    w.begin_object().member("role", m.role).member("content", m.content).end_object();
  return w.end_array().text();
}

std::string_view template_source_name(TemplateSource source) {
  static constexpr std::string_view names[] = {"given by the option chat_template", "in the file", "ChatML, built in"};
  return names[size_t(source)];
}

std::string_view built_in_template(std::string_view name) { return name == "chatml" ? kChatMl : std::string_view(); }

std::vector<std::pair<std::string_view, std::string_view>> special_variables(const Tokenizer& tokenizer) {
  const SpecialIds& special = tokenizer.special();
  const std::pair<const char*, int32_t> tokens[] = {
      {"bos_token", special.bos}, {"eos_token", special.eos}, {"unk_token", special.unk}, {"pad_token", special.pad}};
  std::vector<std::pair<std::string_view, std::string_view>> variables;
  for (const auto& [name, id] : tokens) {
    if (id >= 0) variables.emplace_back(name, tokenizer.piece(id));
  }
  return variables;
}

Result<ChatFormat> ChatFormat::create(const Tokenizer& tokenizer, std::string_view chosen) {
  if (!chosen.empty()) {
    LINNET_TRY(ChatTemplate made, compile_chosen(chosen));
    return ChatFormat(tokenizer, std::move(made), TemplateSource::option);
  }
  if (!tokenizer.chat_template().empty()) {
    auto made = ChatTemplate::compile(tokenizer.chat_template());
    if (!made) {
      return fail(made.error().code, "tokenizer.chat_template: {}; another template can be given by chat_template",
                  made.error().message);
    }
    return ChatFormat(tokenizer, *std::move(made), TemplateSource::file);
  }
  LINNET_TRY(ChatTemplate made, ChatTemplate::compile(kChatMl));
  ChatFormat format(tokenizer, std::move(made), TemplateSource::built_in);
  format.foreign_ = !tokenizer.find("<|im_start|>") || !tokenizer.find("<|im_end|>");
  return format;
}

Result<ChatPrompt> ChatFormat::render(const ChatRequest& request) const {
  LINNET_TRY(const Json messages, parse_json(request.messages));
  Json given;
  if (!request.variables.empty()) {
    LINNET_TRY(given, parse_json(request.variables));
    if (!given.is_object())
      return fail(Code::json_type, "the template variables are {}, expected an object", given.type_name());
  }
  LINNET_TRY(const std::string veil, veil_for(JsonWriter().value(messages).text(), JsonWriter().value(given).text()));
  // Of equal names the first one counts.
  JsonWriter w;
  w.begin_object().key("messages");
  write_veiled(w, messages, *tokenizer_, veil);
  w.member("add_generation_prompt", request.add_generation_prompt);
  for (const auto& [name, value] : given.members()) {
    w.key(name);
    if (name.ends_with("_token")) {
      w.value(value);
    } else {
      write_veiled(w, value, *tokenizer_, veil);
    }
  }
  for (const auto& [name, piece] : special_variables(*tokenizer_)) w.member(name, piece);
  LINNET_TRY(const Json variables, parse_json(w.end_object().text()));
  LINNET_TRY(std::string text, template_->render(variables));
  return ChatPrompt{std::move(text), veil};
}

Result<std::vector<int32_t>> ChatFormat::encode(const ChatPrompt& prompt) const {
  const int32_t bos = tokenizer_->special().bos;
  const bool add = tokenizer_->add_bos() && bos >= 0 && !prompt.text.starts_with(tokenizer_->piece(bos));
  return tokenizer_->encode(prompt.text, {.bos = add, .special = true, .veil = prompt.veil});
}

Result<std::vector<int32_t>> ChatTokens::turn(ChatPrompt prompt) {
  if (!text_.empty() && prompt.text.starts_with(text_)) {
    const Tokenizer& tokenizer = format_->tokenizer();
    const std::string_view rest = std::string_view(prompt.text).substr(text_.size());
    LINNET_TRY(const std::vector<int32_t> more, tokenizer.encode(rest, {.special = true, .veil = prompt.veil}));
    // Only at a special token is a text the sum of its parts: elsewhere a token could reach over the seam.
    if (more.empty() || tokenizer.is_eog(more[0]) || tokenizer.bytes(more[0]).empty()) {
      tokens_.insert(tokens_.end(), more.begin(), more.end());
      text_ = std::move(prompt.text);
      return tokens_;
    }
  }
  LINNET_TRY(tokens_, format_->encode(prompt));
  text_ = std::move(prompt.text);
  return tokens_;
}

void ChatTokens::answered(std::string_view text, std::span<const int32_t> tokens) {
  text_ += text;
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

void ChatTokens::restore(std::string text, std::vector<int32_t> tokens) {
  text_ = std::move(text);
  tokens_ = std::move(tokens);
}

}  // namespace linnet
