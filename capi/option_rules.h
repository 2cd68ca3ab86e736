// Rules between options: combinations that have no meaning.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "capi/options.h"

namespace linnet {

struct BrokenRule {
  std::vector<const OptionRow*> rows;  // they get their defaults back, which mends it
  std::string sentence;
};

// The first rule that is broken.
std::optional<BrokenRule> broken_rule(const Options& options);

// Options of which a configuration names one: what other configurations say of the others does not count then.
std::vector<std::vector<const OptionRow*>> exclusive_options();

}  // namespace linnet
