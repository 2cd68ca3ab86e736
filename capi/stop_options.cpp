// Options -> StopParams: the conditions that are JSON objects, in all the forms that clients send (docs/stopping.md).
#include <optional>

#include "capi/json_fields.h"
#include "capi/options.h"

namespace linnet {
namespace {

// The usual threshold of a client that only says "repetition_detection": true.
constexpr double kUsualRepetition = 0.8;

Status read_trigger_type(const Json& json, const Place& place, Trigger& trigger) {
  std::optional<Trigger::Type> type;
  if (json.is_string()) type = trigger_type(*json.string());
  // Clients that know the names' numbers send these.
  if (json.is_integer() && json.integer() && *json.integer() >= 0 && *json.integer() <= 3) {
    type = static_cast<Trigger::Type>(*json.integer());
  }
  if (!type) {
    return fail(Code::option_range, "{} is {}, expected token, word, pattern or pattern_full", place.name,
                shown_json(json));
  }
  trigger.type = *type;
  return {};
}

Status read_trigger(const Json& json, const Place& place, std::vector<Trigger>& triggers) {
  Trigger trigger;
  LINNET_CHECK(read_fields(json, place,
                           {{"type", [&](const Json& v, const Place& at) { return read_trigger_type(v, at, trigger); }},
                            {"value", into(trigger.value)},
                            {"token", into(trigger.token)}}));
  if (!json.find("type"))
    return fail(Code::option_type, "{} has no type, expected one of token, word, pattern, pattern_full", place.name);
  triggers.push_back(std::move(trigger));
  return {};
}

void add_patterns(std::vector<Trigger>& triggers, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) triggers.push_back({.type = Trigger::Type::pattern, .value = pattern});
}

Status read_token_condition(const Json& json, const Place& place, std::vector<int32_t>& ids) {
  int32_t id = -1;
  if (!json.is_object()) {
    LINNET_CHECK(into(id)(json, place));
    ids.push_back(id);
    return {};
  }
  std::string mode = "stop_on_token";
  LINNET_CHECK(read_fields(json, place, {{"token_id", into(id)}, {"mode", into(mode)}}));
  if (mode != "stop_on_token")
    return fail(Code::option_range, "{}.mode is \"{}\", expected stop_on_token", place.name, shown_text(mode));
  ids.push_back(id);
  return {};
}

Status read_pattern_condition(const Json& json, const Place& place, std::vector<PatternCondition>& conditions) {
  PatternCondition condition;
  std::string match = "partial";
  if (json.is_string()) {
    condition.pattern = std::string(*json.string());
  } else {
    LINNET_CHECK(read_fields(json, place, {{"pattern", into(condition.pattern)}, {"match_type", into(match)}}));
  }
  const auto type = pattern_match_type(match);
  if (!type)
    return fail(Code::option_range, "{}.match_type is \"{}\", expected partial or full", place.name, shown_text(match));
  condition.match = *type;
  conditions.push_back(std::move(condition));
  return {};
}

Status read_semantic_condition(const Json& json, const Place& place, StopParams& p) {
  std::string type;
  double threshold = -1;
  LINNET_CHECK(read_fields(json, place, {{"type", into(type)}, {"threshold", into(threshold)}}));
  if (!json.find("threshold"))
    return fail(Code::option_type, "{} has no threshold, expected a number above 0, at most 1", place.name);
  if (type == "repetition_detection") {
    p.repetition_detection = threshold;
  } else if (type == "completion_detection") {
    p.completion_detection = threshold;
  } else if (type == "coherence_break") {
    p.coherence_break = threshold;
  } else {
    return fail(Code::option_range,
                "{}.type is \"{}\", expected completion_detection, repetition_detection or coherence_break", place.name,
                shown_text(type));
  }
  return {};
}

Status read_dynamic_timeout(const Json& json, const Place& place, StopParams& p) {
  if (json.members().empty()) return {};
  DynamicTimeout timeout;
  LINNET_CHECK(read_fields(json, place,
                           {{"base_ms", into(timeout.base_ms)},
                            {"token_scale", into(timeout.token_scale)},
                            {"max_ms", into(timeout.max_ms)}}));
  p.dynamic_timeout = timeout;
  return {};
}

Status read_timeout_config(const Json& json, const Place& place, StopParams& p) {
  bool enabled = true, adaptive = false;
  double most = 0;
  DynamicTimeout timeout;
  LINNET_CHECK(read_fields(json, place,
                           {{"enabled", into(enabled)},
                            {"max_inference_time_ms", into(most)},
                            {"adaptive_timeout", into(adaptive)},
                            {"min_timeout_ms", into(timeout.base_ms)},
                            {"timeout_multiplier", into(timeout.token_scale)}}));
  if (!enabled || json.members().empty()) return {};
  if (most > 0) p.max_time_ms = most;
  if (!adaptive) return {};
  if (most > 0) timeout.max_ms = most;
  p.dynamic_timeout = timeout;
  return {};
}

Status read_semantic_stopping(const Json& json, const Place& place, StopParams& p) {
  bool enabled = true, repetition = false;
  double completion = 0;
  int64_t count = 0;
  LINNET_CHECK(read_fields(json, place,
                           {{"enabled", into(enabled)},
                            {"completion_confidence_threshold", into(completion)},
                            {"repetition_detection", into(repetition)},
                            {"max_repetition_count", into(count)}}));
  if (!enabled) return {};
  if (json.find("completion_confidence_threshold")) p.completion_detection = completion;
  if (repetition && !p.repetition_detection) p.repetition_detection = kUsualRepetition;
  p.max_repetition_count = count;
  return {};
}

Status read_token_filters(const Json& json, const Place& place, StopParams& p) {
  std::vector<std::string> patterns;
  LINNET_CHECK(read_fields(json, place,
                           {{"forbidden_tokens", into(p.forbidden_tokens)},
                            {"required_tokens", into(p.required_tokens)},
                            {"pattern_based_triggers", into(patterns)}}));
  add_patterns(p.grammar_triggers, patterns);
  return {};
}

// Reads an option that is JSON.
Status read_json(const JsonText& option, std::string_view key, SkippedJson* skipped, const ReadJson& read) {
  LINNET_TRY(const Json json, parse_json(option.text));
  return read(json, {fmt::format("stopping.{}", key), skipped});
}

ReadJson each(ReadJson read) {
  return [read = std::move(read)](const Json& json, const Place& place) { return read_elements(json, place, read); };
}

}  // namespace

