// What a request must give, one token at a time: every row from a fresh evaluation, every token from a fresh chain, the
// bans of phrases by a search of the whole text.
#pragma once

#include <string>
#include <vector>

#include "runtime/engine.h"

namespace linnet {

struct Defined {
  std::vector<int32_t> tokens;
  std::string text;       // bytes
  int64_t rollbacks = 0;  // phrases taken back
};

// Heeds sampling, max_tokens, ignore_eos, forbidden_tokens, banned_phrases and token_healing.
Defined define_completion(Engine& engine, const Request& request);

}  // namespace linnet
