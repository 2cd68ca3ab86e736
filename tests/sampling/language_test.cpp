#include "sampling/language.h"

#include <gtest/gtest.h>

#include "tests/support.h"

namespace linnet {
namespace {

Language of_pattern(std::string_view pattern, WorkBudget& budget) {
  const Result<Regex> regex = parse_regex(pattern);
  EXPECT_TRUE(regex) << pattern;
  Result<Language> language = Language::of_regex(*regex, false, budget);
  EXPECT_TRUE(language) << pattern;
  return *std::move(language);
}

// Pairs of states that some text tells apart, found pair by pair until no more are.
bool minimal(const Language& language) {
  const std::vector<Language::State>& states = language.states();
  const size_t count = states.size();
  std::vector<std::vector<bool>> differ(count, std::vector<bool>(count));
  const auto step = [&](size_t state, uint32_t character) {
    for (const Language::Edge& e : states[state].edges) {
      if (character >= e.characters.first && character <= e.characters.last) return e.target;
    }
    return -1;
  };
  const auto apart = [&](size_t a, size_t b) {
    if (states[a].accepts != states[b].accepts) return true;
    for (const auto* edges : {&states[a].edges, &states[b].edges}) {
      for (const Language::Edge& e : *edges) {
        for (const uint32_t c : {e.characters.first, e.characters.last + 1}) {  // only there a step may change
          const int32_t x = step(a, c), y = step(b, c);
          if ((x < 0) != (y < 0) || (x >= 0 && differ[size_t(x)][size_t(y)])) return true;
        }
      }
    }
    return false;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (size_t a = 0; a < count; ++a) {
      for (size_t b = 0; b < count; ++b) {
        if (a == b || differ[a][b] || !apart(a, b)) continue;
        differ[a][b] = differ[b][a] = changed = true;
      }
    }
  }
  for (size_t a = 0; a < count; ++a) {
    for (size_t b = 0; b < a; ++b) {
      if (!differ[a][b]) return false;
    }
  }
  return true;
}

// States that accept the same are one state, whatever they were made from.
TEST(Language, IsMinimal) {
  const char* const patterns[] = {"",
                                  "a?",
                                  "(ab|cb)*",
                                  "[a-c]{2,5}x?",
                                  "(a|b)*a(a|b){4}",
                                  "a|ab|abc|bc|xbc",
                                  "(a{3}|a{5})*",
                                  "(yes|no|maybe)( (yes|no|maybe)){0,3}",
                                  ".{0,7}",
                                  "[^a]*a[^b]*b[^c]*"};
  WorkBudget budget;
  int checked = 0;
  const auto check = [&](const Language& language, const std::string& name) {
    EXPECT_TRUE(minimal(language)) << name << ": " << language.size() << " states";
    ++checked;
  };
  for (const std::string a : patterns) {
    const Language of_a = of_pattern(a, budget);
    check(of_a, a);
    for (const std::string b : patterns) {
      const Language of_b = of_pattern(b, budget);
      check(*of_a.intersection(of_b, budget), a + " and " + b);
      check(*of_a.difference(of_b, budget), a + " without " + b);
      check(*of_a.join(of_b, budget), a + " or " + b);
    }
    EXPECT_TRUE(of_a.difference(of_a, budget)->empty());
    EXPECT_EQ(of_a.join(of_a, budget)->size(), of_a.size());
  }
  std::printf("%d sets of strings\n", checked);
}

// Long counts cost a few steps per state, not a pass over all states for each.
TEST(Language, LongChainsAreCheap) {
  WorkBudget budget;
  const int64_t before = budget.steps;
  const Result<Language> lengths = Language::of_lengths(1, 4000, budget);
  ASSERT_TRUE(lengths);
  const Result<Language> both = lengths->intersection(of_pattern("[a-z ]*", budget), budget);
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(both->size(), 4001);
  EXPECT_LT(before - budget.steps, 100'000);
  EXPECT_EQ(of_pattern("[a-z]{1,1000}", budget).size(), 1001);
  EXPECT_LT(before - budget.steps, 200'000);
  std::printf("%lld steps\n", static_cast<long long>(before - budget.steps));
}

}  // namespace
}  // namespace linnet
