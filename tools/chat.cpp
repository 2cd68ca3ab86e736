// linnet chat: a conversation on the terminal. Each turn the template renders all messages; the engine keeps the
// conversation's pages, so that only what differs from the turns before is computed.
#include <cstdio>
#include <iostream>

#include "capi/completion_json.h"
#include "gguf/base/os.h"
#include "runtime/chat_format.h"
#include "tools/commands.h"
#include "tools/report.h"

namespace linnet {
namespace {

class Chat : public Command {
 public:
  const char* name() const override { return "chat"; }
  const char* summary() const override { return "talk with a model, turn by turn"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.option("--system", system_, "a system message at the start");
    add_options(args, {OptionGroup::sampling, OptionGroup::stopping, OptionGroup::chat, OptionGroup::model});
    add_option(args, *find_option("sampler_libraries"));
    add_json(args, "print one JSON object per answer, one a line");
    args.footer(
        "Reads one message a line from standard input; an empty line is skipped, end of file ends the conversation.");
  }

  Result<int> run() override;

 private:
  Result<Completion> answer(Engine& engine, const std::vector<int32_t>& prompt, int64_t conversation) const;

  std::string system_;
};

Result<Completion> Chat::answer(Engine& engine, const std::vector<int32_t>& prompt, int64_t conversation) const {
  LINNET_TRY(Request request, this->request(prompt));
  request.conversation = conversation;
  if (!json_) request.on_text = [](std::string_view text) { return static_cast<bool>(write_stdout(text)); };
  return engine.generate(request, &interrupted());
}

Result<int> Chat::run() {
  LINNET_TRY(const auto model, load_model());
  LINNET_TRY(const std::string chosen, chosen_template());
  LINNET_TRY(const ChatFormat format, ChatFormat::create(model->tokenizer(), chosen));
  if (format.foreign()) {
    // Then the end of an answer is no token, but a text.
    options_.stop.push_back("<|im_end|>");
    if (!json_)
      fmt::print(stderr, "note: this model has no chat template and no ChatML tokens; it was hardly made to chat\n");
  }
  LINNET_TRY(const auto engine, make_engine(model));
  const int64_t conversation = engine->open_conversation();
  std::vector<ChatMessage> messages;
  ChatTokens tokens(format);
  if (!system_.empty()) messages.push_back({"system", system_});
  const bool prompt = os::is_terminal(0) && !json_;
  int code = kDone;
  for (std::string line; code == kDone;) {
    if (prompt) fmt::print(stderr, "> ");
    if (!std::getline(std::cin, line)) break;
    if (line.empty()) continue;
    messages.push_back({"user", line});
    LINNET_TRY(ChatPrompt rendered,
               format.render({.messages = messages_json(messages), .variables = options_.chat_template_kwargs.text}));
    LINNET_TRY(const std::vector<int32_t> history, tokens.turn(std::move(rendered)));
    LINNET_TRY(const Completion c, answer(*engine, history, conversation));
    LINNET_CHECK(write_stdout(json_ ? completion_json(c) + "\n" : "\n"));
    messages.push_back({"assistant", c.text});
    if (c.finish_reason == FinishReason::eog || c.finish_reason == FinishReason::max_tokens)
      tokens.answered(c.text, c.tokens);
    if (c.finish_reason == FinishReason::cancelled) code = kInterrupted;
    if (c.finish_reason == FinishReason::context_full)
      return fail(Code::context_full,
                  "the conversation fills its context of {} tokens; start again with a larger --ctx",
                  options_.ctx_size);
  }
  engine->close_conversation(conversation);
  return code;
}

}  // namespace

std::unique_ptr<Command> make_chat() { return std::make_unique<Chat>(); }

}  // namespace linnet
