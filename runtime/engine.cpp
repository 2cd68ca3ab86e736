#include "runtime/engine.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <limits>
#include <new>
#include <system_error>

#include "gguf/base/hash.h"
#include "runtime/engine_impl.h"

namespace linnet {
namespace {

Status in_range(const char* name, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return {};
  return fail(Code::invalid_argument, "{} is {}, expected {} to {}", name, value, least, most);
}

Status check(const EngineOptions& o) {
  LINNET_CHECK(in_range("context", o.context, 0, int64_t{1} << 30));
  LINNET_CHECK(in_range("max_concurrent", o.max_concurrent, 1, 65536));
  LINNET_CHECK(in_range("queue_size", o.queue_size, 0, 1 << 20));
  LINNET_CHECK(in_range("batch_tokens", o.batch_tokens, 1, 65536));
  return in_range("cache_tokens", o.cache_tokens, 0, int64_t{1} << 40);
}

// What makes pages of one model useless for another: its shape, its page layout, its weights (a sample of them: reading
// all would touch the whole file).
uint64_t identity_of(const Model& model) {
  Xxh64 hash;
  const auto add = [&](const auto& value) { hash.update(std::as_bytes(std::span(&value, 1))); };
  hash.update(std::as_bytes(std::span(model.facts.architecture)));
  add(model.file().file_bytes());
  for (const LayerGroup& group : model.groups()) {
    add(group.window);
    add(group.page_bytes);
    add(group.type);
  }
  const auto tensors = model.file().tensors();
  const size_t stride = std::max<size_t>(1, tensors.size() / 8);
  for (size_t i = 0; i < tensors.size(); i += stride) {
    hash.update({tensors[i].data, static_cast<size_t>(std::min<uint64_t>(tensors[i].bytes, 4096))});
  }
  return hash.digest();
}

// Short enough for std::string to hold without memory.
Error out_of_memory() { return {Code::out_of_memory, "out of memory"}; }

// Behind the largest seed comes 0.
int64_t next_seed(int64_t seed, size_t i) {
  return static_cast<int64_t>((static_cast<uint64_t>(seed) + i) &
                              static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
}

// Half of what was asked for is an error.
Status complete(const Result<Completion>& result) {
  if (!result) return result.error();
  if (result->finish_reason != FinishReason::cancelled) return {};
  return fail(Code::cancelled, "the engine was closed before all positions were computed");
}

}  // namespace

// A StopReason is the FinishReason of the same number: both lists in the same order.
static_assert(static_cast<int>(FinishReason::eog) == static_cast<int>(StopReason::eog));
static_assert(static_cast<int>(FinishReason::max_tokens) == static_cast<int>(StopReason::max_tokens));
static_assert(static_cast<int>(FinishReason::loop) == static_cast<int>(StopReason::loop));
static_assert(static_cast<int>(FinishReason::phrase_ban) == static_cast<int>(StopReason::phrase_ban));
static_assert(static_cast<int>(FinishReason::context_full) == static_cast<int>(StopReason::phrase_ban) + 1);

std::string_view finish_reason_name(FinishReason reason) {
  constexpr std::string_view own[] = {"context_full", "cancelled", "error"};
  if (reason >= FinishReason::context_full) {
    return own[static_cast<size_t>(reason) - static_cast<size_t>(FinishReason::context_full)];
  }
  return stop_reason_name(static_cast<StopReason>(reason));
}

Result<std::unique_ptr<Engine>> Engine::create(std::shared_ptr<const Model> model, const EngineOptions& given) {
  if (!model) return fail(Code::invalid_argument, "the engine needs a model, got none");
  LINNET_CHECK(check(given));
  if (model->tokenizer().size() > model->facts.vocab) {
    return fail(Code::gguf_vocabulary, "the tokenizer has {} tokens and the model's output only {}",
                model->tokenizer().size(), model->facts.vocab);
  }
  EngineOptions options = given;
  options.context = model->context_for(options.context);
  if (options.cache_tokens == 0) {
    options.cache_tokens = std::min(options.context * options.max_concurrent, options.context + 100000);
  }
  options.forward.max_rows = options.batch_tokens;
  options.forward.max_context = options.context;
  const int64_t pages = (options.cache_tokens + kPageTokens - 1) / kPageTokens;
  const int64_t context = std::min(options.context, pages * kPageTokens);
  LINNET_TRY(auto forward, Forward::create(*model, options.forward));
  return std::unique_ptr<Engine>(
      new Engine(std::make_unique<Impl>(std::move(model), options, std::move(forward), context, pages)));
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;
const Model& Engine::model() const { return *impl_->model; }
const Forward& Engine::forward() const { return *impl_->forward; }

Engine::Impl::Impl(std::shared_ptr<const Model> m, const EngineOptions& o, std::unique_ptr<Forward> f,
                   int64_t context_positions, int64_t pages_per_group)
    : model(std::move(m)),
      options(o),
      context(context_positions),
      forward(std::move(f)),
      sampler_cache(model->tokenizer()),
      scheduler({o.max_concurrent, o.queue_size, o.batch_tokens, o.priorities, o.fair}),
      pool(model->groups(), pages_per_group, identity_of(*model)),
      step(*model, *forward) {
  for (const LayerGroup& group : model->groups()) stats.page_bytes += group.page_bytes;
  stats.pages_total = pages_per_group * static_cast<int64_t>(model->groups().size());
  stats.workspace_bytes = forward->workspace_bytes();
}

Engine::Impl::~Impl() {
  std::unique_lock lock(mutex);
  stopping = true;
  work.notify_one();
  answered.wait(lock, [&] { return callers == 0; });
  lock.unlock();
  if (thread.joinable()) thread.join();
}

Status Engine::Impl::check_tokens(std::span<const int32_t> tokens, int64_t positions) const {
  if (tokens.empty()) return fail(Code::prompt_empty, "the prompt has no tokens; give at least one (for example BOS)");
  if (positions > context) {
    return fail(
        Code::prompt_too_long,
        "the prompt takes {} positions, but a sequence holds {} (context {}, cache of {} tokens); shorten it, or "
        "open the engine with a larger context",
        positions, context, options.context, pool.capacity() * kPageTokens);
  }
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= model->facts.vocab) {
      return fail(Code::token_range, "token {} of the prompt is id {}, expected 0 to {}", i, tokens[i],
                  model->facts.vocab - 1);
    }
  }
  return {};
}

namespace {

// Takes the prompt's last token off, to be generated again with whatever else its text begins.
void heal(Job& job, const Tokenizer& tokenizer) {
  const std::string_view last = tokenizer.bytes(job.tokens.back());
  if (last.empty() || job.tokens.size() < 2) return;
  job.heal = job.heal_rest = last;
  job.tokens.pop_back();
  --job.prompt_size;
}

}  // namespace

Status Engine::Impl::prepare(Job& job, const Request& r) {
  LINNET_CHECK(prepare_shift(job, r));
  // How long the prompt of a conversation may be is known when it enters.
  const bool any_length = job.shift.discard > 0 && r.conversation != 0 && r.prompt_probs < 0;
  LINNET_CHECK(check_tokens(r.prompt, any_length ? 0 : job.prompt_size));
  LINNET_CHECK(in_range("n_probs", r.n_probs, 0, model->facts.vocab));
  LINNET_CHECK(in_range("prompt_probs", r.prompt_probs, -1, model->facts.vocab));
  const Kernels& k = forward->kernels();
  const ChainInput chain_input{
      model->tokenizer(), context, {k.max, k.above, k.sum_exp, k.exp}, &sampler_cache, options.custom_samplers.get()};
  LINNET_TRY(job.chain, Chain::create(r.sampling, chain_input));
  if (!job.chain->selects()) {
    return fail(
        Code::option_range,
        "the sampler chain ends without a step that picks a token, expected greedy, dist, mirostat1, mirostat2 or "
        "adaptive_p as its last");
  }
  if (r.token_healing && job.chain->has_grammar()) {
    return fail(Code::option_range,
                "token_healing is on and there is a grammar, expected one of them: a healed text begins with what the "
                "prompt's last token says, and a grammar's text at its beginning");
  }
  if (r.token_healing) heal(job, model->tokenizer());
  for (const int32_t token : job.tokens) job.chain->accept_prompt(token);
  StopPrompt prompt{.tokens = job.tokens};
  std::string text;
  if (r.stopping.context_aware) prompt.text = text = model->tokenizer().decode(job.tokens, true);
  StopParams params = r.stopping;
  if (params.max_tokens == 0) params.max_tokens = -1;
  LINNET_TRY(job.stop, StopEngine::create(params, model->tokenizer(), prompt));
  const int64_t end = job.shift.discard > 0 ? kMostPositions : context;
  job.room = r.stopping.max_tokens == 0 ? 0 : end - job.prompt_size;
  job.request = &r;
  job.salt = r.salt;
  job.conversation = r.conversation;
  if (r.prompt_probs >= 0) job.completion.prompt_scores.resize(static_cast<size_t>(job.prompt_size - 1));
  return {};
}

// Takes a job in, under the mutex: all or nothing.
Status Engine::Impl::enter(Job& job) {
  if (is_engine_thread()) {
    return fail(Code::invalid_argument, "a callback of a request may not call the engine; return from it first");
  }
  if (stopping) return fail(Code::cancelled, "the engine is being closed");
  if (job.conversation) LINNET_CHECK(conversations.claim(job.conversation));
  job.id = last_job + 1;
  Status status = check_known(job);
  try {
    if (status) status = scheduler.submit(job.id, job.priority(), job.request ? job.request->client : 0);
    if (status) jobs.emplace(job.id, &job);
    if (status && !thread.joinable()) thread = std::thread([this] { loop(); });
  } catch (const std::bad_alloc&) { status = out_of_memory(); } catch (const std::system_error& e) {
    status = fail(Code::thread_start, "the system gives no thread for the engine: {}", e.what());
  }
  if (status) {
    ++last_job;
  } else {
    jobs.erase(job.id);
    scheduler.remove(job.id);
    if (job.conversation) conversations.unclaim(job.conversation);
  }
  return status;
}

// All of `group` or none: they enter together, and this returns when the last of them is finished.
Status Engine::Impl::wait_for(std::span<Job* const> group) {
  for (Job* job : group) {
    job->computed_here.resize(static_cast<size_t>(job->prompt_size));
    job->tokens.reserve(static_cast<size_t>(job->prompt_size + std::min<int64_t>(job->room, 4096)));
  }
  std::unique_lock lock(mutex);
  Status status;
  size_t entered = 0;
  for (; entered < group.size(); ++entered) {
    group[entered]->submitted = Job::Clock::now();
    status = enter(*group[entered]);
    if (!status) break;
  }
  if (!status) {
    for (Job* job : group.first(entered)) job->cancel_requested = true;
  }
  ++callers;
  work.notify_one();
  for (Job* job : group.first(entered)) job->done.wait(lock, [&] { return job->finished; });
  --callers;
  if (stopping) answered.notify_all();
  if (!status) return status;
  for (Job* job : group) {
    if (job->error) return std::move(*job->error);
  }
  return {};
}

Result<Completion> Engine::Impl::wait_for(Job& job) {
  Job* const alone[] = {&job};
  LINNET_CHECK(wait_for(alone));
  return std::move(job.completion);
}

Result<Completion> Engine::generate(const Request& request, const std::atomic<bool>* cancel) {
  try {
    Job job(JobKind::generate, request.prompt);
    job.cancel = cancel;
    LINNET_CHECK(impl_->prepare(job, request));
    return impl_->wait_for(job);
  } catch (const std::bad_alloc&) { return out_of_memory(); }
}

Result<std::vector<Completion>> Engine::generate_n(const Request& request, int64_t n, const IndexedText& on_text,
                                                   const std::atomic<bool>* cancel) {
  LINNET_CHECK(in_range("the number of completions", n, 1, 4096));
  if (request.conversation != 0 && n > 1)
    return fail(Code::invalid_argument, "a conversation goes on with one completion, and {} are asked for; fork it", n);
  try {
    std::vector<Request> requests(static_cast<size_t>(n), request);
    std::deque<Job> jobs;
    std::vector<Job*> group;
    for (size_t i = 0; i < requests.size(); ++i) {
      if (request.sampling.seed >= 0) requests[i].sampling.seed = next_seed(request.sampling.seed, i);
      requests[i].on_text = nullptr;
      if (on_text)
        requests[i].on_text = [&on_text, i](std::string_view text) { return on_text(static_cast<int64_t>(i), text); };
      group.push_back(&jobs.emplace_back(JobKind::generate, requests[i].prompt));
      group[i]->cancel = cancel;
      LINNET_CHECK(impl_->prepare(*group[i], requests[i]));
      if (i == 0) continue;
      group[i]->lead = group[0];
      group[0]->followers.push_back(group[i]);
    }
    LINNET_CHECK(impl_->wait_for(group));
    std::vector<Completion> completions;
    for (Job* job : group) completions.push_back(std::move(job->completion));
    return completions;
  } catch (const std::bad_alloc&) { return out_of_memory(); }
}

Result<std::vector<float>> Engine::logits(const std::vector<int32_t>& tokens, bool all) {
  try {
    Job job(all ? JobKind::all_logits : JobKind::last_logits, tokens);
    LINNET_CHECK(impl_->check_tokens(tokens, job.prompt_size));
    job.values.resize(static_cast<size_t>((all ? job.prompt_size : 1) * impl_->model->facts.vocab));
    LINNET_CHECK(complete(impl_->wait_for(job)));
    return std::move(job.values);
  } catch (const std::bad_alloc&) { return out_of_memory(); }
}

Result<std::vector<float>> Engine::score(const std::vector<int32_t>& tokens) {
  try {
    Job job(JobKind::score, tokens);
    LINNET_CHECK(impl_->check_tokens(tokens, job.prompt_size - 1));
    if (tokens.size() == 1) return std::vector<float>();
    job.values.resize(tokens.size() - 1);
    LINNET_CHECK(complete(impl_->wait_for(job)));
    return std::move(job.values);
  } catch (const std::bad_alloc&) { return out_of_memory(); }
}

void Engine::Impl::on_engine(const std::function<void()>& run, const std::function<bool()>& until) {
  std::unique_lock lock(mutex);
  if (!thread.joinable() || is_engine_thread()) return run();
  if (stopping) return;
  Command command{run, false, commands};
  commands = &command;
  ++callers;
  work.notify_one();
  answered.wait(lock, [&] { return command.ran && until(); });
  --callers;
  if (stopping) answered.notify_all();
}

int64_t Engine::open_conversation() {
  const std::lock_guard lock(impl_->mutex);
  try {
    return impl_->conversations.open();
  } catch (const std::bad_alloc&) { return 0; }
}

Result<int64_t> Engine::fork_conversation(int64_t id) {
  Result<int64_t> result = fail(Code::cancelled, "the engine is being closed");
  const auto fork = [&] {
    try {
      result = impl_->conversations.fork(id);
    } catch (const std::bad_alloc&) { result = out_of_memory(); }
  };
  impl_->on_engine(std::ref(fork), [] { return true; });
  return result;
}

Result<std::vector<std::byte>> Engine::park_conversation(int64_t id) {
  Result<std::vector<std::byte>> result = fail(Code::cancelled, "the engine is being closed");
  const auto park = [&] {
    try {
      result = impl_->conversations.park(id);
    } catch (const std::bad_alloc&) { result = out_of_memory(); }
  };
  impl_->on_engine(std::ref(park), [] { return true; });
  return result;
}

Result<int64_t> Engine::resume_conversation(std::span<const std::byte> bytes, uint64_t salt) {
  Result<int64_t> result = fail(Code::cancelled, "the engine is being closed");
  const auto resume = [&] {
    try {
      result = impl_->conversations.resume(impl_->pool, bytes, salt);
    } catch (const std::bad_alloc&) { result = out_of_memory(); }
  };
  impl_->on_engine(std::ref(resume), [] { return true; });
  return result;
}

void Engine::close_conversation(int64_t id) {
  Impl& m = *impl_;
  const auto close = [&] {
    for (auto& [job_id, job] : m.jobs) {
      if (job->conversation == id) job->cancel_requested = true;
    }
    m.conversations.close(id);
  };
  const auto gone = [&] { return !m.conversations.exists(id); };
  m.on_engine(std::ref(close), std::ref(gone));
}

int64_t Engine::release_memory(int64_t bytes, bool conversations) {
  Impl& m = *impl_;
  int64_t released = 0;
  const auto release = [&] {
    released = m.pool.trim(bytes);
    while (conversations && released < bytes && m.conversations.release_oldest())
      released += m.pool.trim(bytes - released);
    m.stats.released_bytes += released;
    m.take_numbers();
  };
  m.on_engine(std::ref(release), [] { return true; });
  return released;
}

void Engine::limit_batch(int64_t rows) {
  const std::lock_guard lock(impl_->mutex);
  impl_->scheduler.limit_batch(std::clamp<int64_t>(rows, 1, impl_->options.batch_tokens));
}

EngineStats Engine::stats() const {
  const GrammarCache::Numbers grammars = impl_->sampler_cache.grammars().numbers();
  const std::lock_guard lock(impl_->mutex);
  EngineStats stats = impl_->stats;
  stats.grammars = grammars;
  stats.running = static_cast<int64_t>(impl_->scheduler.running().size());
  stats.queued = static_cast<int64_t>(impl_->scheduler.queued().size());
  stats.batch_tokens = impl_->scheduler.batch_tokens();
  return stats;
}

}  // namespace linnet
