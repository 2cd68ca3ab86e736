// linnet imatrix: how large the inputs of a model's matrices are on a text.
#include <algorithm>

#include "gguf/importance.h"
#include "tools/commands.h"
#include "tools/likelihood.h"

namespace linnet {
namespace {

// Adds what a matrix is multiplied with to the importance of the tensor that it is, or is a part of.
class Collector : public InputWatcher {
 public:
  explicit Collector(const Gguf& file) {
    for (const Tensor& t : file.tensors()) tensors_.push_back(&t);
    std::sort(tensors_.begin(), tensors_.end(), [](const Tensor* a, const Tensor* b) { return a->data < b->data; });
  }

  void see(const Weight& w, const float* x, int64_t n) override {
    const auto* at = static_cast<const std::byte*>(w.data);
    auto next = std::upper_bound(tensors_.begin(), tensors_.end(), at,
                                 [](const std::byte* p, const Tensor* t) { return p < t->data; });
    if (next == tensors_.begin() || n == 0) return;
    const Tensor& t = **std::prev(next);
    const auto matrix_bytes =
        row_bytes(*type_info(t.type), static_cast<int64_t>(t.dims[0])) * static_cast<int64_t>(t.dims[1]);
    // Further parts of one matrix (Q, K and V in one tensor) have the inputs of the first.
    if ((at - t.data) % matrix_bytes != 0) return;
    importance_.add(t.name, static_cast<int64_t>(t.dims[2] * t.dims[3]), (at - t.data) / matrix_bytes, x, n, w.cols);
  }
  const ImportanceMatrix& importance() const { return importance_; }

 private:
  std::vector<const Tensor*> tensors_;  // by address
  ImportanceMatrix importance_;
};

class Imatrix : public Command {
 public:
  Imatrix() {
    options_.kv_type = "f32";
    options_.ctx_size = 512;
  }
  const char* name() const override { return "imatrix"; }
  const char* summary() const override { return "measure on a text which inputs matter, for quantize --imatrix"; }

  void declare(Arguments& args) override {
    args.option("MODEL", model_path_, "GGUF file, best in F16 or Q8_0").required();
    args.option("OUT", out_, "GGUF file to write").required();
    args.option("-p,--prompt", text_, "the text; - reads standard input");
    add_options(args, {OptionGroup::model});
    add_json(args, "print one JSON object");
    args.footer(
        "The text is read in windows of --ctx tokens. Some ten thousand tokens of what the model will be used for "
        "suffice.");
  }

  Result<int> run() override {
    LINNET_TRY(const std::string text, text_argument(text_));
    LINNET_TRY(const auto model, load_model());
    Collector collector(model->file());
    EngineOptions options = engine_options(options_);
    options.forward.watcher = &collector;
    options.prefix_cache = false;
    LINNET_TRY(const auto engine, Engine::create(model, options));
    LINNET_TRY(const auto tokens, model->tokenizer().encode(text, {}));
    const int64_t window = std::min(model->context_for(options_.ctx_size), model->facts.context);
    LINNET_TRY(const Likelihood all, score_text(*engine, *model, tokens, {window}));
    if (interrupted()) return kInterrupted;
    const auto windows = static_cast<uint32_t>((static_cast<int64_t>(tokens.size()) + window - 1) / window);
    LINNET_CHECK(collector.importance().write(out_, text_ == "-" ? "standard input" : "command line", windows,
                                              static_cast<uint32_t>(window)));
    if (json_)
      fmt::print("{{\"matrices\":{},\"tokens\":{},\"perplexity\":{:.6f}}}\n", collector.importance().size(),
                 tokens.size(), all.perplexity());
    else
      fmt::print("{}: {} tensors, over {} tokens (perplexity {:.4f})\n", out_, collector.importance().size(),
                 tokens.size(), all.perplexity());
    return kDone;
  }

 private:
  std::string out_, text_ = "-";
};

}  // namespace

std::unique_ptr<Command> make_imatrix() { return std::make_unique<Imatrix>(); }

}  // namespace linnet
