// linnet embed: texts to vectors.
#include <cstdio>
#include <fstream>

#include "gguf/base/json.h"
#include "runtime/embedder.h"
#include "tools/commands.h"

namespace linnet {
namespace {

constexpr std::string_view kPoolings[] = {"none", "mean", "cls", "last"};

class Embed : public Command {
 public:
  Embed() { options_.kv_type = "f32"; }
  const char* name() const override { return "embed"; }
  const char* summary() const override { return "turn a text into a vector"; }

  void declare(Arguments& args) override {
    add_model(args);
    args.option("-p,--prompt", text_, "the text; - reads standard input");
    args.option("--tokens", tokens_, "token ids separated by commas, taken as they are, instead of a text");
    args.option("--pooling", pooling_,
                "none (a vector per token), mean, cls (the first token's), last; default: the model's");
    args.option("--normalize", normalize_, "l2 (length 1) or none; default: l2, with pooling none none");
    args.option("--out", out_, "write little-endian float32 to this file instead of printing");
    add_options(args, {OptionGroup::model});
    add_json(args, "print one JSON object");
  }

  Result<int> run() override;

 private:
  Result<std::vector<int32_t>> input(const Tokenizer& tokenizer) const;
  Result<Pooling> pooling(const Facts& facts) const;
  Status print(std::span<const float> vectors, int64_t dim, int64_t tokens, Pooling pooling, bool unit) const;

  std::string text_ = "-", tokens_, pooling_, normalize_, out_;
};

Result<std::vector<int32_t>> Embed::input(const Tokenizer& tokenizer) const {
  if (!tokens_.empty()) return parse_tokens(tokens_);
  LINNET_TRY(const std::string text, text_argument(text_));
  return tokenizer.encode(text, {.bos = tokenizer.add_bos(), .eos = tokenizer.add_eos()});
}

Result<Pooling> Embed::pooling(const Facts& facts) const {
  if (pooling_.empty()) return facts.pooling;
  for (uint32_t i = 0; i < std::size(kPoolings); ++i)
    if (pooling_ == kPoolings[i]) return static_cast<Pooling>(i);
  return fail(Code::option_range, "--pooling is \"{}\", expected none, mean, cls or last", pooling_);
}

Status Embed::print(std::span<const float> vectors, int64_t dim, int64_t tokens, Pooling pooling, bool unit) const {
  std::string text;
  const auto width = static_cast<size_t>(dim);
  for (size_t at = 0; at < vectors.size(); at += width) {
    if (json_ && at > 0) text += ",";
    if (json_) text += "[";
    for (size_t d = 0; d < width; ++d) text += fmt::format("{}{}", d == 0 ? "" : json_ ? "," : " ", vectors[at + d]);
    text += json_ ? "]" : "\n";
  }
  if (json_)
    text = fmt::format("{{\"dim\":{},\"tokens\":{},\"pooling\":\"{}\",\"normalized\":{},\"embeddings\":[{}]}}\n", dim,
                       tokens, kPoolings[static_cast<size_t>(pooling)], unit, text);
  return write_stdout(text);
}

Result<int> Embed::run() {
  if (!normalize_.empty() && normalize_ != "l2" && normalize_ != "none")
    return fail(Code::option_range, "--normalize is \"{}\", expected l2 or none", normalize_);
  LINNET_TRY(const auto model, load_model());
  LINNET_TRY(const Pooling how, pooling(model->facts));
  LINNET_TRY(const auto tokens, input(model->tokenizer()));
  options_.ctx_size = std::max<int64_t>(options_.ctx_size, static_cast<int64_t>(tokens.size()));
  EngineOptions engine = engine_options(options_);
  engine.forward.max_rows = engine.batch_tokens;
  engine.forward.max_context = engine.context;
  LINNET_TRY(const auto embedder, Embedder::create(model, engine.forward));
  LINNET_TRY(const auto hidden, embedder->hidden(tokens));
  std::vector<float> vectors = pool(hidden, embedder->dim(), how);
  const bool unit = normalize_.empty() ? how != Pooling::none : normalize_ == "l2";
  if (unit) normalize(vectors, embedder->dim());
  if (!out_.empty()) {
    LINNET_CHECK(write_floats(out_, vectors));
    return kDone;
  }
  LINNET_CHECK(print(vectors, embedder->dim(), static_cast<int64_t>(tokens.size()), how, unit));
  return kDone;
}

}  // namespace

std::unique_ptr<Command> make_embed() { return std::make_unique<Embed>(); }

}  // namespace linnet
