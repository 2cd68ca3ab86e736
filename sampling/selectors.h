// The last step of a chain: picks the token.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sampling/step.h"

namespace linnet {

// The largest logit; of equal ones, the lowest id.
struct Greedy {
  static constexpr std::string_view kName = "greedy";
  static constexpr bool kSelects = true;

  static Result<Greedy> make(const StepInput&) { return Greedy{}; }
  bool neutral() const { return false; }
  void apply(Candidates&) const;
  std::string describe() const { return "greedy()"; }
};

// One token at random, with its probability p.
struct Dist {
  static constexpr std::string_view kName = "dist";
  static constexpr bool kSelects = true;
  static constexpr uint32_t kStream = 0;

  static Result<Dist> make(const StepInput&) { return Dist{}; }
  bool neutral() const { return false; }
  void apply(Candidates&) const;
  std::string describe() const { return "dist()"; }
};

// A number that follows the text and is known for every length of it, so that tokens can be taken back.
class Tracked {
 public:
  explicit Tracked(double value) : value_(value) {}
  double value() const { return value_; }
  // The value once `length` tokens are there.
  void set(size_t length, double value);
  // Goes back to a text that is shorter than `length`.
  void rewind(size_t length);

 private:
  double value_;
  std::vector<std::pair<size_t, double>> before_;  // (length, value before it)
};

// Mirostat: keeps the surprise S = -log2 p of the tokens near tau. The maximum surprise mu begins at 2 tau, and when a
// token that was drawn here becomes part of the text, mu <- mu - eta (S - tau), S under the distribution it was drawn
// from. Source: Basu et al. 2020, arXiv 2007.14966.
//
// Version 1 (algorithm 1 there): estimates Zipf's exponent s from the m = 100 best tokens, s = (sum t_i b_i) /
// (sum t_i^2), t_i = ln((i + 2) / (i + 1)), b_i = ln(p_i / p_i+1), and with e = s - 1 and V the vocabulary's size keeps
// the k = ((e 2^mu) / (1 - V^-e))^(1/s) best (rounded down, at least 1) and draws.
struct Mirostat1 {
  static constexpr std::string_view kName = "mirostat1";
  static constexpr bool kSelects = true;
  static constexpr uint32_t kStream = 2;

  double tau, eta;
  Tracked mu;
  std::pair<int32_t, double> drawn = {-1, 0};  // and its surprise

  static Result<Mirostat1> make(const StepInput&);
  bool neutral() const { return false; }
  void apply(Candidates&);
  void accept(const Accepted&);
  void rewind(std::span<const int32_t> text) { mu.rewind(text.size()); }
  std::string describe() const;
};

// Version 2: keeps the tokens with -log2 p <= mu, at least one, and draws.
struct Mirostat2 {
  static constexpr std::string_view kName = "mirostat2";
  static constexpr bool kSelects = true;
  static constexpr uint32_t kStream = 3;

  double tau, eta;
  Tracked mu;
  std::pair<int32_t, double> drawn = {-1, 0};

  static Result<Mirostat2> make(const StepInput&);
  bool neutral() const { return false; }
  void apply(Candidates&);
  void accept(const Accepted&);
  void rewind(std::span<const int32_t> text) { mu.rewind(text.size()); }
  std::string describe() const;
};

// Prefers tokens whose probability is such that the picked ones have `target` on average. With g' = clamp(2 target -
// W / K, 0, 1) and D = |p - g'| / 0.3: l <- 5 - 10 D^2 / (1 + D), then draws. When a token X that was drawn here becomes
// part of the text: W <- p(X) + decay W, K <- 1 + decay K, from W = target / (1 - decay), K = 1 / (1 - decay), with the
// p before the change of l. Source: github.com/ggml-org/llama.cpp, pull request 17927.
struct AdaptiveP {
  static constexpr std::string_view kName = "adaptive_p";
  static constexpr bool kSelects = true;
  static constexpr uint32_t kStream = 4;

  double target;  // < 0: plain draws
  double decay;
  Tracked weighted, total;                     // W and K
  std::pair<int32_t, double> drawn = {-1, 0};  // and its p
  std::vector<float> logits = {};              // working memory

  static Result<AdaptiveP> make(const StepInput&);
  bool neutral() const { return false; }
  void apply(Candidates&);
  void accept(const Accepted&);
  void rewind(std::span<const int32_t> text);
  std::string describe() const;
};

}  // namespace linnet
