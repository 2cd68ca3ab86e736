#include "runtime/sequence.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "tests/runtime/page_fixture.h"
#include "tests/support.h"

namespace linnet {
namespace {

std::vector<int32_t> text(int64_t n, int32_t first = 0) {
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) tokens[static_cast<size_t>(i)] = first + static_cast<int32_t>(i * 7 % 1000);
  return tokens;
}

std::span<const int32_t> part(const std::vector<int32_t>& tokens, int64_t begin, int64_t end) {
  return std::span(tokens).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
}

class SequenceTest : public ::testing::Test {
 protected:
  std::vector<LayerGroup> full = {fake_group(0)};
  std::vector<LayerGroup> mixed = {fake_group(0), fake_group(100)};
};

TEST_F(SequenceTest, PlacesNamePagesOfTheRightPosition) {
  PagePool pool(mixed, 16, 1);
  Sequence s(pool, 0, true);
  const auto tokens = text(300);
  ASSERT_TRUE(s.append(part(tokens, 0, 150)));
  EXPECT_EQ(s.size(), 150);
  EXPECT_EQ(s.computed(), 0);
  const RowPlace place = s.place(0, 149);
  EXPECT_EQ(place.first_page, 0);
  EXPECT_EQ(place.position, 149);
  EXPECT_EQ(place.begin, 0);
  EXPECT_EQ(place.end, 150);
  EXPECT_EQ(s.place(1, 149).begin, 50);
  EXPECT_EQ(s.place(1, 99).begin, 0);
  write_rows(s, 2);
  ASSERT_TRUE(s.append(part(tokens, 150, 300)));
  write_rows(s, 2);
  EXPECT_EQ(wrong_slots(s, mixed), 0);
  EXPECT_EQ(s.pages_held(0), 5);
  EXPECT_EQ(s.pages_held(1), 2);  // a row at 300 sees 201..300: pages 3 and 4
  EXPECT_EQ(s.place(1, 299).first_page, 3);
}

TEST_F(SequenceTest, AFullPageIsSharedAndTheRestIsNot) {
  PagePool pool(full, 16, 1);
  const auto tokens = text(200);
  Sequence a(pool, 5, true);
  ASSERT_TRUE(a.append(tokens));
  Sequence early(pool, 5, true);
  EXPECT_EQ(early.adopt(tokens, 199), 0);  // nothing is computed yet
  write_rows(a, 1);
  Sequence b(pool, 5, true);
  EXPECT_EQ(b.adopt(tokens, 199), 192);
  EXPECT_EQ(b.computed(), 192);
  EXPECT_EQ(wrong_slots(b, full), 0);
  EXPECT_EQ(pool.held(), 4);
  Sequence limited(pool, 5, true);
  EXPECT_EQ(limited.adopt(tokens, 191), 128);
  Sequence other_salt(pool, 6, true);
  EXPECT_EQ(other_salt.adopt(tokens, 199), 0);
  Sequence alone(pool, 5, false);
  EXPECT_EQ(alone.adopt(tokens, 199), 0);
  auto changed = tokens;
  changed[70] += 1;
  Sequence prefix(pool, 5, true);
  EXPECT_EQ(prefix.adopt(changed, 199), 64);
}

TEST_F(SequenceTest, PagesOutliveTheirSequenceUntilTheyAreNeeded) {
  PagePool pool(full, 4, 1);
  const auto tokens = text(256);
  {
    Sequence a(pool, 0, true);
    ASSERT_TRUE(a.append(tokens));
    write_rows(a, 1);
  }
  EXPECT_EQ(pool.cached(), 4);
  Sequence b(pool, 0, true);
  ASSERT_TRUE(b.append(text(128, 5000)));  // evicts the last two
  write_rows(b, 1);
  Sequence c(pool, 0, true);
  EXPECT_EQ(c.adopt(tokens, 256), 128);
  EXPECT_EQ(wrong_slots(c, full), 0);
  const Status status = c.append(part(tokens, 128, 256));
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::cache_full);
  EXPECT_EQ(c.size(), 128);
  EXPECT_EQ(c.pages_held(0), 2);
  EXPECT_EQ(wrong_slots(c, full), 0);
}

