#include "sampling/selectors.h"

#include <algorithm>
#include <cmath>

#include "gguf/base/math.h"

namespace linnet {
namespace {

constexpr double kLn2 = 0.693147180559945309417;

// Draws from the list; the token and its one of `p`.
std::pair<int32_t, double> draw(Candidates& c, std::span<const double> p, uint32_t stream) {
  const int32_t token = c.draw(c.random(stream));
  const auto at = std::find_if(c.list().begin(), c.list().end(), [token](const Candidate& x) { return x.id == token; });
  c.pick(token);
  return {token, p[size_t(at - c.list().begin())]};
}

std::pair<int32_t, double> draw_surprise(Candidates& c, uint32_t stream) {
  const auto [token, p] = draw(c, c.probabilities(), stream);
  return {token, -math::log(p) / kLn2};
}

void learn(Tracked& mu, double tau, double eta, std::pair<int32_t, double>& drawn, const Accepted& a) {
  const auto [token, surprise] = std::exchange(drawn, {-1, 0});
  if (token >= 0 && token == a.text.back()) mu.set(a.text.size(), mu.value() - eta * (surprise - tau));
}

Status check_mirostat(const SamplingParams& p) {
  LINNET_CHECK(check_range("mirostat_tau", p.mirostat_tau, 0, 1000, "5 is usual: the surprise in bits to aim at"));
  return check_range("mirostat_eta", p.mirostat_eta, 0, 1000, "0.1 is usual: how fast to follow");
}

}  // namespace

void Greedy::apply(Candidates& c) const { c.pick(c.best()); }

void Dist::apply(Candidates& c) const { c.pick(c.draw(c.random(kStream))); }

void Tracked::set(size_t length, double value) {
  before_.emplace_back(length, value_);
  value_ = value;
}

void Tracked::rewind(size_t length) {
  if (before_.empty() || before_.back().first < length) return;
  value_ = before_.back().second;
  before_.pop_back();
}

Result<Mirostat1> Mirostat1::make(const StepInput& in) {
  LINNET_CHECK(check_mirostat(in.params));
  return Mirostat1{in.params.mirostat_tau, in.params.mirostat_eta, Tracked(2 * in.params.mirostat_tau)};
}

void Mirostat1::apply(Candidates& c) {
  constexpr size_t kBest = 100;
  const std::span<const Candidate> best = c.leading(kBest);
  double products = 0, squares = 0;
  for (size_t i = 0; i + 1 < best.size(); ++i) {
    const double t = math::log(double(i + 2) / double(i + 1));
    // As logits: p may be 0.
    const double b = double(best[i].logit) - double(best[i + 1].logit);
    products += t * b;
    squares += t * t;
  }
  const double s = squares > 0 ? products / squares : 0;
  const double e = s - 1;
  const double v = c.vocabulary_size();
  // At s = 1 the fraction has a limit: 2^mu / ln V.
  const double base = std::abs(e) < 1e-9 ? math::exp(mu.value() * kLn2) / math::log(v)
                                         : e * math::exp(mu.value() * kLn2) / (1 - math::pow(v, -e));
  const double k = math::pow(base, 1 / s);
  // More than there are: all. Equal logits (s = 0) make k 0, 1 or infinite. Written so that NaN keeps all as well.
  if (k < double(c.count())) c.keep_best(std::max<int64_t>(1, int64_t(k)));
  drawn = draw_surprise(c, kStream);
}

void Mirostat1::accept(const Accepted& a) { learn(mu, tau, eta, drawn, a); }

std::string Mirostat1::describe() const {
  return fmt::format("mirostat1(tau {}, eta {}, mu {})", tau, eta, mu.value());
}

Result<Mirostat2> Mirostat2::make(const StepInput& in) {
  LINNET_CHECK(check_mirostat(in.params));
  return Mirostat2{in.params.mirostat_tau, in.params.mirostat_eta, Tracked(2 * in.params.mirostat_tau)};
}

void Mirostat2::apply(Candidates& c) {
  c.keep_above(float(c.logit_at(math::exp(-mu.value() * kLn2)) - Candidates::kSlack), 1);
  drawn = draw_surprise(c, kStream);
}

void Mirostat2::accept(const Accepted& a) { learn(mu, tau, eta, drawn, a); }

std::string Mirostat2::describe() const {
  return fmt::format("mirostat2(tau {}, eta {}, mu {})", tau, eta, mu.value());
}

Result<AdaptiveP> AdaptiveP::make(const StepInput& in) {
  const SamplingParams& p = in.params;
  LINNET_CHECK(check_range("adaptive_target", p.adaptive_target, -1, 1, "a negative number switches it off"));
  LINNET_CHECK(
      check_range("adaptive_decay", p.adaptive_decay, 0, 0.99, "0.9 is usual: about the last 10 tokens count"));
  const double total = 1 / (1 - p.adaptive_decay);
  return AdaptiveP{p.adaptive_target, p.adaptive_decay, Tracked(p.adaptive_target * total), Tracked(total)};
}

void AdaptiveP::apply(Candidates& c) {
  const std::span<const double> p = c.probabilities();
  if (target < 0) {
    drawn = draw(c, p, kStream);
    return;
  }
  const double aim = std::clamp(2 * target - weighted.value() / total.value(), 0.0, 1.0);
  logits.resize(p.size());
  for (size_t i = 0; i < p.size(); ++i) {
    const double distance = std::abs(p[i] - aim) / 0.3;
    logits[i] = float(5 - 10 * distance * distance / (1 + distance));
  }
  c.set_list(logits);
  c.settle();
  drawn = draw(c, p, kStream);
}

void AdaptiveP::accept(const Accepted& a) {
  const auto [token, p] = std::exchange(drawn, {-1, 0});
  if (target < 0 || token < 0 || token != a.text.back()) return;
  weighted.set(a.text.size(), p + decay * weighted.value());
  total.set(a.text.size(), 1 + decay * total.value());
}

void AdaptiveP::rewind(std::span<const int32_t> text) {
  weighted.rewind(text.size());
  total.rewind(text.size());
}

std::string AdaptiveP::describe() const { return fmt::format("adaptive_p(target {}, decay {})", target, decay); }

}  // namespace linnet
