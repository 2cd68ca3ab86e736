// A finished completion as JSON: what the command prints and the C API gives.
#pragma once

#include <string>

#include "runtime/engine.h"

namespace linnet {

// {"text","tokens","prompt_tokens",...}: one line; its field names are a contract.
std::string completion_json(const Completion& completion);

}  // namespace linnet
