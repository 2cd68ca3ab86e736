#include "tests/sampling/definitions.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <string>

namespace linnet::definition {
namespace {

constexpr double kNear = 1e-5;

double best_logit(const Tokens& tokens) { return tokens[best_first(tokens)[0]].logit; }

void undecide(Left& left, const Tokens& tokens) {
  for (const Token& t : tokens) left.undecided.insert(t.id);
}

// The first `count` of `order`; those from `surely` to `at_most` are undecided.
Left first_of(const Tokens& tokens, const std::vector<size_t>& order, size_t count, size_t surely, size_t at_most) {
  Left left;
  for (size_t i = 0; i < std::min(count, order.size()); ++i) left.tokens.push_back(tokens[order[i]]);
  for (size_t i = surely; i < std::min(at_most, order.size()); ++i) left.undecided.insert(tokens[order[i]].id);
  std::sort(left.tokens.begin(), left.tokens.end(), [](const Token& a, const Token& b) { return a.id < b.id; });
  return left;
}

// Those with a logit >= border, but at least the min_keep best.
Left at_least(const Tokens& tokens, double border, int64_t min_keep) {
  const std::vector<size_t> order = best_first(tokens);
  // Logits are floats: a border among large ones is as coarse as they are.
  const double near = kNear + std::abs(border) * 0x1p-23;
  const auto reach = [&](double b) {
    const auto n = std::count_if(tokens.begin(), tokens.end(), [b](const Token& t) { return t.logit >= b; });
    return size_t(std::max<int64_t>(n, min_keep));
  };
  return first_of(tokens, order, reach(border), reach(border + near), reach(border - near));
}

// The fewest of `order` whose p sum to `share` (`more`: to more than it), but at least min_keep.
Left share_of(const Tokens& tokens, const std::vector<size_t>& order, double share, bool more, int64_t min_keep) {
  const std::vector<double> p = softmax(tokens);
  const auto fewest = [&](double wanted) {
    double sum = 0;
    for (size_t m = 1; m <= order.size(); ++m) {
      sum += p[order[m - 1]];
      if ((more ? sum > wanted : sum >= wanted) && int64_t(m) >= min_keep) return m;
    }
    return order.size();
  };
  return first_of(tokens, order, fewest(share), fewest(share - kNear), fewest(share + kNear));
}

Left logit_bias(const SamplingParams& p, const Tokens& tokens, const Surroundings& around) {
  std::map<int32_t, double> sums;
  for (const LogitBias& b : p.logit_bias) {
    const double bias = b.bias <= -100 ? -INFINITY : b.bias;
    if (b.text.empty()) sums[b.token] += bias;
    for (const int32_t id : b.text.empty() ? std::vector<int32_t>() : around.vocabulary.tokenize(b.text))
      sums[id] += bias;
  }
  Left left;
  for (Token t : tokens) {
    if (sums.contains(t.id)) t.logit += sums[t.id];
    if (t.logit > -INFINITY) left.tokens.push_back(t);
  }
  return left;
}

std::vector<int32_t> window(const Surroundings& around, int32_t last_n) {
  int64_t n = std::min(int64_t(around.history.size()), around.context);
  if (last_n >= 0) n = std::min<int64_t>(n, last_n);
  return {around.history.end() - n, around.history.end()};
}

Left penalties(const SamplingParams& p, const Tokens& tokens, const Surroundings& around) {
  const std::vector<int32_t> recent = window(around, p.penalty_last_n);
  Left left{tokens};
  for (Token& t : left.tokens) {
    const auto c = double(std::count(recent.begin(), recent.end(), t.id));
    if (c == 0) continue;
    t.logit = t.logit <= 0 ? t.logit * p.repeat_penalty : t.logit / p.repeat_penalty;
    t.logit -= c * p.frequency_penalty + p.presence_penalty;
  }
  return left;
}

// How a breaker text may be spelled from a token on: the tokens after it.
std::vector<std::vector<int32_t>> spellings(const std::string& breaker, int32_t head, const SamplingVocabulary& v) {
  const std::string word(v.bytes(head));
  if (word.find(breaker) != std::string::npos) return {{}};
  std::vector<std::vector<int32_t>> all;
  for (size_t start = 0; start < word.size(); ++start) {
    const std::string end = word.substr(start);
    if (end.size() >= breaker.size() || breaker.compare(0, end.size(), end) != 0) continue;
    std::vector<int32_t> tail = v.tokenize(breaker.substr(end.size()));
    if (tail.empty()) continue;  // cannot be spelled
    tail.resize(std::min<size_t>(tail.size(), 20));
    all.push_back(tail);
  }
  return all;
}

Left dry(const SamplingParams& p, const Tokens& tokens, const Surroundings& around) {
  Left left{tokens};
  const std::vector<int32_t> x = window(around, p.dry_penalty_last_n);
  const auto n = int64_t(x.size());
  const int64_t allowed = p.dry_allowed_length;
  if (p.dry_multiplier == 0 || n <= allowed) return left;
  std::set<int32_t> single;
  int64_t limit = n;
  for (int64_t i = 0; i < n; ++i) {  // distance from the end
    int64_t longest = -1;
    for (const std::string& breaker : p.dry_sequence_breakers) {
      for (const std::vector<int32_t>& tail : spellings(breaker, x[size_t(n - 1 - i)], around.vocabulary)) {
        if (int64_t(tail.size()) <= i && std::equal(tail.begin(), tail.end(), x.end() - i))
          longest = std::max(longest, int64_t(tail.size()));
      }
    }
    if (longest >= 0) {
      limit = i - longest;
      break;
    }
  }
  if (limit < allowed) return left;
  std::map<int32_t, int64_t> lengths;
  for (int64_t k = 0; k + 1 < n; ++k) {
    int64_t z = 0;
    while (z <= k && x[size_t(k - z)] == x[size_t(n - 1 - z)]) ++z;
    z = std::min(z, limit);
    const int32_t next = x[size_t(k + 1)];
    if (z >= allowed) lengths[next] = lengths.contains(next) ? std::max(lengths[next], z) : z;
  }
  const double base = p.dry_base < 1 ? 1.75 : p.dry_base;
  for (Token& t : left.tokens) {
    if (!lengths.contains(t.id)) continue;
    const auto is_single = [&](const std::string& b) {
      return around.vocabulary.bytes(t.id).find(b) != std::string_view::npos;
    };
    if (std::any_of(p.dry_sequence_breakers.begin(), p.dry_sequence_breakers.end(), is_single)) continue;
    double exponent = double(lengths[t.id] - allowed);
    if (base > 1) exponent = std::min(exponent, std::floor(88.7228 / std::log(base)));
    t.logit -= p.dry_multiplier * std::pow(base, exponent);
  }
  return left;
}

Left top_n_sigma(const SamplingParams& p, const Tokens& tokens) {
  if (p.top_n_sigma <= 0) return {tokens};
  double mean = 0, variance = 0;
  for (const Token& t : tokens) mean += t.logit / double(tokens.size());
  for (const Token& t : tokens) variance += (t.logit - mean) * (t.logit - mean) / double(tokens.size());
  return at_least(tokens, best_logit(tokens) - p.top_n_sigma * std::sqrt(variance), 1);
}

Left tfs_z(const SamplingParams& params, const Tokens& tokens) {
  const size_t n = tokens.size();
  if (params.tfs_z >= 1 || n <= 2) return {tokens};
  const std::vector<size_t> order = best_first(tokens);
  std::vector<double> p = softmax(tokens), first, second;
  std::sort(p.begin(), p.end(), std::greater<>());
  for (size_t i = 0; i + 1 < n; ++i) first.push_back(p[i] - p[i + 1]);
  for (size_t i = 0; i + 2 < n; ++i) second.push_back(std::abs(first[i] - first[i + 1]));
  const double total = std::accumulate(second.begin(), second.end(), 0.0);
  for (double& x : second) x = total > 1e-6 ? x / total : 1 / double(n - 2);
  const auto cut = [&](double z) {
    double sum = 0;
    for (size_t i = 0; i < second.size(); ++i) {
      sum += second[i];
      if (sum > z && int64_t(i) >= std::max<int64_t>(1, params.min_keep)) return i;
    }
    return n;
  };
  // p is good to 1e-7, the curve's share to that over its total.
  const double near = kNear + 4e-7 / std::max(total, 1e-7);
  Left left = first_of(tokens, order, cut(params.tfs_z), cut(params.tfs_z - near), cut(params.tfs_z + near));
  if (total > 0.5e-6 && total < 2e-6) undecide(left, tokens);
  return left;
}

Left typical_p(const SamplingParams& params, const Tokens& tokens) {
  if (params.typical_p >= 1) return {tokens};
  // -ln p from the logits, since p may be 0.
  const double best = best_logit(tokens), h = entropy(tokens);
  double z = 0;
  for (const Token& t : tokens) z += std::exp(t.logit - best);
  std::vector<double> score;
  for (const Token& t : tokens) score.push_back(std::abs(std::log(z) - (t.logit - best) - h));
  std::vector<size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return tokens[a].logit == tokens[b].logit || score[a] == score[b] ? tokens[a].id < tokens[b].id
                                                                      : score[a] < score[b];
  });
  Left left = share_of(tokens, order, params.typical_p, true, params.min_keep);
  // Two tokens above and below the entropy, equally far: their order is undecided, and with it everything after it.
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    const size_t a = order[i], b = order[i + 1];
    if (tokens[a].logit != tokens[b].logit && score[b] - score[a] < kNear * (1 + std::abs(score[a])) &&
        i <= left.tokens.size() + left.undecided.size()) {
      undecide(left, tokens);
      break;
    }
  }
  return left;
}

