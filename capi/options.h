// The options and their table: one row per key (capi/option_table.cpp). Command-line flags, help texts, JSON keys, range
// checks, error sentences, docs/options.md and status output all come from these rows. capi/config.h reads texts of many
// options.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "capi/json_fields.h"
#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "kernels/kernels.h"
#include "runtime/engine.h"
#include "runtime/model.h"

namespace linnet {

// An option that is a JSON object or array, as text.
struct JsonText {
  std::string text;
  bool operator==(const JsonText&) const = default;
};

// Every option with its default, by the group that its row names. What each means is said by its row in
// capi/option_table.cpp.
struct SamplingOptions {
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
};

struct StoppingOptions {
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
};

struct ChatOptions {
  bool apply_chat_template = true;
  std::string chat_template;
  JsonText chat_template_kwargs = {"{}"};
};

struct LoadOptions {
  int64_t ctx_size = 2048;
  int64_t batch_size = 512;
  int64_t threads = 0;
  std::string kv_type = "f16";
  std::string backend;
  int64_t n_gpu_layers = -1;
  bool use_mmap = true;
  bool use_mlock = false;
  std::string numa = "disabled";
};

struct MemoryOptions {
  bool cache_prompt = true;
  int64_t max_cache_tokens = 100000;
  bool context_shifting = true;
  int64_t n_keep_tokens = 128;
  int64_t n_discard_tokens = 256;
  std::string cache_strategy = "lru";
  std::string cache_deletion_strategy = "lru";
  bool enable_partial_cache_deletion = true;
  bool enable_token_cache_reuse = true;
  int64_t cache_retention_ms = 300000;
  double cache_similarity_threshold = 0;
  std::string cache_salt;
  int64_t max_memory_mb = 0;
  double memory_pressure_threshold = 0.85;
  bool auto_gpu_layers = true;
  bool dynamic_batch_size = true;
  bool smart_context_size = true;
};

struct BackendOptions {
  bool strict = false;
  int64_t max_concurrent = 8;
  int64_t queue_size = 50;
  std::vector<std::string> sampler_libraries;
  int64_t max_sessions = 100;
  int64_t idle_timeout_ms = 300000;
  bool auto_cleanup = true;
  int64_t default_task_timeout_ms = 30000;
  bool priority_scheduling_enabled = true;
  bool fair_scheduling_enabled = true;
  bool auto_queue_cleanup = true;
  int64_t queue_warning_threshold = 0;  // 0: queue_warning() says
  int64_t queue_reject_threshold = 0;   // 0: queue_size
  std::string priority = "normal";
  int64_t queue_timeout_ms = 0;  // 0: default_task_timeout_ms
  int64_t first_token_timeout_ms = 0;
  int64_t swap_timeout_ms = 30000;

