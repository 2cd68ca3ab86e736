// Samplers that a host brings: what such a sampler sees and does, and the list in which a chain looks for its name.
// Shared libraries with samplers in C come in through capi/sampler_library.h. A worked example: docs/tutorials.
//
// Chains are made, copied and run by several threads at once, but a sampler by one thread at a time. Whatever a sampler
// does wrong (an exception, a logit that is NaN, a token that is not there) ends the request that it works for with
// sampler_failed, and no other.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "sampling/candidates.h"
#include "sampling/vocabulary.h"

namespace linnet {

// The tokens that earlier steps of the chain left, in the order of ids, and what is known beside them. The n-th entry
// of each span belongs to the n-th candidate.
struct CustomCandidates {
  std::span<const int32_t> ids;
  std::span<const double> p;  // softmax of the logits as the sampler got them
  std::span<float> logits;    // may be changed: to a finite number, or to -inf, which drops the token
  std::span<uint8_t> keep;    // all 1; 0 drops the token. At least one must stay.
  int32_t picked = -1;        // an id that stays: set by a sampler that selects(), and by no other

  int32_t vocabulary_size;
  uint64_t position;                 // of the token to pick
  std::span<const int32_t> history;  // the tokens before it that the chain was told of
  const Candidates& source;
  uint32_t stream;

  // Uniform in [0, 1): the index-th number of this step, a function of seed, position and index only.
  double random(uint32_t index = 0) const;
};

class CustomSampler {
 public:
  virtual ~CustomSampler() = default;
  // Must not depend on how often it is called: the same text, logits and random numbers have the same result.
  virtual Status apply(CustomCandidates& candidates) = 0;
  // A token is now part of the text; `generated`: not of the prompt. What accept() leaves behind must be a function of
  // the tokens since the beginning: to take tokens back, the chain calls reset() and accepts the shorter text again.
  virtual Status accept(int32_t /*token*/, bool /*generated*/) { return {}; }
  virtual void reset() {}
  // Another one with the same state.
  virtual Result<std::unique_ptr<CustomSampler>> clone() const = 0;
  // Whether it picks the token; then it is the last step of its chain. Always the same answer.
  virtual bool selects() const { return false; }
  // Its parameters and state for status output, as they stand in parentheses after its name.
  virtual std::string describe() const { return {}; }
};

// What a sampler is made for.
struct CustomInput {
  const SamplingVocabulary& vocabulary;  // outlives the sampler
  int64_t context;                       // tokens, >= 1
};

// Makes a sampler from its parameters, an object. Called by several threads at once.
using CustomFactory = std::function<Result<std::unique_ptr<CustomSampler>>(const Json&, const CustomInput&)>;

// The samplers of a host, by name.
class CustomSamplers {
 public:
  static constexpr size_t kMaxNameBytes = 64;

  // A name is made of letters, digits, '_', '-' and '.', and no other sampler and no step has it.
  Status add(const std::string& name, CustomFactory factory);
  // Null where there is none.
  const CustomFactory* find(std::string_view name) const;
  std::vector<std::string_view> names() const;

 private:
  std::map<std::string, CustomFactory, std::less<>> factories_;
};

}  // namespace linnet
