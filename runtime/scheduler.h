// Which requests run, and how many rows each gets in a step. Policy only: it knows ids and numbers, no pages, no
// tensors.
//
// Ids count up in the order of arrival, so a smaller id is an older request. Who goes first:
//   1. the higher priority; a waiting request rises by one for every kAgeing requests that were admitted before it, so
//      that it comes to its turn however many urgent ones arrive;
//   2. then, between clients (sessions), the one that was given fewer rows so far (start-time fair queueing, Goyal, Vin
//      and Cheng 1996: a client that comes, or comes back, starts at what the least served active one has);
//   3. then the older request.
// Rows that decode go before prompts; prompts share what is left in that order, in chunks. A request may take the place
// of a running one of lower priority (as it was given, not aged: nobody is displaced by old age, so two can never take
// each other's place in turn). When pages run out the running request that would go last goes back to the queue. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "gguf/base/error.h"

namespace linnet {

enum class Priority : uint8_t { low, normal, high, urgent };

struct SchedulerLimits {
  int64_t max_concurrent = 8;  // running requests
  int64_t queue_size = 50;     // waiting requests, beyond those that could run at once
  int64_t batch_tokens = 512;  // rows of one step
  bool priorities = true;      // otherwise all are equal
  bool fair = true;            // otherwise clients make no difference
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
  static constexpr int64_t kAgeing = 8;

  explicit Scheduler(const SchedulerLimits& limits) : limits_(limits) {}

  // Takes a new request (an id above all before it) into the queue, or fails with busy. Client 0: nobody in particular.
  Status submit(int64_t id, Priority priority = Priority::normal, int64_t client = 0);
  // The request that should be admitted next, or 0: none waits, or all places are taken.
  int64_t next() const;
  // The running request whose place the first waiting one should have, or 0.
  int64_t displaced() const;
  void admit(int64_t id);
  // Moves a running request back to the queue.
  void preempt(int64_t id);
  // The running request that goes last; 0 when fewer than two run.
  int64_t last() const;
  // Forgets a request, wherever it is.
  void remove(int64_t id);

  std::span<const int64_t> running() const { return running_; }  // oldest first
  std::span<const int64_t> queued() const { return queued_; }    // oldest first
  int64_t batch_tokens() const { return limits_.batch_tokens; }
  void limit_batch(int64_t rows) { limits_.batch_tokens = rows; }
  Priority priority(int64_t id) const { return requests_.at(id).priority; }

  // Rows for one step; `demands` are those of running requests, oldest first. Each id appears at most once.
  std::vector<Grant> plan(std::span<const Demand> demands);

 private:
  struct Waiting {
    Priority priority = Priority::normal;
    int64_t client = 0;
    int64_t passed = 0;  // requests that were admitted while this one waited
    int64_t floor = 0;   // of client 0: the least served client's rows on arrival
  };
  struct Client {
    int64_t rows = 0;      // given so far
    int64_t requests = 0;  // in the queue or running
  };

  bool before(int64_t a, int64_t b, bool aged) const;
  int64_t served(const Waiting& request) const;
  int64_t least_served() const;
  int64_t first_waiting() const;

  SchedulerLimits limits_;
  std::vector<int64_t> queued_, running_;  // ascending
  std::map<int64_t, Waiting> requests_;
  std::map<int64_t, Client> clients_;
};

}  // namespace linnet