Result<std::vector<Trigger>> grammar_triggers(const Options& o, SkippedJson* skipped) {
  std::vector<Trigger> triggers;
  const auto read = [&](const Json& element, const Place& place) { return read_trigger(element, place, triggers); };
  const auto read_all = [&](const Json& json, const Place& place) -> Status {
    if (json.is_array()) return read_elements(json, place, read);
    bool enabled = true;
    std::vector<std::string> patterns;
    LINNET_CHECK(read_fields(json, place, {{"enabled", into(enabled)}, {"patterns", into(patterns)}}));
    if (enabled) add_patterns(triggers, patterns);
    return {};
  };
  LINNET_CHECK(read_json(o.grammar_triggers, "grammar_triggers", skipped, read_all));
  return triggers;
}

Result<StopParams> stop_params(const Options& o, SkippedJson* skipped) {
  StopParams p;
  p.max_tokens = o.max_tokens;
  p.min_tokens = o.min_tokens;
  p.ignore_eos = o.ignore_eos;
  p.stop = o.stop;
  p.max_time_ms = o.max_time_ms;
  p.indent = static_cast<int32_t>(o.indent);
  p.context_aware = o.context_aware;
  p.context_overlap = o.context_overlap;
  p.roles = o.roles;
  p.banned_phrases = o.banned_phrases;
  using J = const Json&;
  using W = const Place&;
  LINNET_CHECK(read_json(o.token_conditions, "token_conditions", skipped,
                         each([&](J j, W w) { return read_token_condition(j, w, p.token_conditions); })));
  LINNET_CHECK(read_json(o.pattern_conditions, "pattern_conditions", skipped,
                         each([&](J j, W w) { return read_pattern_condition(j, w, p.pattern_conditions); })));
  LINNET_CHECK(read_json(o.semantic_conditions, "semantic_conditions", skipped,
                         each([&](J j, W w) { return read_semantic_condition(j, w, p); })));
  LINNET_CHECK(read_json(o.dynamic_timeout, "dynamic_timeout", skipped,
                         [&](J j, W w) { return read_dynamic_timeout(j, w, p); }));
  LINNET_CHECK(
      read_json(o.timeout_config, "timeout_config", skipped, [&](J j, W w) { return read_timeout_config(j, w, p); }));
  LINNET_CHECK(read_json(o.semantic_stopping, "semantic_stopping", skipped,
                         [&](J j, W w) { return read_semantic_stopping(j, w, p); }));
  LINNET_CHECK(
      read_json(o.token_filters, "token_filters", skipped, [&](J j, W w) { return read_token_filters(j, w, p); }));
  // Of a lazy grammar, triggers start it instead of ending the text.
  if (o.grammar_lazy) return p;
  LINNET_TRY(const std::vector<Trigger> triggers, grammar_triggers(o, skipped));
  p.grammar_triggers.insert(p.grammar_triggers.end(), triggers.begin(), triggers.end());
  return p;
}

}  // namespace linnet
