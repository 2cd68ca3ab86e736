// linnet config: what configurations say together, and which of them says it.
#include <cstdio>

#include "gguf/base/json.h"
#include "sampling/chain.h"
#include "tools/commands.h"

namespace linnet {
namespace {

class ShowConfig : public Command {
 public:
  const char* name() const override { return "config"; }
  const char* summary() const override { return "show what configurations say together, and where each value is from"; }

  void declare(Arguments& args) override {
    for (size_t i = 1; i < kConfigLayers; ++i) {
      const std::string layer(config_layer_name(static_cast<ConfigLayer>(i)));
      args.option("--" + layer, texts_[i],
                  "the configuration of the " + layer + ": a JSON object, or a file that holds one");
    }
    args.flag("--strict", strict_, "refuse what would be warned of");
    add_json(args, "print one JSON object: {\"options\":{KEY:{\"value\":...,\"origin\":...}},\"warnings\":[...]}");
    args.footer(
        "Reads the configurations as the libraries do: each wins over those before it, and what cannot be taken is "
        "warned of and left as it was. Nothing is loaded.");
  }

  Result<int> run() override {
    ConfigLayers layers;
    std::vector<ConfigWarning> warnings;
    const ConfigRules rules = {.strictness = strict_ ? Strictness::strict : Strictness::lenient};
    for (size_t i = 1; i < kConfigLayers; ++i) {
      const ConfigLayer layer = static_cast<ConfigLayer>(i);
      const std::string_view layer_name = config_layer_name(layer);
      LINNET_TRY(const std::string text, json_or_file(texts_[i]));
      const size_t first = warnings.size();
      if (const Status read = layers.read(layer, text, rules, warnings); !read)
        return fail(read.error().code, "--{}: {}", layer_name, read.error().message);
      for (size_t w = first; w < warnings.size(); ++w) {
        fmt::print(stderr, "warning: --{}: {}\n", layer_name, warnings[w].text());
        origins_.push_back(layer);
      }
    }
    LINNET_TRY(const SamplingParams sampling, sampling_params(layers.options()));
    const std::vector<std::string> notes = sampling_notes(sampling);
    for (const std::string& note : notes) fmt::print(stderr, "note: {}\n", note);
    LINNET_CHECK(write_stdout(json_ ? to_json(layers, warnings, notes) : to_table(layers)));
    return kDone;
  }

 private:
  std::string to_table(const ConfigLayers& layers) const {
    std::string out;
    for (const OptionRow& row : option_rows()) {
      out += fmt::format("{:11} {:31} {:24} {}{}\n", option_group_name(row.group), row.key,
                         option_json(row, layers.options()), config_layer_name(layers.origin(row)),
                         row.marks & kPlanned ? "  (no effect in this version)" : "");
    }
    return out;
  }

  std::string to_json(const ConfigLayers& layers, const std::vector<ConfigWarning>& warnings,
                      const std::vector<std::string>& notes) const {
    JsonWriter w;
    w.begin_object().key("options").raw(config_json(layers)).key("warnings").begin_array();
    for (size_t i = 0; i < warnings.size(); ++i) {
      w.begin_object().member("layer", config_layer_name(origins_[i])).member("pointer", warnings[i].pointer);
      w.member("code", code_name(warnings[i].code)).member("message", warnings[i].sentence).end_object();
    }
    w.end_array().key("notes").begin_array();
    for (const std::string& note : notes) w.value(note);
    return w.end_array().end_object().text() + "\n";
  }

  std::string texts_[kConfigLayers];  // that of the fallback stays empty
  std::vector<ConfigLayer> origins_;  // of the warnings
  bool strict_ = false;
};

}  // namespace

std::unique_ptr<Command> make_config() { return std::make_unique<ShowConfig>(); }

}  // namespace linnet
