// linnet run: one prompt in, its continuation out, streamed.
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "tools/commands.h"
#include "tools/report.h"
#include "tools/stopwatch.h"

#include "runtime/chat_format.h"

namespace linnet {
namespace {

// Shows on a terminal how much of the prompt is computed, until the first text comes.
class PromptProgress {
 public:
  PromptProgress(const Engine& engine, size_t prompt_tokens)
      : thread_([this, &engine, total = static_cast<double>(prompt_tokens)](const std::stop_token& stop) {
          Progress progress("reading the prompt");
          for (std::unique_lock lock(mutex_); !stop.stop_requested();) {
            changed_.wait_for(lock, stop, std::chrono::milliseconds(200), [] { return false; });
            progress.update(std::min(1.0, static_cast<double>(engine.stats().rows) / total));
          }
        }) {}
  void stop() {
    thread_.request_stop();
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::jthread thread_;
};

class Run : public Command {
 public:
  const char* name() const override { return "run"; }
  const char* summary() const override { return "generate text from a prompt"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.option("-p,--prompt", prompt_, "the prompt; - reads standard input, bytes as they are").required();
    const Argument system = args.option("--system", system_, "a system message before the prompt (not with --raw)");
    args.flag("--raw", raw_, "the prompt is text to continue; no chat template around it").excludes(system);
    add_options(args, {OptionGroup::sampling, OptionGroup::stopping, OptionGroup::chat, OptionGroup::model});
    add_option(args, *find_option("sampler_libraries"));
    args.option("-N,--completions", completions_,
                "how many texts to generate from one prefill; printed when all are there (default 1)");
    add_json(args, "print one JSON object at the end instead of streaming; with --completions one a line");
  }

  Result<int> run() override;

 private:
  Result<std::vector<int32_t>> tokens(const Tokenizer& tokenizer) const;

  Result<int> several(Engine& engine, const Request& request) const;

  std::string prompt_, system_;
  bool raw_ = false;
  int64_t completions_ = 1;
};

Result<int> Run::several(Engine& engine, const Request& request) const {
  LINNET_TRY(const auto all, engine.generate_n(request, completions_, {}, &interrupted()));
  bool cancelled = false;
  for (size_t i = 0; i < all.size(); ++i) {
    cancelled |= all[i].finish_reason == FinishReason::cancelled;
    LINNET_CHECK(write_stdout(json_ ? completion_json(all[i]) + "\n"
                                    : fmt::format("[{} of {}, seed {}, {}]\n{}\n", i + 1, all.size(), all[i].seed,
                                                  finish_reason_name(all[i].finish_reason), all[i].text)));
  }
  return cancelled ? kInterrupted : kDone;
}

Result<std::vector<int32_t>> Run::tokens(const Tokenizer& tokenizer) const {
  LINNET_TRY(const std::string prompt, text_argument(prompt_));
  const EncodeOptions plain{.bos = tokenizer.add_bos()};
  if (raw_) return tokenizer.encode(prompt, plain);
  LINNET_TRY(const std::string chosen, chosen_template());
  LINNET_TRY(const ChatFormat format, ChatFormat::create(tokenizer, chosen));
  if (format.foreign()) {
    if (!json_)
      fmt::print(stderr,
                 "note: this model has no chat template and no ChatML tokens; the prompt is continued as it is\n");
    return tokenizer.encode(prompt, plain);
  }
  std::vector<ChatMessage> messages;
  if (!system_.empty()) messages.push_back({"system", system_});
  messages.push_back({"user", prompt});
  LINNET_TRY(const ChatPrompt rendered,
             format.render({.messages = messages_json(messages), .variables = options_.chat_template_kwargs.text}));
  return format.encode(rendered);
}

Result<int> Run::run() {
  const Stopwatch loading;
  LINNET_TRY(const auto model, load_model());
  LINNET_TRY(const auto engine, make_engine(model));
  const double load_ms = loading.milliseconds();
  LINNET_TRY(std::vector<int32_t> prompt, tokens(model->tokenizer()));
  LINNET_TRY(Request request, this->request(std::move(prompt)));
  if (completions_ != 1) return several(*engine, request);
  Status written;
  PromptProgress progress(*engine, request.prompt.size());
  if (!json_)
    request.on_text = [&written, &progress](std::string_view text) {
      progress.stop();
      written = write_stdout(text);
      return static_cast<bool>(written);
    };
  auto finished = engine->generate(request, &interrupted());
  progress.stop();
  LINNET_TRY(Completion c, std::move(finished));
  if (!written) return written.error();
  c.timings.load_ms = load_ms;
  if (json_) {
    LINNET_CHECK(write_stdout(completion_json(c) + "\n"));
  } else {
    LINNET_CHECK(write_stdout("\n"));
    print_statistics(c, *engine);
  }
  return c.finish_reason == FinishReason::cancelled ? kInterrupted : kDone;
}

}  // namespace

std::unique_ptr<Command> make_run() { return std::make_unique<Run>(); }

}  // namespace linnet
