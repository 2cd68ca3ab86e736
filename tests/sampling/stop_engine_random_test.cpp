// The stop engine against a search of the whole text: whatever the pieces, the same text is shown for the same reason.
#include <algorithm>
#include <cstdio>
#include <map>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "gguf/base/utf8.h"
#include "sampling/stop_engine.h"
#include "sampling/vocabulary.h"
#include "tests/sampling/trigger_definition.h"
#include "tests/support.h"

namespace linnet {
namespace {

using Action = StopOutcome::Action;

struct Conditions {
  std::vector<std::string> stop;
  std::vector<SlowTrigger> triggers;
  int32_t indent = 0;
  std::vector<std::string> phrases;

  StopParams params() const {
    StopParams p;
    p.max_tokens = -1;
    p.stop = stop;
    for (const SlowTrigger& t : triggers) p.grammar_triggers.push_back(t.trigger());
    p.indent = indent;
    p.banned_phrases = phrases;
    return p;
  }
};

// How a text ends.
struct Ending {
  std::string shown;
  std::string reason;
  bool operator==(const Ending&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Ending& e) {
    return out << linnet::quoted(e.shown) << " " << e.reason;
  }
};

// The stop string that is decided in this text; at the end of a text, those that begin before `end`.
std::optional<size_t> string_start(const std::vector<std::string>& strings, std::string_view text, bool ended) {
  for (size_t start = 0; start < text.size(); ++start) {
    const std::string_view rest = text.substr(start);
    bool complete = false, open = false;
    for (const std::string& s : strings) {
      complete |= rest.starts_with(s);
      open |= s.size() > rest.size() && s.starts_with(rest);
    }
    // A longer one that is still possible does not change where it starts, but when it is known.
    if (open && !ended) return std::nullopt;
    if (complete) return start;
  }
  return std::nullopt;
}

struct Line {
  size_t begin, known;
};

std::optional<Line> slow_line(int32_t least, std::string_view text) {
  if (least == 0) return std::nullopt;
  for (size_t begin = text.find('\n'); begin != text.npos; begin = text.find('\n', begin)) {
    ++begin;
    const size_t first = text.find_first_not_of(" \t\r", begin);
    if (first == text.npos) break;
    if (text[first] == '\n') continue;
    const std::string_view blanks = text.substr(begin, first - begin);
    const auto indent = int32_t(std::count(blanks.begin(), blanks.end(), ' '));
    if (least < 0) least = indent;
    if (indent < least) return Line{begin, first + 1};
  }
  return std::nullopt;
}

// The end of a text of which `before` bytes are known to end nothing. `all`: the text is over.
std::optional<Ending> slow_ending(const Conditions& c, std::string_view text, size_t before, bool all) {
  const auto match = slow_match(c.triggers, text, before);
  const auto line = slow_line(c.indent, text);
  std::string reason = "none";
  size_t end = text.size(), seen = text.size();
  if (match && !(line && line->known < match->known)) {
    reason = "stop_trigger";
    end = seen = match->end;
  } else if (line) {
    reason = "indentation";
    end = line->begin;
    seen = line->known;
  }
  for (size_t n = before; n <= seen; ++n) {
    if (const auto start = string_start(c.stop, text.substr(0, n), false)) {
      return Ending{utf8_replace_invalid(text.substr(0, *start)), "stop_string"};
    }
  }
  if (reason == "none" && !all) return std::nullopt;
  const auto start = string_start(c.stop, text.substr(0, seen), true);
  if (start && *start < end) return Ending{utf8_replace_invalid(text.substr(0, *start)), "stop_string"};
  return Ending{utf8_replace_invalid(text.substr(0, end)), reason};
}

std::string word(Random& random, std::string_view letters, int64_t count) {
  std::string s;
  for (int64_t i = 0; i < count; ++i) s += letters[size_t(random.below(int64_t(letters.size())))];
  return s;
}

Conditions random_conditions(Random& random, std::string_view letters) {
  const std::vector<std::string> cores = {"[ab]+c", "b|abc", "c?b?a{2,3}", "(?:ab)+c", "c\\n? b", "a[^b]{3,}b"};
  Conditions c;
  for (int64_t n = random.below(4); n > 0; --n) c.stop.push_back(word(random, letters, 2 + random.below(5)));
  for (int64_t n = random.below(3); n > 0; --n) {
    SlowTrigger t{.type = Trigger::Type(1 + random.below(3))};
    t.core = t.type == Trigger::Type::word ? word(random, letters, 2 + random.below(3))
                                           : cores[size_t(random.below(int64_t(cores.size())))];
    t.ends_word = t.type == Trigger::Type::pattern && random.below(2) == 0;
    c.triggers.push_back(std::move(t));
  }
  c.indent = int32_t(random.below(5)) - 1;
  return c;
}

Result<StopEngine> make(const StopParams& params) { return StopEngine::create(params, PlainVocabulary(1000)); }

TEST(StopEngineRandom, EqualsASearchOfTheWholeText) {
  const std::vector<std::string> alphabets = {"abc \n", "ab", "a\n  ", "a\xe2\x82\xac\xf0 \n", "abc   "};
  Random random(11);
  const int rounds = test_count(4000);
  std::map<std::string, int> reasons;
  for (int round = 0; round < rounds; ++round) {
    const std::string& letters = alphabets[size_t(random.below(int64_t(alphabets.size())))];
    const Conditions c = random_conditions(random, letters);
    const std::string text = word(random, letters, random.below(40));
    const Ending expected = *slow_ending(c, text, 0, true);
    ++reasons[expected.reason];
    for (const int64_t longest : {int64_t(1), int64_t(4), int64_t(50)}) {
      Result<StopEngine> engine = make(c.params());
      ASSERT_TRUE(engine) << engine.error().message;
      Ending got{"", "none"};
      StopOutcome outcome;
      for (size_t at = 0; at < text.size() && outcome.action != Action::end;) {
        const size_t bytes = std::min(text.size() - at, size_t(1 + random.below(longest)));
        outcome = engine->add({.id = 1, .bytes = std::string_view(text).substr(at, bytes)});
        got.shown += outcome.text;
        ASSERT_TRUE(utf8_valid(got.shown));
        at += bytes;
      }
      if (outcome.action != Action::end) {
        outcome = engine->flush();
        got.shown += outcome.text;
      }
      if (outcome.action == Action::end) got.reason = stop_reason_name(outcome.reason);
      ASSERT_EQ(got, expected) << "round " << round << " by " << longest << ": " << quoted(text) << " shown "
                               << quoted(got.shown) << " " << got.reason << ", not " << quoted(expected.shown) << " "
                               << expected.reason;
    }
  }
  for (const auto& [reason, count] : reasons) {
    std::printf("%s: %d\n", reason.c_str(), count);
    EXPECT_GE(count, rounds / 20);
  }
  EXPECT_EQ(reasons.size(), 4u);
}

// A model that always wants the same token after the same few ones, unless it is banned there.
struct Model {
  uint64_t seed;
  std::vector<std::string> texts;

