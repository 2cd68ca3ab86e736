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

TEST(Scheduler, DecodeRowsGoFirstThenPromptsOldestFirst) {
  Scheduler scheduler({.max_concurrent = 8, .queue_size = 0, .batch_tokens = 100});
  const std::vector<Demand> demands = {{.id = 1, .rows = 70},
                                       {.id = 2, .rows = 1, .decode = true},
                                       {.id = 3, .rows = 500},
                                       {.id = 4, .rows = 1, .decode = true}};
  EXPECT_EQ(rows_of(scheduler.plan(demands)), (std::map<int64_t, int64_t>{{1, 70}, {2, 1}, {3, 28}, {4, 1}}));
}

TEST(Scheduler, AWaitingRequestLeavesItsRowsToOthers) {
  Scheduler scheduler({.max_concurrent = 8, .queue_size = 0, .batch_tokens = 100});
  const std::vector<Demand> demands = {
      {.id = 1, .rows = 60}, {.id = 2, .rows = 60, .waits = true}, {.id = 3, .rows = 60}};
  EXPECT_EQ(rows_of(scheduler.plan(demands)), (std::map<int64_t, int64_t>{{1, 60}, {3, 40}}));
}

TEST(Scheduler, ABudgetOfOneStillMovesTheOldest) {
  Scheduler scheduler({.max_concurrent = 8, .queue_size = 0, .batch_tokens = 1});
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
  EXPECT_EQ(scheduler.preempt(), 3);
  EXPECT_EQ(scheduler.preempt(), 2);
  EXPECT_EQ(scheduler.preempt(), 0);  // the last one keeps its pages
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
      if (random.below(10) == 0) scheduler.preempt();
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

}  // namespace
}  // namespace linnet
