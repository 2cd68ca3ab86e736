// Inside the engine: what is shared between callers and the engine's thread, and what is that thread's own.
//
// `mutex` guards the queue, the jobs' list, the conversations and the numbers. Pages and sequences are changed by the
// engine's thread only (with or without the mutex); requests to do so from outside are commands. The thread holds the
// mutex while it schedules, and not while it computes, samples and calls back.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runtime/conversations.h"
#include "runtime/engine.h"
#include "runtime/job.h"
#include "runtime/scheduler.h"
#include "runtime/step.h"
#include "sampling/sampler_cache.h"

namespace linnet {

inline constexpr int64_t kMostPositions = int64_t{1} << 30;  // of a text, with what its shifts dropped

// On the stack of the thread that waits for it.
struct Command {
  const std::function<void()>& run;
  bool ran = false;
  Command* next = nullptr;
};

struct Engine::Impl {
  Impl(std::shared_ptr<const Model> m, const EngineOptions& o, std::unique_ptr<Forward> f, int64_t context_positions,
       int64_t pages_per_group);
  ~Impl();

  // Callers, any thread (runtime/engine.cpp).
  Status wait_for(std::span<Job* const> group);
  Result<Completion> wait_for(Job& job);
  Status check_tokens(std::span<const int32_t> tokens, int64_t positions) const;
  Status prepare(Job& job, const Request& r);
  Status enter(Job& job);
  // Has `run` (which may not throw) run on the engine's thread, under the mutex, and waits for `until`, which is looked
  // at whenever a request ends; at once and without waiting when there is no such thread yet, or this is it.
  void on_engine(const std::function<void()>& run, const std::function<bool()>& until);
  // Under the mutex.
  bool is_engine_thread() const { return std::this_thread::get_id() == thread.get_id(); }

  // Context shift (runtime/engine_shift.cpp): the first two are a caller's, check_known() under the mutex.
  Status prepare_shift(Job& job, const Request& r) const;
  Status check_known(Job& job) const;
  int64_t shifted_limit(int64_t keep) const;
  void look_for_shift(Job& job) const;
  int64_t rows_before_shift(Job& job, int64_t rows);
  Status shift(Job& job);
  Status skip(Job& job);
  void park(Job& victim);
  bool admit_parked(Job& job);
  bool find_room(const Job& job);

  // The engine's thread (runtime/engine_step.cpp).
  void loop();
  void run_commands();
  void step_once(std::unique_lock<std::mutex>& lock);
  void drop_ended();
  std::optional<Error> missed_deadline(const Job& job) const;
  void admit_jobs();
  bool admit(Job& job);
  bool fits(const Job& job) const;
  std::vector<Demand> demands();
  void build_step();
  bool reserve(Job& job, int64_t rows);
  bool relieve(const Job& job);
  bool park_displaced(const Job& but);
  void compute_and_commit();
  void commit(Step::Part& part);
  void share_prompt(Job& lead);
  void release_sequence(Job& job, bool keep);
  void finish(Job& job, FinishReason reason);
  void finish(Job& job, Error error);
  void finish_all(FinishReason reason);
  void fail_running();
  void take_numbers();

  const std::shared_ptr<const Model> model;
  const EngineOptions options;
  const int64_t context;  // positions of one sequence
  const std::unique_ptr<Forward> forward;

  SamplerCache sampler_cache;  // any thread

  mutable std::mutex mutex;
  std::condition_variable work;      // wakes the engine's thread
  std::condition_variable answered;  // wakes those who wait for a command, and the destructor
  Scheduler scheduler;
  std::map<int64_t, Job*> jobs;  // submitted and not finished
  Command* commands = nullptr;   // newest first
  EngineStats stats;
  int64_t last_job = 0;
  int64_t callers = 0;  // threads inside a waiting call
  bool stopping = false;
  std::thread thread;  // started with the first request

  PagePool pool;  // the engine's thread, or under the mutex while there is none
  Conversations conversations;
  Step step;
  std::vector<std::pair<Job*, FinishReason>> ended;  // by the step that was just committed
  std::vector<std::pair<Job*, Error>> failed;
};

}  // namespace linnet
