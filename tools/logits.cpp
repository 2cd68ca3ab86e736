// linnet logits: what the model computes, without sampling.
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

}  // namespace

std::unique_ptr<Command> make_logits() { return std::make_unique<Logits>(); }

}  // namespace linnet
