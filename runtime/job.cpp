#include "runtime/job.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "gguf/base/math.h"
#include "runtime/forced_tokens.h"

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

// Tokens that may not come next, whatever the chain says.
void Job::mask(std::span<float> logits, const Tokenizer& tokenizer) {
  const auto forbid = [&](std::span<const int32_t> ids) {
    for (const int32_t token : ids) logits[static_cast<size_t>(token)] = -std::numeric_limits<float>::infinity();
  };
  // A grammar that leaves nothing but the end outranks what would keep the text going.
  if (stop->mask_eog() && !chain->only_end()) forbid(tokenizer.eog());
  forbid(stop->forbidden_tokens());
  forbid(stop->banned_tokens());
  if (heal_rest.empty()) return;
  for (int32_t token = 0; token < tokenizer.size(); ++token) {
    const std::string_view bytes = tokenizer.bytes(token);
    const bool fits = !bytes.empty() && (bytes.starts_with(heal_rest) || heal_rest.starts_with(bytes));
    if (!fits) forbid({&token, 1});
  }
}

// What the stop engine wants to know of the distribution, before anything changes it.
void Job::look(std::span<float> logits, const Kernels& k, const Tokenizer& tokenizer) {
  const StopEngine::Needs needs = stop->needs();
  if (!needs.entropy && !needs.eog_probability) return;
  Candidates candidates({k.max, k.above, k.sum_exp, k.exp});
  if (!candidates.begin(logits, 0, 0)) return;  // not with a row that Step has looked at
  if (needs.entropy) entropy = candidates.entropy();
  if (!needs.eog_probability) return;
  const double log_total = candidates.logit_at(1);
  eog_probability = 0;
  for (const int32_t token : tokenizer.eog()) {
    eog_probability += math::exp(static_cast<double>(logits[static_cast<size_t>(token)]) - log_total);
  }
}

Result<int32_t> Job::sample(std::span<float> logits, const Kernels& kernels, const Tokenizer& tokenizer) {
  const auto position = static_cast<uint64_t>(tokens.size());
  const int64_t most = request->n_probs;
  std::vector<float> given;
  if (most > 0) given.assign(logits.begin(), logits.end());
  look(logits, kernels, tokenizer);
  mask(logits, tokenizer);
  if (most <= 0) return chain->sample(logits.data(), position);
  std::vector<Candidate> left;
  const auto see = [&left](std::string_view, const Candidates& c) { left = c.copy(); };
  LINNET_TRY(const int32_t token, chain->sample(logits.data(), position, see));
  scores = {score_logits(kernels, given, token, most), score_candidates(std::move(left), token, most)};
  return token;
}

void Job::append(int32_t token) {
  chain->accept(token);
  tokens.push_back(token);
  completion.tokens.push_back(token);
  if (request->n_probs > 0) completion.scores.push_back(std::exchange(scores, {}));
}

// The token that ended a grammar although such tokens are ignored: it is none of the text.
void Job::drop_eog() {
  completion.tokens.pop_back();
  if (request->n_probs > 0) completion.scores.pop_back();
}

// The last tokens go. The row of the one that is the last then is computed again, for another token after it.
void Job::take_back(int64_t count, const Tokenizer& tokenizer) {
  chain->rewind(count);
  scores = {};  // of a token that is not kept
  tokens.resize(tokens.size() - static_cast<size_t>(count));
  completion.tokens.resize(completion.tokens.size() - static_cast<size_t>(count));
  if (request->n_probs > 0) completion.scores.resize(completion.tokens.size());
  const bool shifted = sequence->dropped() > 0;
  sequence->truncate(std::min(sequence->size(), end() - 1));
  if (shifted && sequence->dropped() == 0) shift.lost = true;
  heal_rest = heal;
  for (const int32_t token : completion.tokens) {
    heal_rest.erase(0, std::min(heal_rest.size(), tokenizer.bytes(token).size()));
  }
}

FinishReason Job::ended(const StopOutcome& outcome) {
  completion.matched = outcome.matched;
  completion.condition = outcome.condition;
  return static_cast<FinishReason>(outcome.reason);
}

