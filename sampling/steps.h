// All steps of the sampler chain. To add one: write its struct (sampling/step.h says what it has) in the header where it
// belongs, and put its name here. Every default chain runs its steps in this order.
#pragma once

#include <span>
#include <string_view>
#include <variant>

#include "sampling/custom_step.h"
#include "sampling/grammar_step.h"
#include "sampling/penalties.h"
#include "sampling/selectors.h"
#include "sampling/truncation.h"

namespace linnet {

using Step =
    std::variant<GrammarStep, LogitBiases, Penalties, Dry, TopNSigma, TopK, TailFree, Typical, TopP, MinP, Xtc,
                 Temperature, DynamicTemperature, Infill, Custom, Greedy, Dist, Mirostat1, Mirostat2, AdaptiveP>;

// The names of all steps, in this order.
std::span<const std::string_view> step_names();

}  // namespace linnet
