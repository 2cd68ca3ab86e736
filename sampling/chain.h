// The sampler chain: logits -> one token.
//
// Steps (sampling/steps.h) run in the order given and work on the logits in place; the first truncating step makes the
// candidate list from a threshold scan. A selector picks last. Draws are counter-based (Philox4x32-10, key = seed,
// counter = token position and step index), so clones, rewinds and batch mates cannot change them: same seed, same
// text. Definitions and defaults: docs/sampling.md.
//
// The default chain is grammar, bias, penalties, DRY, then, unless temperature is 0 (greedy), top_n_sigma, top_k, tfs_z,
// typical_p, top_p, min_p, xtc, temperature (or dynatemp), custom_sampler and dist (or adaptive_p), without those that are off.
// With mirostat it is grammar, bias, penalties, DRY, temperature, custom_sampler and mirostat. A custom sampler that selects takes
// the place of the selector. SamplingParams::chain replaces all of it.
//
// A Chain belongs to one sequence and is not thread-safe; different chains share nothing that changes, so the rows of a
// batch may be sampled in parallel. After the first tokens sample() and accept() allocate nothing, except where the
// text, a window or a candidate list grows beyond anything it was before.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/candidates.h"
#include "sampling/params.h"
#include "sampling/scans.h"
#include "sampling/vocabulary.h"

namespace linnet {

class CustomSamplers;
class SamplerCache;

// Remarks on parameters that are valid but have no effect together, one sentence each.
std::vector<std::string> sampling_notes(const SamplingParams& params);

// What a chain is made for, beside its parameters.
struct ChainInput {
  const SamplingVocabulary& vocabulary;  // outlives the chain
  int64_t context;                       // what a window of -1 means, and the longest window; >= 1
  Scans scans = Scans::scalar();
  SamplerCache* cache =
      nullptr;  // shares what is costly to make between chains of one vocabulary; used by create() only
  const CustomSamplers* custom = nullptr;  // may be absent; used by create() only
};

// Sees the candidates as a step leaves them.
using StepObserver = std::function<void(std::string_view step, const Candidates&)>;

class Chain {
 public:
  // Every parameter is checked: NaN, infinities, ranges and cross-rules; the error names the parameter.
  static Result<Chain> create(const SamplingParams& params, const ChainInput& input);
  Chain(Chain&&) noexcept;
  Chain& operator=(Chain&&) noexcept;
  ~Chain();

  // A copy with the same state and the same future draws.
  Chain clone() const;
  uint64_t seed() const;
  // Whether the last step picks a token; only an explicit chain may lack one.
  bool selects() const;

  // Tells every step of a token that is now part of the text. Ids outside the vocabulary are ignored.
  void accept(int32_t token) { accept(token, true); }
  void accept_prompt(int32_t token) { accept(token, false); }
  // The tokens accepted so far.
  std::span<const int32_t> history() const;
  // Takes the last tokens back, at most all: every step is as it was before them.
  void rewind(int64_t tokens);

  // Does ahead what the next sample() needs and does not depend on the logits (masks of grammars), for example while
  // the forward pass runs. Not at the same time as another call.
  void prepare();
  // Whether prepare() has something to do.
  bool can_prepare() const;
  // Whether a grammar is one of the steps.
  bool has_grammar() const;
  // Whether a grammar's text is complete and an end-of-generation token has been accepted.
  bool ended() const;
  // Whether a grammar allows end-of-generation tokens and nothing else. Computes what prepare() does, if that was not
  // done.
  bool only_end();
  // The bytes that a grammar says the text goes on with, whatever is picked; empty where it has a choice.
  std::string forced() const;

  // Picks the next token from logits [vocabulary size], which are changed in place. `position` is the absolute position
  // the picked token will have (the counter of the draw). Fails with logits_not_finite when a logit is NaN or +inf, or
  // none is finite; -inf is a masked token; with grammar_dead_end when a step leaves no token; with sampler_failed when a
  // custom sampler does what it may not. The picked token is not
  // accepted yet. -1 where the chain does not select. `observer` is called before the first step (as "logits") and
  // after each step that is no selector.
  Result<int32_t> sample(float* logits, uint64_t position, const StepObserver& observer = {});

  // The rows that describe the chain, in order, for status output and logs: "top_k(40)", ...
  std::vector<std::string> describe() const;

  const std::vector<std::string>& notes() const;  // sampling_notes() of its parameters

 private:
  struct Impl;
  explicit Chain(std::unique_ptr<Impl> impl);
  void accept(int32_t token, bool generated);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
