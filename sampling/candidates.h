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

// Buffers are kept from token to token. Not thread-safe; every chain has its own.
class Candidates {
 public:
  explicit Candidates(const Scans& scans);

  // Starts with a row [vocabulary size], which must stay valid until the token is picked and is changed in place. Seed
  // and position (of the token to pick) are what random() is a function of. Fails with logits_not_finite when a logit
  // is NaN or +inf, or all are -inf.
  Status begin(std::span<float> row, uint64_t seed, uint64_t position);

  // --- the row, before the first truncation ---
  bool is_row() const { return is_row_; }
  float logit(int32_t id) const { return row_[size_t(id)]; }
  // The new logit must be finite or -inf.
  void set(int32_t id, float logit);

  // --- the list, after it ---
  std::span<const Candidate> list() const { return list_; }

  // --- both ---
  float max() const;
  int32_t best() const;
  // logit <- (logit - max) / t, t > 0: the maximum becomes 0, so that no t overflows.
  void divide(float t);
  // Keeps the k best, k >= 1.
  void keep_best(int64_t k);
  // Keeps logits >= threshold, but at least the min_keep best.
  void keep_above(float threshold, int64_t min_keep);
  // Keeps the fewest best whose weight is at least `share` of all, but at least min_keep.
  void keep_share(float share, int64_t min_keep);
  // The token at random[0] / 2^64 of the running sum of weights, in the order of ids. In a row, random[0] finds the
  // block in this manner and random[1] the token in the block (whose weights are then relative to its own maximum).
  int32_t draw(std::array<uint64_t, 2> random);
  // Uniform bits: a function of seed, position and stream only. Every random step has a stream of its own.
  std::array<uint64_t, 2> random(uint32_t stream) const;

  // The selector's choice.
  void pick(int32_t id) { picked_ = id; }
  int32_t picked() const { return picked_; }

 private:
  struct Weighed {
    float logit;
    int32_t id;
    uint64_t weight;
  };

  std::span<float> block(size_t b) const;
  Error not_finite() const;
  void collect(float threshold);
  void keep_down_to(float logit, int32_t id);
  void collect_share(uint64_t target, int64_t min_keep);
  uint64_t weigh_list();
  uint64_t weigh_row();

  Scans scans_;
  std::span<float> row_;
  std::vector<float> maxima_;  // [blocks] of row_
  bool is_row_ = true;
  std::vector<Candidate> list_;
  float list_max_ = 0;
  uint64_t seed_ = 0;
  uint64_t position_ = 0;
  int32_t picked_ = -1;

  std::vector<float> ranks_;             // copy of maxima_ for selection
  std::vector<Candidate> order_;         // copy of list_ for selection
  std::vector<Weighed> weighed_;         // list_ with weights
  std::vector<uint64_t> block_weights_;  // [blocks]
};

}  // namespace linnet
