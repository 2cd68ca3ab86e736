#include "sampling/candidates.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <utility>

#include "gguf/base/math.h"
#include "sampling/philox.h"
#include "sampling/sort_numbers.h"

namespace linnet {
namespace {

// Small enough that looking into a block again is cheap, large enough that the maxima are few: at 150,000 tokens, top-k
// with k = 40 looks at 600 maxima and 40 blocks after the first pass.
constexpr size_t kBlock = 256;
// Lists of the usual lengths never allocate.
constexpr size_t kReserved = 512;
constexpr float kLowest = std::numeric_limits<float>::lowest();  // of the finite ones: leaves out -inf

// <= 2^40; vocabularies are below 2^23 (Chain::create), so sums stay below 2^63.
uint64_t to_weight(float relative) { return uint64_t(int64_t(relative * 0x1p40f)); }

// Ranks are natural logarithms of probabilities but for a constant; what they are grouped by is 1/16 of a unit, up to 64.
constexpr size_t kGroups = 1024;
constexpr double kGroupsPerUnit = 16;
constexpr size_t kMany = 2048;  // below, groups do not pay

// random / 2^64 of a total, rounded down: less than the total.
uint64_t portion(uint64_t random, uint64_t total) {
  __extension__ using Wide = unsigned __int128;
  return uint64_t((Wide{random} * total) >> 64);
}

}  // namespace

Candidates::Candidates(const Scans& scans) : scans_(scans) {
  list_.reserve(kReserved);
  order_.reserve(kReserved);
  weights_.reserve(kReserved);
  weighed_.reserve(kReserved);
}

std::span<float> Candidates::block(size_t b) const {
  const size_t first = b * kBlock;
  return row_.subspan(first, std::min(kBlock, row_.size() - first));
}

Status Candidates::begin(std::span<float> row, uint64_t seed, uint64_t position, std::span<const int32_t> history) {
  row_ = row;
  history_ = history;
  unsettled_ = false;
  is_row_ = true;
  list_.clear();
  seed_ = seed;
  position_ = position;
  picked_ = -1;
  maxima_.resize((row.size() + kBlock - 1) / kBlock);
  bool nan = false;
  for (size_t b = 0; b < maxima_.size(); ++b) {
    const std::span<float> x = block(b);
    maxima_[b] = scans_.max(x.data(), int64_t(x.size()));
    nan |= maxima_[b] != maxima_[b];
  }
  if (nan || !std::isfinite(max())) return not_finite();
  return {};
}

Error Candidates::not_finite() const {
  for (size_t i = 0; i < row_.size(); ++i) {
    if (row_[i] < std::numeric_limits<float>::infinity()) continue;
    return fail(
        Code::logits_not_finite,
        "logit {} of {} for position {} is {}: expected finite numbers (or -inf for masked tokens); the model's "
        "weights or its arithmetic are broken for this input, check the file with `linnet validate`",
        i, row_.size(), position_, row_[i]);
  }
  return fail(Code::logits_not_finite,
              "all {} logits for position {} are -inf: expected at least one token that may follow; remove a mask or a "
              "bias of -inf",
              row_.size(), position_);
}

Candidate* Candidates::find(int32_t id) {
  const auto at = std::lower_bound(list_.begin(), list_.end(), id,
                                   [](const Candidate& c, int32_t wanted) { return c.id < wanted; });
  return at != list_.end() && at->id == id ? &*at : nullptr;
}

float Candidates::logit(int32_t id) const {
  if (is_row_) return row_[size_t(id)];
  const Candidate* c = const_cast<Candidates*>(this)->find(id);
  return c ? c->logit : -std::numeric_limits<float>::infinity();
}

void Candidates::set(int32_t id, float logit) {
  if (!is_row_) {
    find(id)->logit = logit;
    unsettled_ = true;
    return;
  }
  float& x = row_[size_t(id)];
  const size_t b = size_t(id) / kBlock;
  const bool was_max = x == maxima_[b];
  x = logit;
  if (logit >= maxima_[b]) {
    maxima_[b] = logit;
  } else if (was_max) {
    maxima_[b] = scans_.max(block(b).data(), int64_t(block(b).size()));
  }
}

void Candidates::set_list(std::span<const float> logits) {
  for (size_t i = 0; i < list_.size(); ++i) list_[i].logit = logits[i];
  unsettled_ = true;
}

bool Candidates::settle() {
  if (is_row_) return max() >= kLowest;
  if (std::exchange(unsettled_, false)) {
    std::erase_if(list_, [](const Candidate& c) { return !(c.logit >= kLowest); });
    list_max_ = kLowest;
    for (const Candidate& c : list_) list_max_ = std::max(list_max_, c.logit);
  }
  return !list_.empty();
}

void Candidates::mask(std::span<const uint64_t> allowed) {
  const auto has = [allowed](size_t id) { return (allowed[id / 64] >> (id % 64) & 1) != 0; };
  if (!is_row_) {
    for (Candidate& c : list_) {
      if (!has(size_t(c.id))) c.logit = -std::numeric_limits<float>::infinity();
    }
    unsettled_ = true;
    return;
  }
  for (size_t b = 0; b < maxima_.size(); ++b) {
    const std::span<float> x = block(b);
    const size_t first = b * kBlock;
    bool changed = false;
    for (size_t i = 0; i < x.size(); i += 64) {
      uint64_t bits = ~allowed[(first + i) / 64];
      if (x.size() - i < 64) bits &= (uint64_t{1} << (x.size() - i)) - 1;
      changed |= bits != 0;
      for (; bits != 0; bits &= bits - 1) {
        x[i + size_t(__builtin_ctzll(bits))] = -std::numeric_limits<float>::infinity();
      }
    }
    if (changed) maxima_[b] = scans_.max(x.data(), int64_t(x.size()));
  }
}

float Candidates::max() const { return is_row_ ? scans_.max(maxima_.data(), int64_t(maxima_.size())) : list_max_; }

int32_t Candidates::best() const {
  const float top = max();
  if (!is_row_) {
    return std::find_if(list_.begin(), list_.end(), [top](const Candidate& c) { return c.logit == top; })->id;
  }
  const auto b = size_t(std::find(maxima_.begin(), maxima_.end(), top) - maxima_.begin());
  const std::span<float> x = block(b);
  return int32_t(b * kBlock + size_t(std::find(x.begin(), x.end(), top) - x.begin()));
}

std::vector<Candidate> Candidates::copy() const {
  if (!is_row_) return list_;
  std::vector<Candidate> all;
  for (size_t i = 0; i < row_.size(); ++i) {
    if (row_[i] >= kLowest) all.push_back({row_[i], int32_t(i)});
  }
  return all;
}

int64_t Candidates::count() const {
  if (!is_row_) return int64_t(list_.size());
  return std::count_if(row_.begin(), row_.end(), [](float x) { return x >= kLowest; });
}

// Calls use(logit, exp(logit - max)) for every candidate in the order of ids, and in a row for masked tokens too.
template <class Use>
void Candidates::with_exps(const Use& use) const {
  float logits[kBlock], exps[kBlock];
  const float shift = max();
  if (is_row_) {
    for (size_t b = 0; b < maxima_.size(); ++b) {
      const std::span<float> x = block(b);
      scans_.exp(x.data(), int64_t(x.size()), shift, exps);
      for (size_t i = 0; i < x.size(); ++i) use(x[i], exps[i]);
    }
    return;
  }
  for (size_t first = 0; first < list_.size(); first += kBlock) {
    const size_t n = std::min(kBlock, list_.size() - first);
    for (size_t i = 0; i < n; ++i) logits[i] = list_[first + i].logit;
    scans_.exp(logits, int64_t(n), shift, exps);
    for (size_t i = 0; i < n; ++i) use(logits[i], exps[i]);
  }
}

Candidates::Surprise Candidates::surprise() const {
  // With d = l - max and Z = sum e^d: -sum p ln p = ln Z - (sum d e^d) / Z.
  const float shift = max();
  double total = 0, weighted = 0;
  with_exps([&](float logit, float w) {
    if (!(logit >= kLowest)) return;
    total += double(w);
    weighted += double(w) * (double(logit) - double(shift));
  });
  const double log_total = math::log(total);
  return {std::max(0.0, log_total - weighted / total), double(shift) + log_total};
}

Candidates::Moments Candidates::moments() const {
  // Relative to the maximum, so that one pass is exact enough. Lanes let the compiler use vectors.
  constexpr size_t kLanes = 16;
  const auto shift = double(max());
  double sums[kLanes] = {}, squares[kLanes] = {}, counts[kLanes] = {};
  const auto add = [&](size_t lane, float l) {
    const bool finite = l >= kLowest;
    const double d = finite ? double(l) - shift : 0;
    sums[lane] += d;
    squares[lane] += d * d;
    counts[lane] += finite ? 1 : 0;
  };
  if (is_row_) {
    size_t i = 0;
    for (; i + kLanes <= row_.size(); i += kLanes) {
      for (size_t j = 0; j < kLanes; ++j) add(j, row_[i + j]);
    }
    for (size_t j = 0; i + j < row_.size(); ++j) add(j, row_[i + j]);
  } else {
    for (size_t i = 0; i < list_.size(); ++i) add(i % kLanes, list_[i].logit);
  }
  for (size_t half = kLanes / 2; half > 0; half /= 2) {
    for (size_t j = 0; j < half; ++j) {
      sums[j] += sums[j + half];
      squares[j] += squares[j + half];
      counts[j] += counts[j + half];
    }
  }
  const double mean = sums[0] / counts[0];
  return {shift + mean, std::sqrt(std::max(0.0, squares[0] / counts[0] - mean * mean))};
}

void Candidates::divide(float t) {
  // Monotone, so that the maxima stay the maxima. What would overflow stays a candidate, of no weight. Without a branch,
  // so that the compiler uses vectors.
  const auto divided = [t, shift = max()](float x) {
    const float y = (x - shift) / t, least = x >= kLowest ? kLowest : x;
    return y > least ? y : least;
  };
  if (is_row_) {
    for (float& x : row_) x = divided(x);
    for (float& m : maxima_) m = divided(m);
  } else {
    for (Candidate& c : list_) c.logit = divided(c.logit);
    list_max_ = 0;
  }
}

// Makes the list: all tokens of the row with a logit >= threshold.
void Candidates::collect(float threshold) {
  threshold = std::max(threshold, kLowest);
  list_max_ = max();
  list_.clear();
  int32_t ids[kBlock];
  for (size_t b = 0; b < maxima_.size(); ++b) {
    if (!(maxima_[b] >= threshold)) continue;
    const std::span<float> x = block(b);
    const int64_t found = scans_.above(x.data(), int64_t(x.size()), threshold, ids, int64_t(kBlock));
    for (int64_t i = 0; i < found; ++i) list_.push_back({x[size_t(ids[i])], int32_t(b * kBlock) + ids[i]});
  }
  is_row_ = false;
}

// Drops what is worse than the candidate with this logit and id.
void Candidates::keep_down_to(float logit, int32_t id) {
  const Candidate worst{logit, id};
  std::erase_if(list_, [&worst](const Candidate& c) { return better(worst, c); });
}

// A logit that n tokens of the row reach, and hardly more (fewer, if there are fewer blocks than n).
float Candidates::reached_by(size_t n) {
  // At least n tokens are as large as the n-th largest of the blocks' maxima.
  ranks_ = maxima_;
  const size_t rank = std::min(n, ranks_.size()) - 1;
  std::nth_element(ranks_.begin(), ranks_.begin() + int64_t(rank), ranks_.end(), std::greater<>());
  return std::max(ranks_[rank], kLowest);
}

void Candidates::keep_best(int64_t k) {
  const auto count = size_t(k);
  if (is_row_) {
    if (count >= row_.size()) return;
    collect(reached_by(count));
    if (list_.size() < count) {
      is_row_ = true;
      collect(kLowest);
    }
  }
  if (count >= list_.size()) return;
  order_ = list_;
  const auto worst = order_.begin() + int64_t(count) - 1;
  std::nth_element(order_.begin(), worst, order_.end(), better);
  keep_down_to(worst->logit, worst->id);
}

void Candidates::make_list() {
  if (is_row_) collect(kLowest);
}

std::span<const double> Candidates::probabilities() {
  make_list();
  probabilities_.clear();
  double total = 0;
  with_exps([&](float, float e) {
    probabilities_.push_back(double(e));
    total += double(e);
  });
  for (double& p : probabilities_) p /= total;
  return probabilities_;
}

std::span<const double> Candidates::sorted_probabilities() {
  make_list();
  keys_.clear();
  double total = 0;
  with_exps([&](float, float e) {
    keys_.push_back(uint64_t{~std::bit_cast<uint32_t>(e)} << 32);  // e >= 0: the bits are in its order
    total += double(e);
  });
  sort_numbers(keys_, spare_);
  probabilities_.clear();
  for (const uint64_t key : keys_) probabilities_.push_back(double(std::bit_cast<float>(~uint32_t(key >> 32))) / total);
  return probabilities_;
}

std::span<const int32_t> Candidates::best_first() {
  make_list();
  keys_.clear();
  for (size_t i = 0; i < list_.size(); ++i) keys_.push_back(uint64_t{descending(list_[i].logit)} << 32 | i);
  sort_numbers(keys_, spare_);
  indices_.clear();
  for (const uint64_t key : keys_) indices_.push_back(int32_t(key));
  return indices_;
}

std::span<const Candidate> Candidates::leading(size_t n) {
  // With masks, or where one block holds the best, a threshold from the blocks may leave too few.
  if (above(is_row_ ? reached_by(n) : kLowest).size() < n) above(kLowest);
  n = std::min(n, order_.size());
  std::partial_sort(order_.begin(), order_.begin() + int64_t(n), order_.end(), better);
  return std::span(order_).first(n);
}

void Candidates::keep_above(float threshold, int64_t min_keep) {
  if (is_row_) {
    collect(threshold);
    if (int64_t(list_.size()) >= min_keep) return;
    list_.clear();
    is_row_ = true;
    return keep_best(min_keep);
  }
  const auto reach = [threshold](const Candidate& c) { return c.logit >= threshold; };
  if (std::count_if(list_.begin(), list_.end(), reach) < min_keep) return keep_best(min_keep);
  std::erase_if(list_, [&reach](const Candidate& c) { return !reach(c); });
}

uint64_t Candidates::weigh_list() {
  weights_.clear();
  uint64_t total = 0;
  with_exps([&](float, float e) {
    weights_.push_back(to_weight(e));
    total += weights_.back();
  });
  return total;
}

uint64_t Candidates::weigh_row() {
  const float shift = max();
  block_weights_.clear();
  uint64_t total = 0;
  for (size_t b = 0; b < maxima_.size(); ++b) {
    const std::span<float> x = block(b);
    block_weights_.push_back(to_weight(scans_.sum_exp(x.data(), int64_t(x.size()), shift)));
    total += block_weights_.back();
  }
  return total;
}

// Makes the list of a row's best tokens that are enough, though not the fewest. Weighs it.
void Candidates::collect_share(const Least& least) {
  const float top = max();
  // Each step goes down by a factor of e^2 in probability; what lies 28 below weighs nothing (e^-28 < 2^-40).
  for (float depth = 4; depth <= 28; depth += 2) {
    is_row_ = true;
    collect(top - depth);
    if (weigh_list() >= least.weight && int64_t(list_.size()) >= least.count) return;
  }
  is_row_ = true;
  collect(kLowest);
  weigh_list();
}

// The last of the fewest of weighed_, by rank and id, that are enough; of all where they are not enough.
Candidates::Weighed Candidates::last_of_fewest(Least least) {
  const auto at = [this](size_t i) { return weighed_.begin() + int64_t(i); };
  const auto before = [](const Weighed& a, const Weighed& b) {
    return a.rank < b.rank || (a.rank == b.rank && a.id < b.id);
  };
  // The answer is in (kept, bound]; the first `kept` of weighed_ come first, and `least.weight` is what they leave.
  size_t kept = 0, bound = weighed_.size();
  while (bound - kept > 1) {
    const size_t middle = kept + (bound - kept) / 2;
    std::nth_element(at(kept), at(middle), at(bound), before);
    uint64_t sum = 0;
    for (size_t i = kept; i < middle; ++i) sum += weighed_[i].weight;
    if (sum >= least.weight) {
      bound = middle;
    } else {
      least.weight -= sum;
      kept = middle;
    }
  }
  const size_t count = std::min(size_t(std::max(int64_t(bound), least.count)), weighed_.size());
  std::nth_element(weighed_.begin(), at(count - 1), weighed_.end(), before);
  return weighed_[count - 1];
}

// The same for list_ with its weights_, where rank_of(i) >= lowest. Only ranks near the last one are ever ordered.
template <class Rank>
Candidates::Weighed Candidates::last_of_fewest(const Rank& rank_of, double lowest, Least least) {
  const auto group_of = [&](size_t i) {
    return size_t(std::min((rank_of(i) - lowest) * kGroupsPerUnit, double(kGroups - 1)));
  };
  const bool many = list_.size() > kMany;
  size_t chosen = 0;
  if (many) {
    std::array<Least, kGroups> groups{};
    for (size_t i = 0; i < list_.size(); ++i) {
      Least& group = groups[group_of(i)];
      group.weight += weights_[i];
      ++group.count;
    }
    auto left = int64_t(list_.size());
    // Goes on while the groups so far are not enough, and others follow.
    for (;; ++chosen) {
      const Least& group = groups[chosen];
      left -= group.count;
      if (left == 0 || (group.count > 0 && group.weight >= least.weight && group.count >= least.count)) break;
      least.weight -= std::min(least.weight, group.weight);
      least.count -= group.count;
    }
  }
  weighed_.clear();
  weighed_.reserve(weights_.capacity());  // so that it grows when the list does, whatever the groups are
  for (size_t i = 0; i < list_.size(); ++i) {
    if (!many || group_of(i) == chosen) weighed_.push_back({rank_of(i), list_[i].id, weights_[i]});
  }
  return last_of_fewest(least);
}

void Candidates::keep_share(double share, int64_t min_keep) {
  const uint64_t total = is_row_ ? weigh_row() : weigh_list();
  const Least least{uint64_t(std::ceil(share * (1 - kSlack) * double(total))), min_keep};
  if (is_row_) collect_share(least);
  const Weighed worst = last_of_fewest([this](size_t i) { return -double(list_[i].logit); }, -double(list_max_), least);
  keep_down_to(float(-worst.rank), worst.id);
}

void Candidates::keep_share_by(std::span<const double> ranks, double share, int64_t min_keep) {
  const uint64_t total = weigh_list();
  const Weighed worst = last_of_fewest([ranks](size_t i) { return ranks[i]; }, 0,
                                       {uint64_t(share * (1 + kSlack) * double(total)) + 1, min_keep});
  size_t kept = 0;
  list_max_ = kLowest;
  for (size_t i = 0; i < list_.size(); ++i) {
    if (ranks[i] > worst.rank || (ranks[i] == worst.rank && list_[i].id > worst.id)) continue;
    list_[kept] = list_[i];
    list_max_ = std::max(list_max_, list_[kept++].logit);
  }
  list_.resize(kept);
}

double Candidates::logit_at(double p) {
  const auto total = double(is_row_ ? weigh_row() : weigh_list()) * 0x1p-40;
  return double(max()) + math::log(p * total);
}

std::span<const Candidate> Candidates::above(float threshold) {
  order_.clear();
  if (!is_row_) {
    std::copy_if(list_.begin(), list_.end(), std::back_inserter(order_),
                 [threshold](const Candidate& c) { return c.logit >= threshold; });
    return order_;
  }
  for (size_t b = 0; b < maxima_.size(); ++b) {
    if (!(maxima_[b] >= threshold)) continue;
    const std::span<float> x = block(b);
    for (size_t i = 0; i < x.size(); ++i) {
      if (x[i] >= threshold) order_.push_back({x[i], int32_t(b * kBlock + i)});
    }
  }
  return order_;
}

int32_t Candidates::draw(std::array<uint64_t, 2> random) {
  uint64_t bits = random[0];
  if (is_row_) {
    uint64_t rest = portion(bits, weigh_row());
    size_t b = 0;
    while (rest >= block_weights_[b]) rest -= block_weights_[b++];
    list_.clear();
    const std::span<float> x = block(b);
    for (size_t i = 0; i < x.size(); ++i) {
      if (x[i] >= kLowest) list_.push_back({x[i], int32_t(b * kBlock + i)});
    }
    list_max_ = maxima_[b];
    is_row_ = false;
    bits = random[1];
  }
  uint64_t rest = portion(bits, weigh_list());
  size_t i = 0;
  while (rest >= weights_[i]) rest -= weights_[i++];
  return list_[i].id;
}

std::array<uint64_t, 2> Candidates::random(uint32_t stream, uint32_t index) const {
  const PhiloxCounter words = philox4x32_10({uint32_t(position_), uint32_t(position_ >> 32), stream, index},
                                            {uint32_t(seed_), uint32_t(seed_ >> 32)});
  return {uint64_t{words[1]} << 32 | words[0], uint64_t{words[3]} << 32 | words[2]};
}

}  // namespace linnet
