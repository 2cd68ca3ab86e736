#include "sampling/truncation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gguf/base/math.h"
#include "sampling/sampler_cache.h"
#include "sampling/sort_numbers.h"

namespace linnet {

Result<TopK> TopK::make(const StepInput& in) { return TopK{in.params.top_k}; }

void TopK::apply(Candidates& c) const {
  if (!neutral()) c.keep_best(k);
}

std::string TopK::describe() const { return fmt::format("top_k({})", k); }

Result<TopNSigma> TopNSigma::make(const StepInput& in) {
  LINNET_CHECK(check_range("top_n_sigma", in.params.top_n_sigma, -1, 1000, "0 or -1 switches it off, 1 is usual"));
  return TopNSigma{in.params.top_n_sigma};
}

void TopNSigma::apply(Candidates& c) const {
  if (neutral()) return;
  const double reach = n * c.moments().deviation;
  c.keep_above(
      float(std::max(double(c.max()) - reach * (1 + Candidates::kSlack), double(std::numeric_limits<float>::lowest()))),
      1);
}

std::string TopNSigma::describe() const { return fmt::format("top_n_sigma({})", n); }

Result<TailFree> TailFree::make(const StepInput& in) {
  LINNET_CHECK(check_range("tfs_z", in.params.tfs_z, 0, 1, "1 switches it off, 0.95 is usual"));
  return TailFree{in.params.tfs_z, in.params.min_keep};
}

void TailFree::apply(Candidates& c) const {
  if (neutral()) return;
  const std::span<const double> p = c.sorted_probabilities();
  const size_t n = p.size();
  if (n <= 2) return;
  const auto curvature = [p](size_t i) { return std::abs((p[i] - p[i + 1]) - (p[i + 1] - p[i + 2])); };
  double total = 0;
  for (size_t i = 0; i + 2 < n; ++i) total += curvature(i);
  const bool flat = total <= 1e-6;
  double sum = 0;
  size_t kept = n;
  for (size_t i = 0; i + 2 < n; ++i) {
    sum += flat ? 1.0 / double(n - 2) : curvature(i) / total;
    if (sum > z * (1 + Candidates::kSlack) && i >= size_t(min_keep)) {
      kept = i;
      break;
    }
  }
  if (kept < n) c.keep_best(int64_t(kept));
}

std::string TailFree::describe() const { return fmt::format("tfs_z({}, min_keep {})", z, min_keep); }

Result<Typical> Typical::make(const StepInput& in) {
  LINNET_CHECK(check_range("typical_p", in.params.typical_p, 0, 1, "1 switches it off, 0.95 is usual"));
  return Typical{in.params.typical_p, in.params.min_keep};
}

void Typical::apply(Candidates& c) {
  if (neutral()) return;
  c.make_list();
  const auto [entropy, log_total] = c.surprise();
  // -ln p from the logits: p itself may be 0.
  const std::span<const Candidate> list = c.list();
  distances.resize(list.size());
  for (size_t i = 0; i < list.size(); ++i) distances[i] = std::abs(log_total - double(list[i].logit) - entropy);
  c.keep_share_by(distances, p, min_keep);
}

std::string Typical::describe() const { return fmt::format("typical_p({}, min_keep {})", p, min_keep); }

Result<TopP> TopP::make(const StepInput& in) {
  LINNET_CHECK(
      check_range("top_p", in.params.top_p, 0, 1, "1 switches it off, 0.9 to 0.95 is usual, 0 keeps one token"));
  return TopP{in.params.top_p, in.params.min_keep};
}

void TopP::apply(Candidates& c) const {
  if (!neutral()) c.keep_share(p, min_keep);
}

std::string TopP::describe() const { return fmt::format("top_p({}, min_keep {})", p, min_keep); }

Result<MinP> MinP::make(const StepInput& in) {
  LINNET_CHECK(check_range("min_p", in.params.min_p, 0, 1, "0 switches it off, 0.05 to 0.1 is usual"));
  return MinP{in.params.min_p, in.params.min_keep};
}

void MinP::apply(Candidates& c) const {
  if (!neutral()) c.keep_above(float(double(c.max()) + math::log(p) - Candidates::kSlack), min_keep);
}

std::string MinP::describe() const { return fmt::format("min_p({}, min_keep {})", p, min_keep); }

Result<Xtc> Xtc::make(const StepInput& in) {
  const SamplingParams& p = in.params;
  LINNET_CHECK(check_range("xtc_probability", p.xtc_probability, 0, 1, "0 switches it off, 0.5 is usual"));
  LINNET_CHECK(check_range("xtc_threshold", p.xtc_threshold, 0, 1, "0.1 is usual, above 0.5 it has no effect"));
  return Xtc{p.xtc_probability, p.xtc_threshold, p.min_keep, in.stream(kStream)};
}

void Xtc::apply(Candidates& c) const {
  if (neutral() || double(c.random(stream)[0] >> 11) * 0x1p-53 >= probability) return;
  const float border =
      threshold > 0 ? float(c.logit_at(threshold) - Candidates::kSlack) : std::numeric_limits<float>::lowest();
  const std::span<const Candidate> top = c.above(border);
  if (top.size() < 2 || c.count() - int64_t(top.size()) + 1 < min_keep) return;
  const int32_t stays = std::max_element(top.begin(), top.end(), better)->id;
  for (const Candidate& x : top) {
    if (x.id != stays) c.set(x.id, -std::numeric_limits<float>::infinity());
  }
}

std::string Xtc::describe() const {
  return fmt::format("xtc(probability {}, threshold {}, min_keep {})", probability, threshold, min_keep);
}

Result<Temperature> Temperature::make(const StepInput& in) {
  LINNET_CHECK(check_range("temperature", in.params.temperature, 0, 1000,
                           "0 always picks the likeliest token, 0.7 to 1 is usual"));
  return Temperature{float(in.params.temperature)};
}

void Temperature::apply(Candidates& c) const {
  if (t <= 0) return c.keep_best(1);
  if (!neutral()) c.divide(t);
}

std::string Temperature::describe() const { return fmt::format("temperature({})", t); }

Result<DynamicTemperature> DynamicTemperature::make(const StepInput& in) {
  const SamplingParams& p = in.params;
  LINNET_CHECK(
      check_range("temperature", p.temperature, 0, 1000, "0 always picks the likeliest token, 0.7 to 1 is usual"));
  LINNET_CHECK(check_range("dynatemp_range", p.dynatemp_range, 0, 1000, "0 switches it off, 0.5 is usual"));
  LINNET_CHECK(check_range("dynatemp_exponent", p.dynatemp_exponent, 0, 1000, "1 is usual"));
  if (p.dynatemp_range > 0 && p.temperature <= 0) {
    return fail(
        Code::option_range,
        "dynatemp_range is {} at temperature {}: expected a temperature above 0 for it to vary, or a range of 0",
        p.dynatemp_range, p.temperature);
  }
  return DynamicTemperature{p.temperature, p.dynatemp_range, p.dynatemp_exponent};
}

void DynamicTemperature::apply(Candidates& c) const {
  const int64_t n = c.count();
  if (neutral() || n <= 1) return;
  const double low = std::max(0.0, t - range), high = t + range;
  const double unsure = std::clamp(c.entropy() / math::log(double(n)), 0.0, 1.0);
  const auto chosen = float(low + (high - low) * math::pow(unsure, exponent));
  if (chosen <= 0) return c.keep_best(1);
  c.divide(chosen);
}

std::string DynamicTemperature::describe() const {
  return fmt::format("dynatemp({} +- {}, exponent {})", t, range, exponent);
}

Result<Infill> Infill::make(const StepInput& in) {
  return Infill{&in.vocabulary, in.cache ? in.cache->text_order() : std::make_shared<TextOrder>(in.vocabulary)};
}

// Of equally likely ones, `a` stays.
void Infill::merge_pair(size_t a, size_t b) {
  if (!marks[a] || !marks[b]) return;
  const size_t winner = p[b] > p[a] * (1 + Candidates::kSlack) ? b : a, loser = winner == a ? b : a;
  p[winner] += p[loser];
  marks[loser] = 0;
}

// Makes the heads, and adds up p of equal texts. `order`: candidates by rank.
void Infill::find_heads(const Candidates& c, std::span<const int32_t> order) {
  const std::span<const TextOrder::Place> places = text_order->places();
  const auto place_of = [&](size_t rank) { return places[size_t(c.list()[size_t(order[rank])].id)]; };
  keys.clear();
  for (size_t rank = 0; rank < order.size(); ++rank) {
    if (const uint32_t at = place_of(rank).at; at != TextOrder::kNone) keys.push_back(uint64_t{at} << 32 | rank);
  }
  sort_numbers(keys, spare);
  heads.clear();
  for (const uint64_t key : keys) {
    const auto rank = uint32_t(key);
    const TextOrder::Place place = place_of(rank);
    if (!heads.empty() && heads.back().place.at == place.at) {
      merge_pair(size_t(order[heads.back().rank]), size_t(order[rank]));
    } else {
      heads.push_back({rank, 0, place});
    }
  }
  for (size_t h = heads.size(); h-- > 0;) {
    size_t end = h + 1;
    while (end < heads.size() && heads[end].place.at < heads[h].place.end) end = heads[end].end;
    heads[h].end = uint32_t(end);
  }
}

// Adds up p of equal texts, then where one text begins the other. By ranks, so that ids do not matter.
void Infill::merge(Candidates& c) {
  const std::span<const int32_t> order = c.best_first();
  find_heads(c, order);
  keys.clear();
  for (size_t h = 0; h < heads.size(); ++h) {
    if (heads[h].end > h + 1) keys.push_back(uint64_t{heads[h].rank} << 32 | h);
  }
  sort_numbers(keys, spare);
  for (const uint64_t key : keys) {
    const size_t h = uint32_t(key), shorter = size_t(order[heads[h].rank]);
    if (!marks[shorter]) continue;
    longer.clear();
    for (size_t i = h + 1; i < heads[h].end; ++i) {
      if (marks[size_t(order[heads[i].rank])]) longer.push_back(heads[i].rank);
    }
    if (longer.empty()) continue;
    // Often the best of them takes it all, and then their order does not matter.
    merge_pair(shorter, size_t(order[*std::min_element(longer.begin(), longer.end())]));
    if (!marks[shorter]) continue;
    std::sort(longer.begin(), longer.end());
    for (const uint32_t rank : longer) merge_pair(shorter, size_t(order[rank]));
  }
}

// What is marked stays, with its p as logits; what is too unlikely for a p, with the lowest.
void Infill::keep(Candidates& c) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity(), kLowest = std::numeric_limits<float>::lowest();
  logits.assign(p.size(), -kInfinity);
  for (size_t i = 0; i < p.size(); ++i) {
    if (marks[i]) logits[i] = p[i] > 0 ? float(math::log(p[i])) : kLowest;
  }
  c.set_list(logits);
}

