// What `run` and `chat` say about a finished completion.
#pragma once

#include <string>

#include "runtime/engine.h"

namespace linnet {

// {"text","tokens","prompt_tokens",...}: one line, field names are part of the command's contract.
std::string completion_json(const Completion& completion);
// Speed and memory, to stderr, with the share of the machine's read bandwidth.
void print_statistics(const Completion& completion, Engine& engine);

}  // namespace linnet
