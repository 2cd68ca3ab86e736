// Load as many people at once make it: each session is a thread that holds conversations with one runtime, message by
// message, and now and then loses patience.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "capi/options.h"
#include "gguf/base/error.h"
#include "gguf/base/os.h"

namespace linnet {

struct LoadPlan {
  int64_t sessions = 1;
  int64_t turns = 4;     // messages of a conversation; then the session begins a new one
  double cancel = 0;     // share of requests that are cancelled while they wait or are computed
  int64_t requests = 0;  // to send in all; 0: as many as `seconds` allow
  double seconds = 10;   // nothing is sent later than that
  uint64_t seed = 0;     // of what is said and what is cancelled
};

// Of one measure: what so much of all was at most.
struct Quantiles {
  double p50 = 0, p90 = 0, p99 = 0, most = 0;
  // By nearest rank; zeros for no values.
  static Quantiles of(std::vector<double> values);
};

// The first fifth of the time (or of the requests) warms up: it counts as requests and errors, not as figures.
struct LoadResult {
  int64_t sessions = 0;
  int64_t requests = 0;                   // that came to an end: completions, cancelled ones and errors
  int64_t cancelled = 0;                  // with what was generated until then, or nothing
  int64_t measured = 0;                   // completions after the warm-up
  std::map<std::string, int64_t> errors;  // by code; what was cancelled is none
  double seconds = 0;                     // measured
  int64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;  // measured, cancelled requests included
  Quantiles queue_ms, first_token_ms, per_token_ms, total_ms;           // of measured completions
  os::MemoryUse memory_start, memory_end;                               // of the measured time
  int64_t kv_start = 0, kv_end = 0;                                     // bytes of the page pool, of these
  int64_t preemptions = 0, displaced = 0;  // requests that lost their pages, and their places, and went on later
  double tokens_per_second() const { return seconds > 0 ? static_cast<double>(completion_tokens) / seconds : 0; }
};

// Runs one plan on a runtime of its own, with `options` as its defaults. `progress` is called now and then with the share
// that is done; it returns false to end early, which is Code::cancelled.
Result<LoadResult> run_load(const std::string& model, const Options& options, const LoadPlan& plan,
                            const std::function<bool(double share)>& progress);

}  // namespace linnet
