// linnet run: one prompt in, its continuation out, streamed.
#include "capi/completion_json.h"
#include "tools/commands.h"
#include "tools/report.h"
#include "tools/row_progress.h"
#include "tools/stopwatch.h"

namespace linnet {
namespace {

class Run : public Command {
 public:
  const char* name() const override { return "run"; }
  const char* summary() const override { return "generate text from a prompt"; }

  void declare(Arguments& args) override {
    add_model(args);
    add_prompt(args);
    add_options(args, {OptionGroup::sampling, OptionGroup::stopping, OptionGroup::chat, OptionGroup::model});
    add_option(args, *find_option("sampler_libraries"));
    args.option("-N,--completions", completions_,
                "how many texts to generate from one prefill; printed when all are there (default 1)");
    add_json(args, "print one JSON object at the end instead of streaming; with --completions one a line");
  }

  Result<int> run() override;

 private:
  Result<int> several(Engine& engine, const Request& request) const;

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

Result<int> Run::run() {
  const Stopwatch loading;
  LINNET_TRY(const auto model, load_model());
  LINNET_TRY(const auto engine, make_engine(model));
  const double load_ms = loading.milliseconds();
  LINNET_TRY(std::vector<int32_t> prompt, prompt_tokens(model->tokenizer()));
  LINNET_TRY(Request request, this->request(std::move(prompt)));
  if (completions_ != 1) return several(*engine, request);
  Status written;
  RowProgress progress(*engine, "reading the prompt", static_cast<int64_t>(request.prompt.size()));
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
