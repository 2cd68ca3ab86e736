#include "capi/options.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "gguf/base/json.h"

namespace linnet {
namespace {

constexpr double kNone = std::numeric_limits<double>::infinity();
constexpr double kBig = 9007199254740992.0;  // 2^53: whole numbers beyond it do not survive JSON
using G = OptionGroup;
using O = Options;

const OptionRow kRows[] = {
    {G::sampling, "temp", "temperature", "--temp", &O::temp, 0, 1000, "",
     "divides the logits; 0 always picks the likeliest token"},
    {G::sampling, "dynatemp_range", "", "--dynatemp-range", &O::dynatemp_range, 0, 1000, "",
     "temperature varies by this much around temp with how sure the model is; 0 is off"},
    {G::sampling, "dynatemp_exponent", "", "--dynatemp-exponent", &O::dynatemp_exponent, 0, 1000, "",
     "bends how the dynamic temperature follows the entropy"},
    {G::sampling, "top_k", "", "--top-k", &O::top_k, -1, 1e9, "", "keeps the k likeliest tokens; 0 or -1 keeps all"},
    {G::sampling, "top_p", "", "--top-p", &O::top_p, 0, 1, "",
     "keeps the likeliest tokens that together reach this probability"},
    {G::sampling, "min_p", "", "--min-p", &O::min_p, 0, 1, "",
     "keeps tokens at least this many times as likely as the likeliest"},
    {G::sampling, "typical_p", "typical typ_p", "--typical-p", &O::typical_p, 0, 1, "",
     "keeps the tokens nearest to the expected surprise that together exceed this probability; 1 is off"},
    {G::sampling, "tfs_z", "tfs", "--tfs-z", &O::tfs_z, 0, 1, "",
     "cuts the tail where the curve of probabilities becomes flat; 1 is off"},
    {G::sampling, "top_n_sigma", "", "--top-n-sigma", &O::top_n_sigma, -1, 1000, "",
     "keeps logits within this many standard deviations of the best; 0 or -1 is off"},
    {G::sampling, "xtc_probability", "", "--xtc-probability", &O::xtc_probability, 0, 1, "",
     "how often the likeliest tokens but the last of them are dropped; 0 is off"},
    {G::sampling, "xtc_threshold", "", "--xtc-threshold", &O::xtc_threshold, 0, 1, "",
     "tokens at least this likely count as likely for xtc; above 0.5 it has no effect"},
    {G::sampling, "repeat_penalty", "repetition_penalty", "--repeat-penalty", &O::repeat_penalty, 0.01, 100, "",
     "makes tokens of the recent text less likely; 1 is off"},
    {G::sampling, "presence_penalty", "", "--presence-penalty", &O::presence_penalty, -100, 100, "",
     "subtracted from the logit of every token in the recent text"},
    {G::sampling, "frequency_penalty", "", "--frequency-penalty", &O::frequency_penalty, -100, 100, "",
     "subtracted from a token's logit once for each time it is in the recent text"},
    {G::sampling, "penalty_last_n", "repeat_last_n", "--penalty-last-n", &O::penalty_last_n, -1, 1e9, "",
     "tokens that count as recent text; -1 means the whole context, 0 turns the penalties off"},
    {G::sampling, "dry_multiplier", "", "--dry-multiplier", &O::dry_multiplier, 0, 1000, "",
     "penalty for going on with a repetition; 0 is off, 0.8 is usual"},
    {G::sampling, "dry_base", "", "--dry-base", &O::dry_base, 0, 1000, "",
     "the penalty grows by this factor with each token of the repetition; below 1 counts as 1.75"},
    {G::sampling, "dry_allowed_length", "", "--dry-allowed-length", &O::dry_allowed_length, 0, 1e9, "",
     "repetitions up to this many tokens are free"},
    {G::sampling, "dry_penalty_last_n", "", "--dry-penalty-last-n", &O::dry_penalty_last_n, -1, 1e9, "",
     "tokens that are searched for repetitions; -1 means the whole context"},
    {G::sampling, "dry_sequence_breakers", "", "--dry-sequence-breaker", &O::dry_sequence_breakers, 0, 0, "",
     "texts at which repetitions begin anew (repeatable; the first one given replaces the default)"},
    {G::sampling, "mirostat", "", "--mirostat", &O::mirostat, 0, 2, "",
     "1 or 2 picks by that version of mirostat, without truncating steps; 0 is off"},
    {G::sampling, "mirostat_tau", "", "--mirostat-tau", &O::mirostat_tau, 0, 1000, "",
     "the surprise in bits that mirostat aims at"},
    {G::sampling, "mirostat_eta", "", "--mirostat-eta", &O::mirostat_eta, 0, 1000, "", "how fast mirostat follows"},
    {G::sampling, "adaptive_target", "", "--adaptive-target", &O::adaptive_target, -1, 1, "",
     "the probability that picked tokens should have on average; negative is off"},
    {G::sampling, "adaptive_decay", "", "--adaptive-decay", &O::adaptive_decay, 0, 0.99, "",
     "how long adaptive_target remembers"},
    {G::sampling, "logit_bias", "", "--logit-bias", &O::logit_bias, 0, 0, "array object",
     "added to logits: [[token, bias], ...] or {\"token or text\": bias}; false, and -100 or less, bans"},
    {G::sampling, "samplers", "", "--samplers", &O::samplers, 0, 0, "",
     "the truncating steps in the order in which they shall run, by name (repeatable)"},
    {G::sampling, "chain", "", "--chain", &O::chain, 0, 0, "array",
     "the whole chain, exactly: [{\"type\":\"top_k\",\"top_k\":40}, ..., {\"type\":\"dist\"}]"},
    {G::sampling, "grammar", "", "--grammar", &O::grammar, 0, 0, "",
     "a grammar in GBNF that the text has to keep to; on the command line also a file"},
    {G::sampling, "json_schema", "", "--json-schema", &O::json_schema, 0, 0, "object boolean",
     "a JSON Schema: the text is a JSON value that is valid against it"},
    {G::sampling, "regex", "", "--regex", &O::regex, 0, 0, "", "a pattern that the whole text has to match"},
    {G::sampling, "choices", "choice", "--choice", &O::choices, 0, 0, "", "the text is one of these (repeatable)"},
    {G::sampling, "grammar_lazy", "", "--grammar-lazy", &O::grammar_lazy, 0, 0, "",
     "the grammar begins where one of grammar_triggers fires, and any text may come before"},
    {G::sampling, "jump_forward", "", "--jump-forward", &O::jump_forward, 0, 0, "",
     "takes over the text that the grammar forces without computing its tokens one by one"},
    {G::sampling, "n_probs", "logprobs", "--n-probs", &O::n_probs, 0, 1e9, "",
     "lists so many of the likeliest tokens with every generated token, before and after sampling"},
    {G::sampling, "prompt_logprobs", "", "--prompt-logprobs", &O::prompt_logprobs, -1, 1e9, "",
     "the same for the prompt's tokens; 0 scores them only, -1 is off"},
    {G::sampling, "custom_sampler", "", "--custom-sampler", &O::custom_sampler, 0, 0, "",
     "a sampler of sampler_libraries that runs after the temperature"},
    {G::sampling, "custom_parameters", "", "--custom-parameters", &O::custom_parameters, 0, 0, "object",
     "what the custom sampler is told; it says which keys it knows"},
    {G::sampling, "min_keep", "", "--min-keep", &O::min_keep, 1, 1e9, "",
     "truncating steps leave at least this many tokens"},
    {G::sampling, "seed", "", "--seed", &O::seed, -1, kBig, "",
     "the same seed gives the same text; -1 chooses one and reports it"},
    {G::stopping, "max_tokens", "n_predict", "-n,--max-tokens", &O::max_tokens, -1, 1e9, "",
     "tokens to generate at most; -1 means until the context is full"},
    {G::stopping, "min_tokens", "", "--min-tokens", &O::min_tokens, 0, 1e9, "",
     "nothing but limits ends the text before so many tokens"},
    {G::stopping, "stop", "stop_sequences", "--stop", &O::stop, 0, 0, "",
     "texts that end the generation; they are not shown (repeatable)"},
    {G::stopping, "ignore_eos", "", "--ignore-eos", &O::ignore_eos, 0, 0, "", "goes on after end-of-generation tokens"},
    {G::stopping, "token_conditions", "stop_token_ids", "", &O::token_conditions, 0, 0, "array",
     "token ids that end the text: [id, ...] or [{\"token_id\":id,\"mode\":\"stop_on_token\"}]"},
    {G::stopping, "pattern_conditions", "", "--stop-pattern", &O::pattern_conditions, 0, 0, "array",
     "patterns that end the text: [{\"pattern\":\"...\",\"match_type\":\"partial\" or \"full\"}]"},
    {G::stopping, "grammar_triggers", "", "--triggers", &O::grammar_triggers, 0, 0, "array object",
     "tokens, words or patterns that end the text, or start a lazy grammar: [{\"type\":\"word\",\"value\":\"...\"}]"},
    {G::stopping, "max_time_ms", "", "--max-time", &O::max_time_ms, 0, 604800000, "",
     "milliseconds that a request may be computed; 0 is off"},
    {G::stopping, "dynamic_timeout", "", "", &O::dynamic_timeout, 0, 0, "object",
     "a time limit that grows with the text: {\"base_ms\":5000,\"token_scale\":1.5,\"max_ms\":30000}"},
    {G::stopping, "timeout_config", "", "", &O::timeout_config, 0, 0, "object",
     "time limits as other clients write them"},
    {G::stopping, "indent", "", "--indent", &O::indent, -1, 1024, "",
     "ends at a line with less indentation than this; -1 takes that of the first line, 0 is off"},
    {G::stopping, "semantic_conditions", "", "--semantic", &O::semantic_conditions, 0, 0, "array",
     "[{\"type\":\"repetition_detection\", \"completion_detection\" or \"coherence_break\",\"threshold\":0.8}]"},
    {G::stopping, "semantic_stopping", "", "", &O::semantic_stopping, 0, 0, "object",
     "the same as other clients write it"},
    {G::stopping, "context_aware", "", "--context-aware", &O::context_aware, 0, 0, "",
     "ends where the model speaks for somebody else or says its prompt again"},
    {G::stopping, "context_overlap", "", "--context-overlap", &O::context_overlap, 0, 1, "",
     "how much of the text may come from the prompt with context_aware"},
    {G::stopping, "roles", "", "--role", &O::roles, 0, 0, "",
     "texts that begin a turn of somebody else, for context_aware (repeatable)"},
    {G::stopping, "banned_phrases", "", "--ban", &O::banned_phrases, 0, 0, "",
     "texts that may not be generated: they are taken back (repeatable)"},
    {G::stopping, "token_filters", "", "", &O::token_filters, 0, 0, "object",
     "{\"forbidden_tokens\":[ids],\"required_tokens\":[ids],\"pattern_based_triggers\":[...]}"},
    {G::stopping, "token_healing", "", "--token-healing", &O::token_healing, 0, 0, "",
     "takes the prompt's last token back, so that a word cut in two is continued as one"},
    {G::chat, "chat_template", "", "--chat-template", &O::chat_template, 0, 0, "",
     "the chat template instead of the model's own: its text, or the name chatml; on the command line also a file"},
    {G::chat, "chat_template_kwargs", "template_kwargs", "--template-kwargs", &O::chat_template_kwargs, 0, 0, "object",
     "variables for the chat template, such as {\"enable_thinking\":false} or {\"tools\":[...]}"},
    {G::model, "ctx_size", "n_ctx", "--ctx", &O::ctx_size, 0, 1073741824.0, "",
     "positions of one sequence; 0 takes the model's own context"},
    {G::model, "batch_size", "n_batch", "--batch", &O::batch_size, 1, 65536, "", "tokens computed in one step"},
    {G::model, "threads", "", "-t,--threads", &O::threads, 0, 256, "",
     "threads that compute; 0 takes min(8, physical cores)"},
    {G::model, "kv_type", "", "--kv-type", &O::kv_type, 0, 0, "f32 f16 q8_0",
     "number type of the cached keys and values"},
    {G::model, "backend", "", "--backend", &O::backend, 0, 0, "scalar avx2 avx512",
     "kernels to use; default: LINNET_BACKEND of the environment, else the best this machine runs"},
    {G::backend, "max_concurrent", "", "", &O::max_concurrent, 1, 256, "", "sequences computed together in one step"},
    {G::backend, "queue_size", "", "", &O::queue_size, 1, 10000, "",
     "requests that may wait; more are refused as busy"},
    {G::backend, "cache_prompt", "", "", &O::cache_prompt, 0, 0, "", "shares pages between prompts that begin alike"},
    {G::backend, "max_cache_tokens", "", "", &O::max_cache_tokens, 64, 1099511627776.0, "",
     "size of the page pool in tokens; at least one context is always there"},
    {G::backend, "sampler_libraries", "", "--sampler-library", &O::sampler_libraries, 0, 0, "",
     "shared libraries with custom samplers, by path; their code runs in this process (repeatable)"},
};

bool same_name(std::string_view a, std::string_view b) {
  auto plain = [](char c) { return c == '-' || c == '.' ? '_' : static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) { return plain(x) == plain(y); });
}

// Calls visit(word) for each word of a space-separated list until it returns true.
template <class Visit>
bool any_word(std::string_view words, Visit visit) {
  while (!words.empty()) {
    const size_t end = std::min(words.find(' '), words.size());
    if (end > 0 && visit(words.substr(0, end))) return true;
    words.remove_prefix(std::min(end + 1, words.size()));
  }
  return false;
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0]++;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replace = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replace, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

Error wrong_type(const OptionRow& row, std::string_view found) {
  return fail(Code::option_type, "{} is {}, expected {} ({}): {}", row.key, found, option_type_name(row),
              option_range(row), row.sentence);
}

Status check_number(const OptionRow& row, double value) {
  if (value >= row.low && value <= row.high) return {};
  return fail(Code::option_range, "{} is {}, expected {}: {}", row.key, value, option_range(row), row.sentence);
}

Status check_choice(const OptionRow& row, std::string_view value) {
  if (row.choices.empty() || any_word(row.choices, [&](std::string_view word) { return word == value; })) return {};
  return fail(Code::option_range, "{} is \"{}\", expected {}: {}", row.key, value, option_range(row), row.sentence);
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
    if (!parse_number(text, value)) return wrong_type(row, fmt::format("\"{}\"", text));
    LINNET_CHECK(check_number(row, static_cast<double>(value)));
    options.*member = value;
    return {};
  }
  Status operator()(double Options::*member) const {
    double value = 0;
    if (!parse_number(text, value) || !std::isfinite(value)) return wrong_type(row, fmt::format("\"{}\"", text));
    LINNET_CHECK(check_number(row, value));
    options.*member = value;
    return {};
  }
  Status operator()(bool Options::*member) const {
    if (text != "true" && text != "false") return wrong_type(row, fmt::format("\"{}\"", text));
    options.*member = text == "true";
    return {};
  }
  Status operator()(std::string Options::*member) const {
    LINNET_CHECK(check_choice(row, text));
    options.*member = std::string(text);
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
  if (std::holds_alternative<JsonText Options::*>(row.member) && fits(row, value))
    return JsonWriter().value(value).text();
  if (std::holds_alternative<bool Options::*>(row.member) && value.is_boolean())
    return fmt::format("{}", *value.boolean());
  if (std::holds_alternative<double Options::*>(row.member) && value.is_number())
    return fmt::format("{}", *value.number());
  if (std::holds_alternative<int64_t Options::*>(row.member) && value.is_number()) {
    const double number = *value.number();
    if (number == std::floor(number) && std::abs(number) <= kBig) return fmt::format("{:.0f}", number);
    return wrong_type(row, fmt::format("{}", number));
  }
  return wrong_type(row, value.type_name());
}

}  // namespace