  std::optional<int32_t> choose(const std::vector<int32_t>& tokens, const std::set<int32_t>& banned) const {
    uint64_t key = seed;
    for (size_t i = tokens.size() - std::min<size_t>(tokens.size(), 3); i < tokens.size(); ++i) {
      key = key * 31 + uint64_t(tokens[i]) + 1;
    }
    Random random(key + tokens.size());
    std::vector<int32_t> order(texts.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = int32_t(i);
    for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[size_t(random.below(int64_t(i)))]);
    for (const int32_t token : order) {
      if (banned.count(token) == 0) return token;
    }
    return std::nullopt;
  }
  std::string text(const std::vector<int32_t>& tokens) const {
    std::string all;
    for (const int32_t token : tokens) all += texts[size_t(token)];
    return all;
  }
};

struct Generated {
  std::vector<int32_t> tokens;
  Ending ending;
  int64_t rollbacks = 0;
};

constexpr int kMostTokens = 25;

// Where in the text the phrase begins that is complete first, behind its first `before` bytes.
std::optional<size_t> slow_phrase(const std::vector<std::string>& phrases, std::string_view text, size_t before) {
  for (size_t end = before + 1; end <= text.size(); ++end) {
    size_t longest = 0;
    for (const std::string& p : phrases) {
      if (text.substr(0, end).ends_with(p)) longest = std::max(longest, p.size());
    }
    if (longest > 0) return end - longest;
  }
  return std::nullopt;
}

// How many of the last bytes may be the beginning of a phrase.
size_t slow_open(const std::vector<std::string>& phrases, std::string_view text) {
  for (size_t open = text.size(); open > 0; --open) {
    for (const std::string& p : phrases) {
      if (p.size() > open && p.starts_with(text.substr(text.size() - open))) return open;
    }
  }
  return 0;
}

Generated slow_generate(const Model& model, const Conditions& c) {
  Generated g;
  std::map<size_t, std::set<int32_t>> banned;
  std::string text;
  size_t settled = 0;
  while (g.tokens.size() < kMostTokens) {
    const auto token = model.choose(g.tokens, banned[g.tokens.size()]);
    if (!token) break;
    const size_t before = text.size();
    g.tokens.push_back(*token);
    text += model.texts[size_t(*token)];
    if (const auto start = slow_phrase(c.phrases, text, before)) {
      // Back to the token with the phrase's first byte, or the first that is not settled.
      int32_t first = -1;
      while (text.size() > *start && g.tokens.size() > settled) {
        first = g.tokens.back();
        text.resize(text.size() - model.texts[size_t(first)].size());
        g.tokens.pop_back();
      }
      banned.erase(banned.upper_bound(g.tokens.size()), banned.end());
      banned[g.tokens.size()].insert(first);
      ++g.rollbacks;
      continue;
    }
    // Tokens are settled once no phrase may have begun in them.
    const size_t open = slow_open(c.phrases, text);
    for (size_t end = model.text({g.tokens.begin(), g.tokens.begin() + long(settled)}).size();
         settled < g.tokens.size(); ++settled) {
      end += model.texts[size_t(g.tokens[settled])].size();
      if (end > text.size() - open) break;
    }
    if (auto ending = slow_ending(c, text, before, false)) {
      g.ending = std::move(*ending);
      return g;
    }
  }
  g.ending = *slow_ending(c, text, 0, true);
  return g;
}

Generated generate(const Model& model, const Conditions& c) {
  Generated g;
  g.ending.reason = "none";
  Result<StopEngine> engine = make(c.params());
  StopOutcome outcome;
  while (g.tokens.size() < kMostTokens) {
    const auto banned = engine->banned_tokens();
    const auto token = model.choose(g.tokens, {banned.begin(), banned.end()});
    if (!token) break;
    outcome = engine->add({.id = *token, .bytes = model.texts[size_t(*token)]});
    EXPECT_LE(outcome.take_back, int64_t(g.tokens.size()));
    g.tokens.resize(g.tokens.size() - size_t(outcome.take_back));
    if (outcome.keep_token) g.tokens.push_back(*token);
    EXPECT_EQ(engine->tokens(), int64_t(g.tokens.size()));
    g.ending.shown += outcome.text;
    // What was shown is always a beginning of the text that there is.
    const std::string text = model.text(g.tokens);
    if (utf8_valid(text)) { EXPECT_TRUE(text.starts_with(g.ending.shown)); }
    if (outcome.action == Action::end) break;
  }
  g.rollbacks = engine->rollbacks();
  if (outcome.action != Action::end) {
    outcome = engine->flush();
    g.ending.shown += outcome.text;
  }
  if (outcome.action == Action::end) g.ending.reason = stop_reason_name(outcome.reason);
  return g;
}

TEST(StopEngineRandom, BannedPhrasesTogetherWithAllOthers) {
  Random random(12);
  const int rounds = test_count(2500);
  int64_t rollbacks = 0, several = 0;
  std::map<std::string, int> reasons;
  for (int round = 0; round < rounds; ++round) {
    const std::string letters = std::vector<std::string>{"abc \n", "ab", "\xe2\x82\xac\xff a"}[size_t(round % 3)];
    Model model{.seed = random.next()};
    std::set<std::string> texts;
    for (int64_t n = 4 + random.below(8); n > 0; --n) texts.insert(word(random, letters, 1 + random.below(4)));
    model.texts.assign(texts.begin(), texts.end());
    Conditions c = random_conditions(random, letters);
    if (random.below(2) == 0) c.stop.clear();
    if (random.below(3) != 0) c.triggers.clear();
    if (random.below(2) == 0) c.indent = 0;
    for (int64_t n = 1 + random.below(3); n > 0; --n) c.phrases.push_back(word(random, letters, 2 + random.below(5)));
    const Generated expected = slow_generate(model, c), got = generate(model, c);
    ASSERT_EQ(got.tokens, expected.tokens) << "round " << round;
    ASSERT_EQ(got.ending, expected.ending) << "round " << round;
    ASSERT_EQ(got.rollbacks, expected.rollbacks) << "round " << round;
    for (const std::string& phrase : c.phrases) ASSERT_EQ(got.ending.shown.find(phrase), std::string::npos);
    rollbacks += got.rollbacks;
    several += got.rollbacks > 3;
    ++reasons[got.ending.reason];
  }
  std::printf("%ld phrases taken back, more than 3 in %ld of %d texts\n", long(rollbacks), long(several), rounds);
  EXPECT_GT(rollbacks, rounds);
  EXPECT_EQ(reasons.size(), 4u);
}

// A phrase of many tokens, half of them without text, taken back in the middle of long text: the detectors go back, too.
TEST(StopEngineRandom, DetectorsGoBackWithTheTokens) {
  StopParams params;
  params.max_tokens = -1;
  params.repetition_detection = 0.5;
  params.banned_phrases = {"abcdefgh"};
  Result<StopEngine> winding = make(params), straight = make(params);
  Random random(13);
  for (int round = 0; round < 200; ++round) {
    if (round < 100 && random.below(3) == 0) {
      // Half the phrase and back: eight times the same token would count as a loop.
      const std::string phrase = "abcdefgh";
      for (size_t i = 0; i < phrase.size(); ++i) {
        if (i > 0) winding->add({.id = 7});
        const StopOutcome outcome = winding->add({.id = 7, .bytes = std::string_view(phrase).substr(i, 1)});
        ASSERT_EQ(outcome.action, i + 1 < phrase.size() ? Action::go_on : Action::take_back);
        if (outcome.action == Action::take_back) { EXPECT_EQ(outcome.take_back, 14); }
      }
    }
    const int32_t id = int32_t(round < 100 ? random.below(900) : round % 3);
    const StopOutcome a = straight->add({.id = id, .bytes = "x"}), b = winding->add({.id = id, .bytes = "x"});
    ASSERT_EQ(a.action, b.action);
    ASSERT_EQ(a.condition, b.condition);
    ASSERT_EQ(a.text, b.text);
    if (a.action == Action::end) {
      EXPECT_GT(round, 100);
      return;
    }
  }
  FAIL() << "the loop was not seen";
}

TEST(StopEngineRandom, LongTextsWithEverythingOn) {
  StopParams params;
  params.max_tokens = -1;
  params.stop = {std::string(1000, 'a') + "b"};
  params.banned_phrases = {std::string(900, 'a') + "c"};
  params.pattern_conditions = {{"(a|b)*c"}, {"\\ba+$"}, {"[^z]*z", PatternCondition::Match::full}};
  params.indent = 4;
  params.coherence_break = 0.7;
  params.completion_detection = 0.9;
  params.context_aware = true;
  Result<StopEngine> engine = make(params);
  ASSERT_TRUE(engine);
  uint64_t shown = 0;
  const int tokens = test_count(30000);
  for (int i = 0; i < tokens; ++i) {
    const StopOutcome outcome = engine->add({.id = i % 1000, .bytes = "aaaa", .entropy = 1});
    ASSERT_EQ(outcome.action, Action::go_on);
    shown += outcome.text.size();
  }
  EXPECT_GE(shown, uint64_t(tokens) * 4 - 2000);
  const StopOutcome back = engine->add({.id = 1, .bytes = "c"});
  ASSERT_EQ(back.action, Action::take_back);
  EXPECT_EQ(back.take_back, 225);
  EXPECT_LE(shown, uint64_t(engine->tokens()) * 4);
}

}  // namespace
}  // namespace linnet
