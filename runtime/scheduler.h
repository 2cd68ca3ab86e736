// Which requests run, and how many rows each gets in a step. Policy only: it knows ids and numbers, no pages, no
// tensors.
//
// Ids count up in the order of arrival, so a smaller id is an older request. First come, first served: the oldest
// waiting request is admitted first; rows that decode go before prompts; prompts share what is left, oldest first, in
// chunks. When pages run out the youngest running request goes back to its place in the queue, ahead of all that came
// later. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gguf/base/error.h"

namespace linnet {

struct SchedulerLimits {
  int64_t max_concurrent = 8;  // running requests
  int64_t queue_size = 50;     // waiting requests, beyond those that could run at once
  int64_t batch_tokens = 512;  // rows of one step
};

// What a running request could do in the next step.
struct Demand {
  int64_t id = 0;
  int64_t rows = 0;     // positions that can be computed now
  bool decode = false;  // one row of a request that is generating
  bool waits = false;   // an older request is computing the same page: better to take it when it is done
};

struct Grant {
  int64_t id = 0;
  int64_t rows = 0;
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerLimits& limits) : limits_(limits) {}

  // Takes a new request (an id above all before it) into the queue, or fails with busy.
  Status submit(int64_t id);
  // The request that should be admitted next, or 0: none waits, or all places are taken.
  int64_t next() const;
  void admit(int64_t id);
  // Moves the youngest running request back to the queue and returns it; 0 when fewer than two run.
  int64_t preempt();
  // Forgets a request, wherever it is.
  void remove(int64_t id);

  std::span<const int64_t> running() const { return running_; }  // oldest first
  std::span<const int64_t> queued() const { return queued_; }    // oldest first

  // Rows for one step; `demands` are those of running requests, oldest first. Each id appears at most once.
  std::vector<Grant> plan(std::span<const Demand> demands) const;

 private:
  SchedulerLimits limits_;
  std::vector<int64_t> queued_, running_;  // ascending
};

}  // namespace linnet
