// The options table: one row per key. Command-line flags, help texts, JSON keys, range checks, error sentences,
// docs/options.md and status output all come from these rows.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "kernels/kernels.h"
#include "runtime/engine.h"
#include "runtime/model.h"

namespace linnet {

// An option that is a JSON object or array, as text.
struct JsonText {
  std::string text;
};

// Every option with its default. A row of the table names each member.
struct Options {
  // sampling
  double temp = 0.7;
  double dynatemp_range = 0;
  double dynatemp_exponent = 1;
  int64_t top_k = 40;
  double top_p = 0.95;
  double min_p = 0.05;
  double typical_p = 1;
  double tfs_z = 1;
  double top_n_sigma = -1;
  double xtc_probability = 0;
  double xtc_threshold = 0.1;
  double repeat_penalty = 1.10;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  int64_t penalty_last_n = 64;
  double dry_multiplier = 0;
  double dry_base = 1.75;
  int64_t dry_allowed_length = 2;
  int64_t dry_penalty_last_n = -1;
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};
  int64_t mirostat = 0;
  double mirostat_tau = 5;
  double mirostat_eta = 0.1;
  double adaptive_target = -1;
  double adaptive_decay = 0.9;
  JsonText logit_bias = {"[]"};
  std::vector<std::string> samplers;
  JsonText chain = {"[]"};
  std::string grammar;
  JsonText json_schema;
  std::string regex;
  std::vector<std::string> choices;
  bool grammar_lazy = false;
  bool jump_forward = false;
  int64_t n_probs = 0;
  int64_t prompt_logprobs = -1;
  std::string custom_sampler;
  JsonText custom_parameters = {"{}"};
  int64_t min_keep = 1;
  int64_t seed = -1;
  // stopping
  int64_t max_tokens = 512;
  int64_t min_tokens = 0;
  std::vector<std::string> stop;
  bool ignore_eos = false;
  JsonText token_conditions = {"[]"};
  JsonText pattern_conditions = {"[]"};
  JsonText grammar_triggers = {"[]"};
  double max_time_ms = 0;
  JsonText dynamic_timeout = {"{}"};
  JsonText timeout_config = {"{}"};
  int64_t indent = 0;
  JsonText semantic_conditions = {"[]"};
  JsonText semantic_stopping = {"{}"};
  bool context_aware = false;
  double context_overlap = 0.95;
  std::vector<std::string> roles;
  std::vector<std::string> banned_phrases;
  JsonText token_filters = {"{}"};
  bool token_healing = false;
  // chat
  std::string chat_template;
  JsonText chat_template_kwargs = {"{}"};
  // model
  int64_t ctx_size = 2048;
  int64_t batch_size = 512;
  int64_t threads = 0;
  std::string kv_type = "f16";
  std::string backend;
  // backend
  int64_t max_concurrent = 8;
  int64_t queue_size = 50;
  bool cache_prompt = true;
  int64_t max_cache_tokens = 100000;
  std::vector<std::string> sampler_libraries;
};

// Where an option applies: which commands offer its flag, and the JSON object it belongs to.
enum class OptionGroup { sampling, stopping, chat, model, backend };
std::string_view option_group_name(OptionGroup group);

struct OptionRow {
  OptionGroup group;
  std::string_view key;      // JSON key inside the group's object, also accepted at the top level: "temp"
  std::string_view aliases;  // other spellings of the key, separated by spaces
  std::string_view flags;    // command line: "-t,--threads"
  std::variant<int64_t Options::*, double Options::*, bool Options::*, std::string Options::*,
               std::vector<std::string> Options::*, JsonText Options::*>
      member;
  double low, high;          // numbers: accepted range, inclusive
  std::string_view choices;  // text: accepted words separated by spaces; empty: any. JSON: "object", "array" or both
  std::string_view sentence;
};

std::span<const OptionRow> option_rows();
// By key or alias, with or without "group." before it; case does not matter, nor which of '-', '_' and '.' stands
// between words. Null when there is none.
const OptionRow* find_option(std::string_view name);
// The known name nearest to a misspelt one, or empty when none is near.
std::string nearest_option(std::string_view name);

std::string_view option_type_name(const OptionRow& row);                 // "integer", "number", ...
std::string option_range(const OptionRow& row);                          // "0 to 2", "f32, f16 or q8_0"
std::string option_value(const OptionRow& row, const Options& options);  // as text; lists as JSON

// Sets one option from text, as the command line does. Errors: option_type, option_range.
Status set_option(Options& options, const OptionRow& row, std::string_view text);
Status set_option(Options& options, const OptionRow& row, const Json& value);
// Sets options from a JSON object, nested ({"sampling":{"temp":0.5}}) or flat ({"temp":0.5}). Unknown keys are an error
// with the nearest known name. Nothing is changed when an error is returned.
Status set_options_json(Options& options, std::string_view json);

// The table as Markdown, for docs/options.md.
std::string options_markdown();

Result<KvType> kv_type_of(const Options& options);
// capi/sampling_options.cpp, capi/stop_options.cpp: with the options that are JSON themselves.
Result<SamplingParams> sampling_params(const Options& options);
Result<StopParams> stop_params(const Options& options);
Result<std::vector<Trigger>> grammar_triggers(const Options& options);
// A request for a prompt with all that options say of one.
Result<Request> make_request(const Options& options, std::vector<int32_t> prompt);
EngineOptions engine_options(const Options& options);

}  // namespace linnet
