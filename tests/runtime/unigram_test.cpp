#include "runtime/unigram.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "gguf/base/utf8.h"
#include "tests/runtime/charsmap_writer.h"
#include "tests/runtime/loaded_tokenizer.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr const char* kCharsmap = "tokenizer.ggml.precompiled_charsmap";
constexpr const char* kPrefix = "tokenizer.ggml.add_space_prefix";
constexpr const char* kMerge = "tokenizer.ggml.remove_extra_whitespaces";

std::string words(const Tokenizer& t, std::string_view text, EncodeOptions options = {}) {
  return pieces(t, encode(t, text, options));
}

TEST(Unigram, BestScore) {
  const Loaded t(sample_unigram());
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_EQ(words(*t, "hello world"), "▁hello ▁world");
  EXPECT_EQ(words(*t, "hell"), "▁he ll");
  EXPECT_EQ(words(*t, "ab"), "▁ab");     // -6; ▁a b is -8.5
  EXPECT_EQ(words(*t, "aba"), "▁ab a");  // -10; ▁a ba -10.5, ▁ aba -11
  EXPECT_EQ(words(*t, "日本日"), "▁ 日本 日");
  EXPECT_EQ(words(*t, ""), "");
}

TEST(Unigram, UnknownCharacters) {
  VocabularyFile file = sample_unigram();
  const Loaded t(file);
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_EQ(words(*t, "axyza"), "▁a <unk> a");
  EXPECT_EQ(words(*t, "xx xx"), "▁ <unk> ▁ <unk>");
  EXPECT_EQ(words(*t, "a\xff\xe6x"), "▁a <unk>");
  for (int b = 0; b < 256; ++b) {
    char text[8];
    snprintf(text, sizeof text, "<0x%02X>", b);
    file.add(text, 6);
  }
  file.finish();
  const Loaded bytes(file);
  ASSERT_TRUE(bytes.tokenizer) << bytes.error;
  EXPECT_EQ(words(*bytes, "aéa"), "▁a <0xC3> <0xA9> a");
  EXPECT_EQ(bytes->decode(encode(*bytes, "aéa ab")), "aéa ab");
}

TEST(Unigram, Spaces) {
  struct Case {
    bool prefix, merge;
    const char *text, *expected;
  };
  const Case cases[] = {
      {true, true, "  a   b  ", "▁a ▁ b"},  {true, true, "a b", "▁a ▁ b"}, {true, true, "   ", ""},
      {false, true, "  a   ab  ", "a ▁ab"}, {false, true, "a", "a"},       {true, false, "a", "▁a"},
      {true, false, " a", "▁ ▁a"},          {true, false, "a  ", "▁a ▁▁"}, {false, false, "  a", "▁ ▁a"},
      {false, false, "a b", "a ▁ b"},       {true, false, "  ", "▁ ▁▁"},   {false, false, "a▁a", "a ▁a"},
  };
  for (const Case& c : cases) {
    VocabularyFile file = sample_unigram();
    file.set(kPrefix, c.prefix);
    file.set(kMerge, c.merge);
    const Loaded t(file);
    ASSERT_TRUE(t.tokenizer) << t.error;
    EXPECT_EQ(words(*t, c.text), c.expected) << c.prefix << c.merge << quoted(c.text);
  }
  VocabularyFile file = sample_unigram();
  file.remove(kPrefix);
  file.remove(kMerge);
  const Loaded t(file);
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_EQ(words(*t, "  a"), "▁ ▁a") << "both are off where the file says nothing";
}

TEST(Unigram, SpecialTokensAndDecoding) {
  const Loaded t(sample_unigram());
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_FALSE(t->add_bos());
  EXPECT_TRUE(t->add_eos());
  EXPECT_EQ(words(*t, "a", {.eos = true}), "▁a </s>");
  EXPECT_EQ(words(*t, "a<tool>b</s>", {.special = true}), "▁a <tool> ▁ b </s>");
  EXPECT_EQ(t->decode(encode(*t, "hello  world")), "hello world");
  EXPECT_EQ(t->decode(encode(*t, "hello<tool>world")), "hello<tool>world");
}

