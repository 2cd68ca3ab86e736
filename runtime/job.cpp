#include "runtime/job.h"

#include <algorithm>
#include <limits>
#include <utility>

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

// Tokens that may not come next, whatever the chain says.
void Job::mask(std::span<float> logits, const Tokenizer& tokenizer) const {
  if (healed.empty()) return;
  for (int32_t token = 0; token < tokenizer.size(); ++token) {
    const std::string_view bytes = tokenizer.bytes(token);
    const bool fits = !bytes.empty() && (bytes.starts_with(healed) || std::string_view(healed).starts_with(bytes));
    if (!fits) logits[static_cast<size_t>(token)] = -std::numeric_limits<float>::infinity();
  }
}

Result<int32_t> Job::sample(std::span<float> logits, const Kernels& kernels, const Tokenizer& tokenizer) {
  const auto position = static_cast<uint64_t>(tokens.size());
  const int64_t most = request->n_probs;
  if (most > 0) raw.assign(logits.begin(), logits.end());
  mask(logits, tokenizer);
  if (most <= 0) return chain->sample(logits.data(), position);
  std::vector<Candidate> left;
  const auto see = [&left](std::string_view, const Candidates& c) { left = c.copy(); };
  LINNET_TRY(const int32_t token, chain->sample(logits.data(), position, see));
  drawn = {score_logits(kernels, raw, token, most), score_candidates(std::move(left), token, most)};
  return token;
}

std::optional<FinishReason> Job::accept(int32_t token, const Tokenizer& tokenizer) {
  if (!first_token) first_token = Clock::now();
  if (!request->ignore_eos && tokenizer.is_eog(token)) return flush(FinishReason::eog);
  chain->accept(token);
  const int32_t previous = tokens.back();
  tokens.push_back(token);
  completion.tokens.push_back(token);
  if (request->n_probs > 0) completion.scores.push_back(std::move(drawn));
  std::string_view text = tokenizer.shown(token, previous, false);
  if (!healed.empty()) {
    const size_t known = std::min(healed.size(), tokenizer.bytes(token).size());
    text.remove_prefix(std::min(known, text.size()));
    healed.erase(0, known);
  }
  if (!deliver(stops->push(text))) return FinishReason::cancelled;
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
