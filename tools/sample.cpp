// linnet sample: a sampler chain on given logits, for people who compare samplers.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "capi/sampler_library.h"
#include "gguf/base/json.h"
#include "gguf/base/math.h"
#include "sampling/chain.h"
#include "tools/commands.h"

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
    add_options(args, {OptionGroup::sampling});
    add_option(args, *find_option("sampler_libraries"));
    add_json(args, "print one JSON object: {\"candidates\": [[id, p], ...], \"token\": id}");
    args.footer(
        "Reads one JSON object from standard input: {\"logits\": [...], \"chain\": [{\"type\": \"top_k\", \"top_k\": "
        "40}, "
        "...], \"history\": [ids], \"seed\": n}. A logit null is -infinity. Without \"chain\" the options' chain runs. "
        "Candidates are what is left before a token is picked; without a selector no token is. Texts of tokens are "
        "those "
        "of MODEL; without it those of \"tokens\": [\"a\", ...] (with \"eog\": [ids]), or of the embedded model where "
        "it "
        "has as many tokens as there are logits.");
  }

  Result<int> run() override;

 private:
  Status read(const Json& given);
  Result<const SamplingVocabulary*> choose_vocabulary(const Json& given);
  Result<std::vector<int32_t>> ids(const Json& given, std::string_view key) const;
  Status print(const std::vector<Kept>& kept, std::optional<int32_t> token) const;

  std::vector<float> logits_;
  std::vector<int32_t> history_;
  std::unique_ptr<SamplingVocabulary> own_;
  std::shared_ptr<const Model> model_;
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
                logits ? logits->type_name() : "missing");
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
  LINNET_TRY(const std::string input, read_stdin());
  LINNET_TRY(const Json given, parse_json(input));
  LINNET_CHECK(read(given));
  LINNET_TRY(const SamplingVocabulary* vocabulary, choose_vocabulary(given));
  LINNET_TRY(SamplingParams params, sampling_params(options_));
  // A chain without steps is not the default one: a step that does nothing stands for it.
  const Json* steps = given.find("chain");
  if (steps && steps->is_array() && steps->elements().empty()) params.chain = {{"top_k", {.top_k = 0}}};
  const int64_t context = std::max<int64_t>(options_.ctx_size, static_cast<int64_t>(history_.size()) + 1);
  LINNET_TRY(const auto custom, custom_samplers(options_));
  LINNET_TRY(Chain chain,
             Chain::create(params, {.vocabulary = *vocabulary, .context = context, .custom = custom.get()}));
  for (const int32_t token : history_) chain.accept(token);
  std::vector<Kept> kept;
  const auto see = [&kept](std::string_view, const Candidates& candidates) { kept = ranked(candidates); };
  LINNET_TRY(const int32_t token, chain.sample(logits_.data(), history_.size(), see));
  LINNET_CHECK(print(kept, chain.selects() ? std::optional(token) : std::nullopt));
  return kDone;
}

Status Sample::print(const std::vector<Kept>& kept, std::optional<int32_t> token) const {
  std::string out;
  if (!json_) {
    for (const Kept& k : kept) out += fmt::format("{:8} {:.6f}\n", k.id, k.p);
    return write_stdout(out + (token ? fmt::format("picked {}\n", *token) : "no selector, nothing picked\n"));
  }
  out = "{\"candidates\":[";
  for (size_t i = 0; i < kept.size(); ++i) out += fmt::format("{}[{},{:.9g}]", i ? "," : "", kept[i].id, kept[i].p);
  return write_stdout(out + fmt::format("],\"token\":{}}}\n", token ? std::to_string(*token) : "null"));
}

}  // namespace

std::unique_ptr<Command> make_sample() { return std::make_unique<Sample>(); }

}  // namespace linnet