// The definition: the best of all ways to write a word.
double best_score(const Vocabulary& v, const std::string& word, double unknown) {
  double best = -std::numeric_limits<double>::infinity();
  const std::function<void(size_t, double)> go = [&](size_t at, double score) {
    if (at == word.size()) {
      best = std::max(best, score);
      return;
    }
    const size_t character = utf8_decode(word, at).bytes;
    for (size_t end = at + 1; end <= word.size(); ++end) {
      const int32_t id = v.find(word.substr(at, end - at));
      if (id >= 0 && v.textual(id)) go(end, score + double(v.score(id)));
    }
    if (const int32_t id = v.find(word.substr(at, character)); id < 0) go(at + character, score + unknown);
  };
  go(0, 0);
  return best;
}

TEST(Unigram, AgreesWithTheDefinition) {
  const Loaded t(sample_unigram());
  ASSERT_TRUE(t.tokenizer) << t.error;
  auto v = Vocabulary::load(*t.gguf);
  ASSERT_TRUE(v);
  const double unknown = -20;  // 10 below the lowest
  Random random(6);
  const int n = test_count(5000);
  for (int i = 0; i < n; ++i) {
    std::string word(kSpmSpace);
    for (int64_t k = 1 + random.below(8); k > 0; --k) {
      const char* parts[] = {"a", "b", "h", "e", "l", "o", "日", "本", "w", "r", "d", "x", "é"};
      word += parts[random.below(std::ssize(parts))];
    }
    const Ids ids = encode(*t, std::string_view(word).substr(kSpmSpace.size()));
    double score = 0;
    std::string written;
    for (const int32_t id : ids) written += id == 2 ? "" : t->piece(id);
    std::string known;  // the word without characters that have no token
    for (size_t at = 0; at < word.size();) {
      const size_t bytes = utf8_decode(word, at).bytes;
      const std::string c = word.substr(at, bytes);
      // "本" has no token of its own: it is written where it follows "日".
      const bool in_pair = c == "本" && at >= 3 && word.substr(at - 3, 3) == "日";
      if (v->find(c) >= 0 || in_pair) known += c;
      if (v->find(c) < 0 && !in_pair) score += unknown;
      at += bytes;
    }
    for (const int32_t id : ids) score += id == 2 ? 0 : double(v->score(id));
    ASSERT_EQ(written, known) << word;
    ASSERT_NEAR(score, best_score(*v, word, unknown), 1e-9) << word << ": " << pieces(*t, ids);
  }
  printf("%d words\n", n);
}

std::map<std::string, std::string> sample_rows() {
  return {{"A", "a"}, {"B", "b"}, {"\t", " "},  {"\n", " "}, {"\u3000", " "},    {"ﬁ", "fi"}, {"e\u0301", "e"},
          {"é", "e"}, {"①", "1"}, {"\x01", ""}, {"ａ", "a"}, {"ab\u0301", "ba"}, {"…", "..."}};
}

VocabularyFile with_charsmap(const std::vector<uint8_t>& bytes) {
  VocabularyFile file = sample_unigram();
  file.set(kCharsmap, bytes);
  return file;
}

TEST(Charsmap, ReplacesTheLongestSequence) {
  const std::map<std::string, std::string> rows = sample_rows();
  const std::vector<uint8_t> bytes = CharsmapWriter(rows).bytes();
  const auto map = Charsmap::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "map");
  ASSERT_TRUE(map) << map.error().message;
  Random random(8);
  int matches = 0;
  for (int i = 0; i < test_count(5000); ++i) {
    std::string text;
    for (int64_t k = 1 + random.below(6); k > 0; --k) {
      const char* parts[] = {"A", "a", "b", "e", "\u0301", "é", "ﬁ", "\t", "①", "\x01", "…", "\xe2", "ab", "x"};
      text += parts[random.below(std::ssize(parts))];
    }
    for (size_t at = 0; at < text.size(); ++at) {
      size_t longest = 0;
      std::string replacement;
      for (const auto& [sequence, r] : rows) {
        if (sequence.size() > longest && text.compare(at, sequence.size(), sequence) == 0) {
          longest = sequence.size();
          replacement = r;
        }
      }
      const Charsmap::Match match = map->longest(text, at);
      ASSERT_EQ(match.bytes, longest) << quoted(text) << at;
      ASSERT_EQ(match.replacement, replacement);
      matches += longest > 0;
    }
  }
  printf("%d matches\n", matches);
}

