#include "sampling/penalties.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "gguf/base/math.h"
#include "sampling/sampler_cache.h"

namespace linnet {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

Status check_bias(const LogitBias& b, int32_t vocabulary_size) {
  if (b.text.empty() && (b.token < 0 || b.token >= vocabulary_size)) {
    return fail(Code::token_range, "logit_bias names token {}: expected 0 to {}, the ids of this vocabulary", b.token,
                vocabulary_size - 1);
  }
  if (b.bias <= kLargest && !std::isnan(b.bias)) return {};
  return fail(Code::option_range, "logit_bias is {} for {}: expected a finite number, or -infinity (false) to ban it",
              b.bias, b.text.empty() ? fmt::format("token {}", b.token) : fmt::format("\"{}\"", b.text));
}

// base^n, n >= 0, by squaring: the same bits everywhere.
double power(double base, int64_t n) {
  double result = 1;
  for (; n > 0; n /= 2, base *= base) {
    if (n % 2) result *= base;
  }
  return result;
}

}  // namespace

Result<LogitBiases> LogitBiases::make(const StepInput& in) {
  std::map<int32_t, double> sums;
  for (const LogitBias& b : in.params.logit_bias) {
    LINNET_CHECK(check_bias(b, in.vocabulary.size()));
    const double bias = b.bias <= kBan ? -std::numeric_limits<double>::infinity() : b.bias;
    if (b.text.empty()) {
      sums[b.token] += bias;
    } else {
      for (const int32_t token : in.vocabulary.tokenize(b.text)) sums[token] += bias;
    }
  }
  LogitBiases step;
  for (const auto& [token, bias] : sums) {
    if (bias != 0) step.biases.emplace_back(token, float(std::min(bias, double(kLargest))));
  }
  return step;
}

void LogitBiases::apply(Candidates& c) const {
  for (const auto& [token, bias] : biases) {
    const float l = c.logit(token);
    if (l < -kLargest) continue;  // masked
    c.set(token, bias < -kLargest ? bias : std::clamp(l + bias, -kLargest, kLargest));
  }
}

std::string LogitBiases::describe() const {
  const auto banned = std::count_if(biases.begin(), biases.end(), [](const auto& b) { return b.second < -kLargest; });
  return fmt::format("logit_bias({} tokens, {} of them banned)", biases.size(), banned);
}

Result<Penalties> Penalties::make(const StepInput& in) {
  const SamplingParams& p = in.params;
  // The lower bound is the smallest float: any positive number.
  LINNET_CHECK(check_range("repeat_penalty", p.repeat_penalty, double(std::numeric_limits<float>::denorm_min()), 1000,
                           "1 switches it off, 1.1 discourages repetition mildly"));
  LINNET_CHECK(check_range("presence_penalty", p.presence_penalty, -1000, 1000,
                           "0 switches it off, -2 to 2 is the usual range"));
  LINNET_CHECK(check_range("frequency_penalty", p.frequency_penalty, -1000, 1000,
                           "0 switches it off, -2 to 2 is the usual range"));
  LINNET_CHECK(check_window("penalty_last_n", p.penalty_last_n));
  return Penalties{float(p.repeat_penalty), float(p.presence_penalty), float(p.frequency_penalty),
                   CountedWindow(in.window(p.penalty_last_n))};
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

Result<Dry> Dry::make(const StepInput& in) {
  const SamplingParams& p = in.params;
  LINNET_CHECK(check_range("dry_multiplier", p.dry_multiplier, 0, 1000, "0 switches it off, 0.8 is usual"));
  // Below 1 a longer repetition would cost less: clients that send such a base get the default (Chain::notes()).
  LINNET_CHECK(check_range("dry_base", p.dry_base, 0, 1000, "1.75 is usual"));
  const double base = p.dry_base < 1 ? SamplingParams{}.dry_base : p.dry_base;
  if (p.dry_allowed_length < 0) {
    return fail(Code::option_range, "dry_allowed_length is {}: expected a number of tokens >= 0; 2 is usual",
                p.dry_allowed_length);
  }
  LINNET_CHECK(check_window("dry_penalty_last_n", p.dry_penalty_last_n));
  const bool on = p.dry_multiplier > 0;
  // Without the step, the texts need not be looked for in the vocabulary, only checked.
  const auto find = [&]() -> Result<std::shared_ptr<const DryBreakers>> {
    if (!on) return DryBreakers::make(p.dry_sequence_breakers, PlainVocabulary(0));
    if (in.cache) return in.cache->dry_breakers(p.dry_sequence_breakers);
    return DryBreakers::make(p.dry_sequence_breakers, in.vocabulary);
  };
  LINNET_TRY(auto breakers, find());
  return Dry{p.dry_multiplier, base, p.dry_allowed_length, in.window(p.dry_penalty_last_n), std::move(breakers)};
}

void Dry::apply(Candidates& c) {
  const std::span<const int32_t> text = c.history().last(std::min(c.history().size(), size_t(last)));
  const auto n = int64_t(text.size());
  if (neutral() || n <= allowed) return;
  const int64_t limit = breakers->since_last(text);
  if (limit < allowed) return;
  // Z algorithm over the reversed text: lengths[i] is the longest common prefix of it and of its suffix from i on. [low,
  // high) is the stretch found so far that reaches farthest.
  reversed.assign(text.rbegin(), text.rend());
  lengths.assign(size_t(n), 0);
  longest.clear();
  int64_t low = 0, high = 0;
  for (int64_t i = 1; i < n; ++i) {
    int64_t z = i < high ? std::min<int64_t>(high - i, lengths[size_t(i - low)]) : 0;
    while (i + z < n && reversed[size_t(z)] == reversed[size_t(i + z)]) ++z;
    lengths[size_t(i)] = int32_t(z);
    if (i + z > high) low = i, high = i + z;
    z = std::min(z, limit);
    if (z >= allowed) longest.emplace_back(reversed[size_t(i - 1)], int32_t(z));
  }
  std::sort(longest.begin(), longest.end(), [](const auto& a, const auto& b) {
    return a.first < b.first || (a.first == b.first && a.second > b.second);
  });
  // The largest power that a float holds.
  const auto most = base > 1 ? int64_t(std::min(88.7228 / math::log(base), 1e9)) : n;
  for (size_t i = 0; i < longest.size(); ++i) {
    const auto [token, length] = longest[i];
    if (i > 0 && longest[i - 1].first == token) continue;
    const float l = c.logit(token);
    if (l < -kLargest || breakers->breaks(token)) continue;
    const double penalty = multiplier * power(base, std::min<int64_t>(length - allowed, most));
    c.set(token, float(std::max(double(l) - penalty, -double(kLargest))));
  }
}

std::string Dry::describe() const {
  return fmt::format("dry(multiplier {}, base {}, allowed_length {}, last {}, {} breakers)", multiplier, base, allowed,
                     last, breakers->size());
}

}  // namespace linnet
