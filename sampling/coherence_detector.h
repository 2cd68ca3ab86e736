// Text that has lost its thread: the model, which knew well enough how to go on before, no longer does.
//
//     K = 1 - max(b, 0.1) / f, at least 0
//
// f is the mean of h over the last 32 tokens and b the mean over all before them, where h = entropy / ln(vocabulary), the
// entropy of the distribution a token was drawn from (temperature 1, before truncation) as a share of the largest there
// can be. So K says which share of the present uncertainty is new: 0 while f is at most the text's own level b; 0.7 when
// it is more than three times that. Texts that were sure to begin with count as b = 0.1, so that a change from "certain"
// to "nearly certain" says nothing. Told from the 64th token on.
#pragma once

#include <array>
#include <cstdint>

namespace linnet {

class CoherenceDetector {
 public:
  static constexpr int kRecent = 32;
  static constexpr int64_t kLeastTokens = 64;
  static constexpr double kLeastBaseline = 0.1;

  // vocabulary_size >= 2.
  explicit CoherenceDetector(int32_t vocabulary_size);
  // Of the distribution the next token was drawn from, in nats. A value that is no entropy (NaN, negative) is left out.
  void add(double entropy);
  double incoherence() const;

 private:
  double largest_;                        // entropy
  int64_t count_ = 0;                     // values so far
  double before_ = 0;                     // sum of all but the recent ones
  std::array<double, kRecent> recent_{};  // ring
};

}  // namespace linnet
