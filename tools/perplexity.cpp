// linnet perplexity: how well a model predicts a text.
#include <cmath>
#include <cstdio>

#include "tools/commands.h"

namespace linnet {
namespace {

// Mean and spread of the negative log-likelihoods of tokens, in nats.
struct Likelihood {
  int64_t count = 0;
  double sum = 0, squares = 0;

  void add(double nll) {
    ++count;
    sum += nll;
    squares += nll * nll;
  }
  double mean() const { return sum / static_cast<double>(count); }
  // Of the mean, tokens taken as independent.
  double standard_error() const {
    if (count < 2) return 0;
    const auto n = static_cast<double>(count);
    return std::sqrt(std::max(0.0, squares / n - mean() * mean()) / (n - 1));
  }
};

// The text in windows of the context. Without a stride each is scored on its own, from its second token on, as the field
// does; with one, windows overlap: each begins `stride` tokens after the one before and scores only what is new in it, so
// that every token but the first window's is predicted from at least window - stride tokens.
class Perplexity : public Command {
 public:
  Perplexity() { options_.kv_type = "f32"; }
  const char* name() const override { return "perplexity"; }
  const char* summary() const override { return "measure how well a model predicts a text"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.option("-p,--prompt", text_, "the text; - reads standard input");
    args.option("--stride", stride_, "tokens from one window (--ctx) to the next; 0: windows do not overlap");
    add_options(args, {OptionGroup::model});
    add_json(args, "print one JSON object");
  }

  Result<int> run() override {
    LINNET_TRY(const std::string text, text_argument(text_));
    LINNET_TRY(const auto model, load_model());
    LINNET_TRY(const auto engine, make_engine(model));
    LINNET_TRY(const auto tokens, model->tokenizer().encode(text, {.bos = false}));
    LINNET_TRY(const Likelihood all, score(*engine, *model, tokens));
    if (interrupted()) return kInterrupted;
    if (all.count == 0)
      return fail(Code::prompt_empty, "the text has {} tokens; perplexity needs at least two", tokens.size());
    print(all, text.size());
    return kDone;
  }

 private:
  Result<Likelihood> score(Engine& engine, const Model& model, std::span<const int32_t> tokens) const {
    const Tokenizer& tokenizer = model.tokenizer();
    const bool bos = tokenizer.add_bos() && tokenizer.special().bos >= 0;
    const int64_t context = std::min(model.context_for(options_.ctx_size), model.facts.context);
    const auto window = static_cast<size_t>(std::max<int64_t>(context - bos, 1));
    if (stride_ < 0 || stride_ > static_cast<int64_t>(window))
      return fail(Code::option_range, "--stride is {}, expected 0 to {} (the tokens of a window)", stride_, window);
    const size_t step = stride_ > 0 ? static_cast<size_t>(stride_) : window;
    Likelihood all;
    Progress progress("scoring");
    size_t scored = 0;  // tokens that an earlier window has dealt with
    for (size_t at = 0; scored < tokens.size() && !interrupted(); at += step) {
      const size_t end = std::min(at + window, tokens.size());
      std::vector<int32_t> part(tokens.begin() + static_cast<int64_t>(at), tokens.begin() + static_cast<int64_t>(end));
      if (bos) part.insert(part.begin(), tokenizer.special().bos);
      if (part.size() < 2) break;
      LINNET_TRY(const auto scores, engine.score(part));
      // scores[i] is of part[i + 1], that is of token at + i + 1 - bos.
      for (size_t i = 0; i < scores.size(); ++i)
        if (at + i + 1 - bos >= scored) all.add(-static_cast<double>(scores[i]));
      scored = end;
      progress.update(static_cast<double>(end) / static_cast<double>(tokens.size()));
    }
    return all;
  }

  void print(const Likelihood& all, size_t bytes) const {
    const double nll = all.mean(), error = all.standard_error(), perplexity = std::exp(nll);
    const double bits_per_byte = all.sum / std::log(2.0) / static_cast<double>(bytes);
    if (json_)
      fmt::print(
          "{{\"tokens\":{},\"nll\":{:.6f},\"nll_standard_error\":{:.6f},\"perplexity\":{:.6f},"
          "\"perplexity_standard_error\":{:.6f},\"bits_per_byte\":{:.6f}}}\n",
          all.count, nll, error, perplexity, perplexity * error, bits_per_byte);
    else
      fmt::print("perplexity {:.4f} +- {:.4f} over {} tokens ({:.4f} nats a token, {:.4f} bits a byte)\n", perplexity,
                 perplexity * error, all.count, nll, bits_per_byte);
  }

  std::string text_ = "-";
  int64_t stride_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_perplexity() { return std::make_unique<Perplexity>(); }

}  // namespace linnet
