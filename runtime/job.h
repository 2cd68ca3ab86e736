// One request inside the engine, from submission to result. It lives on the stack of the thread that waits for it; all
// but the fields marked otherwise belong to the engine's thread in between.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/engine.h"
#include "runtime/sequence.h"
#include "sampling/chain.h"
#include "sampling/stop_engine.h"

namespace linnet {

enum class JobKind { generate, last_logits, all_logits, score };

struct Job {
  using Clock = std::chrono::steady_clock;

  Job(JobKind job_kind, std::span<const int32_t> prompt)
      : kind(job_kind), tokens(prompt.begin(), prompt.end()), prompt_size(static_cast<int64_t>(prompt.size())) {}

  // Positions that are computed in the end (as far as is known now). A score needs no row for the last token.
  int64_t end() const { return static_cast<int64_t>(tokens.size()) - (kind == JobKind::score ? 1 : 0); }
  // The first position whose logits are wanted; those before may come from the cache.
  int64_t first_wanted() const { return wants_every_row() ? delivered : end() - 1; }
  // Whether rows before the last one are wanted: of scores and of all logits, as long as there are any.
  bool wants_every_row() const {
    if (kind == JobKind::generate) return request->prompt_probs >= 0 && delivered + 1 < prompt_size;
    return kind == JobKind::all_logits || kind == JobKind::score;
  }
  int64_t remaining() const { return end() - sequence->size(); }
  bool decoding() const { return end() > prompt_size && remaining() == 1; }
  Priority priority() const { return request ? request->priority : Priority::normal; }
  bool cancelled() const { return cancel_requested || (cancel && cancel->load(std::memory_order_relaxed)); }

  // Generation: picks the next token from its logits, which are changed: numbers or -inf, at least one a number. On any
  // thread, one at a time.
  Result<int32_t> sample(std::span<float> logits, const Kernels& kernels, const Tokenizer& tokenizer);
  // Whether the next token is picked from the last of `rows` positions from `begin` on.
  bool samples(int64_t begin, int64_t rows) const {
    return kind == JobKind::generate && room > 0 && begin + rows == end();
  }
  // Generation: what a step's outcome means. Each may call on_text; a finish reason ends the request.
  std::optional<FinishReason> accept(int32_t token, const Tokenizer& tokenizer);
  // After a step without a token for this request: whether its time is over.
  std::optional<FinishReason> check_time();

  // Positions that may come from the cache.
  int64_t adoptable() const { return shift.lost ? std::min(first_wanted(), shift.keep) : first_wanted(); }

  // Bookkeeping of what was computed here and what came from the cache.
  void count_computed(int64_t begin, int64_t n);
  // Fills the counts and times of `completion`.
  void summarize(FinishReason reason);

  JobKind kind;
  int64_t id = 0;
  const Request* request = nullptr;  // generate only
  const std::atomic<bool>* cancel = nullptr;
  bool cancel_requested = false;  // under the engine's mutex
  uint64_t salt = 0;
  int64_t conversation = 0;

  std::vector<int32_t> tokens;  // the prompt, then what was generated
  int64_t prompt_size;
  std::optional<Sequence> sequence;  // while running
  std::optional<Chain> chain;
  std::optional<StopEngine> stop;
  int64_t room = 0;  // tokens that the context has room for after the prompt; 0 where nothing is to be generated

  // Context shift (runtime/engine_shift.cpp).
  struct {
    int64_t keep = 0, discard = 0;  // whole pages; discard 0: none, the text ends with the context
    int64_t known = 0;              // of a conversation: positions of its text before this request
    bool lost = false;              // the shifted text is not there any more: it is taken up again without its middle
  } shift;
  // Of a shifted text that was preempted: it cannot be computed again, so its pages wait outside of the pool.
  struct Parked {
    std::vector<std::byte> bytes;
    int64_t keep = 0, dropped = 0;
  };
  std::optional<Parked> parked;

  int64_t delivered = 0;      // rows whose results are in `values` or prompt_scores
  std::vector<float> values;  // logits [rows][vocab], or log-probabilities

  std::vector<bool> computed_here;  // [prompt_size]
  int64_t covered = 0;              // positions that were ever in the sequence
  Clock::time_point submitted = Clock::now();
  std::optional<Clock::time_point> admitted, first_token;

  // Several completions of one prompt: the others wait for the first one's prompt, and continue with its pages.
  Job* lead = nullptr;
  std::vector<Job*> followers;

  std::string heal;       // token healing: what generated tokens have to begin with
  std::string heal_rest;  // of which this is still to come
  // Of the token that sample() picked.
  GeneratedScores scores;
  double eog_probability = 0, entropy = 0;
  bool ended_early = false;  // by a grammar that was complete, before stop conditions allowed an end

  Completion completion;
  std::optional<Error> error;
  bool finished = false;  // under the engine's mutex; the engine lets go of the job when it is set
  std::condition_variable done;

 private:
  bool deliver(std::string_view text);
  void mask(std::span<float> logits, const Tokenizer& tokenizer);
  void look(std::span<float> logits, const Kernels& kernels, const Tokenizer& tokenizer);
  std::optional<FinishReason> accept_one(int32_t token, const Tokenizer& tokenizer);
  std::optional<FinishReason> jump(const Tokenizer& tokenizer);
  void append(int32_t token);
  void drop_eog();
  void take_back(int64_t count, const Tokenizer& tokenizer);
  FinishReason ended(const StopOutcome& outcome);
};

}  // namespace linnet
