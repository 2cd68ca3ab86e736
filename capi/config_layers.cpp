#include "capi/config.h"
#include "capi/option_rules.h"

namespace linnet {
namespace {

// The last layer that can still change an option.
ConfigLayer last_layer(const OptionRow& row) {
  if (row.marks & kOfRequest) return ConfigLayer::request;
  if (row.marks & kOfSession) return ConfigLayer::session;
  if (row.marks & kOfModel) return ConfigLayer::model;
  switch (row.group) {
    case OptionGroup::sampling:
    case OptionGroup::stopping:
    case OptionGroup::chat:
      return ConfigLayer::request;
    case OptionGroup::model:
    case OptionGroup::memory:
      return ConfigLayer::model;
    case OptionGroup::backend:
    case OptionGroup::logging:
    case OptionGroup::performance:
      return ConfigLayer::backend;
  }
  return ConfigLayer::backend;
}

std::string list_of(const std::vector<const OptionRow*>& rows) {
  std::string text;
  for (const OptionRow* row : rows) text += (text.empty() ? "" : ", ") + std::string(row->key);
  return text;
}

}  // namespace

std::string_view config_layer_name(ConfigLayer layer) {
  static constexpr std::string_view names[kConfigLayers] = {"fallback", "backend", "model", "session", "request"};
  return names[static_cast<size_t>(layer)];
}

Status ConfigLayers::read(ConfigLayer layer, std::string_view text, const ConfigRules& rules,
                          std::vector<ConfigWarning>& warnings) {
  ConfigLayers next = *this;
  for (size_t i = static_cast<size_t>(layer); i < kConfigLayers; ++i) next.layers_[i] = {};
  next.merge();
  ConfigRules own = rules;
  if (next.options_.strict) own.strictness = Strictness::strict;
  LINNET_TRY(Config config, read_config(text, layer, own));
  if (config.given[option_index(*find_option("strict"))] && config.values.strict) own.strictness = Strictness::strict;
  std::vector<ConfigWarning>& found = config.warnings;
  const bool refuses_values = own.strictness != Strictness::lenient;

  // Clients give one text for everything: what repeats the value that holds anyway is not worth a warning.
  for (const OptionRow& row : option_rows()) {
    const size_t index = option_index(row);
    const ConfigLayer last = last_layer(row);
    if (!config.given[index] || layer <= last || row.key == "strict") continue;
    config.given[index] = false;
    std::erase_if(found, [&](const ConfigWarning& w) { return w.pointer == config.pointers[index]; });
    if (same_value(row, config.values, next.options_)) continue;
    ConfigWarning warning = {
        Code::option_unknown, config.pointers[index],
        fmt::format("{} is decided by the configuration of the {}, and no more by that of the {}; "
                    "it stays {}",
                    row.key, config_layer_name(last), config_layer_name(layer), option_value(row, next.options_))};
    if (own.strictness == Strictness::strict) return Error{warning.code, warning.text()};
    found.push_back(std::move(warning));
  }

  Layer& changed = next.layers_[static_cast<size_t>(layer)];
  changed.values = std::move(config.values);
  changed.given = config.given;
  for (const auto& family : exclusive_options()) {
    OptionSet members;
    for (const OptionRow* row : family) members[option_index(*row)] = true;
    if ((changed.given & members).any()) changed.reset |= members & ~changed.given;
  }
  next.merge();
  while (const auto broken = broken_rule(next.options_)) {
    std::string pointer;
    bool changes = false;
    for (const OptionRow* row : broken->rows) {
      const size_t index = option_index(*row);
      if (changed.given[index]) pointer = config.pointers[index];
      changes |= changed.given[index] || !changed.reset[index];
      changed.given[index] = false;
      changed.reset[index] = true;
    }
    if (!changes) break;  // the fallback itself is broken
    ConfigWarning warning = {Code::option_range, pointer,
                             broken->sentence + "; the defaults hold for " + list_of(broken->rows)};
    if (refuses_values) return Error{warning.code, warning.text()};
    found.push_back(std::move(warning));
    next.merge();
  }
  warnings.insert(warnings.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
  *this = std::move(next);
  return {};
}

void ConfigLayers::merge() {
  options_ = fallback_;
  for (const Layer& layer : layers_) {
    for (const OptionRow& row : option_rows()) {
      const size_t index = option_index(row);
      if (layer.given[index]) {
        copy_option(row, layer.values, options_);
      } else if (layer.reset[index]) {
        copy_option(row, fallback_, options_);
      }
    }
  }
}

ConfigLayer ConfigLayers::origin(const OptionRow& row) const {
  const size_t index = option_index(row);
  for (size_t i = kConfigLayers; i-- > 0;) {
    if (layers_[i].given[index]) return static_cast<ConfigLayer>(i);
    if (layers_[i].reset[index]) break;
  }
  return ConfigLayer::fallback;
}

std::string config_json(const ConfigLayers& layers) {
  JsonWriter w;
  w.begin_object();
  for (const OptionRow& row : option_rows()) {
    w.key(row.key).begin_object().key("value").raw(option_json(row, layers.options()));
    w.member("origin", config_layer_name(layers.origin(row))).member("effect", !(row.marks & kPlanned)).end_object();
  }
  return w.end_object().text();
}

}  // namespace linnet