  // Waiting requests from which on the queue counts as nearly full, and from which on it refuses.
  int64_t queue_warning() const { return queue_warning_threshold ? queue_warning_threshold : queue_reject() * 4 / 5; }
  int64_t queue_reject() const { return queue_reject_threshold ? queue_reject_threshold : queue_size; }
};

struct LoggingOptions {
  std::string log_level = "info";
  bool log_debug = false;
  bool log_timestamps = true;
  bool log_colors = false;
  std::string log_file;
  std::string log_format = "text";
  int64_t log_max_mb = 0;
  int64_t log_kept_files = 3;
};

struct PerformanceOptions {
  bool batch_processing = true;
  int64_t batch_timeout_ms = 100;
};

struct Options : SamplingOptions,
                 StoppingOptions,
                 ChatOptions,
                 LoadOptions,
                 MemoryOptions,
                 BackendOptions,
                 LoggingOptions,
                 PerformanceOptions {};

// Where an option applies: which commands offer its flag, and the JSON object it belongs to.
enum class OptionGroup { sampling, stopping, chat, model, memory, backend, logging, performance };
struct OptionGroupRow {
  OptionGroup group;
  std::string_view name;
  std::string_view aliases;  // separated by spaces
};
std::span<const OptionGroupRow> option_groups();  // in the order of the enum
std::string_view option_group_name(OptionGroup group);
// By name or alias ("memory_policy", "sampling_override"), in any spelling.
const OptionGroupRow* find_option_group(std::string_view name);

enum OptionMark : uint8_t {
  kPlain = 0,
  kPlanned = 1,  // known, and in this version without an effect: whoever reads it says so
  kClamped = 2,  // a number on the wrong side of its range is replaced by the nearest good one where reading is lenient
  kInherits = 4,  // -1 in a request keeps what was set before, although it has a meaning elsewhere
  // Later layers than those of its group (capi/config_layers.cpp) may still change it.
  kOfModel = 8,
  kOfSession = 16,
  kOfRequest = 32,
};

struct OptionRow {
  OptionGroup group;
  std::string_view key;  // JSON key inside the group's object, also accepted at the top level: "temp"
  std::string_view
      aliases;             // other spellings of the key, separated by spaces; ".level": only inside the group's object
  std::string_view flags;  // command line: "-t,--threads"
  std::variant<int64_t Options::*, double Options::*, bool Options::*, std::string Options::*,
               std::vector<std::string> Options::*, JsonText Options::*>
      member;
  double low, high;          // numbers: accepted range, inclusive
  std::string_view choices;  // text: accepted words separated by spaces; empty: any. JSON: "object", "array" or both
  std::string_view sentence;
  uint8_t marks = kPlain;
};

std::span<const OptionRow> option_rows();
// By key or alias, with or without "group." before it. Neither case matters nor what stands between words: top_k,
// Top-K and topK are one name. `inside`: the group whose object the name stands in. Null when there is none.
const OptionRow* find_option(std::string_view name, std::optional<OptionGroup> inside = {});
// Whether {"name":{"rest":...}} may mean the option name_rest.
bool begins_option(std::string_view name);
// The known name nearest to a misspelt one (of options, or of groups), or empty when none is near.
std::string nearest_option(std::string_view name);

std::string_view option_type_name(const OptionRow& row);                 // "integer", "number", ...
std::string option_range(const OptionRow& row);                          // "0 to 2", "f32, f16 or q8_0"
std::string option_value(const OptionRow& row, const Options& options);  // as text; lists as JSON
std::string option_json(const OptionRow& row, const Options& options);   // as JSON; what is not there as null
bool same_value(const OptionRow& row, const Options& a, const Options& b);
void copy_option(const OptionRow& row, const Options& from, Options& to);

// Sets one option from text, as the command line does. Errors: option_type, option_range.
Status set_option(Options& options, const OptionRow& row, std::string_view text);
// From JSON. A text counts as a list of one, and as the JSON that it holds where the option is JSON. What is inside of
// an option that is JSON is checked by check_json_option().
Status set_option(Options& options, const OptionRow& row, const Json& value);

// The table as Markdown, for docs/options.md.
std::string options_markdown();

Result<KvType> kv_type_of(const Options& options);
// capi/sampling_options.cpp, capi/stop_options.cpp: with the options that are JSON themselves.
// `skipped`: see capi/json_fields.h; without it the first thing that is wrong is the error.
Result<SamplingParams> sampling_params(const Options& options, SkippedJson* skipped = nullptr);
Result<StopParams> stop_params(const Options& options, SkippedJson* skipped = nullptr);
Result<std::vector<Trigger>> grammar_triggers(const Options& options, SkippedJson* skipped = nullptr);
// What is inside of the options that are JSON, whatever the others say.
Status check_json_option(const OptionRow& row, const Options& options, SkippedJson* skipped = nullptr);
// A request for a prompt with all that options say of one, but for `shift`: whether the model can do that is for the
// caller to know (Forward::can_shift).
Result<Request> make_request(const Options& options, std::vector<int32_t> prompt);
EngineOptions engine_options(const Options& options);

}  // namespace linnet
