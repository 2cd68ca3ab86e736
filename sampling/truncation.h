// Steps that drop unlikely tokens, and temperature.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sampling/step.h"
#include "sampling/text_order.h"

namespace linnet {

// Keeps the k largest. Source: Fan et al. 2018, arXiv 1805.04833, section 5.4.
struct TopK {
  static constexpr std::string_view kName = "top_k";

  int32_t k;  // <= 0: all

  static Result<TopK> make(const StepInput&);
  bool neutral() const { return k <= 0; }
  void apply(Candidates&) const;
  std::string describe() const;
};

// Keeps l >= max - n * sigma, where sigma is the standard deviation of all logits (of those that are not masked).
// Source: Tang et al. 2024, Top-n-sigma, arXiv 2411.07641, section 3.
struct TopNSigma {
  static constexpr std::string_view kName = "top_n_sigma";

  double n;  // <= 0: off

  static Result<TopNSigma> make(const StepInput&);
  bool neutral() const { return n <= 0; }
  void apply(Candidates&) const;
  std::string describe() const;
};

// Tail-free sampling. With p sorted, best first, and d_i = |(p_i - p_i+1) - (p_i+1 - p_i+2)| normalized to a sum of 1
// (all equal where the sum is below 1e-6): drops the tokens from the first i on at which d_0 + ... + d_i exceeds z, but
// keeps at least min_keep. Two tokens or fewer stay.
// Source: Bricken 2019, trentbrick.github.io/Tail-Free-Sampling.
struct TailFree {
  static constexpr std::string_view kName = "tfs_z";

  double z;  // >= 1: off
  int32_t min_keep;

  static Result<TailFree> make(const StepInput&);
  bool neutral() const { return z >= 1; }
  void apply(Candidates&) const;
  std::string describe() const;
};

// Keeps the tokens whose -ln p is nearest to the entropy of the distribution, the fewest of them that have a
// probability of more than p together. Source: Meister et al. 2022, Locally typical sampling, arXiv 2202.00666, eq. 9.
struct Typical {
  static constexpr std::string_view kName = "typical_p";

  double p;  // >= 1: off
  int32_t min_keep;
  std::vector<double> distances = {};  // working memory

  static Result<Typical> make(const StepInput&);
  bool neutral() const { return p >= 1; }
  void apply(Candidates&);
  std::string describe() const;
};

// Keeps the smallest set of best tokens with a probability of at least p together (the nucleus).
// Source: Holtzman et al. 2019, arXiv 1904.09751, section 3.1.
struct TopP {
  static constexpr std::string_view kName = "top_p";

  double p;  // >= 1: off
  int32_t min_keep;

  static Result<TopP> make(const StepInput&);
  bool neutral() const { return p >= 1; }
  void apply(Candidates&) const;
  std::string describe() const;
};

// Keeps tokens at least p times as likely as the best: l >= max + log(p), so no softmax is needed.
// Source: Nguyen et al. 2024, arXiv 2407.01082, section 3.
struct MinP {
  static constexpr std::string_view kName = "min_p";

  double p;  // <= 0: off
  int32_t min_keep;

  static Result<MinP> make(const StepInput&);
  bool neutral() const { return p <= 0; }
  void apply(Candidates&) const;
  std::string describe() const;
};

// Exclude top choices: with this probability, drops all tokens of probability >= threshold but the least likely of
// them, where there are two or more and at least min_keep are left.
// Source: P. E. Weidmann 2024, github.com/oobabooga/text-generation-webui, pull request 6335.
struct Xtc {
  static constexpr std::string_view kName = "xtc";
  static constexpr uint32_t kStream = 1;

  double probability;  // <= 0: off
  double threshold;    // > 0.5: never two tokens
  int32_t min_keep;
  uint32_t stream;

  static Result<Xtc> make(const StepInput&);
  bool neutral() const { return probability <= 0 || threshold > 0.5; }
  void apply(Candidates&) const;
  std::string describe() const;
};

// l <- (l - max) / t. The shift changes no probability and keeps the best token at 0 for every t > 0; a finite logit stays
// finite. At t = 0 the best token alone is left.
struct Temperature {
  static constexpr std::string_view kName = "temperature";

  float t;

  static Result<Temperature> make(const StepInput&);
  bool neutral() const { return t == 1; }
  void apply(Candidates&) const;
  std::string describe() const;
};

// Temperature between max(0, t - range) and t + range by how sure the model is: with H the entropy,
// t' = low + (high - low) * (H / ln n)^exponent. One token stays as it is.
// Source: kalomaze 2023, koboldcpp "dynatemp"; github.com/ggml-org/llama.cpp, pull request 4972.
struct DynamicTemperature {
  static constexpr std::string_view kName = "dynatemp";

  double t, range, exponent;

  static Result<DynamicTemperature> make(const StepInput&);
  bool neutral() const { return t == 1 && range == 0; }
  void apply(Candidates&) const;
  std::string describe() const;
};

// For text that fills a gap: ends it as soon as that is likely. If 3 n P(end) > P(no end), over all end-of-generation
// tokens, only these stay. Else tokens of equal text become one, and of two tokens of which one's text begins the other's
// the likelier one takes the probability of both (beginnings best first, each with its continuations best first); then
// what is no end and has p < 0.2 goes. Where no other token is left the best
// end is picked (where there is none, the best token); else p is normalized and what is no end and below 1 / (number of
// such tokens + 1) goes. Source: github.com/ggml-org/llama.cpp, pull request 9896.
struct Infill {
  static constexpr std::string_view kName = "infill";

  const SamplingVocabulary* vocabulary;
  std::shared_ptr<const TextOrder> text_order;
  // Working memory, one of each for each candidate.
  std::vector<double> p = {};
  std::vector<uint8_t> marks = {};
  std::vector<float> logits = {};
  // And for texts: the best candidate of each, in the order of bytes, by its rank.
  struct Text {
    uint32_t rank;
    uint32_t end;  // the first of them whose text does not begin with this one
    TextOrder::Place place;
  };
  std::vector<Text> heads = {};
  std::vector<uint64_t> keys = {}, spare = {};
  std::vector<uint32_t> longer = {};  // ranks

  static Result<Infill> make(const StepInput&);
  bool neutral() const { return false; }
  void apply(Candidates&);
  std::string describe() const { return "infill()"; }

 private:
  void merge(Candidates& c);
  void find_heads(const Candidates& c, std::span<const int32_t> order);
  void merge_pair(size_t a, size_t b);
  void keep(Candidates& c);
};

}  // namespace linnet
