#include "runtime/scheduler.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/support.h"

namespace linnet {
namespace {

std::map<int64_t, int64_t> rows_of(const std::vector<Grant>& grants) {
  std::map<int64_t, int64_t> rows;
  for (const Grant& grant : grants) {
    EXPECT_GT(grant.rows, 0);
    EXPECT_TRUE(rows.emplace(grant.id, grant.rows).second) << "an id twice";
  }
  return rows;
}

// A scheduler with requests 1 to n of which all run.
Scheduler running(SchedulerLimits limits, int64_t n) {
  Scheduler scheduler(limits);
  for (int64_t id = 1; id <= n; ++id) {
    EXPECT_TRUE(scheduler.submit(id));
    scheduler.admit(id);
  }
  return scheduler;
}

TEST(Scheduler, DecodeRowsGoFirstThenPromptsOldestFirst) {
  Scheduler scheduler = running({.max_concurrent = 8, .queue_size = 0, .batch_tokens = 100}, 4);
  const std::vector<Demand> demands = {{.id = 1, .rows = 70},
                                       {.id = 2, .rows = 1, .decode = true},
                                       {.id = 3, .rows = 500},
                                       {.id = 4, .rows = 1, .decode = true}};
  EXPECT_EQ(rows_of(scheduler.plan(demands)), (std::map<int64_t, int64_t>{{1, 70}, {2, 1}, {3, 28}, {4, 1}}));
}

TEST(Scheduler, AWaitingRequestLeavesItsRowsToOthers) {
  Scheduler scheduler = running({.max_concurrent = 8, .queue_size = 0, .batch_tokens = 100}, 4);
  const std::vector<Demand> demands = {
      {.id = 1, .rows = 60}, {.id = 2, .rows = 60, .waits = true}, {.id = 3, .rows = 60}};
  EXPECT_EQ(rows_of(scheduler.plan(demands)), (std::map<int64_t, int64_t>{{1, 60}, {3, 40}}));
}

TEST(Scheduler, ABudgetOfOneStillMovesTheOldest) {
  Scheduler scheduler = running({.max_concurrent = 8, .queue_size = 0, .batch_tokens = 1}, 2);
  const std::vector<Demand> demands = {{.id = 1, .rows = 60}, {.id = 2, .rows = 60}};
  EXPECT_EQ(rows_of(scheduler.plan(demands)), (std::map<int64_t, int64_t>{{1, 1}}));
}

TEST(Scheduler, TheQueueIsBounded) {
  Scheduler scheduler({.max_concurrent = 2, .queue_size = 3, .batch_tokens = 8});
  for (int64_t id = 1; id <= 5; ++id) ASSERT_TRUE(scheduler.submit(id));
  const Status full = scheduler.submit(6);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::busy);
  EXPECT_EQ(scheduler.next(), 1);
  scheduler.admit(1);
  EXPECT_FALSE(scheduler.submit(6));  // admission takes no place away from the five
  scheduler.admit(scheduler.next());
  EXPECT_EQ(scheduler.next(), 0);  // all places are taken
  scheduler.remove(1);
  ASSERT_TRUE(scheduler.submit(6));
  EXPECT_EQ(scheduler.next(), 3);
  scheduler.remove(3);  // cancelled while it waited
  EXPECT_EQ(scheduler.next(), 4);
}

TEST(Scheduler, TheYoungestIsPreemptedAndComesBackFirst) {
  Scheduler scheduler({.max_concurrent = 3, .queue_size = 5, .batch_tokens = 8});
  for (int64_t id = 1; id <= 5; ++id) ASSERT_TRUE(scheduler.submit(id));
  for (int i = 0; i < 3; ++i) scheduler.admit(scheduler.next());
  EXPECT_EQ(scheduler.last(), 3);
  scheduler.preempt(3);
  EXPECT_EQ(scheduler.last(), 2);
  scheduler.preempt(2);
  EXPECT_EQ(scheduler.last(), 0);  // the only one keeps its pages
  EXPECT_EQ(scheduler.next(), 2);
  EXPECT_EQ(std::vector<int64_t>(scheduler.queued().begin(), scheduler.queued().end()),
            (std::vector<int64_t>{2, 3, 4, 5}));
  scheduler.admit(2);
  EXPECT_EQ(scheduler.next(), 3);
}

// Simulated load: every request finishes, the budget holds, and no request overtakes an older one into running.
TEST(Scheduler, EverythingIsServedInOrderOfArrival) {
  Random random(7);
  const int rounds = test_count(50);
  int64_t served = 0, steps = 0;
  for (int round = 0; round < rounds; ++round) {
    const SchedulerLimits limits{1 + random.below(6), random.below(10), 1 + random.below(40)};
    Scheduler scheduler(limits);
    struct Work {
      int64_t prompt, decode;
    };
    std::map<int64_t, Work> alive;
    int64_t next_id = 0, newest_admitted = 0;
    for (int64_t submitted = 0; submitted < 40 || !alive.empty(); ++steps) {
      if (submitted < 40 && random.below(3) == 0) {
        ++submitted;
        if (scheduler.submit(next_id + 1)) alive[++next_id] = {1 + random.below(100), 1 + random.below(20)};
      }
      while (const int64_t id = scheduler.next()) {
        scheduler.admit(id);
        newest_admitted = std::max(newest_admitted, id);
      }
      if (random.below(10) == 0) {
        if (const int64_t id = scheduler.last()) scheduler.preempt(id);
      }
      for (const int64_t id : scheduler.running()) ASSERT_LE(id, newest_admitted);
      ASSERT_LE(static_cast<int64_t>(scheduler.running().size()), limits.max_concurrent);
      std::vector<Demand> demands;
      for (const int64_t id : scheduler.running()) {
        const Work& work = alive[id];
        demands.push_back({id, work.prompt > 0 ? work.prompt : 1, work.prompt == 0, false});
      }
      int64_t rows = 0;
      for (const Grant& grant : scheduler.plan(demands)) {
        rows += grant.rows;
        Work& work = alive[grant.id];
        (work.prompt > 0 ? work.prompt : work.decode) -= grant.rows;
        ASSERT_GE(work.prompt, 0);
        if (work.decode == 0) {
          scheduler.remove(grant.id);
          alive.erase(grant.id);
          ++served;
        }
      }
      ASSERT_LE(rows, limits.batch_tokens);
      ASSERT_TRUE(rows > 0 || demands.empty());
    }
  }
  std::printf("%ld requests served in %ld steps\n", static_cast<long>(served), static_cast<long>(steps));
}

TEST(Scheduler, HigherPrioritiesGoFirst) {
  Scheduler scheduler({.max_concurrent = 1, .queue_size = 5, .batch_tokens = 8});
  ASSERT_TRUE(scheduler.submit(1, Priority::low));
  ASSERT_TRUE(scheduler.submit(2, Priority::urgent));
  ASSERT_TRUE(scheduler.submit(3, Priority::high));
  ASSERT_TRUE(scheduler.submit(4, Priority::urgent));
  for (const int64_t id : {2, 4, 3, 1}) {
    EXPECT_EQ(scheduler.next(), id);
    scheduler.admit(id);
    scheduler.remove(id);
  }
}

TEST(Scheduler, WithoutPrioritiesTheOldestGoesFirst) {
  Scheduler scheduler({.max_concurrent = 1, .queue_size = 5, .batch_tokens = 8, .priorities = false});
  ASSERT_TRUE(scheduler.submit(1, Priority::low));
  ASSERT_TRUE(scheduler.submit(2, Priority::urgent));
  EXPECT_EQ(scheduler.next(), 1);
  scheduler.admit(1);
  EXPECT_EQ(scheduler.displaced(), 0);
}

// Urgent requests come without end, one for each that is served; the low one is passed over a bounded number of times.
TEST(Scheduler, AgeingBringsEveryRequestToItsTurn) {
  Scheduler scheduler({.max_concurrent = 1, .queue_size = 5, .batch_tokens = 8});
  ASSERT_TRUE(scheduler.submit(1, Priority::low));
  int64_t id = 1, passed = 0;
  for (;; ++passed) {
    ASSERT_LE(passed, 3 * Scheduler::kAgeing);
    ASSERT_TRUE(scheduler.submit(++id, Priority::urgent));
    const int64_t next = scheduler.next();
    scheduler.admit(next);
    scheduler.remove(next);
    if (next == 1) break;
  }
  EXPECT_EQ(passed, 3 * Scheduler::kAgeing);
}

TEST(Scheduler, AHigherPriorityTakesThePlaceOfTheLowest) {
  Scheduler scheduler({.max_concurrent = 2, .queue_size = 5, .batch_tokens = 8});
  ASSERT_TRUE(scheduler.submit(1, Priority::low));
  ASSERT_TRUE(scheduler.submit(2, Priority::normal));
  scheduler.admit(1);
  EXPECT_EQ(scheduler.displaced(), 0);  // there is a place
  scheduler.admit(2);
  EXPECT_EQ(scheduler.displaced(), 0);  // nobody waits
  ASSERT_TRUE(scheduler.submit(3, Priority::low));
  EXPECT_EQ(scheduler.displaced(), 0);  // equals wait
  ASSERT_TRUE(scheduler.submit(4, Priority::high));
  EXPECT_EQ(scheduler.displaced(), 1);
  scheduler.preempt(1);
  EXPECT_EQ(scheduler.next(), 4);
  scheduler.admit(4);
  EXPECT_EQ(scheduler.displaced(), 0);  // its own priority counts, not its age
  for (int64_t id = 5; id < 5 + 4 * Scheduler::kAgeing; ++id) {
    scheduler.remove(4);
    ASSERT_TRUE(scheduler.submit(id, Priority::high));
    ASSERT_EQ(scheduler.displaced(), 0);
    if (scheduler.next() == 1) break;
    scheduler.admit(id);
    scheduler.remove(id);
  }
  EXPECT_EQ(scheduler.next(), 1);
}

// One client sends many requests, another one a few, later: they take turns.
TEST(Scheduler, ClientsAreServedEvenly) {
  for (const bool fair : {true, false}) {
    Scheduler scheduler({.max_concurrent = 1, .queue_size = 100, .batch_tokens = 10, .fair = fair});
    int64_t id = 0;
    std::map<int64_t, int64_t> client;
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(scheduler.submit(++id, Priority::normal, 7));
      client[id] = 7;
    }
    for (int i = 0; i < 4; ++i) {
      ASSERT_TRUE(scheduler.submit(++id, Priority::normal, 8));
      client[id] = 8;
    }
    std::map<int64_t, int64_t> served;
    for (int i = 0; i < 8; ++i) {
      const int64_t next = scheduler.next();
      scheduler.admit(next);
      const Demand demand[] = {{.id = next, .rows = 10}};
      ASSERT_EQ(scheduler.plan(demand).size(), 1u);
      scheduler.remove(next);
      ++served[client[next]];
    }
    EXPECT_EQ(served[8], fair ? 4 : 0);
  }
}

