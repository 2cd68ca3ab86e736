#include "capi/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "capi/option_names.h"
#include "gguf/base/json.h"
#include "sampling/vocabulary.h"

namespace linnet {
namespace {

Error wrong_type(const OptionRow& row, std::string_view found) {
  return fail(Code::option_type, "{} is {}, expected {} ({}): {}", row.key, found, option_type_name(row),
              option_range(row), row.sentence);
}

Status check_number(const OptionRow& row, double value) {
  if (value >= row.low && value <= row.high) return {};
  return fail(Code::option_range, "{} is {}, expected {}: {}", row.key, value, option_range(row), row.sentence);
}

// The word of the row that is meant, whatever its case; any text where the row has no words.
Result<std::string> choice_of(const OptionRow& row, std::string_view value) {
  if (row.choices.empty()) return std::string(value);
  std::string_view found;
  const auto is_value = [&](std::string_view word) { return same_name(word, value) && !(found = word).empty(); };
  if (any_word(row.choices, is_value)) return std::string(found);
  return fail(Code::option_range, "{} is \"{}\", expected {}: {}", row.key, shown_text(value), option_range(row),
              row.sentence);
}

template <class T>
bool parse_number(std::string_view text, T& value) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  return problem == std::errc() && end == text.data() + text.size();
}

// Of JSON options.
bool fits(const OptionRow& row, const Json& json) {
  return any_word(row.choices, [&](std::string_view word) { return word == json.type_name(); });
}

struct SetText {
  Options& options;
  const OptionRow& row;
  std::string_view text;

  Status operator()(int64_t Options::*member) const {
    int64_t value = 0;
    if (!parse_number(text, value)) return wrong_type(row, fmt::format("\"{}\"", shown_text(text)));
    LINNET_CHECK(check_number(row, static_cast<double>(value)));
    options.*member = value;
    return {};
  }
  Status operator()(double Options::*member) const {
    double value = 0;
    if (!parse_number(text, value) || !std::isfinite(value))
      return wrong_type(row, fmt::format("\"{}\"", shown_text(text)));
    LINNET_CHECK(check_number(row, value));
    options.*member = value;
    return {};
  }
  Status operator()(bool Options::*member) const {
    if (text != "true" && text != "false") return wrong_type(row, fmt::format("\"{}\"", shown_text(text)));
    options.*member = text == "true";
    return {};
  }
  Status operator()(std::string Options::*member) const {
    LINNET_TRY(options.*member, choice_of(row, text));
    return {};
  }
  // What is given first replaces the default, what follows is added to it.
  Status operator()(std::vector<std::string> Options::*member) const {
    static const Options defaults;
    std::vector<std::string>& list = options.*member;
    if (list == defaults.*member) list.clear();
    list.emplace_back(text);
    return {};
  }
  Status operator()(JsonText Options::*member) const {
    LINNET_TRY(const Json json, parse_json(text));
    if (!fits(row, json)) return wrong_type(row, json.type_name());
    (options.*member).text = std::string(text);
    return {};
  }
};

// A JSON value of the row's type, as the text that set_option takes.
Result<std::string> option_text(const OptionRow& row, const Json& value) {
  if (std::holds_alternative<std::string Options::*>(row.member) && value.is_string())
    return std::string(*value.string());
  if (std::holds_alternative<JsonText Options::*>(row.member)) {
    if (fits(row, value)) return JsonWriter().value(value).text();
    const Result<Json> inner = value.is_string() ? parse_json(*value.string()) : Json();
    if (value.is_string() && inner && fits(row, *inner)) return std::string(*value.string());
  }
  if (std::holds_alternative<bool Options::*>(row.member) && value.is_boolean())
    return fmt::format("{}", *value.boolean());
  if (std::holds_alternative<double Options::*>(row.member) && value.is_number())
    return fmt::format("{}", *value.number());
  if (std::holds_alternative<int64_t Options::*>(row.member) && value.is_number()) {
    if (value.is_integer() && value.integer()) return fmt::format("{}", *value.integer());
    // 512.0 and 5e2 are whole numbers too.
    const double number = *value.number();
    if (number != std::floor(number)) return wrong_type(row, fmt::format("{}", number));
    LINNET_CHECK(check_number(row, number));
    return fmt::format("{:.0f}", number);
  }
  return wrong_type(row, value.type_name());
}

}  // namespace

Status set_option(Options& options, const OptionRow& row, const Json& value) {
  if (auto* list = std::get_if<std::vector<std::string> Options::*>(&row.member)) {
    std::vector<std::string> texts;
    if (value.is_string()) {
      texts.emplace_back(*value.string());
    } else if (!value.is_array()) {
      return wrong_type(row, value.type_name());
    }
    for (const Json& item : value.elements()) {
      if (!item.is_string())
        return wrong_type(row, fmt::format("an array with an element of type {}", item.type_name()));
      texts.emplace_back(*item.string());
    }
    options.*(*list) = std::move(texts);
    return {};
  }
  LINNET_TRY(const std::string text, option_text(row, value));
  return set_option(options, row, std::string_view(text));
}

std::string_view option_type_name(const OptionRow& row) {
  static constexpr std::string_view names[] = {"a whole number", "a number",        "true or false",
                                               "text",           "a list of texts", "a JSON object"};
  if (row.choices == "array") return "a JSON array";
  if (row.choices == "object boolean") return "a JSON object, true or false";
  return row.choices == "array object" ? "a JSON array or object" : names[row.member.index()];
}

