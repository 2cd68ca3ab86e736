// Configurations: JSON texts that set options, and the layers of them from which every option gets its value.
//
//   ConfigLayers layers;                                              // fallback: the defaults of capi/options.h
//   layers.read(ConfigLayer::backend, text, {}, warnings);            // when the backend is made
//   layers.read(ConfigLayer::model, text, {}, warnings);              // when a model is loaded: on a copy of the layers
//   layers.read(ConfigLayer::request, text, {}, warnings);            // for one request: on a copy of its session's
//   make_request(layers.options(), prompt);
//
// A text is an object of options, nested ({"sampling":{"temp":0.5}}) or flat ({"temp":0.5}). Reading is lenient: what
// cannot be taken is left as it was, and a warning says so. What was warned of inside of an option (a condition among
// others, say) is taken out, so that whoever reads the options afterwards finds no mistake in them.
#pragma once

#include <array>
#include <bitset>
#include <string>
#include <string_view>
#include <vector>

#include "capi/options.h"

namespace linnet {

enum class Strictness {
  lenient,  // nothing is an error
  values,   // values that cannot be taken and texts that are no JSON are; keys without an effect are warned of
  strict,   // everything that there is to warn of is an error, and nothing is changed then
};

struct ConfigRules {
  // {"strict":true} in the text, or in a layer below, means strict too.
  Strictness strictness = Strictness::lenient;
  // What the reference of existing WASI-NN clients promises to refuse: temperatures above 2, contexts below 128.
  bool client_ranges = false;
};

struct ConfigWarning {
  Code code = Code::internal;
  std::string pointer;   // JSON pointer to what is meant; empty: the whole text
  std::string sentence;  // what was expected, what was found, what happens now

  std::string text() const { return pointer.empty() ? sentence : pointer + ": " + sentence; }
};

inline constexpr size_t kMostConfigWarnings = 100;  // of one text; the last one counts the rest

using OptionSet = std::bitset<192>;  // of rows, by option_index()
size_t option_index(const OptionRow& row);

// From the weakest to the strongest.
enum class ConfigLayer { fallback, backend, model, session, request };
inline constexpr size_t kConfigLayers = 5;
std::string_view config_layer_name(ConfigLayer layer);

// What one text says.
struct Config {
  Options values;  // of those that are given; the others have their defaults
  OptionSet given;
  std::array<std::string, OptionSet().size()> pointers = {};  // where each was given
  std::vector<ConfigWarning> warnings;
};

// Only space, or nothing (zero bytes count as space), is an empty object. `layer`: in a request, -1 for a number that
// cannot be -1 means that it is not given. Errors: see Strictness.
Result<Config> read_config(std::string_view text, ConfigLayer layer, const ConfigRules& rules = {});

// A value: copied freely, so that each model, session and request has its own.
class ConfigLayers {
 public:
  // The defaults, where they are others than those of capi/options.h.
  explicit ConfigLayers(const Options& fallback = {}) : fallback_(fallback), options_(fallback) {}

  // Reads what one layer says, in place of what it said before; layers are read in their order, and reading one empties
  // those above it. Then come the rules between options (capi/option_rules.h). With an error nothing is changed.
  Status read(ConfigLayer layer, std::string_view text, const ConfigRules& rules, std::vector<ConfigWarning>& warnings);

  const Options& options() const { return options_; }
  ConfigLayer origin(const OptionRow& row) const;

 private:
  // What a layer does to an option: gives it a value, or takes back what those below gave.
  struct Layer {
    Options values;
    OptionSet given, reset;
  };
  void merge();

  Options fallback_;
  std::array<Layer, kConfigLayers> layers_ = {};  // that of the fallback stays empty
  Options options_;                               // of all layers
};

// {KEY:{"value":...,"origin":...,"effect":...}}: every option with its effective value and the layer it is from.
std::string config_json(const ConfigLayers& layers);

}  // namespace linnet