// A client that was away does not get back what it did not use.
TEST(Scheduler, AClientThatComesBackStartsWhereTheOthersAre) {
  Scheduler scheduler({.max_concurrent = 4, .queue_size = 100, .batch_tokens = 100});
  ASSERT_TRUE(scheduler.submit(1, Priority::normal, 7));
  scheduler.admit(1);
  const Demand long_prompt[] = {{.id = 1, .rows = 100}};
  for (int i = 0; i < 50; ++i) ASSERT_EQ(scheduler.plan(long_prompt)[0].rows, 100);
  ASSERT_TRUE(scheduler.submit(2, Priority::normal, 8));
  scheduler.admit(2);
  const Demand both[] = {{.id = 1, .rows = 100}, {.id = 2, .rows = 60}};
  // The new one starts level; equal, so the older goes first, then the less served.
  EXPECT_EQ(rows_of(scheduler.plan(both)), (std::map<int64_t, int64_t>{{1, 100}}));
  EXPECT_EQ(rows_of(scheduler.plan(both)), (std::map<int64_t, int64_t>{{1, 40}, {2, 60}}));
}

// Random load of all kinds: everything is served, and no list ever loses or doubles a request.
TEST(Scheduler, EveryRequestOfARandomLoadIsServed) {
  Random random(11);
  int64_t served = 0, displaced = 0;
  for (int round = test_count(50); round > 0; --round) {
    const SchedulerLimits limits{1 + random.below(6), 40, 1 + random.below(40), random.below(2) == 0,
                                 random.below(2) == 0};
    Scheduler scheduler(limits);
    std::map<int64_t, int64_t> left;
    int64_t next_id = 0;
    for (int64_t submitted = 0, steps = 0; submitted < 60 || !left.empty(); ++steps) {
      ASSERT_LT(steps, 20000);
      if (submitted < 60 && random.below(2) == 0) {
        ++submitted;
        const auto priority = static_cast<Priority>(random.below(4));
        if (scheduler.submit(next_id + 1, priority, random.below(4))) left[++next_id] = 1 + random.below(100);
      }
      while (const int64_t id = scheduler.displaced()) {
        scheduler.preempt(id);
        scheduler.admit(scheduler.next());
        ++displaced;
      }
      while (const int64_t id = scheduler.next()) scheduler.admit(id);
      ASSERT_EQ(scheduler.running().size() + scheduler.queued().size(), left.size());
      std::vector<Demand> demands;
      for (const int64_t id : scheduler.running()) demands.push_back({id, left.at(id), left.at(id) == 1, false});
      for (const Grant& grant : scheduler.plan(demands)) {
        if ((left.at(grant.id) -= grant.rows) > 0) continue;
        scheduler.remove(grant.id);
        left.erase(grant.id);
        ++served;
      }
    }
  }
  EXPECT_GT(displaced, 0);
  std::printf("%ld requests served, %ld displaced\n", static_cast<long>(served), static_cast<long>(displaced));
}

}  // namespace
}  // namespace linnet
