#include "runtime/session_table.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/support.h"

namespace linnet {
namespace {

constexpr uint32_t kModel = 1;

TEST(SessionTable, OneNameIsOneSession) {
  SessionTable table({});
  const auto a = table.open(kModel, "a", 0);
  const auto again = table.open(kModel, "a", 1);
  const auto other = table.open(kModel + 1, "a", 1);
  ASSERT_TRUE(a && again && other);
  EXPECT_EQ(a->id, 1u);
  EXPECT_FALSE(a->existed);
  EXPECT_EQ(again->id, a->id);
  EXPECT_TRUE(again->existed);
  EXPECT_NE(other->id, a->id);
  EXPECT_EQ(table.of_owner(kModel), std::vector<uint32_t>{a->id});
}

TEST(SessionTable, HandlesAreNeverUsedAgain) {
  SessionTable table({.max_anonymous = 2});
  std::set<uint32_t> seen;
  for (int i = 0; i < 100; ++i) {
    const auto opened = table.open(kModel, "", 0);
    ASSERT_TRUE(opened);
    EXPECT_TRUE(seen.insert(opened->id).second);
    table.close(opened->id);
  }
}

TEST(SessionTable, AnonymousSessionsHaveTheirOwnLimitAndStay) {
  SessionTable table({.max_named = 1, .max_anonymous = 2, .idle_ms = 10});
  ASSERT_TRUE(table.open(kModel, "", 0));
  ASSERT_TRUE(table.open(kModel, "", 0));
  const auto third = table.open(kModel, "", 1000);
  ASSERT_FALSE(third);
  EXPECT_EQ(third.error().code, Code::busy);
  EXPECT_TRUE(table.open(kModel, "named", 1000));
  EXPECT_EQ(table.anonymous(), 2);
}

TEST(SessionTable, IdleSessionsMakeRoomThenTheLeastRecentlyUsed) {
  SessionTable table({.max_named = 3, .idle_ms = 100});
  const uint32_t a = table.open(kModel, "a", 0)->id, b = table.open(kModel, "b", 10)->id;
  const uint32_t c = table.open(kModel, "c", 20)->id;
  table.begin_use(a, 50);
  table.end_use(a, 60);  // now b was used longest ago
  const auto d = table.open(kModel, "d", 70);
  ASSERT_TRUE(d);
  EXPECT_EQ(d->evicted, std::vector<uint32_t>{b});
  const auto e = table.open(kModel, "e", 130);  // c is idle, and goes though it would not have to
  ASSERT_TRUE(e);
  EXPECT_EQ(e->evicted, std::vector<uint32_t>{c});
  EXPECT_EQ(table.evictions(), 2);
  EXPECT_TRUE(table.exists(a));
}

TEST(SessionTable, WhatIsInUseNeverGoes) {
  SessionTable table({.max_named = 1, .idle_ms = 10});
  const uint32_t a = table.open(kModel, "a", 0)->id;
  table.begin_use(a, 0);
  table.begin_use(a, 1);
  table.end_use(a, 2);
  const auto b = table.open(kModel, "b", 1000);
  ASSERT_FALSE(b);
  EXPECT_EQ(b.error().code, Code::busy);
  table.end_use(a, 1000);
  EXPECT_TRUE(table.open(kModel, "b", 1001));
  EXPECT_FALSE(table.exists(a));
}

TEST(SessionTable, WithoutCleanupAFullTableIsAnError) {
  SessionTable table({.max_named = 1, .idle_ms = 10, .auto_cleanup = false});
  ASSERT_TRUE(table.open(kModel, "a", 0));
  EXPECT_FALSE(table.open(kModel, "b", 100000));
  EXPECT_TRUE(table.take_idle(100000).empty());
  EXPECT_TRUE(table.open(kModel, "a", 100000)->existed);
}

// Random use against the rules: never more than the limits, no handle twice, nothing in use evicted.
TEST(SessionTable, KeepsItsRulesUnderRandomUse) {
  Random random(3);
  SessionTable table({.max_named = 5, .max_anonymous = 3, .idle_ms = 40});
  std::map<uint32_t, int> in_use;
  uint32_t last = 0;
  int64_t now = 0, evicted = 0;
  for (int i = test_count(20000); i > 0; --i) {
    now += random.below(10);
    const auto ids = table.ids();
    const uint32_t some = ids.empty() ? 0 : ids[static_cast<size_t>(random.below(static_cast<int64_t>(ids.size())))];
    switch (random.below(4)) {
      case 0: {
        const std::string name = random.below(2) ? std::string(1, static_cast<char>('a' + random.below(9))) : "";
        const auto opened = table.open(kModel, name, now);
        if (!opened) break;
        if (!opened->existed) {
          ASSERT_GT(opened->id, last);
          last = opened->id;
        }
        for (const uint32_t gone : opened->evicted) {
          ASSERT_FALSE(table.exists(gone));
          ASSERT_EQ(in_use[gone], 0);
          ++evicted;
        }
        break;
      }
      case 1:
        if (some == 0) break;
        table.begin_use(some, now);
        ++in_use[some];
        break;
      case 2:
        if (some == 0 || in_use[some] == 0) break;
        table.end_use(some, now);
        --in_use[some];
        break;
      default:
        if (some != 0 && in_use[some] == 0) table.close(some);
    }
    ASSERT_LE(table.named(), 5);
    ASSERT_LE(table.anonymous(), 3);
  }
  EXPECT_EQ(evicted, table.evictions());
  EXPECT_GT(evicted, 0);
}

}  // namespace
}  // namespace linnet
