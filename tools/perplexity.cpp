// linnet perplexity: how well a model predicts a text.
#include <cmath>
#include <cstdio>

#include "tools/commands.h"
#include "tools/likelihood.h"

namespace linnet {
namespace {

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
    const int64_t context = std::min(model->context_for(options_.ctx_size), model->facts.context);
    LINNET_TRY(const Likelihood all, score_text(*engine, *model, tokens, {context, stride_}));
    if (interrupted()) return kInterrupted;
    print(all, text.size());
    return kDone;
  }

 private:
  void print(const Likelihood& all, size_t bytes) const {
    const double nll = all.mean(), error = all.standard_error(), perplexity = all.perplexity();
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
