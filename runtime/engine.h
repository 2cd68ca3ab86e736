// The engine: requests in, text out. One step = schedule -> forward -> sample -> commit, driven by one thread; requests
// come from any thread and wait for themselves.
//
// Continuous batching: a step takes the decode tokens of all running requests and fills up with prompt chunks under a
// token budget. Full pages are shared between sequences through a chain of page hashes (runtime/pages.h). What a
// request gets does not depend, to the bit, on its batch mates, on chunking or on what came from the cache.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "runtime/forward.h"
#include "runtime/logprobs.h"
#include "runtime/model.h"
#include "runtime/scheduler.h"
#include "sampling/chain.h"
#include "sampling/custom_sampler.h"
#include "sampling/grammar_cache.h"
#include "sampling/stop_params.h"

namespace linnet {

// Those of the stop engine, in its order, and the engine's own.
enum class FinishReason : uint8_t {
  eog,
  stop_string,
  stop_token,
  stop_pattern,
  stop_trigger,
  max_tokens,
  max_time,
  dynamic_timeout,
  indentation,
  loop,
  completion,
  coherence_break,
  context_aware,
  phrase_ban,
  context_full,
  cancelled,
  error,
};
std::string_view finish_reason_name(FinishReason reason);  // "eog", "stop_string", ...

struct Request {
  std::vector<int32_t> prompt;  // token ids, at least one, as they are (BOS included if wanted)
  SamplingParams sampling;
  StopParams
      stopping;  // max_tokens -1: until the context is full, with shift without end; 0: only the prompt, for the cache's sake
  // How many of the likeliest tokens are listed with every generated token (Completion::scores); 0: no scores.
  int64_t n_probs = 0;
  // The same for the tokens of the prompt; 0: their own scores only, -1: none. Nothing of the prompt comes from the
  // cache then.
  int64_t prompt_probs = -1;
  // A prompt that ends inside a word: its last token is taken back, and what is generated begins with its text (which
  // is not shown again). Not together with a grammar, which is about the whole of what is generated.
  bool token_healing = false;
  // Goes on with the text that a grammar forces without asking the model for it; what was forced is computed together.
  // Such tokens have no scores (logprob 0, nothing listed), and biases and penalties do not act on them. Not done where
  // a condition measures what tokens are drawn from (completion_detection, coherence_break).
  bool jump_forward = false;
  // A text that reaches the end of the context goes on: the `n_discard` tokens behind the first `n_keep` (-1: behind the
  // prompt; not in a conversation) are dropped from view, both rounded up to 64. A conversation's prompt may then be longer than the context by
  // as much as the conversation knows of it. Models that cannot do this (Forward::can_shift()) refuse the request.
  bool shift = false;
  int64_t n_keep = 128, n_discard = 256;
  // Who goes first when not all can run (runtime/scheduler.h); `client` is whoever shares the machine fairly with others.
  Priority priority = Priority::normal;
  int64_t client = 0;
  // Deadlines from submission on, 0: none. A request that misses one ends with Code::timeout, between two steps. (The
  // time for the whole text is stopping.max_time_ms, which keeps what is there.)
  double queue_timeout_ms = 0;        // until it runs
  double first_token_timeout_ms = 0;  // until its first token
  int64_t conversation = 0;           // 0: none; else from Engine::open_conversation(): keeps its pages afterwards
  uint64_t salt = 0;                  // prefix sharing happens only between equal salts (tenants)
  // Called from the engine's thread with text that may be shown (UTF-8, stop strings held back). Returning false
  // or throwing cancels. Must not call the engine (that is an error, not a deadlock), and holds up all others meanwhile.
  std::function<bool(std::string_view text)> on_text;
};

// load_ms is for whoever loaded the model; queue: until first admitted, ttft: from submission to the first token.
struct Timings {
  double load_ms = 0, queue_ms = 0, prefill_ms = 0, decode_ms = 0, ttft_ms = 0;
};

// What is known of a generated token.
struct GeneratedScores {
  RowScores model;    // as the model gave it: before penalties, masks and everything else
  RowScores sampled;  // among what the sampler chain left to pick from
};

struct Completion {
  std::string text;             // without the stop string
  std::vector<int32_t> tokens;  // generated, the end-of-generation token not included
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of the prompt, not computed again
  int64_t completion_tokens = 0;
  int64_t discarded_tokens = 0;  // of prompt and completion, dropped from view by context shifts of this request
  FinishReason finish_reason = FinishReason::error;
  std::string matched;                  // the stop string, pattern's match, token or phrase that ended it
  std::string condition;                // which condition that was, with its measure, where there are several of a kind
  std::vector<GeneratedScores> scores;  // [tokens], with Request::n_probs
  std::vector<RowScores> prompt_scores;  // [prompt_tokens - 1], of all but the first, with Request::prompt_probs
  uint64_t seed = 0;
  std::vector<std::string> chain;  // the sampler's steps as they ran, in order: "top_k(40)", ...
  std::vector<std::string> notes;  // remarks on parameters without effect and conditions that could not be met
  Timings timings;
};

struct EngineOptions {
  ForwardOptions forward;
  int64_t context = 2048;      // positions per sequence; 0: the model's own
  int64_t max_concurrent = 8;  // sequences in one step
  int64_t queue_size = 50;     // requests that may wait, beyond those that could run at once; then Code::busy
  int64_t batch_tokens = 512;  // rows of one step
  int64_t cache_tokens = 0;    // page pool size in tokens; 0: context * max_concurrent, at most 100000 beyond context
  bool prefix_cache = true;
  int64_t cache_retention_ms = 0;  // cached pages that nobody used for so long are forgotten; 0: never
  bool priorities = true;          // otherwise Request::priority makes no difference
  bool fair = true;                // otherwise Request::client makes none
  std::shared_ptr<const CustomSamplers> custom_samplers = {};  // those that chains of requests may name
};

struct EngineStats {
  int64_t steps = 0, rows = 0, prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
  int64_t running = 0, queued = 0;
  int64_t pages_total = 0, pages_used = 0, pages_cached = 0, page_bytes = 0;
  int64_t kv_bytes = 0, workspace_bytes = 0, released_bytes = 0;
  int64_t batch_tokens = 0;  // rows of one step, as limit_batch() left it
  int64_t rollbacks = 0;     // banned phrases that finished requests took back
  int64_t masks_ahead = 0;   // of grammars, that were computed while the forward pass ran
  GrammarCache::Numbers grammars;
  int64_t displaced = 0;    // requests that gave their place to one of higher priority and went on later
  int64_t preemptions = 0;  // requests that lost their pages to an older one and went on later
  int64_t shifts = 0;       // of contexts
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> create(std::shared_ptr<const Model> model, const EngineOptions& options);
  ~Engine();  // cancels what runs and joins