std::optional<FinishReason> Job::accept(int32_t token, const Tokenizer& tokenizer) {
  const auto reason = accept_one(token, tokenizer);
  return reason ? reason : jump(tokenizer);
}

// Goes on with what a grammar forces, without asking the model. Where a condition wants to know the distribution that
// a token was drawn from, there is no such thing to tell it.
std::optional<FinishReason> Job::jump(const Tokenizer& tokenizer) {
  const StopEngine::Needs needs = stop->needs();
  if (!request->jump_forward || !heal_rest.empty() || needs.entropy || needs.eog_probability) return std::nullopt;
  for (const int32_t token : forced_tokens(tokenizer, chain->forced())) {
    const auto may_not = [token](std::span<const int32_t> ids) { return std::ranges::find(ids, token) != ids.end(); };
    if (may_not(stop->forbidden_tokens()) || may_not(stop->banned_tokens())) break;
    const size_t before = completion.tokens.size();
    const auto reason = accept_one(token, tokenizer);
    if (reason) return reason;
    if (completion.tokens.size() <= before) break;  // a banned phrase went back
  }
  return std::nullopt;
}

std::optional<FinishReason> Job::accept_one(int32_t token, const Tokenizer& tokenizer) {
  const Clock::time_point now = Clock::now();
  if (!first_token) first_token = now;
  const std::string_view bytes = tokenizer.bytes(token);
  const size_t known = std::min(heal_rest.size(), bytes.size());
  const std::string_view text = known > 0 ? bytes.substr(known) : tokenizer.shown(token, tokens.back(), false);
  const bool early = stop->mask_eog();
  const StopOutcome outcome = stop->add({.id = token,
                                         .bytes = text,
                                         .is_eog = tokenizer.is_eog(token),
                                         .eog_probability = eog_probability,
                                         .entropy = entropy,
                                         .elapsed_ms = milliseconds(now - admitted.value_or(now))});
  if (outcome.keep_token) {
    append(token);
    heal_rest.erase(0, known);
  }
  // A grammar's end is one even where end-of-generation tokens are ignored: nothing can follow.
  const bool over = outcome.keep_token && chain->ended();
  if (over) drop_eog();
  ended_early = over && early;
  if (outcome.take_back > 0 || outcome.action == StopOutcome::Action::take_back)
    take_back(outcome.take_back, tokenizer);
  if (!deliver(outcome.text)) return FinishReason::cancelled;
  const bool counted_too_many = over && outcome.reason == StopReason::max_tokens;
  if (outcome.action == StopOutcome::Action::end && !counted_too_many) return ended(outcome);
  if (!over && static_cast<int64_t>(completion.tokens.size()) < room) return std::nullopt;
  const StopOutcome rest = stop->flush();
  if (!deliver(rest.text)) return FinishReason::cancelled;
  if (rest.action == StopOutcome::Action::end) return ended(rest);
  return over ? FinishReason::eog : FinishReason::context_full;
}

std::optional<FinishReason> Job::check_time() {
  if (kind != JobKind::generate || room == 0 || !admitted) return std::nullopt;
  const auto outcome = stop->check_time(milliseconds(Clock::now() - *admitted));
  if (!outcome) return std::nullopt;
  return deliver(outcome->text) ? ended(*outcome) : FinishReason::cancelled;
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
  if (chain) {
    c.seed = chain->seed();
    c.chain = chain->describe();
    c.notes = chain->notes();
    for (std::string& note : stop->notes()) c.notes.push_back(std::move(note));
    if (ended_early) {
      c.notes.push_back(
          fmt::format("the grammar's text was complete after {} tokens and could not go on, though min_tokens or "
                      "required tokens ask for more",
                      c.completion_tokens));
    }
    if (request->shift && shift.discard == 0)
      c.notes.push_back("shift: n_keep leaves less than 64 tokens of the context to discard; the text ends with it");
  }
  c.timings.queue_ms = milliseconds(admitted.value_or(now) - submitted);
  if (admitted) c.timings.prefill_ms = milliseconds(first_token.value_or(now) - *admitted);
  if (first_token) {
    c.timings.decode_ms = milliseconds(now - *first_token);
    c.timings.ttft_ms = milliseconds(*first_token - submitted);
  }
}

}  // namespace linnet
