// How well a model predicts a text: what perplexity is made of.
#pragma once

#include <cstdint>
#include <span>

#include "gguf/base/error.h"
#include "runtime/engine.h"

namespace linnet {

// Mean and spread of the negative log-likelihoods of tokens, in nats.
struct Likelihood {
  int64_t count = 0;
  double sum = 0, squares = 0;

  void add(double nll);
  double mean() const { return sum / static_cast<double>(count); }
  double standard_error() const;  // of the mean, tokens taken as independent
  double perplexity() const;
  double perplexity_error() const { return perplexity() * standard_error(); }
};

// The tokens in windows of the context. Without a stride each is scored on its own, from its second token on, as the
// field does; with one, windows overlap: each begins `stride` tokens after the one before and scores only what is new in
// it, so that every token but the first window's is predicted from at least window - stride tokens. Shows progress; ends
// early when interrupted. Refused: a stride beyond the window, fewer than two tokens.
struct Windows {
  int64_t context = 0;  // tokens of a window, BOS included
  int64_t stride = 0;
};
Result<Likelihood> score_text(Engine& engine, const Model& model, std::span<const int32_t> tokens,
                              const Windows& windows);

}  // namespace linnet
