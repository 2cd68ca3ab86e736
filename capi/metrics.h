// What the requests of one runtime came to: counts, and how long things took.
#pragma once

#include <array>
#include <cstdint>

#include "runtime/engine.h"
#include "runtime/histogram.h"

namespace linnet {

struct Metrics {
  int64_t requests = 0;  // that came to an end, good or bad
  int64_t errors = 0, busy = 0, timeouts = 0;
  int64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0, discarded_tokens = 0;
  int64_t models_loaded = 0, models_replaced = 0, loads_failed = 0;
  std::array<int64_t, static_cast<size_t>(FinishReason::error) + 1> reasons = {};  // by FinishReason
  Histogram queue, first_token, per_token, total;                                  // ms

  void add(const Completion& completion);
  void add(const Error& error);
};

}  // namespace linnet
