// Context shifts of sequences without a model. A slot of a fake page holds a hash of the text up to its position and the
// positions that it was turned by.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "tests/runtime/page_fixture.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::vector<int32_t> text(int64_t n, int32_t first = 0) {
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) tokens[static_cast<size_t>(i)] = first + static_cast<int32_t>(i * 7 % 1000);
  return tokens;
}

struct Slot {
  uint64_t text, turned;
};

Slot* slot_at(const RowPlace& row, int64_t place) {
  return reinterpret_cast<Slot*>(row.pages[place / kPageTokens - row.first_page] + place % kPageTokens * kSlotBytes);
}

void turn(int32_t, std::byte* page, int64_t positions) {
  for (int64_t i = 0; i < kPageTokens; ++i)
    reinterpret_cast<Slot*>(page + i * kSlotBytes)->turned += static_cast<uint64_t>(positions);
}

// Of the text up to and with each position.
std::vector<uint64_t> hashes(const Sequence& s, int32_t g) {
  std::vector<uint64_t> all;
  uint64_t hash = s.salt() * 31 + static_cast<uint64_t>(g);
  for (size_t i = 0; i < s.tokens().size(); ++i)
    all.push_back(hash = PrefixIndex::default_hash(hash, s.tokens().subspan(i, 1)));
  return all;
}

// Writes positions [computed, size) as the forward pass would.
void write(Sequence& s, int32_t groups) {
  for (int32_t g = 0; g < groups; ++g) {
    const std::vector<uint64_t> expected = hashes(s, g);
    for (int64_t p = s.computed(); p < s.size(); ++p) {
      const RowPlace row = s.place(g, p);
      *slot_at(row, row.position) = {expected[static_cast<size_t>(p)], 0};
    }
  }
  s.mark_computed(s.size());
}

// Of the slots that the next row sees, those that do not hold what they should.
int64_t wrong(const Sequence& s, std::span<const LayerGroup> groups) {
  int64_t count = 0;
  for (int32_t g = 0; g < static_cast<int32_t>(groups.size()); ++g) {
    if (s.size() == s.keep() + s.dropped()) continue;
    const std::vector<uint64_t> expected = hashes(s, g);
    const RowPlace row = s.place(g, s.size() - 1);
    count += row.position != s.in_view() - 1 || row.end != s.in_view();
    const int64_t window_begin = groups[static_cast<size_t>(g)].visible_begin(s.in_view());
    for (int64_t place = std::max(row.begin, window_begin); place < row.end; ++place) {
      const bool sink = place < s.keep();
      const int64_t position = sink ? place : place + s.dropped();
      const Slot& is = *slot_at(row, place);
      count += is.text != expected[static_cast<size_t>(position)] ||
               is.turned != static_cast<uint64_t>(sink ? s.dropped() : 0);
    }
  }
  return count;
}

class SequenceShift : public ::testing::Test {
 protected:
  std::vector<LayerGroup> full = {fake_group(0)};
  std::vector<LayerGroup> mixed = {fake_group(0), fake_group(100)};

  static Sequence computed(PagePool& pool, const std::vector<int32_t>& tokens, int64_t n, bool share = true) {
    Sequence s(pool, 0, share);
    grow(s, tokens, n);
    return s;
  }
  static void grow(Sequence& s, const std::vector<int32_t>& tokens, int64_t to) {
    const auto begin = static_cast<size_t>(s.size());
    ASSERT_TRUE(s.append(std::span(tokens).subspan(begin, static_cast<size_t>(to) - begin)));
    write(s, groups);
  }
  static inline int32_t groups = 1;  // of the test's pool
};