  // Runs one request and waits for it; any thread. `cancel`, when given, is read between steps.
  Result<Completion> generate(const Request& request, const std::atomic<bool>* cancel = nullptr);

  // `n` completions of one prompt, which is computed once; completion i has the seed request.sampling.seed + i, or a
  // random one. on_text of the request is not called, but this one, with the completion's number. All or nothing.
  using IndexedText = std::function<bool(int64_t index, std::string_view text)>;
  Result<std::vector<Completion>> generate_n(const Request& request, int64_t n, const IndexedText& on_text = {},
                                             const std::atomic<bool>* cancel = nullptr);

  // Logits of given tokens, nothing generated: `out` is [n][vocab] when all, else [vocab] of the last.
  Result<std::vector<float>> logits(const std::vector<int32_t>& tokens, bool all);
  // Log-probabilities of tokens[i+1] given tokens[..i], natural log, for perplexity: n-1 values.
  Result<std::vector<float>> score(const std::vector<int32_t>& tokens);

  // A conversation keeps its pages between requests: a request's prompt that continues what the conversation holds
  // computes only the new tokens (a differing tail is cut off).
  int64_t open_conversation();  // 0: out of memory
  // Another conversation with the same content; its pages are shared until one of the two goes another way.
  Result<int64_t> fork_conversation(int64_t id);
  // What a conversation has computed, as bytes (empty: nothing), and a new conversation with that content. For the same
  // model and build: invalid_argument for other bytes. Pages that come from outside are never shared with others.
  Result<std::vector<std::byte>> park_conversation(int64_t id);
  Result<int64_t> resume_conversation(std::span<const std::byte> bytes, uint64_t salt);
  // Cancels the conversation's request and waits for its end; then its pages are let go. Unknown ids are ignored.
  void close_conversation(int64_t id);

  // Gives memory back to the system, up to `bytes`: of cached pages, and with `conversations` of those that rest, the
  // least recently used first (what is lost is computed again when it is needed). Returns how much.
  int64_t release_memory(int64_t bytes, bool conversations);
  // Rows of one step from now on, at most EngineOptions::batch_tokens. Fewer rows take less memory at once.
  void limit_batch(int64_t rows);

  EngineStats stats() const;
  const Model& model() const;
  const Forward& forward() const;

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet
