// linnet sample: a sampler chain on given logits or on those of a recorded run, for people who compare samplers.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "capi/sampler_library.h"
#include "gguf/base/json.h"
#include "gguf/base/math.h"
#include "sampling/chain.h"
#include "tools/commands.h"
#include "tools/sampling_page.h"
#include "tools/sampling_trace.h"

namespace linnet {
namespace {

// A vocabulary given as texts: a token is one of them; tokenize() takes the longest that fits.
class GivenVocabulary : public SamplingVocabulary {
 public:
  GivenVocabulary(std::vector<std::string> texts, std::vector<int32_t> eog)
      : texts_(std::move(texts)), eog_(std::move(eog)) {}
  int32_t size() const override { return static_cast<int32_t>(texts_.size()); }
  std::string_view bytes(int32_t token) const override { return texts_[static_cast<size_t>(token)]; }
  bool is_eog(int32_t token) const override { return std::find(eog_.begin(), eog_.end(), token) != eog_.end(); }
  std::vector<int32_t> tokenize(std::string_view text) const override {
    std::vector<int32_t> tokens;
    while (!text.empty()) {
      size_t best = texts_.size();
      for (size_t i = 0; i < texts_.size(); ++i) {
        const bool fits = !texts_[i].empty() && text.starts_with(texts_[i]);
        if (fits && (best == texts_.size() || texts_[i].size() > texts_[best].size())) best = i;
      }
      if (best == texts_.size()) return {};
      tokens.push_back(static_cast<int32_t>(best));
      text.remove_prefix(texts_[best].size());
    }
    return tokens;
  }

 private:
  std::vector<std::string> texts_;
  std::vector<int32_t> eog_;
};

struct Kept {
  int32_t id;
  double p;
};

// What is left, likeliest first, p normalized.
std::vector<Kept> ranked(const Candidates& candidates) {
  std::vector<Kept> kept;
  const double max = static_cast<double>(candidates.max());
  double total = 0;
  for (const Candidate& c : candidates.copy()) {
    kept.push_back({c.id, math::exp(static_cast<double>(c.logit) - max)});
    total += kept.back().p;
  }
  for (Kept& k : kept) k.p /= total;
  std::sort(kept.begin(), kept.end(),
            [](const Kept& a, const Kept& b) { return a.p > b.p || (a.p == b.p && a.id < b.id); });
  return kept;
}

class Sample : public Command {
 public:
  const char* name() const override { return "sample"; }
  const char* summary() const override { return "apply a sampler chain to logits"; }

  void declare(Arguments& args) override {
    add_model(args);
    const auto take = [this](const std::string& file) { keep(take_recording(file)); };
    const Argument recording = args.option("--recording", take, false,
                                           "a file of linnet record: its logits, options and seed; flags win over them")
                                   .type_name("FILE")
                                   .before_others();
    args.flag("--trace", trace_, "also what every step did, as \"steps\"; of a recording it is always told")
        .excludes(recording);
    args.option("--html", html_, "with --recording: write a page that shows every position");
    args.option("--svg", svg_, "with --recording: write a picture of candidates and entropy at every position");
    args.option("--top", top_, "with --recording: how many of the likeliest tokens are told at each position");
    add_options(args, {OptionGroup::sampling});
    add_option(args, *find_option("sampler_libraries"));
    add_json(args, "print one JSON object: {\"candidates\": [[id, p], ...], \"token\": id}; of a recording its trace");
    args.footer(
        "Reads one JSON object from standard input: {\"logits\": [...], \"chain\": [{\"type\": \"top_k\", \"top_k\": "
        "40}, "
        "...], \"history\": [ids], \"seed\": n}. A logit null is -infinity. Without \"chain\" the options' chain runs. "
        "Candidates are what is left before a token is picked; without a selector no token is. Texts of tokens are "
        "those "
        "of MODEL; without it those of \"tokens\": [\"a\", ...] (with \"eog\": [ids]), or of the embedded model where "
        "it "
        "has as many tokens as there are logits.\n"
        "With --recording nothing is read from standard input: the chain of the recorded run, as the options given "
        "here change it, runs at every recorded position and accepts the recorded token.");
  }