TEST_F(SequenceShift, TheTailStaysWhereItIsAndTheSinksTurn) {
  groups = 1;
  PagePool pool(full, 32, 1);
  const auto tokens = text(1000);
  Sequence s = computed(pool, tokens, 500);
  std::vector<std::byte*> before(s.place(0, 499).pages, s.place(0, 499).pages + 8);
  ASSERT_TRUE(s.shift(128, 192, turn));
  EXPECT_EQ(s.size(), 500);
  EXPECT_EQ(s.computed(), 500);
  EXPECT_EQ(s.in_view(), 308);
  EXPECT_EQ(s.keep(), 128);
  EXPECT_EQ(s.dropped(), 192);
  EXPECT_EQ(wrong(s, full), 0);
  const RowPlace row = s.place(0, 499);
  EXPECT_EQ(row.position, 307);
  EXPECT_EQ(row.begin, 0);
  for (size_t i = 0; i < 2; ++i) EXPECT_NE(row.pages[i], before[i]);
  for (size_t i = 2; i < 5; ++i) EXPECT_EQ(row.pages[i], before[i + 3]);
  EXPECT_EQ(s.pages_held(0), 7);       // of five in view two are turned: those as they were are held too
  for (int64_t n : {600, 700, 800}) {  // sinks are turned from what they were, not from the last turn
    grow(s, tokens, n);
    ASSERT_TRUE(s.shift(0, 64, turn));  // keeps what it kept
    EXPECT_EQ(s.keep(), 128);
    EXPECT_EQ(wrong(s, full), 0);
  }
  EXPECT_EQ(s.dropped(), 192 + 3 * 64);
  s = Sequence(pool, 0, true);
  EXPECT_EQ(pool.held(), 0);
}

TEST_F(SequenceShift, KeepingNothingOrDroppingAllOfTheRest) {
  groups = 1;
  PagePool pool(full, 32, 1);
  const auto tokens = text(1000);
  Sequence a = computed(pool, tokens, 300);
  ASSERT_TRUE(a.shift(0, 128, turn));
  EXPECT_EQ(a.pages_held(0), 3);
  EXPECT_EQ(wrong(a, full), 0);
  Sequence b = computed(pool, tokens, 320);
  ASSERT_TRUE(b.shift(128, 192, turn));
  EXPECT_EQ(b.in_view(), 128);
  grow(b, tokens, 330);
  EXPECT_EQ(wrong(b, full), 0);
}

TEST_F(SequenceShift, WhatCannotBeShiftedIsRefused) {
  groups = 1;
  PagePool pool(full, 32, 1);
  const auto tokens = text(1000);
  Sequence s = computed(pool, tokens, 300);
  for (const auto& [keep, discard] : {std::pair<int64_t, int64_t>{64, 256},
                                      {100, 64},
                                      {64, 100},
                                      {64, 0},
                                      {-64, 64},
                                      {320, 64},
                                      {64, -64},
                                      {64, INT64_MAX / 64 * 64}}) {
    const Status status = s.shift(keep, discard, turn);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, Code::invalid_argument);
  }
  ASSERT_TRUE(s.append(text(10)));
  EXPECT_FALSE(s.shift(64, 64, turn));  // not computed
  std::vector<LayerGroup> states = {fake_group(2)};
  states[0].recurrent = true;
  PagePool of_states(states, 32, 1);
  Sequence state = computed(of_states, tokens, 300);
  EXPECT_EQ(state.shift(64, 64, turn).error().code, Code::unsupported);
  std::vector<LayerGroup> encoder = {fake_group(0)};
  encoder[0].causal = false;
  PagePool of_encoder(encoder, 32, 1);
  Sequence encoded(of_encoder, 0, true);
  EXPECT_EQ(encoded.skip(text(64), turn).error().code, Code::unsupported);
}

