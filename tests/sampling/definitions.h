// The definitions of the sampler steps, computed the slow and obvious way: in double, everything sorted, every suffix
// compared. Written from the sources that docs/sampling.md names, not from the code they are compared with.
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "sampling/params.h"
#include "sampling/vocabulary.h"

namespace linnet::definition {

struct Token {
  int32_t id;
  double logit;
};
using Tokens = std::vector<Token>;  // by ascending id; a masked token is not there

// What a step leaves. Where a border lies so near that rounding decides (1e-5), a token is undecided: it may be left or
// not.
struct Left {
  Tokens tokens;
  std::set<int32_t> undecided = {};
};

// What a step may ask for beside its parameters and the tokens.
struct Surroundings {
  const SamplingVocabulary& vocabulary;
  std::span<const int32_t> history;
  int64_t context;
  bool xtc_acts = false;  // what its draw said
};

std::vector<double> softmax(const Tokens& tokens);
// Indices, best first; of equal logits the lower id.
std::vector<size_t> best_first(const Tokens& tokens);
double entropy(const Tokens& tokens);

// One step that is no selector.
Left apply(const StepSpec& step, const Tokens& tokens, const Surroundings& around);

// What mirostat draws from.
Left mirostat1(const Tokens& tokens, double mu, int32_t vocabulary_size);
Left mirostat2(const Tokens& tokens, double mu);
// The logits that adaptive_p draws from, with aim g'.
Tokens adaptive_p(const Tokens& tokens, double aim);

}  // namespace linnet::definition
