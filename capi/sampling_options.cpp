// Options -> SamplingParams, with the options that are JSON themselves.
#include <algorithm>
#include <charconv>
#include <limits>

#include "capi/option_rules.h"
#include "capi/options.h"

namespace linnet {
namespace {

constexpr double kBanned = -std::numeric_limits<double>::infinity();

Result<double> bias_of(const Json& value, const Place& place) {
  if (value.is_number()) return value.number();
  if (value.is_boolean() && !*value.boolean()) return kBanned;
  return fail(Code::option_type, "{} is {}, expected a number, or false to ban the token", place.name,
              value.type_name());
}

// An element [token or text, bias], or {"token": ..., "bias": ...}.
Status read_bias_pair(const Json& element, const Place& place, std::vector<LogitBias>& biases) {
  const Json* token = element.find("token");
  const Json* bias = element.find("bias");
  if (element.is_array() && element.elements().size() == 2) {
    token = &element.elements()[0];
    bias = &element.elements()[1];
  }
  if (!token || !bias)
    return fail(Code::option_type, "{} is {}, expected [token, bias]", place.name, element.type_name());
  LogitBias made;
  LINNET_TRY(made.bias, bias_of(*bias, place));
  if (token->is_string()) {
    made.text = std::string(*token->string());
    if (made.text.empty()) return fail(Code::option_range, "{} names an empty text", place.name);
  } else {
    if (!token->is_integer() || !token->integer() || *token->integer() < 0 || *token->integer() > (1 << 30))
      return fail(Code::option_range, "{} has no token id or text in front (found {}), expected [token, bias]",
                  place.name, shown_json(*token));
    made.token = static_cast<int32_t>(*token->integer());
  }
  biases.push_back(std::move(made));
  return {};
}

// A member "token id or text": bias.
Status read_bias_member(const std::string& key, const Json& value, const Place& place, std::vector<LogitBias>& biases) {
  if (key.empty()) return fail(Code::option_range, "logit_bias has an empty key, expected a token id or a text");
  LogitBias made;
  LINNET_TRY(made.bias, bias_of(value, place));
  const auto [end, problem] = std::from_chars(key.data(), key.data() + key.size(), made.token);
  if (problem != std::errc() || end != key.data() + key.size()) {
    made.token = -1;
    made.text = key;
  }
  biases.push_back(std::move(made));
  return {};
}

Result<std::vector<LogitBias>> logit_biases(const std::string& text, SkippedJson* skipped) {
  LINNET_TRY(const Json json, parse_json(text));
  const Place place = {"logit_bias", skipped};
  std::vector<LogitBias> biases;
  if (json.is_array()) {
    LINNET_CHECK(read_elements(
        json, place, [&](const Json& element, const Place& at) { return read_bias_pair(element, at, biases); }));
  }
  for (const auto& [key, value] : json.members()) {
    const Place at = place.member(key);
    const Status status = read_bias_member(key, value, at, biases);
    if (status) continue;
    if (!skipped) return status.error();
    skipped->push_back({at.name, status.error()});
  }
  return biases;
}

// The step that a name of another engine stands for.
std::string step_name(std::string_view name) {
  if (name == "typ_p" || name == "typical") return "typical_p";
  if (name == "tfs") return "tfs_z";
  if (name == "temp") return "temperature";
  return std::string(name);
}

// At most one of the four constraints.
Result<GrammarSource> grammar_source(const Options& o) {
  using Kind = GrammarSource::Kind;
  GrammarSource source;
  std::string_view given;
  const auto take = [&](Kind kind, std::string_view key, const std::string& text) -> Status {
    if (source.kind != Kind::none) {
      return fail(Code::option_range, "both {} and {} are given, expected one of them", given, key);
    }
    source.kind = kind;
    source.text = text;
    given = key;
    return {};
  };
  if (!o.grammar.empty()) LINNET_CHECK(take(Kind::gbnf, "grammar", o.grammar));
  if (!o.json_schema.text.empty()) LINNET_CHECK(take(Kind::json_schema, "json_schema", o.json_schema.text));
  if (!o.regex.empty()) LINNET_CHECK(take(Kind::regex, "regex", o.regex));
  if (!o.choices.empty()) {
    JsonWriter list;
    list.begin_array();
    for (const std::string& choice : o.choices) list.value(choice);
    LINNET_CHECK(take(Kind::choice, "choices", list.end_array().text()));
  }
  source.lazy = o.grammar_lazy;
  if (!o.grammar_lazy) return source;
  if (source.kind == Kind::none)
    return fail(Code::option_range,
                "grammar_lazy is true and there is no grammar, expected grammar, json_schema, regex or choices");
  LINNET_TRY(source.triggers, grammar_triggers(o));
  return source;
}

Result<SamplingParams> plain_params(const Options& o, SkippedJson* skipped = nullptr) {
  SamplingParams p{.temperature = o.temp,
                   .dynatemp_range = o.dynatemp_range,
                   .dynatemp_exponent = o.dynatemp_exponent,
                   .top_k = static_cast<int32_t>(o.top_k),
                   .top_p = o.top_p,
                   .min_p = o.min_p,
                   .typical_p = o.typical_p,
                   .tfs_z = o.tfs_z,
                   .top_n_sigma = o.top_n_sigma,
                   .xtc_probability = o.xtc_probability,
                   .xtc_threshold = o.xtc_threshold,
                   .repeat_penalty = o.repeat_penalty,
                   .presence_penalty = o.presence_penalty,
                   .frequency_penalty = o.frequency_penalty,
                   .penalty_last_n = static_cast<int32_t>(o.penalty_last_n),
                   .dry_multiplier = o.dry_multiplier,
                   .dry_base = o.dry_base,
                   .dry_allowed_length = static_cast<int32_t>(o.dry_allowed_length),
                   .dry_penalty_last_n = static_cast<int32_t>(o.dry_penalty_last_n),
                   .dry_sequence_breakers = o.dry_sequence_breakers,
                   .mirostat = static_cast<int32_t>(o.mirostat),
                   .mirostat_tau = o.mirostat_tau,
                   .mirostat_eta = o.mirostat_eta,
                   .adaptive_target = o.adaptive_target,
                   .adaptive_decay = o.adaptive_decay,
                   .custom_sampler = o.custom_sampler,
                   .custom_parameters = o.custom_parameters.text,
                   .min_keep = static_cast<int32_t>(o.min_keep),
                   .seed = o.seed};
  LINNET_TRY(p.logit_bias, logit_biases(o.logit_bias.text, skipped));
  LINNET_TRY(p.grammar, grammar_source(o));
  return p;
}

// One element of `chain`: what it does not set is as in `base`.
Result<StepSpec> step_spec(const Json& element, const Options& base, size_t index) {
  const Json* type = element.find("type");
  if (!type || !type->is_string()) {
    return fail(Code::option_type, "chain[{}] is {}, expected an object with a \"type\" that names a step", index,
                element.is_object() ? "an object without one" : element.type_name());
  }
  Options own = base;
  // A step with a regex, say, does not mean the grammar of the others too.
  const Options defaults;
  for (const auto& family : exclusive_options()) {
    const auto names = [&](const OptionRow* row) {
      return std::any_of(element.members().begin(), element.members().end(),
                         [&](const Json::Member& member) { return find_option(member.key) == row; });
    };
    if (std::none_of(family.begin(), family.end(), names)) continue;
    for (const OptionRow* row : family) copy_option(*row, defaults, own);
  }
  for (const auto& [key, value] : element.members()) {
    if (key == "type") continue;
    const OptionRow* row = find_option(key);
    const bool known = row && (row->group == OptionGroup::sampling || row->key == "grammar_triggers");
    if (!known || row->key == "chain" || row->key == "samplers") {
      return fail(Code::option_unknown,
                  "chain[{}] ({}) has the key \"{}\", which no step knows; `linnet options` lists them", index,
                  shown_text(*type->string()), shown_text(key));
    }
    LINNET_CHECK(set_option(own, *row, value));
  }
  LINNET_TRY(SamplingParams params, plain_params(own));
  return StepSpec{step_name(*type->string()), std::move(params)};
}

// What `samplers` means as a chain: what changes logits comes first, what picks last.
std::vector<std::string> ordered_steps(const Options& o) {
  std::vector<std::string> names = {"grammar", "logit_bias"};
  const auto has = [&](std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  for (const std::string& given : o.samplers) {
    std::string name = step_name(given);
    if (name == "temperature" && o.dynatemp_range > 0) name = "dynatemp";
    if (name != "logit_bias" && name != "grammar") names.push_back(std::move(name));
  }
  constexpr std::string_view selectors[] = {"greedy", "dist", "mirostat1", "mirostat2", "adaptive_p"};
  if (std::none_of(std::begin(selectors), std::end(selectors), has)) {
    names.emplace_back(o.temp <= 0              ? "greedy"
                       : o.mirostat > 0         ? o.mirostat == 1 ? "mirostat1" : "mirostat2"
                       : o.adaptive_target >= 0 ? "adaptive_p"
                                                : "dist");
  }
  return names;
}

}  // namespace

Result<SamplingParams> sampling_params(const Options& o, SkippedJson* skipped) {
  LINNET_TRY(SamplingParams params, plain_params(o, skipped));
  LINNET_TRY(const Json chain, parse_json(o.chain.text));
  if (!chain.elements().empty() && !o.samplers.empty())
    return fail(Code::option_range, "both chain and samplers are given, expected one of them: chain says everything");
  for (size_t i = 0; i < chain.elements().size(); ++i) {
    LINNET_TRY(StepSpec spec, step_spec(chain.elements()[i], o, i));
    params.chain.push_back(std::move(spec));
  }
  if (o.samplers.empty()) return params;
  const SamplingParams base = params;
  for (std::string& name : ordered_steps(o)) params.chain.push_back({std::move(name), base});
  return params;
}

}  // namespace linnet