// A window that has passed the sinks does not come back to them, however short the text becomes; one that has not, keeps
// them; one in the middle of them keeps what it saw.
TEST_F(SequenceShift, WindowsKeepOnlyTheSinksTheySaw) {
  groups = 2;
  const auto tokens = text(2000);
  for (const int64_t window : {100, 300, 420, 500, 512, 600}) {
    const std::vector<LayerGroup> windowed = {fake_group(0), fake_group(window)};
    PagePool pool(windowed, 64, 1);
    Sequence s = computed(pool, tokens, 500);
    ASSERT_TRUE(s.shift(128, 256, turn));
    grow(s, tokens, 501);
    const int64_t seen_before = std::max<int64_t>(0, 501 - window);
    EXPECT_EQ(s.place(1, 500).begin, std::max(std::min<int64_t>(seen_before, 128), 245 - window)) << window;
    EXPECT_EQ(wrong(s, windowed), 0) << window;
    for (int64_t n : {560, 640, 760}) {
      grow(s, tokens, n);
      EXPECT_EQ(wrong(s, windowed), 0) << window << " at " << n;
      if (s.in_view() < 256 + 64) continue;
      ASSERT_TRUE(s.shift(128, 64, turn));
      EXPECT_EQ(wrong(s, windowed), 0) << window << " at " << n;
    }
    s = Sequence(pool, 0, true);
    EXPECT_EQ(pool.held(), 0);
  }
}

TEST_F(SequenceShift, CuttingTheEndAndCuttingBackIntoWhatWasDropped) {
  groups = 1;
  PagePool pool(full, 64, 1);
  const auto tokens = text(1000);
  for (const bool share : {true, false}) {
    Sequence s = computed(pool, tokens, 500, share);
    ASSERT_TRUE(s.shift(128, 192, turn));
    EXPECT_EQ(s.truncate(400), 400);
    EXPECT_EQ(s.dropped(), 192);
    EXPECT_EQ(wrong(s, full), 0);
    grow(s, tokens, 450);
    EXPECT_EQ(wrong(s, full), 0);
    EXPECT_EQ(s.truncate(320), 320);
    EXPECT_EQ(s.in_view(), 128);
    grow(s, tokens, 330);
    EXPECT_EQ(wrong(s, full), 0);
    // Behind the gap's end the text is whole again, as far as the cache has it.
    EXPECT_EQ(s.truncate(319), share ? 256 : 0);
    EXPECT_EQ(s.dropped(), 0);
    EXPECT_EQ(s.keep(), 0);
    grow(s, tokens, 350);
    EXPECT_EQ(wrong(s, full), 0);
  }
}

TEST_F(SequenceShift, AShiftedTextIsGivenToNobody) {
  groups = 1;
  PagePool pool(full, 64, 1);
  const auto tokens = text(1000);
  Sequence s = computed(pool, tokens, 400);
  ASSERT_TRUE(s.shift(64, 128, turn));
  grow(s, tokens, 600);
  Sequence other(pool, 0, true);
  EXPECT_EQ(other.adopt(tokens, 999), 384);  // what was computed before the shift
  EXPECT_EQ(wrong(other, full), 0);
  EXPECT_EQ(s.adopt(tokens, 999), 600);
  EXPECT_FALSE(s.same_next_page(tokens, other, tokens));
  grow(other, tokens, 700);
  EXPECT_EQ(wrong(s, full), 0);
  EXPECT_EQ(wrong(other, full), 0);
}

TEST_F(SequenceShift, ForksOfAShiftedTextGoTheirOwnWays) {
  groups = 2;
  PagePool pool(mixed, 64, 1);
  const auto tokens = text(1000), other = text(1000, 77);
  Sequence a = computed(pool, tokens, 450);
  ASSERT_TRUE(a.shift(128, 128, turn));
  const int64_t before = pool.held();
  Sequence b = a.fork();
  EXPECT_EQ(pool.held(), before);
  EXPECT_EQ(b.dropped(), 128);
  grow(b, other, 520);
  grow(a, tokens, 560);
  ASSERT_TRUE(b.shift(128, 64, turn));
  EXPECT_EQ(wrong(a, mixed), 0);
  EXPECT_EQ(wrong(b, mixed), 0);
  ASSERT_TRUE(a.shift(128, 128, turn));
  grow(a, tokens, 600);
  EXPECT_EQ(wrong(a, mixed), 0);
  EXPECT_EQ(wrong(b, mixed), 0);
  a = Sequence(pool, 0, true);
  EXPECT_EQ(wrong(b, mixed), 0);
}

