#include "runtime/logprobs.h"

#include <algorithm>
#include <limits>

#include "gguf/base/math.h"

namespace linnet {

RowScores score_logits(const Kernels& k, std::span<const float> logits, int32_t token, int64_t most) {
  const float max = k.max(logits.data(), static_cast<int64_t>(logits.size()));
  const double log_total =
      math::log(static_cast<double>(k.sum_exp(logits.data(), static_cast<int64_t>(logits.size()), max)));
  const auto logprob = [&](float l) { return static_cast<float>(static_cast<double>(l - max) - log_total); };
  RowScores scores{logprob(logits[static_cast<size_t>(token)]), {}};
  if (most <= 0) return scores;
  std::vector<float> row(logits.begin(), logits.end());
  Candidates candidates({k.max, k.above, k.sum_exp, k.exp});
  if (!candidates.begin(row, 0, 0)) return scores;
  for (const Candidate& c : candidates.leading(static_cast<size_t>(most)))
    scores.top.push_back({c.id, logprob(c.logit)});
  return scores;
}

RowScores score_candidates(std::vector<Candidate> candidates, int32_t token, int64_t most) {
  RowScores scores{-std::numeric_limits<float>::infinity(), {}};
  if (candidates.empty()) return scores;
  const auto max = static_cast<double>(std::min_element(candidates.begin(), candidates.end(), better)->logit);
  double total = 0;
  for (const Candidate& c : candidates) total += math::exp(static_cast<double>(c.logit) - max);
  const double log_total = math::log(total);
  const auto logprob = [&](const Candidate& c) {
    return static_cast<float>(static_cast<double>(c.logit) - max - log_total);
  };
  for (const Candidate& c : candidates) {
    if (c.id == token) scores.logprob = logprob(c);
  }
  const auto count = std::min(candidates.size(), static_cast<size_t>(std::max<int64_t>(0, most)));
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<int64_t>(count), candidates.end(), better);
  for (size_t i = 0; i < count; ++i) scores.top.push_back({candidates[i].id, logprob(candidates[i])});
  return scores;
}

}  // namespace linnet
