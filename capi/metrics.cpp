#include "capi/metrics.h"

namespace linnet {

void Metrics::add(const Completion& c) {
  ++requests;
  ++reasons[static_cast<size_t>(c.finish_reason)];
  prompt_tokens += c.prompt_tokens;
  cached_tokens += c.cached_tokens;
  completion_tokens += c.completion_tokens;
  discarded_tokens += c.discarded_tokens;
  const Timings& t = c.timings;
  queue.add(t.queue_ms);
  if (c.completion_tokens > 0) first_token.add(t.ttft_ms);
  if (c.completion_tokens > 1) per_token.add(t.decode_ms / static_cast<double>(c.completion_tokens - 1));
  total.add(t.queue_ms + t.prefill_ms + t.decode_ms);
}

void Metrics::add(const Error& error) {
  ++requests;
  ++errors;
  busy += error.code == Code::busy;
  timeouts += error.code == Code::timeout;
  ++reasons[static_cast<size_t>(FinishReason::error)];
}

}  // namespace linnet