  Result<int> run() override;

 private:
  Status read(const Json& given);
  Result<const SamplingVocabulary*> choose_vocabulary(const Json& given);
  Result<int> run_given();
  Status take_recording(const std::string& file);
  Result<const SamplingVocabulary*> recorded_vocabulary();
  Result<int> run_recording();
  Result<std::vector<int32_t>> ids(const Json& given, std::string_view key) const;
  Status print(const std::vector<Kept>& kept, std::optional<int32_t> token, const PositionTrace* trace) const;

  std::vector<float> logits_;
  std::vector<int32_t> history_;
  std::unique_ptr<SamplingVocabulary> own_;
  std::shared_ptr<const Model> model_;
  std::optional<Recording> recording_;
  std::string html_, svg_;
  int64_t top_ = 10;
  bool trace_ = false;
};

Result<std::vector<int32_t>> Sample::ids(const Json& given, std::string_view key) const {
  std::vector<int32_t> result;
  const Json* list = given.find(key);
  if (!list || list->is_null()) return result;
  if (!list->is_array())
    return fail(Code::json_type, "\"{}\" is {}, expected an array of token ids", key, list->type_name());
  for (const Json& id : list->elements()) {
    if (!id.is_integer() || !id.integer() || *id.integer() < 0 ||
        *id.integer() >= static_cast<int64_t>(logits_.size())) {
      return fail(Code::token_range, "\"{}\" holds {}, expected token ids from 0 to {}", key,
                  JsonWriter().value(id).text(), logits_.size() - 1);
    }
    result.push_back(static_cast<int32_t>(*id.integer()));
  }
  return result;
}

Status Sample::read(const Json& given) {
  if (!given.is_object()) return fail(Code::json_type, "standard input is {}, expected an object", given.type_name());
  for (const auto& [key, value] : given.members()) {
    constexpr std::string_view known[] = {"logits", "chain", "history", "seed", "tokens", "eog"};
    if (std::find(std::begin(known), std::end(known), key) == std::end(known))
      return fail(Code::option_unknown, "there is no key \"{}\" here, expected {}", key,
                  "logits, chain, history, seed, tokens or eog");
  }
  const Json* logits = given.find("logits");
  if (!logits || !logits->is_array() || logits->elements().empty())
    return fail(Code::json_type, "\"logits\" is {}, expected an array of numbers",
                !logits              ? "missing"
                : logits->is_array() ? "empty"
                                     : logits->type_name());
  for (const Json& value : logits->elements()) {
    double number = -std::numeric_limits<double>::infinity();
    if (!value.is_null()) {
      if (!value.is_number())
        return fail(Code::json_type, "logit {} is {}, expected a number or null", logits_.size(), value.type_name());
      number = *value.number();
      if (std::abs(number) > static_cast<double>(std::numeric_limits<float>::max()))
        return fail(Code::option_range, "logit {} is {}, expected a number that a float holds, or null for -infinity",
                    logits_.size(), number);
    }
    logits_.push_back(static_cast<float>(number));
  }
  LINNET_TRY(history_, ids(given, "history"));
  for (const std::string_view key : {"chain", "seed"}) {
    const Json* value = given.find(key);
    if (value && !value->is_null()) LINNET_CHECK(set_option(options_, *find_option(key), *value));
  }
  return {};
}

Result<const SamplingVocabulary*> Sample::choose_vocabulary(const Json& given) {
  const auto count = static_cast<int32_t>(logits_.size());
  const Json* tokens = given.find("tokens");
  if (!tokens && given.find("eog"))
    return fail(Code::json_type,
                "\"eog\" is given without \"tokens\", expected both: it says which of them end a text");
  if (tokens) {
    if (!tokens->is_array())
      return fail(Code::json_type, "\"tokens\" is {}, expected an array of texts", tokens->type_name());
    std::vector<std::string> texts;
    for (const Json& text : tokens->elements()) {
      if (!text.is_string()) return fail(Code::json_type, "\"tokens\" holds {}, expected texts", text.type_name());
      texts.emplace_back(*text.string());
    }
    if (texts.size() != logits_.size())
      return fail(Code::json_type, "there are {} texts in \"tokens\" and {} logits, expected one each", texts.size(),
                  count);
    LINNET_TRY(std::vector<int32_t> eog, ids(given, "eog"));
    own_ = std::make_unique<GivenVocabulary>(std::move(texts), std::move(eog));
    return own_.get();
  }
  if (!model_path_.empty() || embedded_model_path()) {
    LINNET_TRY(model_, load_model());
    if (model_->tokenizer().size() == count) return &model_->tokenizer();
    if (!model_path_.empty()) {
      return fail(Code::invalid_argument, "there are {} logits, and the model has {} tokens: expected one logit each",
                  count, model_->tokenizer().size());
    }
  }
  own_ = std::make_unique<PlainVocabulary>(count);
  return own_.get();
}

Result<int> Sample::run() {
  if (recording_) return run_recording();
  if (!html_.empty() || !svg_.empty())
    return fail(Code::invalid_argument, "--html and --svg draw a recorded run; give one with --recording");
  return run_given();
}

Result<int> Sample::run_given() {
  LINNET_TRY(const std::string input, read_stdin());
  LINNET_TRY(const Json given, parse_json(input));
  LINNET_CHECK(read(given));
  LINNET_TRY(const SamplingVocabulary* vocabulary, choose_vocabulary(given));
  LINNET_TRY(options_, filled_options());
  LINNET_TRY(SamplingParams params, sampling_params(options_));
  // A chain without steps is not the default one: a step that does nothing stands for it.
  const Json* steps = given.find("chain");
  if (steps && steps->is_array() && steps->elements().empty()) params.chain = {{"top_k", {.top_k = 0}}};
  const int64_t context = std::max<int64_t>(options_.ctx_size, static_cast<int64_t>(history_.size()) + 1);
  LINNET_TRY(const auto custom, custom_samplers(options_));
  LINNET_TRY(Chain chain,
             Chain::create(params, {.vocabulary = *vocabulary, .context = context, .custom = custom.get()}));
  for (const int32_t token : history_) chain.accept(token);
  std::optional<PositionTrace> trace;
  if (trace_) {
    Chain copy = chain.clone();
    LINNET_TRY(trace, trace_position(copy, logits_, history_.size(), -1, 0));
  }
  std::vector<Kept> kept;
  const auto see = [&kept](std::string_view, const Candidates& candidates) { kept = ranked(candidates); };
  LINNET_TRY(const int32_t token, chain.sample(logits_.data(), history_.size(), see));
  LINNET_CHECK(print(kept, chain.selects() ? std::optional(token) : std::nullopt, trace ? &*trace : nullptr));
  return kDone;
}

Status Sample::print(const std::vector<Kept>& kept, std::optional<int32_t> token, const PositionTrace* trace) const {
  std::string out;
  if (!json_) {
    if (trace) out = steps_table(*trace);
    for (const Kept& k : kept) out += fmt::format("{:8} {:.6f}\n", k.id, k.p);
    return write_stdout(out + (token ? fmt::format("picked {}\n", *token) : "no selector, nothing picked\n"));
  }
  out = "{\"candidates\":[";
  for (size_t i = 0; i < kept.size(); ++i) out += fmt::format("{}[{},{:.9g}]", i ? "," : "", kept[i].id, kept[i].p);
  out += fmt::format("],\"token\":{}", token ? std::to_string(*token) : "null");
  if (trace) out += ",\"steps\":" + steps_json(*trace);
  return write_stdout(out + "}\n");
}

// Called while the command line is read, before the flags that change what the run had.
Status Sample::take_recording(const std::string& file) {
  const Options defaults;
  for (const OptionRow& row : option_rows())
    if (!same_value(row, options_, defaults))
      return fail(Code::invalid_argument, "--recording comes after --config, whose {} it would undo; name it first",
                  row.key);
  LINNET_TRY(recording_, read_recording(file));
  options_.seed = static_cast<int64_t>(recording_->seed);
  // No others: a file from elsewhere does not say which libraries are loaded.
  LINNET_TRY(const Json recorded, parse_json(recording_->options));
  for (const auto& [key, value] : recorded.members()) {
    const OptionRow* row = find_option(key);
    if (!row || (row->group != OptionGroup::sampling && row->group != OptionGroup::stopping))
      return fail(Code::option_unknown, "{} holds the option \"{}\", expected options of sampling and stopping", file,
                  key);
    LINNET_CHECK(set_option(options_, *row, value));
  }
  return {};
}

// The model that is named must be the recorded one; the embedded one is taken if it is.
Result<const SamplingVocabulary*> Sample::recorded_vocabulary() {
  const auto is_recorded = [this] {
    const Tokenizer& tokenizer = model_->tokenizer();
    return tokenizer.size() == recording_->vocabulary && vocabulary_hash(tokenizer) == recording_->vocabulary_hash;
  };
  if (!model_path_.empty() || embedded_model_path()) {
    LINNET_TRY(model_, load_model());
    if (is_recorded()) return &model_->tokenizer();
    if (!model_path_.empty())
      return fail(Code::invalid_argument,
                  "the vocabulary of {} is not the one that was recorded ({} tokens); name the model of the recording",
                  model_path_, recording_->vocabulary);
    model_ = nullptr;
  }
  if (!json_)
    fmt::print(stderr, "note: without the recorded MODEL the texts of tokens are not known, and DRY has no breakers\n");
  own_ = std::make_unique<PlainVocabulary>(recording_->vocabulary);
  return own_.get();
}

Result<int> Sample::run_recording() {
  if (top_ < 0 || top_ > recording_->vocabulary)
    return fail(Code::option_range, "--top is {}, expected 0 to {}, the size of the vocabulary", top_,
                recording_->vocabulary);
  LINNET_TRY(const SamplingVocabulary* vocabulary, recorded_vocabulary());
  LINNET_TRY(options_, filled_options());
  LINNET_TRY(const SamplingParams params, sampling_params(options_));
  LINNET_TRY(const auto custom, custom_samplers(options_));
  LINNET_TRY(
      Chain chain,
      Chain::create(params, {.vocabulary = *vocabulary, .context = recording_->context, .custom = custom.get()}));
  const std::vector<std::string> steps = chain.describe();
  if (own_ && std::any_of(steps.begin(), steps.end(), [](const std::string& s) { return s.starts_with("grammar("); }))
    return fail(Code::invalid_argument,
                "a grammar needs the texts of tokens, and the embedded model is not the recorded one; name the MODEL");
  Progress progress("sampling");
  const auto seen = [&progress](double share) { progress.update(share); };
  LINNET_TRY(const RecordingTrace trace,
             trace_recording(*recording_, std::move(chain), static_cast<size_t>(top_), seen));
  const TokenText text = [&](int32_t token) -> std::string {
    const std::string_view bytes = vocabulary->bytes(token);
    return std::string(bytes.empty() && model_ ? model_->tokenizer().piece(token) : bytes);
  };
  if (!html_.empty()) LINNET_CHECK(write_file(html_, sampling_page(trace, text)));
  if (!svg_.empty()) LINNET_CHECK(write_file(svg_, sampling_picture(trace)));
  LINNET_CHECK(write_stdout(json_ ? trace_json(trace, text) + "\n" : trace_table(trace)));
  return kDone;
}

}  // namespace

std::unique_ptr<Command> make_sample() { return std::make_unique<Sample>(); }

}  // namespace linnet