Status set_option(Options& options, const OptionRow& row, const Json& value) {
  if (auto* list = std::get_if<std::vector<std::string> Options::*>(&row.member)) {
    if (!value.is_array()) return wrong_type(row, value.type_name());
    std::vector<std::string> texts;
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

namespace {

Error unknown_key(std::string_view key) {
  const std::string near = nearest_option(key);
  if (near.empty()) return fail(Code::option_unknown, "there is no option \"{}\"; linnet options lists them all", key);
  return fail(Code::option_unknown, "there is no option \"{}\"; did you mean \"{}\"?", key, near);
}

}  // namespace

std::string_view option_group_name(OptionGroup group) {
  switch (group) {
    case OptionGroup::sampling:
      return "sampling";
    case OptionGroup::stopping:
      return "stopping";
    case OptionGroup::chat:
      return "chat";
    case OptionGroup::model:
      return "model";
    case OptionGroup::backend:
      return "backend";
  }
  return "";
}

std::span<const OptionRow> option_rows() { return kRows; }

const OptionRow* find_option(std::string_view name) {
  for (const OptionRow& row : kRows) {
    const std::string_view group = option_group_name(row.group);
    const bool with_group =
        name.size() > group.size() && name[group.size()] == '.' && same_name(name.substr(0, group.size()), group);
    const std::string_view key = with_group ? name.substr(group.size() + 1) : name;
    if (same_name(key, row.key)) return &row;
    if (any_word(row.aliases, [&](std::string_view alias) { return same_name(key, alias); })) return &row;
  }
  return nullptr;
}

std::string nearest_option(std::string_view name) {
  std::string best;
  size_t distance = std::max<size_t>(2, name.size() / 3) + 1;
  auto consider = [&](std::string_view candidate) {
    const size_t d = edit_distance(name, candidate);
    if (d < distance) distance = d, best = std::string(candidate);
    return false;
  };
  for (const OptionRow& row : kRows) {
    consider(row.key);
    any_word(row.aliases, consider);
  }
  return best;
}

std::string_view option_type_name(const OptionRow& row) {
  static constexpr std::string_view names[] = {"a whole number", "a number",        "true or false",
                                               "text",           "a list of texts", "a JSON object"};
  if (row.choices == "array") return "a JSON array";
  if (row.choices == "object boolean") return "a JSON object, true or false";
  return row.choices == "array object" ? "a JSON array or object" : names[row.member.index()];
}

std::string option_range(const OptionRow& row) {
  if (row.member.index() <= 1)
    return row.high == kNone ? fmt::format("at least {}", row.low) : fmt::format("{} to {}", row.low, row.high);
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

Status set_option(Options& options, const OptionRow& row, std::string_view text) {
  return std::visit([&](auto member) { return SetText{options, row, text}(member); }, row.member);
}

namespace {

// Members of an object stand for themselves, whatever group they are in; {"dynatemp":{"range":0.1}} means
// dynatemp_range. `prefix`: the names of the objects around it, each with '_' behind it, without the group.
Status set_members(Options& options, const Json& json, const std::string& prefix) {
  for (const auto& [key, value] : json.members()) {
    const std::string name = prefix + key;
    // The group "backend" has a member of the same name, which is no object.
    const bool is_group = prefix.empty() && value.is_object() &&
                          std::any_of(std::begin(kRows), std::end(kRows), [&](const OptionRow& row) {
                            return same_name(key, option_group_name(row.group));
                          });
    if (const OptionRow* row = find_option(name); row && !is_group) {
      LINNET_CHECK(set_option(options, *row, value));
      continue;
    }
    const bool is_prefix = std::any_of(std::begin(kRows), std::end(kRows), [&](const OptionRow& row) {
      return row.key.size() > name.size() && same_name(name + "_", row.key.substr(0, name.size() + 1));
    });
    if (!value.is_object() || !(is_group || is_prefix)) return unknown_key(name);
    LINNET_CHECK(set_members(options, value, is_group ? "" : name + "_"));
  }
  return {};
}

}  // namespace

Status set_options_json(Options& options, std::string_view text) {
  std::vector<std::string> duplicates;
  LINNET_TRY(const Json json, parse_json(text, &duplicates));
  if (!duplicates.empty())
    return fail(Code::json_syntax, "the key at {} stands twice in one object; keep one of them", duplicates.front());
  if (!json.is_object())
    return fail(Code::json_type, "the configuration is {}, expected an object of options", json.type_name());
  Options changed = options;
  LINNET_CHECK(set_members(changed, json, ""));
  options = std::move(changed);
  return {};
}

std::string options_markdown() {
  std::string out;
  const Options defaults;
  for (const OptionGroup group : {G::sampling, G::stopping, G::chat, G::model, G::backend}) {
    out += fmt::format(
        "## {}\n\n| key | also | flags | type | range | default | what it does |\n|---|---|---|---|---|---|---|\n",
        option_group_name(group));
    for (const OptionRow& row : kRows) {
      if (row.group != group) continue;
      const std::string flags(row.flags);
      out += fmt::format("| `{}` | {} | {} | {} | {} | {} | {} |\n", row.key, row.aliases,
                         flags.empty() ? "" : "`" + flags + "`", option_type_name(row), option_range(row),
                         option_value(row, defaults), row.sentence);
    }
    out += "\n";
  }
  return out;
}

Result<KvType> kv_type_of(const Options& options) {
  if (options.kv_type == "f32") return KvType::f32;
  if (options.kv_type == "f16") return KvType::f16;
  if (options.kv_type == "q8_0") return KvType::q8_0;
  return fail(Code::option_range, "kv_type is \"{}\", expected f32, f16 or q8_0", options.kv_type);
}

Result<Request> make_request(const Options& o, std::vector<int32_t> prompt) {
  Request request;
  request.prompt = std::move(prompt);
  LINNET_TRY(request.sampling, sampling_params(o));
  LINNET_TRY(request.stopping, stop_params(o));
  request.n_probs = o.n_probs;
  request.jump_forward = o.jump_forward;
  request.prompt_probs = o.prompt_logprobs;
  request.token_healing = o.token_healing;
  return request;
}

EngineOptions engine_options(const Options& o) {
  EngineOptions e;
  e.forward.threads = static_cast<int32_t>(o.threads);
  e.forward.backend = o.backend;
  e.context = o.ctx_size;
  e.max_concurrent = o.max_concurrent;
  e.queue_size = o.queue_size;
  e.batch_tokens = o.batch_size;
  e.cache_tokens = o.max_cache_tokens;
  e.prefix_cache = o.cache_prompt;
  return e;
}

}  // namespace linnet
