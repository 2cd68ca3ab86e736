// Log-probabilities of one row of logits, for those who ask for them with a text.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/kernels.h"
#include "sampling/candidates.h"

namespace linnet {

struct TokenScore {
  int32_t token;
  float logprob;  // natural logarithm
};

struct RowScores {
  float logprob = 0;            // of the token that is in the text; -infinity when it was masked
  std::vector<TokenScore> top;  // the likeliest, best first
};

// Under the softmax of the logits, which must be finite or -infinity, with at least one that is finite. `most` tokens at
// most are listed.
RowScores score_logits(const Kernels& kernels, std::span<const float> logits, int32_t token, int64_t most);
// Under the probabilities of candidates.
RowScores score_candidates(std::vector<Candidate> candidates, int32_t token, int64_t most);

}  // namespace linnet
