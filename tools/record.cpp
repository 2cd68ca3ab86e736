// linnet record: a run with the logits of every token, for `linnet sample --recording`.
#include <algorithm>

#include "capi/completion_json.h"
#include "gguf/base/json.h"
#include "tools/commands.h"
#include "tools/recording.h"
#include "tools/report.h"
#include "tools/row_progress.h"

namespace linnet {
namespace {

// The options of these groups that are not the defaults, as a JSON object that sets them.
std::string changed_options(const Options& options, std::initializer_list<OptionGroup> groups) {
  const Options defaults;
  JsonWriter w;
  w.begin_object();
  for (const OptionRow& row : option_rows()) {
    if (std::find(groups.begin(), groups.end(), row.group) == groups.end() || same_value(row, options, defaults))
      continue;
    w.key(row.key).raw(option_json(row, options));
  }
  return w.end_object().text();
}

class Record : public Command {
 public:
  const char* name() const override { return "record"; }
  const char* summary() const override { return "generate text and store the logits of every token"; }

  void declare(Arguments& args) override {
    add_model(args);
    add_prompt(args);
    args.option("-o,--out", out_, "the file to write, for linnet sample --recording").required();
    add_options(args, {OptionGroup::sampling, OptionGroup::stopping, OptionGroup::chat, OptionGroup::model});
    add_option(args, *find_option("sampler_libraries"));
    add_json(args, "print one JSON object, as linnet run does, instead of the text");
    args.footer(
        "Stores what the sampler chain was given at each generated token (4 bytes for each token of the vocabulary), "
        "the "
        "prompt, the tokens and the options. The logits are computed in one pass after the run: on the CPU they are "
        "those of the run to the bit.");
  }

  Result<int> run() override;

 private:
  std::string out_;
};

Result<int> Record::run() {
  LINNET_TRY(const auto model, load_model());
  LINNET_TRY(const auto engine, make_engine(model));
  LINNET_TRY(const std::vector<int32_t> given, prompt_tokens(model->tokenizer()));
  LINNET_TRY(options_, filled_options());
  LINNET_TRY(const Request request, make_request(options_, given));
  RowProgress generating(*engine, "generating (at most)",
                         static_cast<int64_t>(given.size()) + std::max<int64_t>(options_.max_tokens, 0));
  auto finished = engine->generate(request, &interrupted());
  generating.stop();
  LINNET_TRY(const Completion c, std::move(finished));
  if (c.finish_reason == FinishReason::cancelled) return kInterrupted;
  if (c.tokens.empty())
    return fail(Code::invalid_argument,
                "the model generated no token (it finished with {}), so there is nothing to record; allow tokens, or "
                "change the prompt",
                finish_reason_name(c.finish_reason));

  // Token healing takes the prompt's last token back.
  std::vector<int32_t> text(given.begin(), given.begin() + c.prompt_tokens);
  const size_t first = text.size() - 1;  // the row that the first token was picked from
  text.insert(text.end(), c.tokens.begin(), c.tokens.end() - 1);
  RowProgress computing(*engine, "computing the logits", static_cast<int64_t>(text.size()));
  auto rows = engine->logits(text, true);
  computing.stop();
  LINNET_TRY(std::vector<float> logits, std::move(rows));

  // The model's rows may be longer than its vocabulary; the chain does not see what is behind it.
  const int32_t vocabulary = model->tokenizer().size();
  for (size_t i = 0; i < c.tokens.size(); ++i) {
    const auto row = logits.begin() + static_cast<std::ptrdiff_t>(first + i) * model->facts.vocab;
    std::copy(row, row + vocabulary, logits.begin() + static_cast<std::ptrdiff_t>(i) * vocabulary);
  }
  const Recording recording{
      .vocabulary = vocabulary,
      .vocabulary_hash = vocabulary_hash(model->tokenizer()),
      .context = model->context_for(options_.ctx_size),
      .seed = c.seed,
      .options = changed_options(options_, {OptionGroup::sampling, OptionGroup::stopping}),
      .prompt = {given.begin(), given.begin() + c.prompt_tokens},
      .tokens = c.tokens,
      .logits = std::span(logits).first(c.tokens.size() * static_cast<size_t>(vocabulary)),
  };
  LINNET_CHECK(write_recording(out_, recording));
  LINNET_CHECK(write_stdout((json_ ? completion_json(c) : c.text) + "\n"));
  fmt::print(stderr, "{}: {} tokens with {} logits each; finished: {}; seed {}\n", out_, c.tokens.size(), vocabulary,
             finish_reason_name(c.finish_reason), c.seed);
  return kDone;
}

}  // namespace

std::unique_ptr<Command> make_record() { return std::make_unique<Record>(); }

}  // namespace linnet