TEST_F(SequenceTest, AppendIsAllOrNothingOverGroups) {
  PagePool pool(mixed, 3, 1);
  Sequence other(pool, 0, false);
  ASSERT_TRUE(other.append(text(64)));
  Sequence s(pool, 0, false);
  ASSERT_TRUE(s.append(text(30)));
  EXPECT_FALSE(s.append(text(200)));
  EXPECT_EQ(s.size(), 30);
  EXPECT_EQ(s.pages_held(0), 1);
  EXPECT_EQ(s.pages_held(1), 1);
  EXPECT_EQ(pool.held(), 4);
}

TEST_F(SequenceTest, ForksWriteIntoTheirOwnCopies) {
  PagePool pool(mixed, 16, 1);
  Sequence a(pool, 0, true);
  ASSERT_TRUE(a.append(text(150)));
  write_rows(a, 2);
  const int64_t before = pool.held();
  Sequence b = a.fork();
  EXPECT_EQ(pool.held(), before);
  ASSERT_TRUE(a.append(text(10, 100)));
  ASSERT_TRUE(b.append(text(10, 200)));
  write_rows(b, 2);
  write_rows(a, 2);
  EXPECT_EQ(wrong_slots(a, mixed), 0);
  EXPECT_EQ(wrong_slots(b, mixed), 0);
  EXPECT_EQ(pool.held(), before + 2);
}

TEST_F(SequenceTest, TruncationIntoASharedPageCopiesIt) {
  PagePool pool(full, 16, 1);
  const auto tokens = text(192);
  Sequence a(pool, 0, true);
  ASSERT_TRUE(a.append(tokens));
  write_rows(a, 1);
  Sequence b(pool, 0, true);
  ASSERT_EQ(b.adopt(tokens, 192), 192);
  EXPECT_EQ(b.truncate(100), 100);
  ASSERT_TRUE(b.append(text(50, 300)));
  write_rows(b, 1);
  EXPECT_EQ(wrong_slots(a, full), 0);
  EXPECT_EQ(wrong_slots(b, full), 0);
  // The same for a sequence alone: its cached page stays as it was.
  EXPECT_EQ(a.truncate(70), 70);
  ASSERT_TRUE(a.append(text(5, 400)));
  write_rows(a, 1);
  Sequence c(pool, 0, true);
  EXPECT_EQ(c.adopt(tokens, 192), 192);
  EXPECT_EQ(wrong_slots(c, full), 0);
}

TEST_F(SequenceTest, AFullPoolWritesIntoItsOnlyHoldersPage) {
  PagePool pool(full, 3, 1);
  const auto tokens = text(192);
  Sequence a(pool, 0, true);
  ASSERT_TRUE(a.append(tokens));
  write_rows(a, 1);
  Sequence b = a.fork();
  EXPECT_EQ(a.truncate(190), 190);
  EXPECT_FALSE(a.append(text(2, 300)));  // b needs that page as it is
  b = Sequence(pool, 0, true);
  ASSERT_TRUE(a.append(text(2, 300)));
  write_rows(a, 1);
  EXPECT_EQ(wrong_slots(a, full), 0);
}

TEST_F(SequenceTest, EqualPagesOfSimultaneousSequencesBecomeOne) {
  PagePool pool(mixed, 16, 1);
  const auto tokens = text(130);
  Sequence a(pool, 0, true), b(pool, 0, true);
  ASSERT_TRUE(a.append(tokens));
  ASSERT_TRUE(b.append(tokens));
  EXPECT_EQ(pool.held(), 12);
  write_rows(a, 2);
  write_rows(b, 2);
  EXPECT_EQ(wrong_slots(a, mixed), 0);
  EXPECT_EQ(wrong_slots(b, mixed), 0);
  // In each group two pages are shared, and each sequence has its own third; a row at 130 sees from 31 on.
  EXPECT_EQ(pool.held(), 8);
}

