// JSON as values of a template.
#pragma once

#include "gguf/base/error.h"
#include "gguf/base/json.h"
#include "runtime/template/value.h"

namespace linnet::jinja {

// Fails for whole numbers beyond 64 bits, and when the heap is full.
Result<Value> value_of(Heap& heap, const Json& json);

}  // namespace linnet::jinja
