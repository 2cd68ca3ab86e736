// The tokens of a text that a grammar forces.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "runtime/tokenizer.h"

namespace linnet {

// Those that it becomes whatever follows: not its last one, which may be longer then, nor those of a word that may go
// on. Empty where the tokenizer does not keep texts as they are.
std::vector<int32_t> forced_tokens(const Tokenizer& tokenizer, std::string_view text);

}  // namespace linnet