Left xtc(const SamplingParams& p, const Tokens& tokens, const Surroundings& around) {
  if (!around.xtc_acts || p.xtc_threshold > 0.5) return {tokens};
  const std::vector<size_t> order = best_first(tokens);
  const std::vector<double> prob = softmax(tokens);
  const auto last = [&](double threshold) {
    int64_t j = -1;
    for (size_t i = 0; i < order.size(); ++i) {
      if (prob[order[i]] >= threshold) j = int64_t(i);
    }
    return j;
  };
  const auto n = int64_t(tokens.size());
  const auto removed = [&](int64_t j) { return j > 0 && n - j >= p.min_keep ? size_t(j) : size_t(0); };
  const double t = p.xtc_threshold;
  const size_t count = removed(last(t));
  Left left;
  std::set<int32_t> gone;
  for (size_t i = 0; i < count; ++i) gone.insert(tokens[order[i]].id);
  for (const Token& token : tokens) {
    if (!gone.contains(token.id)) left.tokens.push_back(token);
  }
  const double near = t > 0 ? t * kNear : 0;
  for (const size_t other : {removed(last(t - near)), removed(last(t + near))}) {
    for (size_t i = std::min(count, other); i < std::max(count, other); ++i) left.undecided.insert(tokens[order[i]].id);
  }
  return left;
}

