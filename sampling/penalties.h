// Steps that change logits by what the text says already, or by request.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sampling/dry_breakers.h"
#include "sampling/step.h"
#include "sampling/window.h"

namespace linnet {

// l <- l + bias, for tokens given one by one or as texts (each token of the text); several biases of a token add up.
// -infinity, and -100 as the OpenAI API has it, bans the token. Source: OpenAI API reference, "logit_bias".
struct LogitBiases {
  static constexpr std::string_view kName = "logit_bias";
  static constexpr double kBan = -100;

  std::vector<std::pair<int32_t, float>> biases;  // by ascending token

  static Result<LogitBiases> make(const StepInput&);
  bool neutral() const { return biases.empty(); }
  void apply(Candidates&) const;
  std::string describe() const;
};

// For a token that occurs c > 0 times among the last N: l <- l > 0 ? l / repeat : l * repeat, then
// l <- l - c * frequency - presence. Prompt tokens count. A finite logit stays finite.
// Sources: repeat: Keskar et al. 2019, CTRL, arXiv 1909.05858, section 4.1; the others: OpenAI API reference.
struct Penalties {
  static constexpr std::string_view kName = "penalties";

  float repeat, presence, frequency;
  CountedWindow window;

  static Result<Penalties> make(const StepInput&);
  bool neutral() const { return (repeat == 1 && presence == 0 && frequency == 0) || window.length() == 0; }
  void apply(Candidates&) const;
  void accept(const Accepted& a) { window.add(a.text); }
  void rewind(std::span<const int32_t> text) { window.remove(text); }
  std::string describe() const;
};

// "Don't repeat yourself": where the end of the text has occurred before, the token that came next then is penalized by
// how long the repetition would be. With x the last N tokens, R the number of tokens since the last sequence breaker
// (but for its own), and z the length of the longest suffix of x, at most R long, that also ends before an earlier
// token w: where z >= A, l_w <- l_w - multiplier * base^(z - A), with the longest z of w. A token that is a breaker by
// itself is never penalized; a finite logit stays finite. Linear in N (Z algorithm: Gusfield 1997, section 1.4).
// Source: P. E. Weidmann 2024, github.com/oobabooga/text-generation-webui, pull request 5677.
struct Dry {
  static constexpr std::string_view kName = "dry";

  double multiplier, base;
  int64_t allowed;
  int64_t last;
  std::shared_ptr<const DryBreakers> breakers;
  // Working memory.
  std::vector<int32_t> reversed = {};
  std::vector<int32_t> lengths = {};
  std::vector<std::pair<int32_t, int32_t>> longest = {};  // of each token that would go on with a repetition

  static Result<Dry> make(const StepInput&);
  bool neutral() const { return multiplier == 0 || last == 0; }
  void apply(Candidates&);
  std::string describe() const;
};

}  // namespace linnet
