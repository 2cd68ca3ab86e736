#include "capi/option_rules.h"

#include "capi/option_names.h"

namespace linnet {
namespace {

struct Rule {
  std::string_view keys;  // separated by spaces; all get their defaults back
  bool (*broken)(const Options&);
  std::string (*sentence)(const Options&);
};

bool has_grammar(const Options& o) {
  return !o.grammar.empty() || !o.json_schema.text.empty() || !o.regex.empty() || !o.choices.empty();
}

int count_grammars(const Options& o) {
  return !o.grammar.empty() + !o.json_schema.text.empty() + !o.regex.empty() + !o.choices.empty();
}

bool is_empty_json(const JsonText& json) {
  const auto parsed = parse_json(json.text);
  return parsed && parsed->elements().empty() && parsed->members().empty();
}

bool lacks_triggers(const Options& o) {
  const auto triggers = grammar_triggers(o);
  return o.grammar_lazy && triggers && triggers->empty();
}

// Where several keys could be changed, the one that asks for something unusual gives way.
constexpr Rule kRules[] = {
    {"dynatemp_range", [](const Options& o) { return o.dynatemp_range > 0 && o.temp <= 0; },
     [](const Options& o) {
       return fmt::format("dynatemp_range is {} with temp {}, expected a temp above 0 to vary", o.dynatemp_range,
                          o.temp);
     }},
    {"adaptive_target", [](const Options& o) { return o.adaptive_target >= 0 && o.mirostat > 0; },
     [](const Options& o) {
       return fmt::format("adaptive_target is {} with mirostat {}, expected one of them: each picks the token",
                          o.adaptive_target, o.mirostat);
     }},
    {"json_schema regex choices", [](const Options& o) { return count_grammars(o) > 1; },
     [](const Options&) -> std::string {
       return "more than one of grammar, json_schema, regex and choices is given, expected one of them";
     }},
    {"grammar_lazy", [](const Options& o) { return o.grammar_lazy && !has_grammar(o); },
     [](const Options&) -> std::string {
       return "grammar_lazy is true and there is no grammar, expected grammar, json_schema, regex or choices";
     }},
    {"grammar_lazy", lacks_triggers,
     [](const Options&) -> std::string {
       return "grammar_lazy is true and grammar_triggers is empty, expected a trigger that starts the grammar";
     }},
    {"samplers", [](const Options& o) { return !o.samplers.empty() && !is_empty_json(o.chain); },
     [](const Options&) -> std::string {
       return "both chain and samplers are given, expected one of them: chain says everything";
     }},
    {"min_tokens", [](const Options& o) { return o.max_tokens >= 0 && o.min_tokens > o.max_tokens; },
     [](const Options& o) {
       return fmt::format("min_tokens is {}, more than max_tokens, which is {}", o.min_tokens, o.max_tokens);
     }},
    {"context_overlap", [](const Options& o) { return o.context_aware && o.context_overlap <= 0; },
     [](const Options& o) {
       return fmt::format("context_overlap is {} with context_aware, expected a share above 0", o.context_overlap);
     }},
    {"queue_warning_threshold queue_reject_threshold",
     [](const Options& o) { return o.queue_reject() > o.queue_size || o.queue_warning() > o.queue_reject(); },
     [](const Options& o) {
       return fmt::format(
           "queue_warning_threshold is {} and queue_reject_threshold {}, expected them in this order and at most "
           "queue_size, {}",
           o.queue_warning(), o.queue_reject(), o.queue_size);
     }},
    {"max_memory_mb", [](const Options& o) { return o.max_memory_mb > 0 && o.max_memory_mb < 64; },
     [](const Options& o) { return fmt::format("max_memory_mb is {}, expected 0 or at least 64", o.max_memory_mb); }},
};

std::vector<const OptionRow*> rows_of(std::string_view keys) {
  std::vector<const OptionRow*> rows;
  any_word(keys, [&](std::string_view key) {
    rows.push_back(find_option(key));
    return false;
  });
  return rows;
}

}  // namespace

std::optional<BrokenRule> broken_rule(const Options& options) {
  for (const Rule& rule : kRules)
    if (rule.broken(options)) return BrokenRule{rows_of(rule.keys), rule.sentence(options)};
  return std::nullopt;
}

std::vector<std::vector<const OptionRow*>> exclusive_options() {
  return {rows_of("grammar json_schema regex choices"), rows_of("chain samplers")};
}

}  // namespace linnet
