#include "runtime/pages.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/runtime/page_fixture.h"

namespace linnet {
namespace {

std::vector<int32_t> page_of(int32_t first) {
  std::vector<int32_t> tokens(kPageTokens);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(Pages, OpeningAPoolAllocatesNothing) {
  std::vector<LayerGroup> groups = {fake_group(0)};
  groups[0].page_bytes = int64_t{8} << 20;
  PagePool pool(groups, 1 << 20, 1);  // 8 TiB
  EXPECT_EQ(pool.bytes(), 0);
  EXPECT_EQ(pool.available(0), 1 << 20);
  Result<Page*> page = pool.take(0);
  ASSERT_TRUE(page);
  EXPECT_LE(pool.bytes(), (int64_t{8} << 20) + 64);
  pool.drop(*page);
}

TEST(Pages, PagesAreAlignedDistinctAndZero) {
  const std::vector<LayerGroup> groups = {fake_group(0), fake_group(128)};
  PagePool pool(groups, 10, 1);
  std::vector<Page*> taken;
  for (int round = 0; round < 3; ++round) {
    for (int32_t g = 0; g < 2; ++g) {
      for (int i = 0; i < 10; ++i) {
        Result<Page*> page = pool.take(g);
        ASSERT_TRUE(page);
        EXPECT_EQ(reinterpret_cast<uintptr_t>((*page)->data) % 64, 0u);
        for (int64_t b = 0; b < groups[0].page_bytes; ++b) ASSERT_EQ((*page)->data[b], std::byte{0});
        std::memset((*page)->data, 0xab, static_cast<size_t>(groups[0].page_bytes));
        taken.push_back(*page);
      }
      Result<Page*> none = pool.take(g);
      ASSERT_FALSE(none);
      EXPECT_EQ(none.error().code, Code::cache_full);
    }
    EXPECT_EQ(pool.held(), 20);
    std::vector<std::byte*> data;
    for (Page* page : taken) data.push_back(page->data);
    std::sort(data.begin(), data.end());
    EXPECT_EQ(std::unique(data.begin(), data.end()), data.end());
    for (Page* page : taken) pool.drop(page);
    taken.clear();
    EXPECT_EQ(pool.held(), 0);
    EXPECT_EQ(pool.available(1), 10);
  }
}

TEST(Pages, CachedPagesAreEvictedOldestFirst) {
  const std::vector<LayerGroup> groups = {fake_group(0)};
  PagePool pool(groups, 3, 1);
  PrefixIndex& index = pool.index();
  PrefixNode* root = index.root(0);
  std::vector<PrefixNode*> nodes;
  for (int32_t i = 0; i < 3; ++i) {
    Page* page = *pool.take(0);
    nodes.push_back(index.extend(root, page_of(100 * i)));
    index.attach(nodes.back(), page);
    EXPECT_FALSE(page->writable());
    pool.drop(page);
  }
  EXPECT_EQ(pool.cached(), 3);
  EXPECT_EQ(pool.available(0), 3);
  pool.hold(nodes[0]->pages[0]);  // used again: now the newest
  pool.drop(nodes[0]->pages[0]);
  Page* first = *pool.take(0);
  EXPECT_EQ(nodes[1]->pages[0], nullptr);
  EXPECT_NE(nodes[0]->pages[0], nullptr);
  Page* second = *pool.take(0);
  EXPECT_EQ(nodes[2]->pages[0], nullptr);
  EXPECT_NE(nodes[0]->pages[0], nullptr);
  pool.drop(first);
  pool.drop(second);
  for (PrefixNode* node : nodes) index.release(node);
  index.release(root);
  EXPECT_EQ(index.nodes(), 2);  // the root and the node that still has a page
}

TEST(Pages, CopyIsEqualAndLeavesTheOriginal) {
  const std::vector<LayerGroup> groups = {fake_group(0)};
  PagePool pool(groups, 2, 1);
  Page* page = *pool.take(0);
  for (int64_t i = 0; i < groups[0].page_bytes; ++i) page->data[i] = static_cast<std::byte>(i * 7);
  Page* copy = *pool.copy(*page);
  EXPECT_NE(copy->data, page->data);
  EXPECT_EQ(std::memcmp(copy->data, page->data, static_cast<size_t>(groups[0].page_bytes)), 0);
  EXPECT_EQ(page->refs, 1);
  EXPECT_FALSE(pool.copy(*page));
  pool.drop(page);
  pool.drop(copy);
}

TEST(PrefixIndex, FindsOnlyTheSameChain) {
  PrefixIndex index(1, 7, 100);
  PrefixNode* root = index.root(1);
  PrefixNode* other_salt = index.root(2);
  EXPECT_NE(root, other_salt);
  PrefixNode* again = index.root(1);
  EXPECT_EQ(again, root);
  index.release(again);
  PrefixNode* a = index.extend(root, page_of(0));
  PrefixNode* ab = index.extend(a, page_of(64));
  EXPECT_EQ(ab->pages_deep, 2);
  EXPECT_EQ(index.find(root, page_of(0)), a);
  EXPECT_EQ(index.find(a, page_of(64)), ab);
  EXPECT_EQ(index.find(root, page_of(64)), nullptr);
  EXPECT_EQ(index.find(other_salt, page_of(0)), nullptr);
  std::vector<int32_t> last_differs = page_of(0);
  last_differs.back() += 1;
  EXPECT_EQ(index.find(root, last_differs), nullptr);
  index.release(root);
  index.release(a);
  EXPECT_EQ(index.nodes(), 4);  // kept by the last of the chain
  index.release(ab);
  index.release(other_salt);
  EXPECT_EQ(index.nodes(), 0);
}

// A hash that says the same for everything: hits must still be exact.
TEST(PrefixIndex, CollisionsAreNoHits) {
  PrefixIndex index(1, 7, 1000, [](uint64_t, std::span<const int32_t>) -> uint64_t { return 42; });
  PrefixNode* roots[2] = {index.root(1), index.root(2)};
  std::vector<PrefixNode*> nodes;
  for (PrefixNode* root : roots) {
    for (int32_t i = 0; i < 5; ++i) nodes.push_back(index.extend(root, page_of(i)));
    for (int32_t i = 0; i < 5; ++i) nodes.push_back(index.extend(nodes[nodes.size() - 5], page_of(i)));
  }
  EXPECT_EQ(index.nodes(), 22);
  std::vector<PrefixNode*> unique = nodes;
  std::sort(unique.begin(), unique.end());
  EXPECT_EQ(std::unique(unique.begin(), unique.end()), unique.end());
  for (int32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(index.find(roots[0], page_of(i)), nodes[static_cast<size_t>(i)]);
    EXPECT_EQ(index.find(roots[1], page_of(i)), nodes[static_cast<size_t>(10 + i)]);
    EXPECT_EQ(index.find(nodes[static_cast<size_t>(i)], page_of(i)), nodes[static_cast<size_t>(5 + i)]);
    EXPECT_EQ(index.find(nodes[static_cast<size_t>(i)], page_of(i + 1)), nullptr);
  }
  for (PrefixNode* node : nodes) index.release(node);
  for (PrefixNode* root : roots) index.release(root);
  EXPECT_EQ(index.nodes(), 0);
}

TEST(PrefixIndex, FullIndexRefusesNewNodesOnly) {
  PrefixIndex index(1, 7, 2);
  PrefixNode* root = index.root(0);
  PrefixNode* a = index.extend(root, page_of(0));
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(index.extend(root, page_of(1)), nullptr);
  EXPECT_EQ(index.root(9), nullptr);
  PrefixNode* same = index.extend(root, page_of(0));
  EXPECT_EQ(same, a);
  index.release(same);
  index.release(a);
  EXPECT_EQ(index.nodes(), 1);
  index.release(root);
}

// Pages in the index, let go at different times.
TEST(Pages, CachedPagesExpireAndGoBackToTheSystem) {
  const std::vector<LayerGroup> groups = {fake_group(0)};
  PagePool pool(groups, 10, 1);
  PrefixNode* const root = pool.index().root(0);
  for (int i = 0; i < 6; ++i) {
    const Result<Page*> page = pool.take(0);
    ASSERT_TRUE(page);
    std::memset((*page)->data, 0xab, static_cast<size_t>(groups[0].page_bytes));
    PrefixNode* const node = pool.index().extend(root, page_of(i * 1000));
    pool.index().attach(node, *page);
    pool.index().release(node);
    pool.set_time(i);
    pool.drop(*page);
  }
  EXPECT_EQ(pool.cached(), 6);
  pool.expire(2);  // those of 0 and 1
  EXPECT_EQ(pool.cached(), 4);
  EXPECT_EQ(pool.index().find(root, page_of(1000)), nullptr);
  EXPECT_NE(pool.index().find(root, page_of(2000)), nullptr);
  const int64_t allocated = pool.bytes();
  EXPECT_EQ(pool.trim(1), groups[0].page_bytes);  // a free one
  EXPECT_EQ(pool.cached(), 4);
  EXPECT_EQ(pool.trim(int64_t{1} << 40), 5 * groups[0].page_bytes);
  EXPECT_EQ(pool.cached(), 0);
  EXPECT_EQ(pool.bytes(), allocated - 6 * groups[0].page_bytes);
  for (int i = 0; i < 10; ++i) {  // they are zero again
    const Result<Page*> page = pool.take(0);
    ASSERT_TRUE(page);
    for (int64_t b = 0; b < groups[0].page_bytes; ++b) ASSERT_EQ((*page)->data[b], std::byte{0});
  }
  EXPECT_EQ(pool.bytes(), allocated);
  pool.index().release(root);
}

}  // namespace
}  // namespace linnet
