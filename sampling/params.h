// The parameters of a sampler chain. Definitions, ranges and sources: docs/sampling.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sampling/grammar_source.h"

namespace linnet {

// l <- l + bias for one token, or for each token of a text. -infinity bans it.
struct LogitBias {
  int32_t token = -1;
  std::string text = {};  // where there is no token
  double bias = 0;
};

struct StepSpec;

// What the steps of a chain are made from. With these values and an empty `chain`, the default chain runs.
struct SamplingParams {
  double temperature = 0.7;   // 0: greedy
  double dynatemp_range = 0;  // 0: off
  double dynatemp_exponent = 1;
  int32_t top_k = 40;  // <= 0: off
  double top_p = 0.95;
  double min_p = 0.05;
  double typical_p = 1;     // 1: off
  double tfs_z = 1;         // 1: off
  double top_n_sigma = -1;  // <= 0: off
  double xtc_probability = 0;
  double xtc_threshold = 0.1;
  double repeat_penalty = 1.10;
  double presence_penalty = 0;
  double frequency_penalty = 0;
  int32_t penalty_last_n = 64;  // -1: the context size
  double dry_multiplier = 0;    // 0: off
  double dry_base = 1.75;
  int32_t dry_allowed_length = 2;
  int32_t dry_penalty_last_n = -1;  // -1: the context size
  std::vector<std::string> dry_sequence_breakers = {"\n", ":", "\"", "*"};
  int32_t mirostat = 0;  // 1, 2: that version picks, and truncating steps are left out
  double mirostat_tau = 5;
  double mirostat_eta = 0.1;
  double adaptive_target = -1;  // < 0: off
  double adaptive_decay = 0.9;
  std::string custom_sampler = {};       // the name of a custom sampler, or none
  std::string custom_parameters = "{}";  // its parameters, a JSON object
  int32_t min_keep = 1;
  int64_t seed = -1;  // -1: chosen at random by Chain::create() and reported by Chain::seed()
  std::vector<LogitBias> logit_bias = {};
  GrammarSource grammar = {};

  // Not empty: exactly these steps, in this order.
  std::vector<StepSpec> chain;
};

// One step of an explicit chain: its name and its own parameters.
struct StepSpec {
  std::string type;
  SamplingParams params = {};
};

}  // namespace linnet
