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

Result<std::string> ChatFormat::render(const ChatRequest& request) const {
  Json given;
  if (!request.variables.empty()) {
    LINNET_TRY(given, parse_json(request.variables));
    if (!given.is_object())
      return fail(Code::json_type, "the template variables are {}, expected an object", given.type_name());
  }
  // Of equal names the first one counts.
  JsonWriter w;
  w.begin_object().key("messages").raw(request.messages);
  w.member("add_generation_prompt", request.add_generation_prompt);
  for (const auto& [name, value] : given.members()) w.member(name, value);
  for (const auto& [name, piece] : special_variables(*tokenizer_)) w.member(name, piece);
  LINNET_TRY(const Json variables, parse_json(w.end_object().text()));
  return template_->render(variables);
}

Result<std::vector<int32_t>> ChatFormat::encode(std::string_view text) const {
  const int32_t bos = tokenizer_->special().bos;
  const bool add = tokenizer_->add_bos() && bos >= 0 && !text.starts_with(tokenizer_->piece(bos));
  return tokenizer_->encode(text, {.bos = add, .special = true});
}

Result<std::vector<int32_t>> ChatTokens::turn(std::string text) {
  if (!text_.empty() && text.starts_with(text_)) {
    const std::string_view rest = std::string_view(text).substr(text_.size());
    LINNET_TRY(const std::vector<int32_t> more, format_->tokenizer().encode(rest, {.special = true}));
    // Only at a special token is a text the sum of its parts: elsewhere a token could reach over the seam.
    const Tokenizer& tokenizer = format_->tokenizer();
    if (more.empty() || tokenizer.is_eog(more[0]) || tokenizer.bytes(more[0]).empty()) {
      tokens_.insert(tokens_.end(), more.begin(), more.end());
      text_ = std::move(text);
      return tokens_;
    }
  }
  LINNET_TRY(tokens_, format_->encode(text));
  text_ = std::move(text);
  return tokens_;
}

void ChatTokens::answered(std::string_view text, std::span<const int32_t> tokens) {
  text_ += text;
  tokens_.insert(tokens_.end(), tokens.begin(), tokens.end());
}

}  // namespace linnet
