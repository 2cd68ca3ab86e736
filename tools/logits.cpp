// linnet logits and linnet perplexity: what the model computes, without sampling.
#include <cmath>
#include <cstdio>

#include "tools/commands.h"
#include "tools/stopwatch.h"

namespace linnet {
namespace {

class Logits : public Command {
 public:
  Logits() { options_.kv_type = "f32"; }
  const char* name() const override { return "logits"; }
  const char* summary() const override { return "write the logits of given tokens to a file"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.option("--tokens", tokens_, "token ids separated by commas, taken as they are").required();
    args.option("--out", out_, "file for little-endian float32: [vocab] of the last position").required();
    args.flag("--all", all_, "write [n][vocab]: all positions");
    add_options(args, {OptionGroup::model});
    add_json(args, "report errors as JSON too");
  }

  Result<int> run() override {
    LINNET_TRY(const auto tokens, parse_tokens(tokens_));
    LINNET_TRY(const auto model, load_model());
    options_.ctx_size = std::max<int64_t>(options_.ctx_size, static_cast<int64_t>(tokens.size()));
    LINNET_TRY(const auto engine, make_engine(model));
    LINNET_TRY(const auto logits, engine->logits(tokens, all_));
    LINNET_CHECK(write_floats(out_, logits));
    return kDone;
  }

 private:
  std::string tokens_, out_;
  bool all_ = false;
};

// Perplexity as the field measures it: the text in windows of the context, each scored on its own from its second
// token on.
class Perplexity : public Command {
 public:
  Perplexity() { options_.kv_type = "f32"; }
  const char* name() const override { return "perplexity"; }
  const char* summary() const override { return "measure how well a model predicts a text"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.option("-p,--prompt", text_, "the text; - reads standard input");
    add_options(args, {OptionGroup::model});
    add_json(args, "print one JSON object");
  }

  Result<int> run() override {
    LINNET_TRY(const std::string text, text_argument(text_));
    LINNET_TRY(const auto model, load_model());
    LINNET_TRY(const auto engine, make_engine(model));
    const Tokenizer& tokenizer = model->tokenizer();
    LINNET_TRY(const auto tokens, tokenizer.encode(text, {.bos = false}));
    const bool bos = tokenizer.add_bos() && tokenizer.special().bos >= 0;
    const auto window = static_cast<size_t>(std::min(options_.ctx_size > 0 ? options_.ctx_size : model->facts.context,
                                                     model->facts.context)) -
                        bos;
    double sum = 0;
    int64_t count = 0;
    Progress progress("scoring");
    for (size_t at = 0; at + 1 < tokens.size() && !interrupted(); at += window) {
      std::vector<int32_t> part(tokens.begin() + static_cast<int64_t>(at),
                                tokens.begin() + static_cast<int64_t>(std::min(at + window, tokens.size())));
      if (bos) part.insert(part.begin(), tokenizer.special().bos);
      if (part.size() < 2) break;
      LINNET_TRY(const auto scores, engine->score(part));
      for (const float score : scores) sum += static_cast<double>(score);
      count += static_cast<int64_t>(scores.size());
      progress.update(static_cast<double>(at + window) / static_cast<double>(tokens.size()));
    }
    if (interrupted()) return kInterrupted;
    if (count == 0)
      return fail(Code::prompt_empty, "the text has {} tokens; perplexity needs at least two", tokens.size());
    const double nll = -sum / static_cast<double>(count);
    const double bits_per_byte = -sum / std::log(2.0) / static_cast<double>(text.size());
    if (json_)
      fmt::print("{{\"tokens\":{},\"nll\":{:.6f},\"perplexity\":{:.6f},\"bits_per_byte\":{:.6f}}}\n", count, nll,
                 std::exp(nll), bits_per_byte);
    else
      fmt::print("perplexity {:.4f} over {} tokens ({:.4f} nats a token, {:.4f} bits a byte)\n", std::exp(nll), count,
                 nll, bits_per_byte);
    return kDone;
  }

 private:
  std::string text_ = "-";
};

}  // namespace

std::unique_ptr<Command> make_logits() { return std::make_unique<Logits>(); }
std::unique_ptr<Command> make_perplexity() { return std::make_unique<Perplexity>(); }

}  // namespace linnet