TEST_F(SequenceTest, APageFilledByAnotherReplacesAnUnfinishedOne) {
  PagePool pool(mixed, 32, 1);
  const auto tokens = text(400);
  Sequence a(pool, 0, true), b(pool, 0, true);
  ASSERT_TRUE(a.append(part(tokens, 0, 100)));
  write_rows(a, 2);
  ASSERT_TRUE(b.append(tokens));
  write_rows(b, 2);
  EXPECT_EQ(a.adopt(tokens, 399), 384);
  EXPECT_EQ(wrong_slots(a, mixed), 0);
  ASSERT_TRUE(a.append(part(tokens, 384, 400)));
  write_rows(a, 2);
  EXPECT_EQ(wrong_slots(a, mixed), 0);
}

TEST_F(SequenceTest, WindowedPrefixNeedsOnlyTheVisiblePages) {
  PagePool pool(mixed, 32, 1);
  const auto tokens = text(640);
  {
    Sequence a(pool, 0, true);
    ASSERT_TRUE(a.append(tokens));
    write_rows(a, 2);
  }
  // Take the window group's cached pages away from the oldest on: 10 pages were cached, all but 3 go.
  std::vector<Page*> taken;
  while (pool.available(1) > 3) taken.push_back(*pool.take(1));
  Sequence b(pool, 0, true);
  EXPECT_EQ(b.adopt(tokens, 640), 640);  // sees 541..639: pages 8 and 9
  EXPECT_EQ(b.pages_held(0), 10);
  EXPECT_EQ(b.pages_held(1), 2);
  EXPECT_EQ(wrong_slots(b, mixed), 0);
  Sequence c(pool, 0, true);
  EXPECT_EQ(c.adopt(tokens, 500), 0);  // page 6 of the window group is gone, and all before
  for (Page* page : taken) pool.drop(page);
}

TEST_F(SequenceTest, TruncationBehindTheWindowKeepsWhatTheIndexHas) {
  PagePool pool(mixed, 32, 1);
  const auto tokens = text(640);
  Sequence a(pool, 0, true);
  ASSERT_TRUE(a.append(tokens));
  write_rows(a, 2);
  EXPECT_EQ(a.truncate(620), 620);  // sees from page 8: still held
  EXPECT_EQ(a.truncate(500), 448);  // pages let go are found again, but not the half page
  EXPECT_EQ(wrong_slots(a, mixed), 0);
  ASSERT_TRUE(a.append(part(tokens, 448, 600)));
  write_rows(a, 2);
  EXPECT_EQ(wrong_slots(a, mixed), 0);

  Sequence alone(pool, 0, false);
  ASSERT_TRUE(alone.append(tokens));
  write_rows(alone, 2);
  EXPECT_EQ(alone.truncate(300), 0);
  EXPECT_EQ(alone.pages_held(0), 0);
}

TEST_F(SequenceTest, WindowedSequenceNeedsFewPages) {
  const std::vector<LayerGroup> window = {fake_group(100)};
  const int64_t chunk = 50;
  const int64_t need = Sequence::pages_needed(window[0], 5000, chunk);
  EXPECT_LE(need, 4);
  PagePool pool(window, need, 1);
  Sequence s(pool, 0, true);
  for (int64_t p = 0; p < 5000; p += chunk) {
    ASSERT_TRUE(s.append(text(chunk, static_cast<int32_t>(p))));
    write_rows(s, 1);
    ASSERT_EQ(wrong_slots(s, window), 0);
  }
  EXPECT_EQ(Sequence::pages_needed(full[0], 5000, chunk), 79);
  EXPECT_EQ(Sequence::pages_needed(window[0], 60, 60), 1);
}