// A shift needs no page that the text does not hold itself, unless others hold them too; then it changes nothing.
TEST_F(SequenceShift, AFullPoolShiftsWithItsOwnPages) {
  groups = 1;
  for (const bool share : {true, false}) {
    PagePool pool(full, 8, 1);
    const auto tokens = text(2000);
    Sequence s = computed(pool, tokens, 512, share);
    EXPECT_EQ(pool.available(0), 0);
    {
      Sequence fork = s.fork();
      const Status status = s.shift(128, 192, turn);
      ASSERT_FALSE(status);
      EXPECT_EQ(status.error().code, Code::cache_full);
      EXPECT_EQ(s.dropped(), 0);
      EXPECT_EQ(wrong(s, full), 0);
      EXPECT_EQ(wrong(fork, full), 0);
    }
    ASSERT_TRUE(s.shift(128, 192, turn));
    EXPECT_EQ(wrong(s, full), 0);
    for (int64_t n = 512; n < 1900; n += 64) {
      grow(s, tokens, n + 64);
      ASSERT_TRUE(s.shift(128, 64, turn)) << n;
      EXPECT_EQ(wrong(s, full), 0) << n;
    }
    EXPECT_LE(pool.held(), 8);
  }
}

TEST_F(SequenceShift, SkippedTextIsAsIfItHadBeenDropped) {
  groups = 2;
  PagePool pool(mixed, 64, 1);
  const auto tokens = text(2000);
  Sequence s = computed(pool, tokens, 128);
  ASSERT_TRUE(s.skip(std::span(tokens).subspan(128, 640), turn));
  EXPECT_EQ(s.size(), 768);
  EXPECT_EQ(s.in_view(), 128);
  EXPECT_EQ(s.dropped(), 640);
  grow(s, tokens, 900);
  EXPECT_EQ(wrong(s, mixed), 0);
  EXPECT_EQ(s.place(1, 768).begin, 29);  // the window of 100 goes on over the gap
  EXPECT_FALSE(s.skip(std::span(tokens).subspan(0, 64), turn));
  ASSERT_TRUE(s.shift(128, 64, turn));
  grow(s, tokens, 950);
  EXPECT_EQ(wrong(s, mixed), 0);
  Sequence nothing(pool, 0, true);
  ASSERT_TRUE(nothing.skip(std::span(tokens).first(64), turn));
  grow(nothing, tokens, 100);
  EXPECT_EQ(wrong(nothing, mixed), 0);
}

TEST_F(SequenceShift, ParkedAndBack) {
  groups = 2;
  const auto tokens = text(1000);
  for (const int64_t window : {100, 420, 1000}) {
    const std::vector<LayerGroup> windowed = {fake_group(0), fake_group(window)};
    PagePool pool(windowed, 64, 9), fresh(windowed, 64, 9), small(windowed, 6, 9);
    Sequence s = computed(pool, tokens, 480);
    ASSERT_TRUE(s.shift(128, 192, turn));
    grow(s, tokens, 500);
    const std::vector<std::byte> bytes = s.park();
    Result<Sequence> back = Sequence::resume(fresh, bytes);
    ASSERT_TRUE(back) << back.error().message;
    EXPECT_EQ(back->size(), 500);
    EXPECT_EQ(back->in_view(), 308);
    EXPECT_EQ(back->park(), bytes);
    grow(*back, tokens, 600);
    ASSERT_TRUE(back->shift(128, 64, turn));  // the sinks as they were came along
    grow(*back, tokens, 650);
    EXPECT_EQ(wrong(*back, windowed), 0);
    EXPECT_EQ(Sequence::resume(small, bytes).error().code, Code::cache_full);
    EXPECT_EQ(small.held(), 0);
    *back = Sequence(fresh, 0, false);
    Random random(1);
    const size_t header = 56 + 500 * 4 + 32;
    for (int i = 0; i < test_count(500); ++i) {
      auto damaged = bytes;
      if (i % 2) {
        damaged.resize(static_cast<size_t>(random.below(static_cast<int64_t>(bytes.size()))));
      } else {
        damaged[static_cast<size_t>(random.below(i % 4 ? 56 : static_cast<int64_t>(header)))] ^=
            static_cast<std::byte>(1 + random.below(255));
      }
      const Result<Sequence> r = Sequence::resume(fresh, damaged);
      EXPECT_TRUE(!r || r->computed() == r->size());
    }
    EXPECT_EQ(fresh.held(), 0);
  }
}

