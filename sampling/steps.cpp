#include "sampling/steps.h"

#include <algorithm>
#include <limits>
#include <string_view>

#include "gguf/base/math.h"

namespace linnet {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

// Written so that NaN fails.
Status check_range(std::string_view name, float value, float low, float high, std::string_view advice) {
  if (value >= low && value <= high) return {};
  return fail(Code::option_range, "{} is {}: expected a number from {} to {}; {}", name, value, low, high, advice);
}

// Truncation cannot change what greedy picks, so it does not run then.
bool greedy(const SamplingParams& p) { return p.temperature <= 0; }

}  // namespace

Result<std::optional<Penalties>> Penalties::make(const StepInput& in) {
  const SamplingParams& p = in.params;
  // The lower bound is the smallest float: any positive number.
  LINNET_CHECK(check_range("repeat_penalty", p.repeat_penalty, std::numeric_limits<float>::denorm_min(), 1000,
                           "1 switches it off, 1.1 discourages repetition mildly"));
  LINNET_CHECK(check_range("presence_penalty", p.presence_penalty, -1000, 1000,
                           "0 switches it off, -2 to 2 is the usual range"));
  LINNET_CHECK(check_range("frequency_penalty", p.frequency_penalty, -1000, 1000,
                           "0 switches it off, -2 to 2 is the usual range"));
  if (p.penalty_last_n < -1) {
    return fail(Code::option_range,
                "penalty_last_n is {}: expected a number of tokens >= 0, or -1 for the whole context; 0 switches the "
                "penalties off",
                p.penalty_last_n);
  }
  const int64_t window = p.penalty_last_n < 0 ? in.context : std::min<int64_t>(p.penalty_last_n, in.context);
  const bool neutral = p.repeat_penalty == 1 && p.presence_penalty == 0 && p.frequency_penalty == 0;
  if (neutral || window == 0) return std::optional<Penalties>();
  return std::optional(Penalties{p.repeat_penalty, p.presence_penalty, p.frequency_penalty, CountedWindow(window)});
}

void Penalties::apply(Candidates& c) const {
  for (const CountedWindow::Entry& e : window.entries()) {
    float l = c.logit(e.token);
    if (l < -kLargest) continue;  // masked
    l = l > 0 ? l / repeat : l * repeat;
    l = l - float(e.count) * frequency - presence;
    c.set(e.token, std::clamp(l, -kLargest, kLargest));
  }
}

std::string Penalties::describe() const {
  return fmt::format("penalties(repeat {}, presence {}, frequency {}, last {})", repeat, presence, frequency,
                     window.length());
}

Result<std::optional<TopK>> TopK::make(const StepInput& in) {
  if (in.params.top_k <= 0 || greedy(in.params)) return std::optional<TopK>();
  return std::optional(TopK{in.params.top_k});
}

void TopK::apply(Candidates& c) const { c.keep_best(k); }

std::string TopK::describe() const { return fmt::format("top_k({})", k); }

Result<std::optional<TopP>> TopP::make(const StepInput& in) {
  const SamplingParams& p = in.params;
  LINNET_CHECK(check_range("top_p", p.top_p, 0, 1, "1 switches it off, 0.9 to 0.95 is usual, 0 keeps one token"));
  if (p.top_p >= 1 || greedy(p)) return std::optional<TopP>();
  return std::optional(TopP{p.top_p, p.min_keep});
}

void TopP::apply(Candidates& c) const { c.keep_share(p, min_keep); }

std::string TopP::describe() const { return fmt::format("top_p({}, min_keep {})", p, min_keep); }

Result<std::optional<MinP>> MinP::make(const StepInput& in) {
  const SamplingParams& p = in.params;
  LINNET_CHECK(check_range("min_p", p.min_p, 0, 1, "0 switches it off, 0.05 to 0.1 is usual"));
  if (p.min_p <= 0 || greedy(p)) return std::optional<MinP>();
  return std::optional(MinP{p.min_p, p.min_keep});
}

void MinP::apply(Candidates& c) const { c.keep_above(c.max() + math::log(p), min_keep); }

std::string MinP::describe() const { return fmt::format("min_p({}, min_keep {})", p, min_keep); }

Result<std::optional<Temperature>> Temperature::make(const StepInput& in) {
  const float t = in.params.temperature;
  LINNET_CHECK(check_range("temperature", t, 0, 1000, "0 always picks the likeliest token, 0.7 to 1 is usual"));
  if (t == 1 || greedy(in.params)) return std::optional<Temperature>();
  return std::optional(Temperature{t});
}

void Temperature::apply(Candidates& c) const { c.divide(t); }

std::string Temperature::describe() const { return fmt::format("temperature({})", t); }

Result<std::optional<Greedy>> Greedy::make(const StepInput& in) {
  return greedy(in.params) ? std::optional(Greedy{}) : std::optional<Greedy>();
}

void Greedy::apply(Candidates& c) const { c.pick(c.best()); }

std::string Greedy::describe() const { return "greedy()"; }

Result<std::optional<Dist>> Dist::make(const StepInput& in) {
  return greedy(in.params) ? std::optional<Dist>() : std::optional(Dist{});
}

void Dist::apply(Candidates& c) const { c.pick(c.draw(c.random(kStream))); }

std::string Dist::describe() const { return "dist()"; }

}  // namespace linnet