TEST(Charsmap, NormalizesTexts) {
  const Loaded t(with_charsmap(CharsmapWriter(sample_rows()).bytes()));
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_EQ(words(*t, "AB\tHe"), "▁ab ▁ <unk> e");
  EXPECT_EQ(words(*t, "he\u3000\n a①\x01"), "▁he ▁a 1");
  EXPECT_EQ(words(*t, "hé he\u0301 ａ"), "▁he ▁he ▁a");
  EXPECT_EQ(words(*t, "\x01"), "");
  VocabularyFile empty = with_charsmap({});
  const Loaded none(empty);
  ASSERT_TRUE(none.tokenizer) << none.error;
  EXPECT_EQ(words(*none, "A"), "▁ <unk>");
}

TEST(Charsmap, DamagedOnesAreRefused) {
  const CharsmapWriter good(sample_rows());
  const auto refused = [](const std::vector<uint8_t>& bytes, const char* part) {
    const auto map = Charsmap::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, kCharsmap);
    ASSERT_FALSE(map) << part;
    EXPECT_EQ(map.error().code, Code::gguf_vocabulary);
    EXPECT_NE(map.error().message.find(part), std::string::npos) << map.error().message;
    EXPECT_NE(map.error().message.find(kCharsmap), std::string::npos) << map.error().message;
  };
  refused({1, 0}, "2 bytes");
  std::vector<uint8_t> bytes = good.bytes();
  bytes[3] = 0xff;
  refused(bytes, "its trie has");
  bytes = good.bytes();
  bytes[0] += 1;
  refused(bytes, "multiple of 4");
  bytes = good.bytes();
  bytes.back() = 'x';
  refused(bytes, "NUL");
  bytes = good.bytes();
  bytes.resize(4 + good.units.size() * 4);
  refused(bytes, "replacement");
  CharsmapWriter far = good;
  for (uint32_t& unit : far.units) {
    if (unit & 0x80000000) unit |= 0x7fff0000;
  }
  refused(far.bytes(), "begins at byte");
  CharsmapWriter cycle(CharsmapWriter::Rows{{"aa", "b"}});
  // The node of "a" is its own child.
  const uint32_t root = cycle.units[0] >> 10;
  cycle.units[root ^ 'a'] = 'a' | (root ^ (root ^ 'a')) << 10;
  refused(cycle.bytes(), "is no trie");
  refused(CharsmapWriter(CharsmapWriter::Rows{{std::string(80, 'a'), "b"}}).bytes(), "is no trie");
  refused(CharsmapWriter(CharsmapWriter::Rows{{"a", std::string(100, 'b')}}).bytes(), "replaced by more than 16");

  VocabularyFile file = sample_unigram();
  file.set(kCharsmap, "abc");
  const Loaded text(file);
  EXPECT_EQ(text.code, Code::gguf_vocabulary);
  EXPECT_NE(text.error.find(kCharsmap), std::string::npos) << text.error;
}

// As published tables do.
TEST(Charsmap, SequencesMayShareTheirEnds) {
  CharsmapWriter writer(CharsmapWriter::Rows{{"ab", "x"}, {"abc", "y"}, {"cb", "x"}});
  const uint32_t root = writer.units[0] >> 10;
  const uint32_t ends = (root ^ 'a') ^ (writer.units[root ^ 'a'] >> 10);  // after "a"
  writer.units[root ^ 'c'] = 'c' | ((root ^ 'c') ^ ends) << 10;
  const std::vector<uint8_t> bytes = writer.bytes();
  const auto map = Charsmap::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, kCharsmap);
  ASSERT_TRUE(map) << map.error().message;
  EXPECT_EQ(map->longest("abd", 0).replacement, "x");
  EXPECT_EQ(map->longest("cbd", 0).replacement, "x");
  EXPECT_EQ(map->longest("cbc", 0).replacement, "y");
  EXPECT_EQ(map->longest("cbc", 0).bytes, 3u);
}

