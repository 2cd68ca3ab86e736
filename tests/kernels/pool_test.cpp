#include "kernels/cpu/pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "tests/support.h"

#if defined(__SSE__)
#include <immintrin.h>
#endif

namespace linnet {
namespace {

class PoolSizes : public testing::TestWithParam<int> {};

// Every member writes its slot, and after each barrier checks what its neighbour wrote before it.
struct Relay {
  std::vector<int64_t> slots;  // plain memory: the barrier alone orders it
  int rounds;
  std::atomic<int64_t> wrong{0};
};

TEST_P(PoolSizes, BarrierOrdersPlainMemory) {
  auto pool = Pool::create(GetParam());
  ASSERT_TRUE(pool);
  Relay relay{std::vector<int64_t>(static_cast<size_t>((*pool)->size())), test_count(50), {}};
  const int runs = test_count(40);
  for (int i = 0; i < runs; ++i)
    (*pool)->run(
        [](void* context, Team team) {
          auto& r = *static_cast<Relay*>(context);
          for (int round = 0; round < r.rounds; ++round) {
            r.slots[static_cast<size_t>(team.rank)] = round * 1000 + team.rank;
            team.barrier();
            const int neighbour = (team.rank + 1) % team.size;
            if (r.slots[static_cast<size_t>(neighbour)] != round * 1000 + neighbour) ++r.wrong;
            team.barrier();
          }
        },
        &relay);
  EXPECT_EQ(relay.wrong, 0);
  std::printf("%d threads on %u cores: %d runs of %d barriers\n", GetParam(), std::thread::hardware_concurrency(), runs,
              2 * relay.rounds);
}

TEST_P(PoolSizes, EveryRankRunsOnceAndRunWaitsForAll) {
  auto pool = Pool::create(GetParam());
  ASSERT_TRUE(pool);
  std::vector<int64_t> ran(static_cast<size_t>(GetParam()));
  const int runs = test_count(2000);
  for (int i = 0; i < runs; ++i) {
    (*pool)->run([](void* context,
                    Team team) { ++(*static_cast<std::vector<int64_t>*>(context))[static_cast<size_t>(team.rank)]; },
                 &ran);
    for (int64_t count : ran) ASSERT_EQ(count, i + 1);
  }
}

TEST_P(PoolSizes, WorksAgainAfterSleeping) {
  auto pool = Pool::create(GetParam());
  ASSERT_TRUE(pool);
  std::atomic<int64_t> ran{0};
  for (int i = 0; i < 5; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // beyond every spin: the workers sleep
    (*pool)->run([](void* context, Team) { ++*static_cast<std::atomic<int64_t>*>(context); }, &ran);
  }
  EXPECT_EQ(ran, 5 * GetParam());
}

INSTANTIATE_TEST_SUITE_P(Threads, PoolSizes, testing::Values(1, 2, 3, 64));

TEST(Pool, RefusesSizesOutsideItsRange) {
  for (int size : {-1, 0, 257}) {
    const auto pool = Pool::create(size);
    ASSERT_FALSE(pool);
    EXPECT_EQ(pool.error().code, Code::invalid_argument);
  }
}

TEST(Pool, RunAloneIsATeamOfOne) {
  auto pool = Pool::create(3);
  ASSERT_TRUE(pool);
  Team seen{};
  (*pool)->run_alone([](void* context, Team team) { *static_cast<Team*>(context) = team; }, &seen);
  EXPECT_EQ(seen.rank, 0);
  EXPECT_EQ(seen.size, 1);
}

TEST(PoolDeathTest, RefusesToRunInsideItself) {
#ifdef NDEBUG
  GTEST_SKIP() << "this build has no assertions";
#endif
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        auto pool = Pool::create(1);
        (*pool)->run([](void*, Team team) { team.pool->run([](void*, Team) {}, nullptr); }, nullptr);
      },
      "inside Pool::run");
}

// 128 MiB of address space have room for a few thread stacks only. Exits with 0 when that is an error as it should be.
[[noreturn]] void start_too_many() {
  const rlimit limit{128 << 20, 128 << 20};
  setrlimit(RLIMIT_AS, &limit);
  const auto pool = Pool::create(64);
  std::exit(!pool && pool.error().code == Code::thread_start ? 0 : 1);
}

TEST(PoolDeathTest, AThreadThatDoesNotStartIsAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers need more address space than the limit leaves";
#endif
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(start_too_many(), testing::ExitedWithCode(0), "");
}

#if defined(__SSE__)
TEST(Pool, ComputesWithDefaultRoundingAndGivesTheCallersBack) {
  auto pool = Pool::create(2);
  ASSERT_TRUE(pool);
  std::vector<unsigned> seen(2);
  const unsigned before = _mm_getcsr();
  _mm_setcsr(0xffc0);  // flush to zero, subnormals are zero, rounding toward zero
  (*pool)->run(
      [](void* context, Team team) {
        (*static_cast<std::vector<unsigned>*>(context))[static_cast<size_t>(team.rank)] = _mm_getcsr();
      },
      &seen);
  const unsigned after = _mm_getcsr();
  _mm_setcsr(before);
  EXPECT_EQ(seen[0], 0x1f80u);
  EXPECT_EQ(seen[1], 0x1f80u);
  EXPECT_EQ(after, 0xffc0u);
}
#endif

}  // namespace
}  // namespace linnet
