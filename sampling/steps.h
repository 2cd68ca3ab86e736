// The steps of a sampler chain, in the order in which they run.
//
// To add one: write its struct here and put its name into the list at the end. A step has
//   static Result<std::optional<Step>> make(const StepInput&);  checks its parameters; nothing when they switch it off
//   void apply(Candidates&);                                    changes, drops or (a selector, at the end) picks
//   std::string describe() const;                               a row for status output
//   void accept(int32_t token);                                 only where it has state: token is now part of the text
// A random step draws with Candidates::random(stream) and a stream number that no other step has and that never
// changes, so that switching another step on or off leaves its draws alone. In the definitions, l are logits, p =
// softmax(l) over the tokens that earlier steps left.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "gguf/base/error.h"
#include "sampling/candidates.h"
#include "sampling/params.h"
#include "sampling/window.h"

namespace linnet {

// What a step is made from. `context` >= 1: what a window of -1 means, and the longest window.
struct StepInput {
  const SamplingParams& params;
  int64_t context;
};

// For a token that occurs c > 0 times among the last N: l <- l > 0 ? l / repeat : l * repeat, then
// l <- l - c * frequency - presence. Prompt tokens count. A finite logit stays finite.
// Sources: repeat: Keskar et al. 2019, CTRL, arXiv 1909.05858, section 4.1; the others: OpenAI API reference.
struct Penalties {
  float repeat, presence, frequency;
  CountedWindow window;

  static Result<std::optional<Penalties>> make(const StepInput&);
  void apply(Candidates&) const;
  void accept(int32_t token) { window.add(token); }
  std::string describe() const;
};

// Keeps the k largest. Source: Fan et al. 2018, arXiv 1805.04833, section 5.4.
struct TopK {
  int32_t k;

  static Result<std::optional<TopK>> make(const StepInput&);
  void apply(Candidates&) const;
  std::string describe() const;
};

// Keeps the smallest set of best tokens with a probability of at least p together (the nucleus).
// Source: Holtzman et al. 2019, arXiv 1904.09751, section 3.1.
struct TopP {
  float p;
  int32_t min_keep;

  static Result<std::optional<TopP>> make(const StepInput&);
  void apply(Candidates&) const;
  std::string describe() const;
};

// Keeps tokens at least p times as likely as the best: l >= max + log(p), so no softmax is needed.
// Source: Nguyen et al. 2024, arXiv 2407.01082, section 3.
struct MinP {
  float p;
  int32_t min_keep;

  static Result<std::optional<MinP>> make(const StepInput&);
  void apply(Candidates&) const;
  std::string describe() const;
};

// l <- (l - max) / t. The shift changes no probability and keeps every t > 0 from overflowing.
struct Temperature {
  float t;

  static Result<std::optional<Temperature>> make(const StepInput&);
  void apply(Candidates&) const;
  std::string describe() const;
};

// Selector at temperature 0: the largest logit; of equal ones, the lowest id.
struct Greedy {
  static Result<std::optional<Greedy>> make(const StepInput&);
  void apply(Candidates&) const;
  std::string describe() const;
};

// Selector: one token at random, with its probability p.
struct Dist {
  static constexpr uint32_t kStream = 0;

  static Result<std::optional<Dist>> make(const StepInput&);
  void apply(Candidates&) const;
  std::string describe() const;
};

using Step = std::variant<Penalties, TopK, TopP, MinP, Temperature, Greedy, Dist>;

}  // namespace linnet