Left divided(const Tokens& tokens, double t) {
  const double best = best_logit(tokens);
  if (t <= 0) return first_of(tokens, best_first(tokens), 1, 1, 1);
  Left left{tokens};
  for (Token& token : left.tokens) token.logit = (token.logit - best) / t;
  return left;
}

Left dynatemp(const SamplingParams& p, const Tokens& tokens) {
  if (tokens.size() <= 1) return {tokens};
  const double low = std::max(0.0, p.temperature - p.dynatemp_range), high = p.temperature + p.dynatemp_range;
  const double unsure = entropy(tokens) / std::log(double(tokens.size()));
  const double t = low + (high - low) * std::pow(std::min(1.0, unsure), p.dynatemp_exponent);
  Left left = divided(tokens, t);
  if (t < 1e-9) undecide(left, tokens);  // the best alone, or with others of p = 0
  return left;
}

Left infill(const Tokens& tokens, const SamplingVocabulary& v) {
  struct Text {
    int32_t id;
    double p;
    bool end, there;
  };
  const std::vector<double> p = softmax(tokens);
  std::vector<Text> all;
  for (const size_t i : best_first(tokens)) all.push_back({tokens[i].id, p[i], v.is_eog(tokens[i].id), true});
  double ends = 0, others = 0;
  for (const Text& t : all) (t.end ? ends : others) += t.p;
  Left left;
  const auto finish = [&] {
    for (const Text& t : all) {
      if (t.there) left.tokens.push_back({t.id, t.p > 0 ? std::log(t.p) : -1e30});
    }
    std::sort(left.tokens.begin(), left.tokens.end(), [](const Token& a, const Token& b) { return a.id < b.id; });
    return left;
  };
  const double to_end = 3 * double(all.size()) * ends;
  if (std::abs(to_end - others) <= kNear * others) undecide(left, tokens);
  if (to_end > others) {
    for (Text& t : all) t.there = t.end;
    return finish();
  }
  const auto merge = [&](bool equal) {
    for (Text& a : all) {
      for (Text& b : all) {
        const std::string_view begin = v.bytes(a.id), text = v.bytes(b.id);
        if (&a == &b || !a.there || !b.there || begin.empty() || !text.starts_with(begin)) continue;
        if ((begin == text) != equal) continue;
        // Of equally likely ones the beginning stays; equal sums of different p are so but for rounding.
        const double near = std::abs(a.p - b.p) / a.p;
        if ((near > 1e-12 && near < kNear) || (a.p < 1e-40 && b.p < 1e-40)) undecide(left, tokens);
        Text& winner = b.p > a.p * (1 + 1e-12) ? b : a;
        Text& loser = &winner == &b ? a : b;
        winner.p += loser.p;
        loser.there = false;
      }
    }
  };
  merge(true);
  merge(false);
  double total = 0;
  int64_t texts = 0;
  const auto drop = [&](double least) {
    total = 0;
    texts = 0;
    for (Text& t : all) {
      if (t.there && !t.end && std::abs(t.p - least) <= kNear) undecide(left, tokens);
      if (!t.end && t.p < least) t.there = false;
      if (!t.there) continue;
      total += t.p;
      texts += !t.end;
    }
  };
  drop(0.2);
  if (texts == 0) {
    const auto best = std::find_if(all.begin(), all.end(), [](const Text& t) { return t.end; });
    for (Text& t : all) t.there = false;
    Text& stays = best == all.end() ? all[0] : *best;
    stays.there = true;
    stays.p = 1;
    return finish();
  }
  for (Text& t : all) t.p /= total;
  drop(1 / double(texts + 1));
  return finish();
}

}  // namespace

