// Rotary position embedding: the angle of each dimension pair at each position, computed once per step for all layers.
// Su et al. 2021 (arXiv 2104.09864); linear scaling; YaRN (Peng et al. 2023, arXiv 2309.00071); Llama 3's frequency
// factors, which come as a tensor.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace linnet {

struct RopeFacts {
  int32_t dims = 0;  // values of a head that are rotated (even); 0: no rope
  double base = 10000;
  enum class Scaling { none, linear, yarn } scaling = Scaling::none;
  double factor = 1;                                                              // context extension, linear and yarn
  int64_t original_context = 0;                                                   // yarn
  double beta_fast = 32, beta_slow = 1, extrapolation = 1, attention_factor = 1;  // yarn
};

// Precomputed per model: one angular frequency per pair.
class RopeTable {
 public:
  RopeTable() = default;
  // factors: [dims/2] frequency divisors or empty.
  RopeTable(const RopeFacts& facts, std::span<const float> factors);
  int32_t pairs() const { return static_cast<int32_t>(frequencies_.size()); }
  // cos, sin: [pairs]
  void fill(double position, float* cos, float* sin) const;
  // Pure rotation by `delta` positions, without yarn's magnitude (it is in the keys already).
  void fill_delta(double delta, float* cos, float* sin) const;

 private:
  std::vector<double> frequencies_;
  double magnitude_ = 1;
};

}  // namespace linnet
