// What `run` and `chat` say about a finished completion.
#pragma once

#include "runtime/engine.h"

namespace linnet {

// Speed and memory, to stderr, with the share of the machine's read bandwidth.
void print_statistics(const Completion& completion, Engine& engine);

}  // namespace linnet