std::string option_range(const OptionRow& row) {
  if (row.member.index() <= 1) return fmt::format("{} to {}", row.low, row.high);
  if (row.choices.empty() || std::holds_alternative<JsonText Options::*>(row.member)) return "any";
  std::string words;
  any_word(row.choices, [&](std::string_view word) {
    words += (words.empty() ? "" : ", ") + std::string(word);
    return false;
  });
  return "one of " + words;
}

std::string option_value(const OptionRow& row, const Options& options) {
  return std::visit(
      [&](auto member) -> std::string {
        const auto& value = options.*member;
        using T = std::decay_t<decltype(value)>;
        if constexpr (std::is_same_v<T, std::vector<std::string>>) {
          std::string text = "[";
          for (const std::string& item : value) text += (text.size() > 1 ? "," : "") + json_quote(item);
          return text + "]";
        } else if constexpr (std::is_same_v<T, JsonText>) {
          return value.text;
        } else {
          return fmt::format("{}", value);
        }
      },
      row.member);
}

std::string option_json(const OptionRow& row, const Options& options) {
  const std::string text = option_value(row, options);
  if (std::holds_alternative<std::string Options::*>(row.member)) return json_quote(text);
  return text.empty() ? "null" : text;
}

bool same_value(const OptionRow& row, const Options& a, const Options& b) {
  return std::visit([&](auto member) { return a.*member == b.*member; }, row.member);
}

void copy_option(const OptionRow& row, const Options& from, Options& to) {
  std::visit([&](auto member) { to.*member = from.*member; }, row.member);
}

Status set_option(Options& options, const OptionRow& row, std::string_view text) {
  return std::visit([&](auto member) { return SetText{options, row, text}(member); }, row.member);
}

std::string options_markdown() {
  std::string out;
  const Options defaults;
  for (const OptionGroupRow& group : option_groups()) {
    std::string rows;
    for (const OptionRow& row : option_rows()) {
      if (row.group != group.group || (row.marks & kPlanned)) continue;
      const std::string flags(row.flags);
      rows += fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", row.key, row.aliases,
                          flags.empty() ? "" : "`" + flags + "`", option_type_name(row), option_range(row),
                          option_value(row, defaults), row.sentence);
    }
    if (rows.empty()) continue;
    out += fmt::format(
        "## {}\n\n{}| key | also | flags | type | range | default | what it does "
        "|\n|---|---|---|---|---|---|---|\n{}\n",
        group.name, group.aliases.empty() ? "" : fmt::format("Also called {}.\n\n", group.aliases), rows);
  }
  return out;
}

Result<KvType> kv_type_of(const Options& options) {
  if (options.kv_type == "f32") return KvType::f32;
  if (options.kv_type == "f16") return KvType::f16;
  if (options.kv_type == "q8_0") return KvType::q8_0;
  return fail(Code::option_range, "kv_type is \"{}\", expected f32, f16 or q8_0", options.kv_type);
}

Status check_json_option(const OptionRow& row, const Options& options, SkippedJson* skipped) {
  if (!std::holds_alternative<JsonText Options::*>(row.member)) return {};
  Options alone;
  copy_option(row, options, alone);
  LINNET_CHECK(sampling_params(alone, skipped));
  LINNET_TRY(const StopParams stop, stop_params(alone, skipped));
  // Which tokens a model has is not known here.
  return stop.check(PlainVocabulary(std::numeric_limits<int32_t>::max()));
}

namespace {

// The position of a word in a row's choices.
size_t choice_of(std::string_view choices, std::string_view word) {
  size_t n = 0;
  for (size_t at = 0; at < choices.size(); ++n) {
    const size_t end = std::min(choices.find(' ', at), choices.size());
    if (choices.substr(at, end - at) == word) break;
    at = end + 1;
  }
  return n;
}

Priority priority_of(const Options& o) {
  return static_cast<Priority>(std::min<size_t>(choice_of(find_option("priority")->choices, o.priority), 3));
}

}  // namespace

Result<Request> make_request(const Options& o, std::vector<int32_t> prompt) {
  Request request;
  request.prompt = std::move(prompt);
  LINNET_TRY(request.sampling, sampling_params(o));
  LINNET_TRY(request.stopping, stop_params(o));
  request.n_probs = o.n_probs;
  request.jump_forward = o.jump_forward;
  request.prompt_probs = o.prompt_logprobs;
  request.token_healing = o.token_healing;
  request.n_keep = o.n_keep_tokens;
  request.n_discard = o.n_discard_tokens;
  request.priority = priority_of(o);
  // Without auto_queue_cleanup only a deadline of its own takes a request out of the queue.
  const int64_t patience = o.auto_queue_cleanup ? o.default_task_timeout_ms : 0;
  request.queue_timeout_ms = static_cast<double>(o.queue_timeout_ms > 0 ? o.queue_timeout_ms : patience);
  request.first_token_timeout_ms = static_cast<double>(o.first_token_timeout_ms);
  return request;
}

EngineOptions engine_options(const Options& o) {
  EngineOptions e;
  e.forward.threads = static_cast<int32_t>(o.threads);
  e.forward.backend = o.backend;
  e.context = o.ctx_size;
  e.max_concurrent = o.batch_processing ? o.max_concurrent : 1;
  e.queue_size = o.queue_reject();
  e.priorities = o.priority_scheduling_enabled;
  e.fair = o.fair_scheduling_enabled;
  e.batch_tokens = o.batch_size;
  e.cache_tokens = o.max_cache_tokens;
  e.cache_retention_ms = o.cache_retention_ms;
  e.prefix_cache = o.cache_prompt && o.enable_token_cache_reuse;
  return e;
}

}  // namespace linnet
