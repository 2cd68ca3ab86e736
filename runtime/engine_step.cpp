// The engine's thread: schedule -> forward -> sample -> commit.
#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "runtime/engine_impl.h"

namespace linnet {
namespace {

// Short enough for std::string to hold without memory.
Error no_memory() { return {Code::out_of_memory, "out of memory"}; }

int64_t common_prefix(std::span<const int32_t> a, std::span<const int32_t> b) {
  const size_t n = std::min(a.size(), b.size());
  return std::mismatch(a.begin(), a.begin() + static_cast<int64_t>(n), b.begin()).first - a.begin();
}

}  // namespace

void Engine::Impl::loop() {
  std::unique_lock lock(mutex);
  while (true) {
    work.wait(lock, [&] { return stopping || !jobs.empty() || commands != nullptr; });
    run_commands();
    if (stopping) break;
    if (jobs.empty()) continue;
    try {
      step_once(lock);
    } catch (const std::bad_alloc&) {  // in scheduling: no single request can be named
      if (!lock.owns_lock()) lock.lock();
      fail_running();
    }
  }
  finish_all(FinishReason::cancelled);
}

void Engine::Impl::run_commands() {
  if (!commands) return;
  for (Command* c = std::exchange(commands, nullptr); c;) {
    Command* next = c->next;
    c->run();
    c->ran = true;
    c = next;
  }
  take_numbers();
  answered.notify_all();
}

void Engine::Impl::step_once(std::unique_lock<std::mutex>& lock) {
  if (options.cache_retention_ms > 0) {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    const int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
    pool.set_time(ms);
    pool.expire(ms - options.cache_retention_ms);
  }
  drop_ended();
  admit_jobs();
  build_step();
  if (step.parts().empty()) return;
  ++stats.steps;
  for (const Step::Part& part : step.parts()) stats.rows += part.rows;
  lock.unlock();
  compute_and_commit();
  lock.lock();
  stats.masks_ahead = step.masks_ahead();
  for (auto& [job, reason] : std::exchange(ended, {})) finish(*job, reason);
  for (auto& [job, error] : std::exchange(failed, {})) finish(*job, std::move(error));
  take_numbers();
}

void Engine::Impl::drop_ended() {
  for (auto it = jobs.begin(); it != jobs.end();) {
    Job& job = *(it++)->second;
    if (job.cancelled()) {
      finish(job, FinishReason::cancelled);
    } else if (auto error = missed_deadline(job)) {
      finish(job, std::move(*error));
    }
  }
}

std::optional<Error> Engine::Impl::missed_deadline(const Job& job) const {
  if (!job.request || job.first_token) return std::nullopt;
  const Request& r = *job.request;
  if (r.queue_timeout_ms <= 0 && r.first_token_timeout_ms <= 0) return std::nullopt;
  const double ms = std::chrono::duration<double, std::milli>(Job::Clock::now() - job.submitted).count();
  if (!job.admitted && r.queue_timeout_ms > 0 && ms > r.queue_timeout_ms) {
    return fail(Code::timeout, "the request waited {:.0f} ms in the queue, its deadline was {:.0f} ms; try again later",
                ms, r.queue_timeout_ms);
  }
  if (r.first_token_timeout_ms > 0 && ms > r.first_token_timeout_ms) {
    return fail(Code::timeout,
                "there is no first token after {:.0f} ms, its deadline was {:.0f} ms; shorten the prompt", ms,
                r.first_token_timeout_ms);
  }
  return std::nullopt;
}

// In the scheduler's order: a request that does not fit yet holds up those behind it. One that gives its place to another
// keeps its pages as long as there are enough for those that run.
void Engine::Impl::admit_jobs() {
  while (true) {
    if (const int64_t id = scheduler.displaced()) {
      scheduler.preempt(id);
      ++stats.displaced;
    }
    const int64_t id = scheduler.next();
    if (id == 0) return;
    Job& job = *jobs.at(id);
    try {
      if (!admit(job)) return;
    } catch (const std::bad_alloc&) { finish(job, no_memory()); }
  }
}

bool Engine::Impl::admit(Job& job) {
  if (job.parked) return admit_parked(job);
  if (job.sequence) {  // it was displaced
    if (!find_room(job) && !scheduler.running().empty()) return false;
    scheduler.admit(job.id);
    return true;
  }
  if (job.conversation) job.sequence = conversations.take(job.conversation);
  if (job.sequence && job.sequence->salt() != job.salt) job.sequence.reset();
  if (job.sequence && job.sequence->dropped() > 0 && job.shift.discard == 0) job.sequence.reset();
  if (job.sequence) {
    job.sequence->truncate(std::min(common_prefix(job.sequence->tokens(), job.tokens), job.first_wanted()));
  } else {
    job.sequence.emplace(pool, job.salt, options.prefix_cache);
  }
  look_for_shift(job);
  job.sequence->adopt(job.tokens, job.adoptable());
  if (!find_room(job) && !scheduler.running().empty()) {
    release_sequence(job, true);
    return false;
  }
  scheduler.admit(job.id);
  job.covered = std::max(job.covered, job.sequence->size());
  if (!job.admitted) job.admitted = Job::Clock::now();
  return true;
}

// Whether the pages that this job and all running ones are known to need are there, without taking any from anybody.
bool Engine::Impl::fits(const Job& job) const {
  for (size_t g = 0; g < pool.groups().size(); ++g) {
    const auto missing = [&](const Job& j) {
      const int64_t dropped = j.parked ? j.parked->dropped : j.sequence->dropped();
      const int64_t keep = j.parked ? j.parked->keep : j.sequence->keep();
      const int64_t positions = std::min(static_cast<int64_t>(j.tokens.size()) + 1 - dropped, context);
      const int64_t need = Sequence::pages_needed(pool.groups()[g], positions, options.batch_tokens);
      const int64_t held = j.parked ? 0 : j.sequence->pages_held(static_cast<int32_t>(g));
      return std::max<int64_t>(0, need + keep / kPageTokens - held);
    };
    int64_t need = missing(job);
    for (const int64_t id : scheduler.running()) need += missing(*jobs.at(id));
    if (need > pool.available(static_cast<int32_t>(g))) return false;
  }
  return true;
}

// What each running job could compute now. A prompt first takes what others have computed since, and stands back for an
// older one that is computing the same page.
std::vector<Demand> Engine::Impl::demands() {
  std::vector<Demand> result;
  std::vector<const Job*> prompts;
  for (const int64_t id : scheduler.running()) {
    Job& job = *jobs.at(id);
    Demand demand{id, 0, job.decoding(), false};
    if (!demand.decode) {
      job.sequence->adopt(job.tokens, job.adoptable());
      job.covered = std::max(job.covered, job.sequence->size());
      const auto sharable = std::span(job.tokens).first(static_cast<size_t>(job.first_wanted()));
      demand.waits =
          job.lead || std::any_of(prompts.begin(), prompts.end(), [&](const Job* older) {
            return job.sequence->same_next_page(sharable, *older->sequence,
                                                std::span(older->tokens).first(static_cast<size_t>(older->end())));
          });
      prompts.push_back(&job);
    }
    demand.rows = job.remaining();
    result.push_back(demand);
  }
  return result;
}

void Engine::Impl::build_step() {
  step.clear();
  for (const Grant& grant : scheduler.plan(demands())) {
    const auto running = scheduler.running();
    if (std::find(running.begin(), running.end(), grant.id) == running.end()) continue;  // preempted meanwhile
    Job& job = *jobs.at(grant.id);
    try {
      const int64_t rows = rows_before_shift(job, step.room(job, grant.rows));
      const int64_t begin = rows > 0 ? job.sequence->size() : 0;
      if (rows > 0 && reserve(job, rows)) step.add(job, begin, rows);
    } catch (const std::bad_alloc&) { finish(job, no_memory()); }
  }
  ended.reserve(step.parts().size());  // committing may not fail for want of these
  failed.reserve(step.parts().size());
}

// Takes pages for the next `rows` positions; false when the job lost its place or failed.
bool Engine::Impl::reserve(Job& job, int64_t rows) {
  const auto next = std::span(job.tokens).subspan(static_cast<size_t>(job.sequence->size()), static_cast<size_t>(rows));
  while (true) {
    Status status = job.sequence->append(next);
    if (status) return true;
    if (relieve(job)) {
      if (!job.sequence) return false;
      continue;
    }
    finish(job, status.error());
    return false;
  }
}

// Makes pages available: those of resting conversations, then those of the youngest request, which may be `job` itself.
// It is computed again later, or comes back from where it was parked; its sampler and its text stay.
bool Engine::Impl::relieve(const Job& job) {
  if (conversations.release_oldest() || park_displaced(job)) return true;
  const int64_t id = scheduler.last();
  if (id == 0) return false;
  scheduler.preempt(id);
  Job& victim = *jobs.at(id);
  if (&victim != &job) step.remove(victim);
  ++stats.preemptions;
  park(victim);
  return true;
}

// Takes the pages of a request that waits with its pages, if there is one.
bool Engine::Impl::park_displaced(const Job& but) {
  for (const int64_t id : scheduler.queued()) {
    Job& job = *jobs.at(id);
    if (!job.sequence || &job == &but) continue;
    ++stats.preemptions;
    park(job);
    return true;
  }
  return false;
}

void Engine::Impl::compute_and_commit() {
  Status status;
  try {
    status = step.run();
  } catch (const std::bad_alloc&) { status = no_memory(); }
  for (Step::Part& part : step.parts()) {
    try {
      if (status) {
        commit(part);
      } else {
        failed.emplace_back(part.job, Error(status.error()));
      }
    } catch (const std::bad_alloc&) { failed.emplace_back(part.job, no_memory()); }
  }
}

void Engine::Impl::commit(Step::Part& part) {
  Job& job = *part.job;
  job.sequence->mark_computed(part.begin + part.rows);
  job.count_computed(part.begin, part.rows);
  if (part.error) {
    failed.emplace_back(&job, part.error->message.empty() ? no_memory() : std::move(*part.error));
    return;
  }
  if (job.wants_every_row()) job.delivered = std::max(job.delivered, job.sequence->size());
  if (job.sequence->size() >= job.prompt_size) share_prompt(job);
  if (part.token) {
    if (const auto reason = job.accept(*part.token, model->tokenizer())) ended.emplace_back(&job, *reason);
  } else if (job.remaining() == 0) {
    ended.emplace_back(&job, job.request && job.request->stopping.max_tokens == 0 ? FinishReason::max_tokens
                                                                                  : FinishReason::context_full);
  } else if (const auto reason = job.check_time()) {
    ended.emplace_back(&job, *reason);
  }
}

// The prompt is computed: those that wait for it continue with its pages, and compute its last row again for a token of
// their own. One that has no place yet will find the full pages in the cache.
void Engine::Impl::share_prompt(Job& lead) {
  while (!lead.followers.empty()) {
    Job* const follower = lead.followers.back();
    lead.followers.pop_back();
    follower->lead = nullptr;
    follower->delivered = lead.delivered;
    follower->completion.prompt_scores = lead.completion.prompt_scores;
    if (!follower->sequence || follower->sequence->size() + 1 >= lead.prompt_size) continue;
    follower->sequence = lead.sequence->fork();
    follower->sequence->truncate(lead.prompt_size - 1);
    follower->covered = std::max(follower->covered, follower->sequence->size());
  }
}

// Gives the pages back: to the conversation, else to the pool.
void Engine::Impl::release_sequence(Job& job, bool keep) {
  if (job.sequence && keep && job.conversation && !conversations.closing(job.conversation)) {
    conversations.put(job.conversation, std::move(*job.sequence));
    if (job.shift.lost) conversations.remember(job.conversation, job.shift.known);
  } else if (job.parked && keep && job.conversation) {
    conversations.remember(job.conversation, static_cast<int64_t>(job.tokens.size()));
  }
  job.sequence.reset();
}

void Engine::Impl::finish(Job& job, FinishReason reason) {
  try {
    job.summarize(reason);
  } catch (const std::bad_alloc&) { job.error = no_memory(); }
  stats.prompt_tokens += job.completion.prompt_tokens;
  stats.cached_tokens += job.completion.cached_tokens;
  stats.completion_tokens += job.completion.completion_tokens;
  if (job.stop) stats.rollbacks += job.stop->rollbacks();
  release_sequence(job, reason != FinishReason::error);
  for (Job* follower : job.followers) follower->lead = nullptr;
  if (job.lead) std::erase(job.lead->followers, &job);
  if (job.conversation) conversations.unclaim(job.conversation);
  scheduler.remove(job.id);
  jobs.erase(job.id);
  take_numbers();
  job.finished = true;
  job.done.notify_one();
  answered.notify_all();
}

void Engine::Impl::finish(Job& job, Error error) {
  job.error = std::move(error);
  finish(job, FinishReason::error);
}

void Engine::Impl::finish_all(FinishReason reason) {
  step.clear();
  while (!jobs.empty()) finish(*jobs.begin()->second, reason);
}

void Engine::Impl::fail_running() {
  step.clear();
  ended.clear();
  failed.clear();
  while (!scheduler.running().empty()) finish(*jobs.at(scheduler.running().front()), no_memory());
}

void Engine::Impl::take_numbers() {
  stats.running = static_cast<int64_t>(scheduler.running().size());
  stats.queued = static_cast<int64_t>(scheduler.queued().size());
  stats.pages_used = pool.held();
  stats.pages_cached = pool.cached();
  stats.kv_bytes = pool.bytes();
}

}  // namespace linnet