void Infill::apply(Candidates& c) {
  const std::span<const double> given = c.probabilities();
  const std::span<const Candidate> list = c.list();
  p.assign(given.begin(), given.end());
  marks.assign(p.size(), 1);
  const auto is_end = [&](size_t i) { return vocabulary->is_eog(list[i].id); };
  double ends = 0, others = 0;
  for (size_t i = 0; i < p.size(); ++i) (is_end(i) ? ends : others) += p[i];
  if (3 * double(p.size()) * ends > others * (1 + Candidates::kSlack)) {
    for (size_t i = 0; i < p.size(); ++i) marks[i] = is_end(i);
    return keep(c);
  }
  merge(c);
  int64_t texts = 0;
  double total = 0;
  const auto drop_below = [&](double least) {
    texts = 0;
    total = 0;
    for (size_t i = 0; i < p.size(); ++i) {
      if (!is_end(i) && p[i] < least * (1 - Candidates::kSlack)) marks[i] = 0;
      if (!marks[i]) continue;
      texts += !is_end(i);
      total += p[i];
    }
  };
  drop_below(0.2);
  if (texts == 0) {
    int32_t best = -1;
    for (size_t i = 0; i < p.size(); ++i) {
      marks[i] = 0;
      if (is_end(i) && (best < 0 || given[i] > given[size_t(best)])) best = int32_t(i);
    }
    if (best < 0) return c.keep_best(1);
    marks[size_t(best)] = 1;
    p[size_t(best)] = 1;
    return keep(c);
  }
  for (double& x : p) x /= total;
  drop_below(1.0 / double(texts + 1));
  keep(c);
}

}  // namespace linnet
