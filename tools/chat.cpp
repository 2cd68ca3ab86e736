// linnet chat: a conversation on the terminal. The engine keeps the conversation's pages, so each turn computes only
// what is new.
#include <cstdio>
#include <iostream>

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
    add_options(args, {OptionGroup::sampling, OptionGroup::stopping, OptionGroup::model});
    add_json(args, "print one JSON object per answer, one a line");
    args.footer(
        "Reads one message a line from standard input; an empty line is skipped, end of file ends the conversation.");
  }

  Result<int> run() override;

 private:
  Result<Completion> answer(Engine& engine, const std::vector<int32_t>& history, int64_t conversation) const;

  std::string system_;
};

Result<Completion> Chat::answer(Engine& engine, const std::vector<int32_t>& history, int64_t conversation) const {
  Request request;
  request.prompt = history;
  request.conversation = conversation;
  request.max_tokens = options_.max_tokens;
  request.sampling = sampling_params(options_);
  request.stop = options_.stop;
  request.ignore_eos = options_.ignore_eos;
  if (!json_) request.on_text = [](std::string_view text) { return static_cast<bool>(write_stdout(text)); };
  return engine.generate(request, &interrupted());
}

Result<int> Chat::run() {
  LINNET_TRY(const auto model, load_model());
  const auto format = ChatFormat::find(model->tokenizer());
  if (!format)
    return fail(Code::unsupported,
                "the vocabulary of this model has no <|im_start|> and <|im_end|> tokens; chat needs them, "
                "linnet run --raw continues plain text");
  LINNET_TRY(const auto engine, make_engine(model));
  const int64_t conversation = engine->open_conversation();
  std::vector<int32_t> history = format->begin();
  auto append = [&history](const std::vector<int32_t>& more) {
    history.insert(history.end(), more.begin(), more.end());
  };
  if (!system_.empty()) {
    LINNET_TRY(const auto message, format->message("system", system_));
    append(message);
  }
  const bool prompt = os::is_terminal(0) && !json_;
  int code = kDone;
  for (std::string line; code == kDone;) {
    if (prompt) fmt::print(stderr, "> ");
    if (!std::getline(std::cin, line)) break;
    if (line.empty()) continue;
    LINNET_TRY(const auto message, format->message("user", line));
    append(message);
    LINNET_TRY(const auto opening, format->open("assistant"));
    append(opening);
    LINNET_TRY(const Completion c, answer(*engine, history, conversation));
    LINNET_CHECK(write_stdout(json_ ? completion_json(c) + "\n" : "\n"));
    append(c.tokens);
    LINNET_TRY(const auto closing, format->close());
    append(closing);
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
