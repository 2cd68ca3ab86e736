// What this machine can do at most, measured: the yardsticks that speeds are shares of.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"
#include "runtime/model.h"

namespace linnet {

// GB/s that `threads` threads read in linear loops, each through its own part, with or without software prefetch: of the
// model's own mapping when it is larger than the caches (256 MB), else of as much fresh memory. Best of a few passes;
// takes a fraction of a second.
double read_bandwidth(const Model& model, int32_t threads);

// Billions of int8 multiply-add operations per second (a multiply-add counts 2) of `threads` threads, from registers.
double int8_peak(const Kernels& kernels, int32_t threads);

}  // namespace linnet
