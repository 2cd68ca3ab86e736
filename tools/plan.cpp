// linnet plan: what a model takes in memory with these options, before anything is taken.
#include "capi/plan.h"

#include "tools/commands.h"

namespace linnet {
namespace {

class Plan : public Command {
 public:
  const char* name() const override { return "plan"; }
  const char* summary() const override { return "say what a model takes in memory, before it is used"; }

  void declare(Arguments& args) override {
    add_model(args);
    add_options(args, {OptionGroup::model, OptionGroup::memory, OptionGroup::backend});
    add_json(args, "print one JSON object, as linnet_plan() gives it");
    args.footer(
        "The numbers are those of the very objects that would compute; nothing of what they count is allocated. The KV "
        "cache is taken page by page, as texts need it, up to max_cache_tokens (--config '{\"max_cache_tokens\":N}'). "
        "A "
        "load makes smaller what does not fit into max_memory_mb, or into what is free.");
  }

  Result<int> run() override {
    LINNET_TRY(const std::string path, model_path());
    LINNET_TRY(const auto model, load_model());
    LINNET_TRY(const PlannedModel plan, plan_model(model, options_));
    LINNET_CHECK(write_stdout(json_ ? plan_json(path, *model, plan, warnings()) + "\n" : table(*model, plan)));
    return kDone;
  }

 private:
  static std::string table(const Model& model, const PlannedModel& planned) {
    const MemoryPlan& p = planned.wished;
    std::string out;
    const auto row = [&](std::string_view what, uint64_t bytes, std::string_view remark) {
      out +=
          fmt::format("{:11} {:>15} {:>11.1f} MiB  {}\n", what, bytes, static_cast<double>(bytes) / (1 << 20), remark);
    };
    row("weights", p.weight_bytes, "mapped from the file; the system may drop and read them again");
    row("KV cache", p.kv_bytes,
        fmt::format("for {} tokens of {} bytes each, when it is full", p.cache_tokens, p.kv_token_bytes));
    row("workspace", p.workspace_bytes, fmt::format("for {} tokens in a step", p.batch_tokens));
    row("vocabulary", p.vocabulary_bytes, fmt::format("{} tokens", model.tokenizer().size()));
    row("total", p.total(), fmt::format("{}, context {}", model.facts.architecture, p.context));
    row("available", p.available_bytes, p.fits() ? "it fits" : "it does not fit as it is");
    if (!planned.remarks.empty()) out += planned.refused ? "It is refused:\n" : "When it is loaded now:\n";
    for (const std::string& remark : planned.remarks) out += fmt::format("  {}\n", remark);
    return out;
  }
};

}  // namespace

std::unique_ptr<Command> make_plan() { return std::make_unique<Plan>(); }

}  // namespace linnet
