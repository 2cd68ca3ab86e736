// The measures that end a generation against their definitions, computed anew from the whole text at every token.
#include <algorithm>
#include <cmath>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "sampling/coherence_detector.h"
#include "sampling/completion_detector.h"
#include "sampling/indentation.h"
#include "sampling/loop_detector.h"
#include "sampling/prompt_overlap.h"
#include "sampling/turn_markers.h"
#include "tests/support.h"

namespace linnet {
namespace {

double slow_repetition(const std::vector<int32_t>& t) {
  const auto n = int64_t(t.size());
  if (n < 64) return 0;
  int repeated = 0;
  for (int64_t i = n - 64; i < n; ++i) {
    bool found = false;
    for (int64_t j = std::max<int64_t>(3, i - 256); j < i && i >= 3; ++j) {
      found |= std::equal(t.begin() + i - 3, t.begin() + i + 1, t.begin() + j - 3);
    }
    repeated += found;
  }
  return repeated / 64.0;
}

int64_t slow_rounds(const std::vector<int32_t>& t) {
  int64_t most = 1;
  for (size_t p = 1; p <= 128; ++p) {
    int64_t run = 0;
    for (size_t i = t.size(); i-- > p && t[i] == t[i - p];) ++run;
    if (run >= 16) most = std::max(most, 1 + run / int64_t(p));
  }
  return most;
}

TEST(LoopDetector, EqualsItsDefinition) {
  Random random(1);
  double highest = 0, lowest_late = 1;
  for (int round = 0; round < test_count(20); ++round) {
    // Stretches of noise and of loops whose period, alphabet and noise change.
    LoopDetector detector;
    std::vector<int32_t> tokens;
    while (tokens.size() < 900) {
      const int64_t period = 1 + random.below(300), alphabet = 2 + random.below(1000), length = random.below(400);
      const double noise = random.below(3) == 0 ? 1 : random.uniform() * 0.2;
      for (int64_t i = 0; i < length; ++i) {
        const bool copy = int64_t(tokens.size()) >= period && random.uniform() >= noise;
        tokens.push_back(copy ? tokens[tokens.size() - size_t(period)] : int32_t(random.below(alphabet)));
        detector.add(tokens.back());
        ASSERT_EQ(detector.repetition(), slow_repetition(tokens)) << "at " << tokens.size();
        ASSERT_EQ(detector.rounds(), slow_rounds(tokens)) << "at " << tokens.size();
        highest = std::max(highest, detector.repetition());
        if (tokens.size() >= 64) lowest_late = std::min(lowest_late, detector.repetition());
      }
    }
  }
  EXPECT_EQ(highest, 1);
  EXPECT_LT(lowest_late, 0.1);
}

TEST(LoopDetector, TellsLoopsFromLists) {
  LoopDetector loop, numbers;
  for (int32_t i = 0; i < 200; ++i) {
    loop.add(i % 7);
    numbers.add(i % 3 == 0 ? 1000 + i : i % 3);  // "item 1000, item 1003, ...": nothing four tokens long is said twice
    if (i < 63) { EXPECT_EQ(loop.repetition(), 0); }
  }
  EXPECT_EQ(loop.repetition(), 1);
  EXPECT_EQ(loop.rounds(), 1 + 193 / 7);
  EXPECT_EQ(numbers.repetition(), 0);
  EXPECT_EQ(numbers.rounds(), 1);
  LoopDetector dashes;
  for (int i = 0; i < 16; ++i) dashes.add(5);
  EXPECT_EQ(dashes.rounds(), 1);
  dashes.add(5);
  EXPECT_EQ(dashes.rounds(), 17);
}

TEST(PromptOverlap, EqualsItsDefinition) {
  Random random(2);
  for (int round = 0; round < test_count(20); ++round) {
    std::vector<int32_t> prompt, tokens;
    for (int64_t n = random.below(300); n > 0; --n) prompt.push_back(int32_t(random.below(50)));
    std::set<std::vector<int32_t>> grams;
    for (size_t i = 8; i <= prompt.size(); ++i) grams.insert({prompt.begin() + long(i) - 8, prompt.begin() + long(i)});
    PromptOverlap overlap(prompt);
    std::vector<bool> common;
    size_t from = 0;
    for (int i = 0; i < 400; ++i) {
      if (random.below(60) == 0) from = prompt.empty() ? 0 : size_t(random.below(int64_t(prompt.size())));
      tokens.push_back(from < prompt.size() && i % 200 > 50 ? prompt[from++] : int32_t(random.below(50)));
      overlap.add(tokens.back());
      common.push_back(tokens.size() >= 8 && grams.count({tokens.end() - 8, tokens.end()}) > 0);
      double expected = 0;
      if (tokens.size() >= 64) expected = double(std::count(common.end() - 64, common.end(), true)) / 64;
      ASSERT_EQ(overlap.overlap(), expected);
    }
  }
}

TEST(PromptOverlap, OneForACopy) {
  std::vector<int32_t> prompt;
  for (int32_t i = 0; i < 100; ++i) prompt.push_back(i);
  PromptOverlap overlap(prompt);
  for (int32_t i = 10; i < 10 + 71; ++i) overlap.add(i);
  EXPECT_EQ(overlap.overlap(), 1);
}

TEST(CoherenceDetector, EqualsItsDefinition) {
  Random random(3);
  const double largest = std::log(32000.0);
  double highest = 0;
  for (int round = 0; round < test_count(50); ++round) {
    CoherenceDetector detector(32000);
    std::vector<double> values;
    double level = random.uniform() * 0.3;
    for (int i = 0; i < 300; ++i) {
      if (random.below(100) == 0) level = random.uniform();
      const double entropy = level * largest * (0.5 + random.uniform());
      detector.add(entropy);
      detector.add(std::numeric_limits<double>::quiet_NaN());  // left out
      detector.add(-1);
      values.push_back(std::min(entropy / largest, 1.0));
      double expected = 0;
      if (values.size() >= 64) {
        double f = 0, b = 0;
        for (size_t k = 0; k < values.size(); ++k) (k + 32 < values.size() ? b : f) += values[k];
        f /= 32;
        b = std::max(b / double(values.size() - 32), 0.1);
        expected = std::max(0.0, 1 - b / f);
      }
      ASSERT_LE(std::abs(detector.incoherence() - expected), 1e-6);
      highest = std::max(highest, detector.incoherence());
    }
  }
  EXPECT_GT(highest, 0.7);
}

TEST(CoherenceDetector, ScaleFree) {
  // Three and a half times the text's own level is 0.714, whatever the vocabulary; certain texts do not alarm.
  for (const int32_t vocabulary : {256, 151936}) {
    const double largest = std::log(double(vocabulary));
    CoherenceDetector breaks(vocabulary), certain(vocabulary);
    for (int i = 0; i < 100; ++i) {
      breaks.add(0.2 * largest);
      certain.add(0.001 * largest);
    }
    EXPECT_NEAR(breaks.incoherence(), 0, 1e-12);
    for (int i = 0; i < 32; ++i) {
      breaks.add(0.7 * largest);
      certain.add(0.05 * largest);
    }
    EXPECT_NEAR(breaks.incoherence(), 1 - 0.2 / 0.7, 1e-6);
    EXPECT_EQ(certain.incoherence(), 0);
  }
}

// Whether a sentence or line is over, on code points.
bool slow_place(std::u32string_view text) {
  const std::u32string_view ends = U".!?\n。！？…", behind = U" \t\r\"')]*`’”」）";
  while (!text.empty() && behind.find(text.back()) != behind.npos) text.remove_suffix(1);
  return !text.empty() && ends.find(text.back()) != ends.npos;
}

TEST(CompletionDetector, EqualsItsDefinition) {
  const std::vector<std::pair<std::string, char32_t>> letters = {
      {"a", U'a'}, {" ", U' '}, {".", U'.'},          {"\n", U'\n'}, {"\"", U'"'},
      {"…", U'…'}, {"”", U'”'}, {"。", U'。'},        {"é", U'é'},   {"）", U'）'},
      {"!", U'!'}, {"€", U'€'}, {"😀", U'\U0001F600'}, {"*", U'*'},   {"“", U'“'}};
  Random random(4);
  int places_seen = 0;
  for (int round = 0; round < test_count(200); ++round) {
    CompletionDetector detector;
    std::u32string text;
    std::vector<double> places;
    for (int tokens = 0; tokens < 60; ++tokens) {
      const double e = random.below(4) == 0 ? random.uniform() : random.uniform() * 0.01;
      const bool place = detector.look(e);
      ASSERT_EQ(place, slow_place(text)) << "token " << tokens;
      if (place) places.push_back(e);
      double goes_on = 1;
      for (size_t i = places.size() > 8 ? places.size() - 8 : 0; i < places.size(); ++i) goes_on *= 1 - places[i];
      ASSERT_LE(std::abs(detector.completion() - (tokens >= 16 ? 1 - goes_on : 0)), 1e-12);
      std::string bytes;
      for (int64_t n = random.below(4); n > 0; --n) {
        const auto& [utf8, code] = letters[size_t(random.below(int64_t(letters.size())))];
        bytes += utf8;
        text += code;
      }
      detector.add(bytes);
      places_seen += place;
    }
    EXPECT_FALSE(detector.look(std::numeric_limits<double>::quiet_NaN()));
    EXPECT_FALSE(detector.look(1.5));
  }
  EXPECT_GT(places_seen, 100);
}

struct IndentCase {
  int32_t least;
  const char* text;
  int end;  // -1: goes on
};

TEST(Indentation, EndsBeforeTheLine) {
  const std::vector<IndentCase> cases = {
      {4, "x = 1\n    y\n  z", 12},
      {4, "x = 1\n    y\n    z\n", -1},
      {4, "x\n\n\n    y\n\n", -1},
      {4, "x\n   \n    y\n}", 12},
      {1, "a\nb", 2},
      {2, "a\n\tb", 2},
      {2, "a\n\t\tb\n", -1},
      {4, "x\r\n\r\n    y\r\nz", 12},
      {-1, "a\n  b\n    c\n  d\n e", 16},
      {-1, "a\nb\nc\n", -1},
      {4, "return x", -1},
      {4, "    a\n", -1},
  };
  for (const IndentCase& c : cases) {
    const std::string_view text = c.text;
    for (size_t bytes = 1; bytes < 20; ++bytes) {
      Indentation indentation(c.least);
      int end = -1;
      for (size_t at = 0; at < text.size() && end < 0; at += bytes) {
        if (const auto found = indentation.push(text.substr(at, bytes))) end = int(*found);
      }
      EXPECT_EQ(end, c.end) << c.text;
    }
  }
}

TEST(TurnMarkers, OfTranscriptsOnly) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(turn_markers("User: Hello\nAssistant: Hi\nUser: more\nAssistant:"), (Names{"Assistant:", "User:"}));
  EXPECT_EQ(turn_markers("A chat.\n\nUser: Hello\nAssistant: \n"), (Names{"Assistant:", "User:"}));
  EXPECT_EQ(turn_markers("### Instruction: say\n### Response:"), (Names{"### Response:", "### Instruction:"}));
  EXPECT_EQ(turn_markers("User: Hello\nAssistant: Hi"), Names{});  // the last line is no beginning
  EXPECT_EQ(turn_markers("Write a list:"), Names{});
  EXPECT_EQ(turn_markers("one two three four: x\nb:"), Names{});
  EXPECT_EQ(turn_markers(""), Names{});
  EXPECT_EQ(turn_markers("\n\n:\n a:\n"), Names{});
  std::string many;
  for (int i = 0; i < 100; ++i) many += "n" + std::to_string(i) + ": x\n";
  EXPECT_EQ(turn_markers(many + "last:").size(), 16u);
}

}  // namespace
}  // namespace linnet