TEST_F(SequenceTest, KnowsWhoseNextPageToWaitFor) {
  PagePool pool(full, 16, 1);
  const auto tokens = text(300);
  auto branch = tokens;
  branch[100] += 1;
  Sequence a(pool, 0, true), b(pool, 0, true), salted(pool, 1, true);
  EXPECT_TRUE(b.same_next_page(tokens, a, tokens));
  EXPECT_FALSE(salted.same_next_page(tokens, a, tokens));
  EXPECT_FALSE(b.same_next_page(part(tokens, 0, 63), a, tokens));
  ASSERT_TRUE(a.append(part(tokens, 0, 80)));
  write_rows(a, 1);
  EXPECT_FALSE(b.same_next_page(tokens, a, tokens));  // a is past that page
  EXPECT_EQ(b.adopt(tokens, 299), 64);
  EXPECT_TRUE(b.same_next_page(tokens, a, tokens));
  EXPECT_FALSE(b.same_next_page(branch, a, tokens));
  EXPECT_FALSE(a.same_next_page(tokens, b, tokens));  // in the middle of a page: goes on
}

TEST_F(SequenceTest, ParkedContentComesBackAndStaysPrivate) {
  PagePool pool(mixed, 32, 99);
  const auto tokens = text(333);
  std::vector<std::byte> bytes;
  {
    Sequence a(pool, 8, true);
    ASSERT_TRUE(a.append(part(tokens, 0, 300)));
    write_rows(a, 2);
    bytes = a.park();
  }
  PagePool later(mixed, 32, 99);
  Result<Sequence> b = Sequence::resume(later, bytes);
  ASSERT_TRUE(b);
  EXPECT_EQ(b->size(), 300);
  EXPECT_EQ(wrong_slots(*b, mixed), 0);
  EXPECT_EQ(b->park(), bytes);
  ASSERT_TRUE(b->append(part(tokens, 300, 333)));
  write_rows(*b, 2);
  EXPECT_EQ(wrong_slots(*b, mixed), 0);
  Sequence c(later, 8, true);
  EXPECT_EQ(c.adopt(tokens, 333), 0);

  PagePool other_model(mixed, 32, 98), small(mixed, 4, 99), other_layout(full, 32, 99);
  for (PagePool* wrong : {&other_model, &small, &other_layout}) {
    EXPECT_FALSE(Sequence::resume(*wrong, bytes));
    EXPECT_EQ(wrong->held(), 0);
  }
  EXPECT_EQ(Sequence::resume(small, bytes).error().code, Code::cache_full);
  PagePool fresh(mixed, 32, 99);
  Random random(1);
  int64_t refused = 0;
  const int cuts = test_count(2000);
  for (int i = 0; i < cuts; ++i) {
    auto damaged = bytes;
    if (i % 2) {
      damaged.resize(static_cast<size_t>(random.below(static_cast<int64_t>(bytes.size()))));
    } else {
      const size_t header = 56 + 300 * 4 + 32;
      const size_t at = static_cast<size_t>(random.below(static_cast<int64_t>(i % 4 ? header : bytes.size())));
      damaged[at] ^= static_cast<std::byte>(1 + random.below(255));
    }
    refused += !Sequence::resume(fresh, damaged);
    ASSERT_EQ(fresh.held(), 0);
  }
  std::printf("%d damaged parked sequences: %ld refused, the others resumed\n", cuts, static_cast<long>(refused));
}

// Random histories of several sequences over a tight pool, against what a forward pass would have stored. With a hash
// that knows three values, so that nearly every lookup meets collisions, and with a good one.
struct History {
  std::vector<LayerGroup> groups;
  PagePool pool;
  Random random;
  std::vector<std::unique_ptr<Sequence>> sequences;
  int64_t adopted = 0, refused = 0, copied_forks = 0;

  History(std::vector<int64_t> windows, int64_t pages, uint64_t seed, PrefixIndex::Hash hash)
      : groups(make(windows)), pool(groups, pages, 3, hash), random(seed) {}
  static std::vector<LayerGroup> make(const std::vector<int64_t>& windows) {
    std::vector<LayerGroup> groups;
    for (int64_t w : windows) groups.push_back(fake_group(w));
    return groups;
  }

  // One of a few texts, so that prefixes meet; they branch where bits of `variant` say.
  static std::vector<int32_t> story(int64_t n, int64_t variant) {
    std::vector<int32_t> tokens(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      tokens[static_cast<size_t>(i)] = static_cast<int32_t>(i % 11 + (i >= 70 * (variant % 4) ? variant : 0));
    }
    return tokens;
  }