std::vector<size_t> best_first(const Tokens& tokens) {
  std::vector<size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return tokens[a].logit > tokens[b].logit; });
  return order;
}

std::vector<double> softmax(const Tokens& tokens) {
  const double best = best_logit(tokens);
  std::vector<double> p;
  for (const Token& t : tokens) p.push_back(std::exp(t.logit - best));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& x : p) x /= total;
  return p;
}

double entropy(const Tokens& tokens) {
  double h = 0;
  for (const double p : softmax(tokens)) h -= p > 0 ? p * std::log(p) : 0;
  return h;
}

Left apply(const StepSpec& step, const Tokens& tokens, const Surroundings& around) {
  const SamplingParams& p = step.params;
  const auto n = int64_t(tokens.size());
  if (step.type == "logit_bias") return logit_bias(p, tokens, around);
  if (step.type == "penalties") return penalties(p, tokens, around);
  if (step.type == "dry") return dry(p, tokens, around);
  if (step.type == "top_n_sigma") return top_n_sigma(p, tokens);
  if (step.type == "top_k") {
    const auto k = size_t(p.top_k <= 0 ? n : p.top_k);
    return first_of(tokens, best_first(tokens), k, k, k);
  }
  if (step.type == "tfs_z") return tfs_z(p, tokens);
  if (step.type == "typical_p") return typical_p(p, tokens);
  if (step.type == "top_p")
    return p.top_p >= 1 ? Left{tokens} : share_of(tokens, best_first(tokens), p.top_p, false, p.min_keep);
  if (step.type == "min_p") {
    return p.min_p <= 0 ? Left{tokens} : at_least(tokens, best_logit(tokens) + std::log(p.min_p), p.min_keep);
  }
  if (step.type == "xtc") return xtc(p, tokens, around);
  if (step.type == "temperature") return divided(tokens, p.temperature);
  if (step.type == "dynatemp") return dynatemp(p, tokens);
  if (step.type == "infill") return infill(tokens, around.vocabulary);
  std::abort();  // a step without a definition: the test is to fail loudly
}

Left mirostat1(const Tokens& tokens, double mu, int32_t vocabulary_size) {
  const std::vector<size_t> order = best_first(tokens);
  double products = 0, squares = 0;
  for (size_t i = 0; i + 1 < std::min<size_t>(order.size(), 100); ++i) {
    const double t = std::log(double(i + 2) / double(i + 1));
    const double b = tokens[order[i]].logit - tokens[order[i + 1]].logit;  // ln(p_i / p_i+1)
    products += t * b;
    squares += t * t;
  }
  if (squares == 0 || products == 0) {  // one token, or equal ones: the limit of s -> 0
    const auto count = std::exp2(mu) / (vocabulary_size - 1) > 1 ? order.size() : 1;
    return first_of(tokens, order, count, count, count);
  }
  const double s = products / squares, e = s - 1;
  const double fraction =
      std::abs(e) < 1e-9 ? 1 / std::log(double(vocabulary_size)) : e / (1 - std::pow(vocabulary_size, -e));
  const auto count = [&](double nudge) {
    const double k = std::floor(std::pow(fraction * std::exp2(mu) * (1 + nudge), 1 / s) * (1 + nudge));
    return size_t(std::clamp(k, 1.0, double(order.size())));
  };
  return first_of(tokens, order, count(0), count(-1e-9), count(1e-9));
}

Left mirostat2(const Tokens& tokens, double mu) {
  const std::vector<double> p = softmax(tokens);
  const double best = best_logit(tokens);
  double z = 0;
  for (const Token& t : tokens) z += std::exp(t.logit - best);
  // -log2 p <= mu  <=>  l >= best + ln z - mu ln 2
  return at_least(tokens, best + std::log(z) - mu * std::log(2.0), 1);
}

Tokens adaptive_p(const Tokens& tokens, double aim) {
  const std::vector<double> p = softmax(tokens);
  Tokens changed = tokens;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const double d = std::abs(p[i] - aim) / 0.3;
    changed[i].logit = 5 - 10 * d * d / (1 + d);
  }
  return changed;
}

}  // namespace linnet::definition
