// The tokens still in play while one token is being sampled.
//
// They begin as the whole row of logits, with the maximum of every block of 256 kept beside it, so that whatever a
// truncating step keeps is found by looking only into blocks that reach its threshold. From the first truncation on
// they are a list in the order of ids.
//
// What makes every result exact to the bit, on any machine and with any standard library:
// - Order: the larger logit is better; of equal ones, the lower id.
// - Weight of a token: floor(exp(logit - max) * 2^40), an integer, so sums of weights do not depend on their order. A
//   token 2^40 times less likely than the best weighs nothing and is never drawn.
// - Weight of a block of the row: floor(sum_exp(block, max) * 2^40).
// - Borders (a share of the weight, a ratio, a probability) have a slack of 2^-20 of their value, in the direction that
//   makes what is equal but for rounding count as equal: logits are floats.
// A logit of -inf is a masked token: no candidate, and never in the list.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/scans.h"

namespace linnet {

struct Candidate {
  float logit;
  int32_t id;
};

// Of equal logits the lower id is better.
inline bool better(const Candidate& a, const Candidate& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// Buffers are kept from token to token. Not thread-safe; every chain has its own.
class Candidates {
 public:
  static constexpr double kSlack = 0x1p-20;

  explicit Candidates(const Scans& scans);

  // Starts with a row [vocabulary size], which must stay valid until the token is picked and is changed in place. Seed
  // and position (of the token to pick) are what random() is a function of; `history` are the tokens before it, as far
  // as the steps were told of them. Fails with logits_not_finite when a logit is NaN or +inf, or all are -inf.
  Status begin(std::span<float> row, uint64_t seed, uint64_t position, std::span<const int32_t> history = {});
  std::span<const int32_t> history() const { return history_; }
  uint64_t position() const { return position_; }
  int32_t vocabulary_size() const { return int32_t(row_.size()); }

  // --- the row, before the first truncation ---
  bool is_row() const { return is_row_; }

  // --- the list, after it ---
  std::span<const Candidate> list() const { return list_; }
  // Makes the list of all candidates, if it is not there yet.
  void make_list();
  // p of each of list(), which is made if it is not there. In double, summed in the order of ids. Stays until the next
  // call.
  std::span<const double> probabilities();
  // The same numbers, the greatest first. Stays until the next call.
  std::span<const double> sorted_probabilities();
  // Indices into list(), best first. Valid until the next change.
  std::span<const int32_t> best_first();
  // One new logit for each of list(), finite or -inf, which takes it out.
  void set_list(std::span<const float> logits);
  // Keeps the fewest of list() whose weight is more than `share` of all, taking those with the smallest rank first (of
  // equal ranks, the lower id), but at least min_keep. One rank >= 0 per element of list().
  void keep_share_by(std::span<const double> ranks, double share, int64_t min_keep);

  // --- both ---
  // Of a token that is no candidate: -inf.
  float logit(int32_t id) const;
  // Of a candidate. The new logit must be finite, or -inf, which takes it out.
  void set(int32_t id, float logit);
  // Takes out the tokens whose bit is 0; [vocabulary size / 64, rounded up].
  void mask(std::span<const uint64_t> allowed);
  float max() const;
  int32_t best() const;
  // All of them, in the order of ids.
  std::vector<Candidate> copy() const;
  // How many there are.
  int64_t count() const;
  // -ln p = log_total - l of each, and its mean -sum p ln p, the entropy in nats.
  struct Surprise {
    double mean, log_total;
  };
  Surprise surprise() const;
  double entropy() const { return surprise().mean; }
  // Mean and standard deviation (of the population) of the logits.
  struct Moments {
    double mean, deviation;
  };
  Moments moments() const;
  // logit <- (logit - max) / t, t > 0: the maximum becomes 0, and a finite logit stays finite.
  void divide(float t);
  // Keeps the k best, k >= 1.
  void keep_best(int64_t k);
  // Keeps logits >= threshold, but at least the min_keep best.
  void keep_above(float threshold, int64_t min_keep);
  // Keeps the fewest best whose weight is at least `share` of all, but at least min_keep.
  void keep_share(double share, int64_t min_keep);
  // The logit of a token whose probability is p: l = max + ln(p Z).
  double logit_at(double p);
  // The n >= 1 best, best first. Valid until the next call.
  std::span<const Candidate> leading(size_t n);
  // The candidates with logits >= threshold, in the order of ids. Valid until the next call.
  std::span<const Candidate> above(float threshold);
  // The token at random[0] / 2^64 of the running sum of weights, in the order of ids. In a row, random[0] finds the
  // block in this manner and random[1] the token in the block (whose weights are then relative to its own maximum).
  int32_t draw(std::array<uint64_t, 2> random);
  // Uniform bits: a function of seed, position, stream and index only. Every random step has a stream of its own.
  std::array<uint64_t, 2> random(uint32_t stream, uint32_t index = 0) const;
  // After a step: what set() has taken out leaves the list. False when nothing is left.
  bool settle();

  // The selector's choice.
  void pick(int32_t id) { picked_ = id; }
  int32_t picked() const { return picked_; }

 private:
  struct Weighed {
    double rank;
    int32_t id;
    uint64_t weight;
  };
  // What the fewest best weigh at least, and how many they are at least.
  struct Least {
    uint64_t weight;
    int64_t count;
  };

  std::span<float> block(size_t b) const;
  Error not_finite() const;
  Candidate* find(int32_t id);
  void collect(float threshold);
  float reached_by(size_t n);
  void keep_down_to(float logit, int32_t id);
  void collect_share(const Least& least);
  template <class Rank>
  Weighed last_of_fewest(const Rank& rank_of, double lowest, Least least);
  Weighed last_of_fewest(Least least);
  template <class Use>
  void with_exps(const Use& use) const;
  uint64_t weigh_list();
  uint64_t weigh_row();

  Scans scans_;
  std::span<float> row_;
  std::span<const int32_t> history_;
  std::vector<float> maxima_;  // [blocks] of row_
  bool is_row_ = true;
  std::vector<Candidate> list_;  // in the order of ids
  float list_max_ = 0;
  bool unsettled_ = false;  // list_ has been changed by set()
  uint64_t seed_ = 0;
  uint64_t position_ = 0;
  int32_t picked_ = -1;

  std::vector<float> ranks_;             // copy of maxima_ for selection
  std::vector<Candidate> order_;         // copy of (some of) the candidates, for selection
  std::vector<int32_t> indices_;         // for best_first()
  std::vector<uint64_t> keys_, spare_;   // for sort_numbers()
  std::vector<double> probabilities_;    // [list_]
  std::vector<uint64_t> weights_;        // [list_]
  std::vector<Weighed> weighed_;         // (some of) list_ with ranks and weights
  std::vector<uint64_t> block_weights_;  // [blocks]
};

}  // namespace linnet
