// What every step of a sampler chain does to one distribution, or to those of a recorded run.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "sampling/chain.h"
#include "tools/recording.h"

namespace linnet {

struct StepTrace {
  std::string step;
  int64_t kept = 0;                        // candidates it leaves
  double entropy_before = 0, entropy = 0;  // of the distribution before and after it, in nats
  double mass = 1;                         // of the distribution before it, what the kept ones had
  double p = 0;                            // of the token in question, after it; 0 where it is none any more
};

struct TracedToken {
  int32_t id = -1;
  double p = 0, p_left = 0;  // in the logits, and when all steps have run
  int32_t removed_by = -1;   // index into PositionTrace::steps; -1: none
};

struct PositionTrace {
  int64_t position = 0;
  int32_t token = -1;            // the token in question: recorded, or else the picked one
  int32_t picked = -1;           // by the chain; -1: it has no selector
  std::vector<StepTrace> steps;  // the first is "logits", as they were; selectors are not there
  std::vector<TracedToken> top;  // the likeliest of the logits, best first, then `token` and `picked` if not among them
};

// Samples once; the picked token is not accepted. `token` -1: the one that is picked.
Result<PositionTrace> trace_position(Chain& chain, std::span<const float> logits, uint64_t position, int32_t token,
                                     size_t top);

struct RecordingTrace {
  std::vector<std::string> chain;  // Chain::describe()
  uint64_t seed = 0;
  std::vector<PositionTrace> positions;
  // Why the last positions are missing, where they are: a grammar does not allow the recorded text.
  std::string ended;
};

// A fresh chain at every recorded position; it then accepts the recorded token. `seen` is told the share done.
Result<RecordingTrace> trace_recording(const Recording& recording, Chain chain, size_t top,
                                       const std::function<void(double)>& seen = {});

// A token as a person or a script reads it.
using TokenText = std::function<std::string(int32_t token)>;

// One line per step.
std::string steps_table(const PositionTrace& trace);
// [{"step":...}, ...]
std::string steps_json(const PositionTrace& trace);
// Per step, over all positions: median kept, and means.
struct StepSummary {
  std::string step;
  double kept, mass, entropy, p;
};
std::vector<StepSummary> summarize(const RecordingTrace& trace);
// How often the chain picks what was recorded.
int64_t agreements(const RecordingTrace& trace);
std::string trace_table(const RecordingTrace& trace);
std::string trace_json(const RecordingTrace& trace, const TokenText& text);

}  // namespace linnet
