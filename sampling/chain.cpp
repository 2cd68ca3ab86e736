#include "sampling/chain.h"

#include <exception>
#include <limits>
#include <random>
#include <utility>

#include "sampling/steps.h"

namespace linnet {
namespace {

// Sums of weights of 2^40 each must stay below 2^63 (sampling/candidates.h).
constexpr int32_t kMostTokens = (1 << 23) - 1;

Status check_common(const SamplingParams& p, const SamplingVocabulary& vocabulary, int64_t context) {
  if (vocabulary.size() < 1 || vocabulary.size() > kMostTokens) {
    return fail(Code::invalid_argument, "the vocabulary has {} tokens: a sampler chain takes 1 to {}",
                vocabulary.size(), kMostTokens);
  }
  if (context < 1) {
    return fail(Code::invalid_argument, "the context size given to the sampler chain is {}: expected at least 1 token",
                context);
  }
  if (p.min_keep < 1) {
    return fail(Code::option_range, "min_keep is {}: expected at least 1, the number of tokens that truncation leaves",
                p.min_keep);
  }
  if (p.seed < -1) {
    return fail(Code::option_range, "seed is {}: expected a number from 0 to {}, or -1 to have one chosen at random",
                p.seed, std::numeric_limits<int64_t>::max());
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

std::vector<std::string> find_notes(const SamplingParams& p) {
  std::vector<std::string> notes;
  if (p.temperature <= 0 && p.seed >= 0) {
    notes.push_back(fmt::format("seed {} has no effect: temperature 0 always picks the likeliest token", p.seed));
  }
  if (p.temperature > 0 && p.top_k > 0 && p.min_keep > p.top_k) {
    notes.push_back(
        fmt::format("min_keep {} cannot be reached: top_k leaves {} tokens before it applies", p.min_keep, p.top_k));
  }
  return notes;
}

// Appends the steps of the list that the parameters switch on. All are made, so that all parameters are checked.
template <size_t i = 0>
Status make_steps(const StepInput& input, std::vector<Step>& steps) {
  if constexpr (i < std::variant_size_v<Step>) {
    LINNET_TRY(auto step, (std::variant_alternative_t<i, Step>::make(input)));
    if (step) steps.emplace_back(*std::move(step));
    return make_steps<i + 1>(input, steps);
  }
  return {};
}

}  // namespace

struct Chain::Impl {
  uint64_t seed;
  int32_t vocabulary_size;
  Scans scans;
  std::vector<std::string> notes;
  std::vector<Step> steps;
  Candidates candidates;
};

Chain::Chain(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Chain::Chain(Chain&&) noexcept = default;
Chain& Chain::operator=(Chain&&) noexcept = default;
Chain::~Chain() = default;

Result<Chain> Chain::create(const SamplingParams& params, const SamplingVocabulary& vocabulary, int64_t context,
                            Scans scans) {
  LINNET_CHECK(check_common(params, vocabulary, context));
  std::vector<Step> steps;
  LINNET_CHECK(make_steps(StepInput{params, context}, steps));
  auto seed = uint64_t(params.seed);
  if (params.seed < 0) { LINNET_TRY(seed, choose_seed()); }
  return Chain(std::unique_ptr<Impl>(
      new Impl{seed, vocabulary.size(), scans, find_notes(params), std::move(steps), Candidates(scans)}));
}

Chain Chain::clone() const {
  // The candidates are working memory of one call, not state.
  const Impl& from = *impl_;
  return Chain(std::unique_ptr<Impl>(
      new Impl{from.seed, from.vocabulary_size, from.scans, from.notes, from.steps, Candidates(from.scans)}));
}

uint64_t Chain::seed() const { return impl_->seed; }

void Chain::accept(int32_t token) {
  if (token < 0 || token >= impl_->vocabulary_size) return;
  for (Step& step : impl_->steps) {
    std::visit(
        [token](auto& s) {
          if constexpr (requires { s.accept(token); }) s.accept(token);
        },
        step);
  }
}

Result<int32_t> Chain::sample(float* logits, uint64_t position) {
  Candidates& candidates = impl_->candidates;
  LINNET_CHECK(candidates.begin({logits, size_t(impl_->vocabulary_size)}, impl_->seed, position));
  for (Step& step : impl_->steps) {
    std::visit([&candidates](auto& s) { s.apply(candidates); }, step);
  }
  return candidates.picked();
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