// Random histories over a tight pool.
TEST_F(SequenceShift, RandomHistories) {
  groups = 2;
  int64_t shifts = 0, full_pools = 0, back = 0, parks = 0;
  for (int round = 0; round < test_count(60); ++round) {
    Random random(static_cast<uint64_t>(round) + 1);
    const std::vector<LayerGroup> windowed = {fake_group(0), fake_group(1 + random.below(600))};
    PagePool pool(windowed, 12 + random.below(20), 5);
    const auto tokens = text(4000);
    std::vector<Sequence> all;
    for (int step = 0; step < 150; ++step) {
      if (all.size() < 2) all.emplace_back(pool, 0, random.below(4) > 0);
      Sequence& s = all[static_cast<size_t>(random.below(static_cast<int64_t>(all.size())))];
      const int64_t action = random.below(10);
      if (action < 5 && s.in_view() < 700 && s.size() < 3800) {
        s.adopt(tokens, s.size() + random.below(200));
        const auto next =
            std::span(tokens).subspan(static_cast<size_t>(s.size()), static_cast<size_t>(random.below(150)));
        if (s.append(next)) {
          write(s, 2);
        } else {
          ++full_pools;
        }
      } else if (action < 7 && s.in_view() >= 192) {
        const int64_t keep = s.dropped() > 0 ? s.keep() : random.below(3) * 64;
        const int64_t discard = (1 + random.below((s.in_view() - keep) / 64)) * 64;
        if (discard > s.in_view() - keep) continue;
        if (const Status status = s.shift(keep, discard, turn)) {
          ++shifts;
        } else {
          ASSERT_EQ(status.error().code, Code::cache_full);
          ++full_pools;
        }
      } else if (action == 7 && s.size() > 0) {
        const bool shifted = s.dropped() > 0;
        s.truncate(s.size() - random.below(std::min<int64_t>(s.size(), 300)));
        back += shifted && s.dropped() == 0;
      } else if (action == 8 && all.size() < 4) {
        Sequence fork = s.fork();
        all.push_back(std::move(fork));
      } else if (action == 9) {
        const auto bytes = s.park();
        const bool kept = s.size() > 0 && random.below(2) > 0;
        s = Sequence(pool, 0, true);
        if (kept)
          if (Result<Sequence> resumed = Sequence::resume(pool, bytes)) s = std::move(*resumed), ++parks;
      }
      for (const Sequence& each : all) ASSERT_EQ(wrong(each, windowed), 0) << "round " << round << ", step " << step;
    }
    all.clear();
    ASSERT_EQ(pool.held(), 0);
  }
  std::printf("%ld shifts, %ld times no page, %ld times whole again, %ld times parked\n", static_cast<long>(shifts),
              static_cast<long>(full_pools), static_cast<long>(back), static_cast<long>(parks));
  EXPECT_GT(shifts, 0);
}

}  // namespace
}  // namespace linnet