// Many paths to few nodes: what is shared is walked once.
TEST(Charsmap, SharingCannotMakeTheCheckLong) {
  CharsmapWriter writer(CharsmapWriter::Rows{{std::string(60, 'a'), "x"}});
  uint32_t base = writer.units[0] >> 10;
  for (int depth = 0; depth < 58; ++depth) {
    const uint32_t next = (base ^ 'a') ^ (writer.units[base ^ 'a'] >> 10);
    for (const uint32_t c : {'b', 'c', 'd'}) {
      const uint32_t index = base ^ c;
      if (index >= writer.units.size()) writer.units.resize(index + 1);
      if (writer.units[index] == 0) writer.units[index] = c | (index ^ next) << 10;
    }
    base = next;
  }
  const std::vector<uint8_t> bytes = writer.bytes();
  const auto map = Charsmap::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, kCharsmap);
  ASSERT_TRUE(map) << map.error().message;  // after at least 2^58 paths it would not end
  EXPECT_EQ(map->longest(std::string(60, 'a'), 0).bytes, 60u);
}

TEST(Charsmap, GarbageIsRefusedOrUsable) {
  const std::vector<uint8_t> good = CharsmapWriter(sample_rows()).bytes();
  Random random(10);
  int usable = 0, refused = 0;
  for (int i = 0; i < test_count(20000); ++i) {
    std::vector<uint8_t> bytes = good;
    for (int64_t n = 1 + random.below(6); n > 0; --n) {
      bytes[size_t(random.below(std::ssize(bytes)))] = uint8_t(random.below(256));
    }
    if (random.below(4) == 0) bytes.resize(size_t(random.below(std::ssize(bytes))));
    const auto map = Charsmap::parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, kCharsmap);
    if (!map) {
      ++refused;
      continue;
    }
    ++usable;
    std::string text;
    for (int k = 0; k < 200; ++k) text += char(random.below(256));
    for (size_t at = 0; at < text.size(); ++at) {
      const Charsmap::Match match = map->longest(text, at);
      ASSERT_LE(match.bytes, std::min(Charsmap::kMaxSequence, text.size() - at));
      ASSERT_LE(match.replacement.size(), Charsmap::kMaxGrowth * match.bytes);
    }
  }
  EXPECT_GT(usable, 0);
  EXPECT_GT(refused, 0);
  printf("%d damaged tables: %d usable, %d refused\n", usable + refused, usable, refused);
}

TEST(Unigram, NoTextIsQuadratic) {
  VocabularyFile file = with_charsmap(CharsmapWriter(sample_rows()).bytes());
  file.add(std::string(kMaxTokenBytes, 'a'), 1, -5);  // a very long token costs what it is long
  file.finish();
  const Loaded long_token(file);
  const Loaded plain(sample_unigram());
  ASSERT_TRUE(long_token.tokenizer && plain.tokenizer) << long_token.error << plain.error;
  for (const Loaded* loaded : {&plain, &long_token}) {
    const size_t n = size_t(test_count(10)) * (loaded == &plain ? 10000 : 1000);
    auto v = Vocabulary::load(*loaded->gguf);
    ASSERT_TRUE(v);
    auto model = Unigram::load(*loaded->gguf, *v, 2);
    ASSERT_TRUE(model);
    double worst = 0;
    for (const char* unit : {"a", " ", "x", "日", "😀", "\xff", "hello ", "▁"}) {
      std::string text;
      while (text.size() < n) text += unit;
      Ids out;
      const uint64_t steps = model->encode(text, out);
      EXPECT_LE(steps, 3 * (v->longest() + 2) * text.size()) << unit;
      worst = std::max(worst, double(steps) / double(text.size()));
    }
    printf("longest token %zu bytes: at most %.1f steps per byte\n", v->longest(), worst);
  }
}

}  // namespace
}  // namespace linnet
