#include "sampling/chain.h"

#include <algorithm>
#include <array>
#include <exception>
#include <limits>
#include <map>
#include <random>
#include <utility>

#include <fmt/ranges.h>

#include "sampling/sampler_cache.h"
#include "sampling/steps.h"

namespace linnet {
namespace {

// Sums of weights of 2^40 each must stay below 2^63 (sampling/candidates.h).
constexpr int32_t kMostTokens = (1 << 23) - 1;
constexpr size_t kMostSteps = 64;

Status check_common(const SamplingParams& p, const ChainInput& in) {
  if (in.vocabulary.size() < 1 || in.vocabulary.size() > kMostTokens) {
    return fail(Code::invalid_argument, "the vocabulary has {} tokens: a sampler chain takes 1 to {}",
                in.vocabulary.size(), kMostTokens);
  }
  if (in.context < 1) {
    return fail(Code::invalid_argument, "the context size given to the sampler chain is {}: expected at least 1 token",
                in.context);
  }
  if (p.seed < -1) {
    return fail(Code::option_range, "seed is {}: expected a number from 0 to {}, or -1 to have one chosen at random",
                p.seed, std::numeric_limits<int64_t>::max());
  }
  if (p.chain.size() > kMostSteps) {
    return fail(Code::option_range, "the chain has {} steps: at most {} are run", p.chain.size(), kMostSteps);
  }
  return {};
}

Status check_min_keep(const SamplingParams& p) {
  if (p.min_keep >= 1) return {};
  return fail(Code::option_range, "min_keep is {}: expected at least 1, the number of tokens that truncation leaves",
              p.min_keep);
}

// Rules between parameters of different steps.
Status check_together(const SamplingParams& p) {
  LINNET_CHECK(check_min_keep(p));
  if (p.mirostat < 0 || p.mirostat > 2) {
    return fail(Code::option_range, "mirostat is {}: expected 0 (off), 1 or 2 (that version)", p.mirostat);
  }
  if (p.mirostat > 0 && p.adaptive_target >= 0) {
    return fail(Code::option_range,
                "mirostat is {} and adaptive_target is {}: expected one of the two, since each picks the token; set "
                "mirostat to 0 or adaptive_target to -1",
                p.mirostat, p.adaptive_target);
  }
  return {};
}

// 63 bits, so that the seed that was chosen can be given as a parameter to repeat a text.
Result<uint64_t> choose_seed() {
  try {
    std::random_device device;
    const uint64_t high = device();
    return (high << 32 | device()) & uint64_t(std::numeric_limits<int64_t>::max());
  } catch (const std::exception& e) {
    return fail(Code::internal, "no random seed could be had from the system ({}); give a seed >= 0", e.what());
  }
}

void note_step(const SamplingParams& p, std::vector<std::string>& notes) {
  if (p.xtc_probability > 0 && p.xtc_threshold > 0.5) {
    notes.push_back(fmt::format("xtc has no effect: no two tokens can reach the threshold {} at once; 0.1 is usual",
                                p.xtc_threshold));
  }
  if (p.dry_base < 1) {
    notes.push_back(fmt::format("dry_base {} is replaced by {}: below 1 a longer repetition would cost less",
                                p.dry_base, SamplingParams{}.dry_base));
  }
  if (p.dry_multiplier > 0 && p.dry_sequence_breakers.empty()) {
    notes.push_back("dry runs without sequence breakers: line breaks and names of speakers count as repetitions");
  }
}

}  // namespace

std::vector<std::string> sampling_notes(const SamplingParams& p) {
  std::vector<std::string> notes;
  if (!p.chain.empty()) {
    for (const StepSpec& step : p.chain) {
      if (step.type == Xtc::kName || step.type == Dry::kName) note_step(step.params, notes);
    }
    return notes;
  }
  note_step(p, notes);
  if (p.mirostat > 0) {
    notes.push_back(
        fmt::format("with mirostat {} the steps top_n_sigma, top_k, tfs_z, typical_p, top_p, min_p and xtc do not run",
                    p.mirostat));
  } else if (p.temperature <= 0 && p.seed >= 0) {
    notes.push_back(fmt::format("seed {} has no effect: temperature 0 always picks the likeliest token", p.seed));
  } else if (p.temperature > 0 && p.top_k > 0 && p.min_keep > p.top_k) {
    notes.push_back(
        fmt::format("min_keep {} cannot be reached: top_k leaves {} tokens before it applies", p.min_keep, p.top_k));
  }
  return notes;
}

namespace {

// The steps that a chain without explicit steps may have (steps that turn out neutral are left out).
std::vector<std::string_view> default_steps(const SamplingParams& p) {
  std::vector<std::string_view> names = {GrammarStep::kName, LogitBiases::kName, Penalties::kName, Dry::kName};
  const auto add = [&names](std::initializer_list<std::string_view> more) { names.insert(names.end(), more); };
  const std::string_view temperature = p.dynatemp_range > 0 ? DynamicTemperature::kName : Temperature::kName;
  if (p.temperature <= 0) {
    add({Custom::kName, Greedy::kName});
  } else if (p.mirostat > 0) {
    add({temperature, Custom::kName, p.mirostat == 1 ? Mirostat1::kName : Mirostat2::kName});
  } else {
    add({TopNSigma::kName, TopK::kName, TailFree::kName, Typical::kName, TopP::kName, MinP::kName, Xtc::kName,
         temperature, Custom::kName, p.adaptive_target >= 0 ? AdaptiveP::kName : Dist::kName});
  }
  return names;
}

template <size_t... i>
constexpr auto names_of(std::index_sequence<i...>) {
  return std::array{std::variant_alternative_t<i, Step>::kName...};
}
constexpr auto kNames = names_of(std::make_index_sequence<std::variant_size_v<Step>>());

template <size_t i = 0>
Result<Step> make_step(std::string_view name, const StepInput& input) {
  if constexpr (i < kNames.size()) {
    if (name != kNames[i]) return make_step<i + 1>(name, input);
    LINNET_TRY(Step step, (std::variant_alternative_t<i, Step>::make(input)));
    return step;
  } else {
    if (input.custom && input.custom->find(name)) {
      LINNET_TRY(Step step, Custom::make(input, std::string(name)));
      return step;
    }
    std::vector<std::string_view> names(kNames.begin(), kNames.end());
    if (input.custom) std::ranges::copy(input.custom->names(), std::back_inserter(names));
    return fail(Code::sampler_unknown, "there is no sampler step \"{}\"; there are {}", name, fmt::join(names, ", "));
  }
}

bool neutral(const Step& step) {
  return std::visit([](const auto& s) { return s.neutral(); }, step);
}

bool selects(const Step& step) {
  return std::visit(
      [](const auto& s) {
        if constexpr (requires { s.selects(); }) return s.selects();
        return requires { s.kSelects; };
      },
      step);
}

std::string_view name_of(const Step& step) {
  const auto* custom = std::get_if<Custom>(&step);
  return custom ? custom->name() : kNames[step.index()];
}

Status apply(Step& step, Candidates& c) {
  return std::visit(
      [&c](auto& s) -> Status {
        if constexpr (std::is_same_v<decltype(s.apply(c)), Status>) {
          return s.apply(c);
        } else {
          s.apply(c);
          return {};
        }
      },
      step);
}

// All are made, so that all parameters are checked, also of steps that do not run.
Result<std::vector<Step>> default_chain(const SamplingParams& p, const ChainInput& in) {
  LINNET_CHECK(check_together(p));
  const std::vector<std::string_view> wanted = default_steps(p);
  std::vector<Step> steps;
  for (const std::string_view name : kNames) {
    LINNET_TRY(Step step, make_step(name, StepInput{p, in.vocabulary, in.context, 0, in.cache, in.custom}));
    if (std::find(wanted.begin(), wanted.end(), name) == wanted.end() || neutral(step)) continue;
    if (steps.empty() || !selects(steps.back())) {
      steps.push_back(std::move(step));
    } else if (name != Dist::kName && name != Greedy::kName) {
      return fail(Code::option_range,
                  "the custom sampler {} picks the token and {} is on: expected one of the two; set mirostat to 0 and "
                  "adaptive_target to -1, or name another sampler",
                  name_of(steps.back()), name);
    }
  }
  return steps;
}

Result<std::vector<Step>> explicit_chain(const SamplingParams& p, const ChainInput& in) {
  std::vector<Step> steps;
  std::map<std::string_view, uint32_t> repetitions;
  for (const StepSpec& spec : p.chain) {
    LINNET_CHECK(check_min_keep(spec.params));
    if (!steps.empty() && selects(steps.back())) {
      return fail(Code::option_range,
                  "the chain goes on with \"{}\" after \"{}\": expected the step that picks the token to be the last",
                  spec.type, name_of(steps.back()));
    }
    if (spec.type == Custom::kName && spec.params.custom_sampler.empty()) {
      return fail(Code::option_range,
                  "the chain has a step \"custom\" without \"custom_sampler\", expected the name of one");
    }
    const bool named = std::find(kNames.begin(), kNames.end(), spec.type) == kNames.end();
    uint32_t& repetition = repetitions[named ? Custom::kName : std::string_view(spec.type)];
    LINNET_TRY(Step step, make_step(spec.type, StepInput{spec.params, in.vocabulary, in.context, repetition++, in.cache,
                                                         in.custom}));
    steps.push_back(std::move(step));
  }
  return steps;
}

}  // namespace

std::span<const std::string_view> step_names() { return kNames; }

struct Chain::Impl {
  uint64_t seed;
  int32_t vocabulary_size;
  Scans scans;
  std::vector<std::string> notes;
  std::vector<Step> steps;
  std::vector<int32_t> history;
  Candidates candidates;
};

Chain::Chain(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Chain::Chain(Chain&&) noexcept = default;
Chain& Chain::operator=(Chain&&) noexcept = default;
Chain::~Chain() = default;

Result<Chain> Chain::create(const SamplingParams& params, const ChainInput& input) {
  LINNET_CHECK(check_common(params, input));
  LINNET_TRY(auto steps, params.chain.empty() ? default_chain(params, input) : explicit_chain(params, input));
  auto seed = uint64_t(params.seed);
  if (params.seed < 0) { LINNET_TRY(seed, choose_seed()); }
  auto impl = std::make_unique<Impl>(seed, input.vocabulary.size(), input.scans, sampling_notes(params),
                                     std::move(steps), std::vector<int32_t>(), Candidates(input.scans));
  impl->history.reserve(size_t(std::min<int64_t>(input.context, 4096)));
  return Chain(std::move(impl));
}

Chain Chain::clone() const {
  // The candidates are working memory of one call, not state.
  const Impl& from = *impl_;
  return Chain(std::make_unique<Impl>(from.seed, from.vocabulary_size, from.scans, from.notes, from.steps, from.history,
                                      Candidates(from.scans)));
}

uint64_t Chain::seed() const { return impl_->seed; }
std::span<const int32_t> Chain::history() const { return impl_->history; }
bool Chain::selects() const { return !impl_->steps.empty() && linnet::selects(impl_->steps.back()); }

void Chain::accept(int32_t token, bool generated) {
  if (token < 0 || token >= impl_->vocabulary_size) return;
  impl_->history.push_back(token);
  for (Step& step : impl_->steps) {
    std::visit(
        [&](auto& s) {
          if constexpr (requires { s.accept(Accepted{}); }) s.accept(Accepted{impl_->history, generated});
        },
        step);
  }
}

void Chain::rewind(int64_t tokens) {
  std::vector<int32_t>& history = impl_->history;
  for (; tokens > 0 && !history.empty(); --tokens) {
    for (Step& step : impl_->steps) {
      std::visit(
          [&](auto& s) {
            if constexpr (requires { s.rewind(std::span<const int32_t>()); }) s.rewind(history);
          },
          step);
    }
    history.pop_back();
  }
}

void Chain::prepare() {
  for (Step& step : impl_->steps) {
    if (auto* grammar = std::get_if<GrammarStep>(&step)) grammar->prepare();
  }
}

bool Chain::can_prepare() const {
  return std::any_of(impl_->steps.begin(), impl_->steps.end(), [](const Step& step) {
    const auto* grammar = std::get_if<GrammarStep>(&step);
    return grammar && grammar->can_prepare();
  });
}

bool Chain::has_grammar() const {
  return std::any_of(impl_->steps.begin(), impl_->steps.end(), [](const Step& step) {
    const auto* grammar = std::get_if<GrammarStep>(&step);
    return grammar && !grammar->neutral();
  });
}

bool Chain::ended() const {
  return std::any_of(impl_->steps.begin(), impl_->steps.end(), [](const Step& step) {
    const auto* grammar = std::get_if<GrammarStep>(&step);
    return grammar && grammar->ended();
  });
}

bool Chain::only_end() {
  return std::any_of(impl_->steps.begin(), impl_->steps.end(), [](Step& step) {
    auto* grammar = std::get_if<GrammarStep>(&step);
    return grammar && grammar->only_end();
  });
}

std::string Chain::forced() const {
  std::string longest;
  for (const Step& step : impl_->steps) {
    const auto* grammar = std::get_if<GrammarStep>(&step);
    if (!grammar) continue;
    std::string bytes = grammar->forced();
    if (bytes.size() > longest.size()) longest = std::move(bytes);
  }
  return longest;
}

Result<int32_t> Chain::sample(float* logits, uint64_t position, const StepObserver& observer) {
  Candidates& c = impl_->candidates;
  LINNET_CHECK(c.begin({logits, size_t(impl_->vocabulary_size)}, impl_->seed, position, impl_->history));
  if (observer) observer("logits", c);
  for (Step& step : impl_->steps) {
    LINNET_CHECK(apply(step, c));
    if (linnet::selects(step)) break;
    if (!c.settle()) {
      return fail(Code::grammar_dead_end,
                  "no token is left for position {} after the step {}: it forbids all that the steps before it left; "
                  "allow more tokens, or put it earlier in the chain",
                  position, std::visit([](const auto& s) { return s.describe(); }, step));
    }
    if (observer) observer(name_of(step), c);
  }
  return c.picked();
}

std::vector<std::string> Chain::describe() const {
  std::vector<std::string> rows;
  for (const Step& step : impl_->steps) {
    rows.push_back(std::visit([](const auto& s) { return s.describe(); }, step));
  }
  return rows;
}

const std::vector<std::string>& Chain::notes() const { return impl_->notes; }

}  // namespace linnet
