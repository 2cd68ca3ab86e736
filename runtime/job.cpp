#include "runtime/job.h"

#include <algorithm>

namespace linnet {
namespace {

double milliseconds(Job::Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

}  // namespace

// False when the caller wants no more: it said so, or its callback threw.
bool Job::deliver(std::string_view text) {
  if (text.empty()) return true;
  completion.text += text;
  if (!request->on_text) return true;
  try {
    return request->on_text(text);
  } catch (...) { return false; }
}

FinishReason Job::flush(FinishReason reason) {
  const std::string rest = stops->flush();
  if (!stops->matched().empty()) reason = FinishReason::stop_string;
  return deliver(rest) ? reason : FinishReason::cancelled;
}

std::optional<FinishReason> Job::accept(int32_t token, const Tokenizer& tokenizer) {
  if (!first_token) first_token = Clock::now();
  if (!request->ignore_eos && tokenizer.is_eog(token)) return flush(FinishReason::eog);
  chain->accept(token);
  const int32_t previous = tokens.back();
  tokens.push_back(token);
  completion.tokens.push_back(token);
  if (!deliver(stops->push(tokenizer.shown(token, previous, false)))) return FinishReason::cancelled;
  if (!stops->matched().empty()) return FinishReason::stop_string;
  if (static_cast<int64_t>(completion.tokens.size()) >= limit) return flush(limit_reason);
  return std::nullopt;
}

void Job::count_computed(int64_t begin, int64_t n) {
  covered = std::max(covered, begin + n);
  for (int64_t p = begin; p < std::min(begin + n, prompt_size); ++p) computed_here[static_cast<size_t>(p)] = true;
}

void Job::summarize(FinishReason reason) {
  const Clock::time_point now = Clock::now();
  Completion& c = completion;
  c.prompt_tokens = prompt_size;
  c.completion_tokens = static_cast<int64_t>(c.tokens.size());
  const auto seen = computed_here.begin() + std::min(covered, prompt_size);
  c.cached_tokens = std::count(computed_here.begin(), seen, false);
  c.finish_reason = reason;
  if (stops) c.matched = stops->matched();
  if (chain) c.seed = chain->seed();
  c.timings.queue_ms = milliseconds(admitted.value_or(now) - submitted);
  if (admitted) c.timings.prefill_ms = milliseconds(first_token.value_or(now) - *admitted);
  if (first_token) {
    c.timings.decode_ms = milliseconds(now - *first_token);
    c.timings.ttft_ms = milliseconds(*first_token - submitted);
  }
}

}  // namespace linnet
