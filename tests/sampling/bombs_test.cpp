// What bombs take is counted in bytes and calls of operator new, which are the same on every machine; bench/bomb_bench.cpp
// has the milliseconds.
#include "tests/bombs.h"

#include <cstdio>
#include <map>

#include <gtest/gtest.h>

#include "tests/sampling/allocations.h"
#include "tests/sampling/grammar_definition.h"

namespace linnet {
namespace {

// In all, freed or not.
constexpr int64_t kMostBytes = int64_t(256) << 20, kMostCalls = 1'200'000;

TEST(Bombs, AreAnsweredWithASentence) {
  const TextVocabulary vocabulary(ambiguous_tokens());
  const auto trie = std::make_shared<const TokenTrie>(vocabulary);
  std::map<std::string_view, int> counts;
  int64_t most_bytes = 0, most_calls = 0;
  for (const Bomb& bomb : bombs()) {
    const int64_t bytes_before = allocated_bytes(), calls_before = allocation_count();
    const Status answer = set_off(bomb, trie);
    const int64_t bytes = allocated_bytes() - bytes_before, calls = allocation_count() - calls_before;
    ASSERT_FALSE(answer) << bomb.name;
    const Error& error = answer.error();
    EXPECT_EQ(error.code, bomb.code) << bomb.name << ": " << error.message;
    EXPECT_NE(error.message.find(bomb.says), std::string::npos) << bomb.name << ": " << error.message;
    EXPECT_LT(error.message.size(), 600u) << bomb.name;
    EXPECT_LT(bytes, kMostBytes) << bomb.name;
    EXPECT_LT(calls, kMostCalls) << bomb.name;
    most_bytes = std::max(most_bytes, bytes);
    most_calls = std::max(most_calls, calls);
    ++counts[bomb_kind_name(bomb.kind)];
  }
  int all = 0;
  for (const auto& [kind, count] : counts) {
    std::printf("%d %s bombs\n", count, std::string(kind).c_str());
    all += count;
  }
  std::printf("at most %lld KiB asked for, in at most %lld calls\n", static_cast<long long>(most_bytes >> 10),
              static_cast<long long>(most_calls));
  EXPECT_GE(all, 50);
}

// A mask or a token that would take too many steps is an error, and the matcher stays where it is.
TEST(Bombs, AmbiguousGrammarsEndTheirRequestOnly) {
  const TextVocabulary vocabulary(ambiguous_tokens());
  const auto trie = std::make_shared<const TokenTrie>(vocabulary);
  int refused = 0, steps = 0;
  int64_t most_bytes = 0;
  for (const AmbiguousGrammar& bomb : ambiguous_grammars()) {
    int64_t before = allocated_bytes();
    const Status answer = generate_ambiguously(bomb, vocabulary, trie, [&](const char* step) {
      const int64_t bytes = allocated_bytes() - before;
      EXPECT_LT(bytes, kMostBytes) << bomb.name << ": " << step;
      most_bytes = std::max(most_bytes, bytes);
      before = allocated_bytes();
      ++steps;
    });
    if (answer) continue;
    EXPECT_EQ(answer.error().code, Code::grammar_limit) << bomb.name << ": " << answer.error().message;
    ++refused;
  }
  std::printf("%zu grammars, %d refused, %d steps, at most %lld KiB asked for by one\n", ambiguous_grammars().size(),
              refused, steps, static_cast<long long>(most_bytes >> 10));
  EXPECT_GE(refused, 6);
}

}  // namespace
}  // namespace linnet