  void step() {
    const int64_t what = random.below(12);
    if (sequences.size() < 2 || what == 0) {
      sequences.push_back(
          std::make_unique<Sequence>(pool, static_cast<uint64_t>(random.below(2)), random.below(8) > 0));
      return;
    }
    const size_t i = static_cast<size_t>(random.below(static_cast<int64_t>(sequences.size())));
    Sequence& s = *sequences[i];
    if (what == 1 || sequences.size() > 6) {
      sequences.erase(sequences.begin() + static_cast<int64_t>(i));
    } else if (what == 2) {
      sequences.push_back(std::make_unique<Sequence>(s.fork()));
      ++copied_forks;
    } else if (what <= 4) {
      const int64_t to = random.below(s.size() + 1);
      const std::vector<int32_t> before(s.tokens().begin(), s.tokens().end());
      const int64_t kept = s.truncate(to);
      ASSERT_LE(kept, to);
      ASSERT_TRUE(std::equal(s.tokens().begin(), s.tokens().end(), before.begin()));
    } else if (what <= 7) {
      auto whole = story(400, random.below(4));
      std::copy(s.tokens().begin(), s.tokens().begin() + std::min<int64_t>(400, s.size()), whole.begin());
      if (s.size() >= 400) return;
      const int64_t before = s.size();
      const int64_t limit = random.below(400);
      adopted += s.adopt(whole, limit) - before;
      ASSERT_TRUE(s.size() == before || s.size() <= limit);
      ASSERT_TRUE(std::equal(s.tokens().begin(), s.tokens().end(), whole.begin()));
    } else {
      const int64_t n = 1 + random.below(random.below(2) ? 5 : 130);
      const auto whole = story(s.size() + n, random.below(4));
      const int64_t before = s.size();
      const Status status = s.append(part(whole, s.size(), s.size() + n));
      if (!status) {
        ASSERT_EQ(status.error().code, Code::cache_full);
        ASSERT_EQ(s.size(), before);
        ++refused;
      }
      write_rows(s, static_cast<int32_t>(groups.size()));
    }
  }
};

TEST_F(SequenceTest, RandomHistoriesNeverMixContent) {
  const PrefixIndex::Hash bad = [](uint64_t before, std::span<const int32_t> tokens) -> uint64_t {
    return (before + (tokens.empty() ? 0 : static_cast<uint64_t>(tokens[0]))) % 3;
  };
  const std::vector<std::vector<int64_t>> windows = {{0}, {0, 100}, {64}, {0, 1, 130}};
  const int steps = test_count(2000);
  int64_t adopted = 0, refused = 0, checked = 0;
  for (size_t shape = 0; shape < windows.size(); ++shape) {
    for (uint64_t seed = 1; seed <= 4; ++seed) {
      History h(windows[shape], 5 + static_cast<int64_t>(seed) * 3, seed, seed % 2 ? bad : PrefixIndex::default_hash);
      for (int i = 0; i < steps; ++i) {
        h.step();
        if (HasFatalFailure()) return;
        for (const auto& s : h.sequences) {
          if (i % 8) continue;
          ASSERT_EQ(wrong_slots(*s, h.groups), 0) << "windows " << shape << ", seed " << seed << ", step " << i;
          ++checked;
        }
      }
      adopted += h.adopted;
      refused += h.refused;
      h.sequences.clear();
      EXPECT_EQ(h.pool.held(), 0);
      // Evicting everything leaves no node behind.
      std::vector<Page*> all;
      for (int32_t g = 0; g < static_cast<int32_t>(h.groups.size()); ++g) {
        while (h.pool.available(g) > 0) all.push_back(*h.pool.take(g));
      }
      EXPECT_EQ(h.pool.index().nodes(), 0);
      for (Page* page : all) h.pool.drop(page);
    }
  }
  std::printf("%ld sequences checked, %ld positions adopted, %ld appends refused\n", static_cast<long>(checked),
              static_cast<long>(adopted), static_cast<long>(refused));
  EXPECT_GT(adopted, steps);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace linnet
