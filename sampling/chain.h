// The sampler chain: logits -> one token.
//
// Steps (sampling/steps.h) run in the order given and work on the logits in place; the first truncating step makes the
// candidate list from a threshold scan. A selector picks last. Draws are counter-based (Philox4x32-10, key = seed,
// counter = token position and step index), so clones, rewinds and batch mates cannot change them: same seed, same
// text. Definitions and defaults: docs/sampling.md.
//
// A Chain belongs to one sequence and is not thread-safe; different chains share nothing, so the rows of a batch may be
// sampled in parallel. After the first tokens sample() and accept() allocate nothing, except where a window or a
// candidate list grows beyond anything it was before.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/params.h"
#include "sampling/scans.h"
#include "sampling/vocabulary.h"

namespace linnet {

class Chain {
 public:
  // Every parameter is checked: NaN, infinities, ranges and cross-rules; the error names the parameter. `context` is
  // what a window of -1 means, and the longest window. The vocabulary must outlive the chain.
  static Result<Chain> create(const SamplingParams& params, const SamplingVocabulary& vocabulary, int64_t context,
                              Scans scans = Scans::scalar());
  Chain(Chain&&) noexcept;
  Chain& operator=(Chain&&) noexcept;
  ~Chain();

  // A copy with the same state and the same future draws.
  Chain clone() const;
  uint64_t seed() const;

  // Tells every step of a token that is now part of the text: prompt tokens too. Ids outside the vocabulary are
  // ignored.
  void accept(int32_t token);

  // Picks the next token from logits [vocabulary size], which are changed in place. `position` is the absolute position
  // the picked token will have (the counter of the draw). Fails with logits_not_finite when a logit is NaN or +inf, or
  // none is finite; -inf is a masked token. The picked token is not accepted yet.
  Result<int32_t> sample(float* logits, uint64_t position);

  // The rows that describe the chain, in order, for status output and logs: "top_k(40)", ...
  std::vector<std::string> describe() const;

  // Remarks on parameters that are valid but have no effect together, one sentence each.
  const std::vector<std::string>& notes() const;

 private:
  struct Impl;
  explicit Chain(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
