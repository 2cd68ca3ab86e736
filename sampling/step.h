// What the steps of a chain have in common.
//
// A step is a struct with
//   static constexpr std::string_view kName;            its name in chains
//   static Result<Step> make(const StepInput&);         checks its parameters
//   bool neutral() const;                               whether it changes nothing: then a default chain leaves it out
//   void apply(Candidates&);                            changes, drops or (a selector, at the end) picks; where that
//                                                       can fail, it returns Status
//   std::string describe() const;                       a row for status output
// and, where it has state,
//   void accept(const Accepted&);                       a token is now part of the text
//   void rewind(std::span<const int32_t> text);         text.back() is about to be taken back
// A selector has `static constexpr bool kSelects = true`, or selects() where only its parameters tell. A random step
// draws with Candidates::random(stream) and a stream number that no other step has and that never changes, so that
// switching another step on or off leaves its draws alone; in the n-th step of its kind in a chain, stream() tells it
// apart. In the definitions, l are logits, p = softmax(l) over the tokens that earlier steps left, n their number.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "gguf/base/error.h"
#include "sampling/candidates.h"
#include "sampling/params.h"
#include "sampling/vocabulary.h"

namespace linnet {

class CustomSamplers;
class SamplerCache;

// What a step is made from.
struct StepInput {
  const SamplingParams& params;
  const SamplingVocabulary& vocabulary;    // outlives the chain
  int64_t context;                         // >= 1: what a window of -1 means, and the longest window
  uint32_t repetition = 0;                 // how many steps of this kind stand before it
  SamplerCache* cache = nullptr;           // may be absent
  const CustomSamplers* custom = nullptr;  // may be absent

  uint32_t stream(uint32_t number) const { return number | repetition << 8; }
  // A window of this many tokens, or of the context.
  int64_t window(int32_t length) const { return length < 0 || length > context ? context : length; }
};

struct Accepted {
  std::span<const int32_t> text;  // its last token is the new one
  bool generated;                 // not of the prompt
};

// Refuses NaN too. `advice`: what the usual values are.
Status check_range(std::string_view name, double value, double low, double high, std::string_view advice);
// A window: -1 (the context) or a number of tokens.
Status check_window(std::string_view name, int32_t value);

}  // namespace linnet
