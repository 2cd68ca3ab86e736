// The architectures: one file of facts each, and this list.
#pragma once

#include <span>
#include <string_view>

#include "gguf/base/error.h"
#include "runtime/arch/keys.h"
#include "runtime/model.h"

namespace linnet {

struct Architecture {
  std::string_view name;                // general.architecture
  Result<Facts> (*facts)(const Keys&);  // checked hyperparameters; `vocab` is filled by the loader
};

std::span<const Architecture> architectures();

// Facts that all decoder families share under the same keys: sizes, heads, rope and its scaling. Each family then sets
// what it does differently.
Result<Facts> common_facts(const Keys& keys);

Result<Facts> llama_facts(const Keys& keys);

}  // namespace linnet
