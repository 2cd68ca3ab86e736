// The lab from outside: runs are recorded and sampled again. Uses the embedded model.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "gguf/base/hash.h"
#include "gguf/base/json.h"
#include "tests/tools/command_line.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

constexpr size_t kHeader = 56;
// Where the numbers of the header are (tools/recording.cpp).
constexpr size_t kVersionAt = 8, kVocabularyAt = 12, kPromptAt = 16, kTokensAt = 20, kOptionsAt = 24, kZeroAt = 28,
                 kHashAt = 48;

std::string demo_model() { return LINNET_SOURCE_DIR "/tools/demo-model/demo.gguf"; }

std::string scratch(const std::string& name) {
  return (fs::temp_directory_path() / fmt::format("linnet-lab-{}-{}", ::getpid(), name)).string();
}

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void write_all(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

Json json_of(const Outcome& outcome) {
  auto json = parse_json(outcome.out);
  EXPECT_TRUE(json) << outcome.out.substr(0, 300) << outcome.err;
  return json ? *json : Json();
}

const Json& at(const Json& json, const char* key) {
  static const Json none;
  const Json* value = json.find(key);
  EXPECT_TRUE(value) << key;
  return value ? *value : none;
}

double number(const Json& json, const char* key) {
  const Json& value = at(json, key);
  EXPECT_TRUE(value.is_number()) << key;
  return value.is_number() ? *value.number() : NAN;
}

uint32_t u32(const std::string& bytes, size_t offset) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <class T>
void put(std::string& bytes, size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

// The checksum of what the bytes are now.
void seal(std::string& bytes) {
  const size_t end = bytes.size() - 8;
  put(bytes, end, xxh64(std::as_bytes(std::span(bytes.data(), end))));
}

// Tags match and attributes are quoted, as far as our own pages go.
std::string xml_problem(std::string_view text) {
  std::vector<std::string> open;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&') {
      const size_t end = text.find(';', i);
      if (end == text.npos || end - i > 7) return fmt::format("a bare & at {}", i);
    }
    if (text[i] == '>') return fmt::format("a bare > at {}", i);
    if (static_cast<unsigned char>(text[i]) < 32 && text[i] != '\n') return fmt::format("a control character at {}", i);
    if (text[i] != '<') continue;
    const size_t end = text.find('>', i);
    if (end == text.npos) return "an open tag";
    const std::string_view tag = text.substr(i + 1, end - i - 1);
    i = end;
    if (tag.starts_with('!')) continue;
    if (tag.find('<') != tag.npos || std::count(tag.begin(), tag.end(), '"') % 2) return std::string(tag);
    const std::string name(tag.substr(0, tag.find_first_of(" /", 1)));
    if (tag.starts_with('/')) {
      if (open.empty() || "/" + open.back() != name) return "unexpected " + name;
      open.pop_back();
    } else if (!tag.ends_with('/')) {
      open.push_back(name);
    }
  }
  return open.empty() ? "" : "not closed: " + open.back();
}

class Lab : public testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(demo_model())) GTEST_SKIP() << "no embedded model";
  }
  void TearDown() override { fs::remove(file_); }

  Json record(Words options) {
    options.insert(options.begin(), {"record", "-o", file_, "--json"});
    const Outcome outcome = linnet_command(options);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json_of(outcome);
  }
  Outcome sample(Words options) const {
    options.insert(options.begin(), {"sample", "--recording", file_});
    return linnet_command(options);
  }
  // Refused with one sentence that has this in it.
  void refused(const std::string& bytes, const std::string& sentence) {
    write_all(file_, bytes);
    const Outcome outcome = sample({});
    EXPECT_EQ(outcome.code, 1) << sentence;
    EXPECT_EQ(outcome.out, "") << sentence;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_NE(outcome.err.find(sentence), std::string::npos) << outcome.err << "expected: " << sentence;
  }

  const std::string file_ = scratch("run.rec");
};

TEST_F(Lab, TheRecordedChainPicksTheRecordedTokens) {
  const Words story = {"-p", "Tell me a story about a fox.", "-n", "40", "--seed", "5"};
  const std::vector<Words> settings = {
      {},
      {"--temp", "0"},
      {"--temp", "1.4", "--dry-multiplier", "0.8", "--xtc-probability", "0.5", "--xtc-threshold", "0.05"},
      {"--mirostat", "2", "--penalty-last-n", "-1"},
      {"--adaptive-target", "0.3", "--dynatemp-range", "0.5"},
      {"--regex", "[A-Z][a-z ,.]{10,200}", "--logit-bias", "[[5, 1.5]]"},
      {"--chain", R"([{"type":"min_p","min_p":0.02},{"type":"temperature","temperature":1.5},{"type":"dist"}])"},
  };
  for (const Words& setting : settings) {
    Words options = story;
    options.insert(options.end(), setting.begin(), setting.end());
    const Json run = record(options);
    const auto tokens = at(run, "tokens").elements();
    const Json trace = json_of(sample({"--json"}));
    const auto positions = at(trace, "positions").elements();
    ASSERT_GT(tokens.size(), 3u);
    ASSERT_EQ(positions.size(), tokens.size());
    EXPECT_TRUE(at(trace, "ended").is_null());
    const auto first = static_cast<int64_t>(number(run, "prompt_tokens"));
    std::string text;
    for (size_t i = 0; i < tokens.size(); ++i) {
      EXPECT_EQ(number(positions[i], "position"), static_cast<double>(first + static_cast<int64_t>(i)));
      EXPECT_EQ(number(positions[i], "token"), *tokens[i].number());
      EXPECT_EQ(number(positions[i], "picked"), *tokens[i].number()) << i;
      text += *at(positions[i], "text").string();
    }
    EXPECT_EQ(text, *at(run, "text").string());
  }
}

// The rows are those of `linnet logits`, to the bit, where the grammar of the file says they are.
TEST_F(Lab, TheLogitsAreTheModels) {
  const Json run = record({"--raw", "-p", "Once upon a time", "-n", "70", "--seed", "2"});
  const std::string bytes = read_all(file_);
  const size_t prompt = u32(bytes, kPromptAt), count = u32(bytes, kTokensAt), vocabulary = u32(bytes, kVocabularyAt);
  const size_t ids = kHeader + u32(bytes, kOptionsAt), logits = ids + 4 * (prompt + count);
  ASSERT_EQ(bytes.size(), logits + 4 * count * vocabulary + 8);
  ASSERT_EQ(count, at(run, "tokens").elements().size());
  std::string list;
  for (size_t i = 0; i < prompt + count; ++i) list += (i ? "," : "") + std::to_string(u32(bytes, ids + 4 * i));
  const std::string out = scratch("logits.bin");
  ASSERT_EQ(linnet_command({"logits", "--tokens", list, "--all", "--kv-type", "f16", "--out", out}).code, 0);
  const std::string rows = read_all(out);
  ASSERT_EQ(rows.size(), 4 * (prompt + count) * vocabulary);
  EXPECT_EQ(std::memcmp(rows.data() + 4 * (prompt - 1) * vocabulary, bytes.data() + logits, 4 * count * vocabulary), 0);
  fs::remove(out);
}

TEST_F(Lab, FlagsWinOverWhatTheRunHad) {
  record({"-p", "Tell me a story about a fox.", "-n", "30", "--seed", "5", "--temp", "1", "--top-k", "7"});
  const Json as_recorded = json_of(sample({"--json"})), changed = json_of(sample({"--json", "--top-k", "1"}));
  const auto step = [](const Json& position, std::string_view name) -> const Json* {
    for (const Json& s : at(position, "steps").elements())
      if (*at(s, "step").string() == name) return &s;
    return nullptr;
  };
  for (const Json& position : at(as_recorded, "positions").elements()) {
    ASSERT_TRUE(step(position, "top_k"));
    EXPECT_EQ(number(*step(position, "top_k"), "kept"), 7);
    EXPECT_FALSE(step(position, "temperature")) << "temp 1 is off";
    double before = number(at(position, "steps").elements()[0], "kept");
    for (const Json& s : at(position, "steps").elements()) {
      EXPECT_LE(number(s, "kept"), before);
      before = number(s, "kept");
      EXPECT_GT(number(s, "mass"), 0);
      EXPECT_LE(number(s, "mass"), 1);
      EXPECT_GE(number(s, "entropy"), 0);
      EXPECT_GT(number(s, "p"), 0);
    }
  }
  for (const Json& position : at(changed, "positions").elements()) {
    EXPECT_EQ(number(*step(position, "top_k"), "kept"), 1);
    EXPECT_NEAR(number(*step(position, "top_k"), "entropy"), 0, 1e-12);
    // The others were removed by it, and are listed with what they had.
    const auto top = at(position, "top").elements();
    ASSERT_GE(top.size(), 10u);
    EXPECT_GT(number(top[0], "p"), 0);
    int64_t stay = 0;
    for (const Json& token : top) {
      const Json& by = at(token, "removed_by");
      stay += by.is_null();
      if (!by.is_null()) {
        EXPECT_EQ(*by.string(), "top_k");
        EXPECT_EQ(number(token, "p_left"), 0);
      }
    }
    EXPECT_EQ(stay, 1);
  }
  // Another seed picks another text somewhere.
  EXPECT_NE(sample({}).out.find("at 30 of 30"), std::string::npos);
  EXPECT_EQ(sample({"--seed", "6"}).out.find("at 30 of 30"), std::string::npos);
  EXPECT_NE(sample({"--seed", "6"}).out.find("(seed 6)"), std::string::npos);

  // A grammar that the recorded text does not keep to says where it was left.
  const Json left = json_of(sample({"--json", "--choice", "yes", "--choice", "no"}));
  EXPECT_TRUE(at(left, "ended").is_string());
  EXPECT_EQ(at(left, "positions").elements().size(), 1u);

  const Outcome late = linnet_command({"sample", "--config", R"({"temp":0.5})", "--recording", file_});
  EXPECT_EQ(late.code, 1);
  EXPECT_NE(late.err.find("--config"), std::string::npos) << late.err;
  EXPECT_EQ(sample({"--config", R"({"temp":0.5})"}).code, 0);
  EXPECT_EQ(sample({"--top", "-1"}).code, 1);
  EXPECT_EQ(sample({"--trace"}).code, 2);
  EXPECT_EQ(linnet_command({"sample", "--svg", "x.svg"}, R"({"logits":[1,2]})").code, 1);
}

TEST_F(Lab, DamagedRecordingsAreRefused) {
  record({"--raw", "-p", "Once upon a time", "-n", "4", "--seed", "2", "--temp", "1"});
  const std::string good = read_all(file_);
  for (const size_t size : {size_t(0), size_t(1), kHeader - 1}) refused(good.substr(0, size), "header");
  for (const size_t size : {kHeader, kHeader + 5, good.size() / 2, good.size() - 1})
    refused(good.substr(0, size), "expected " + std::to_string(good.size()));
  refused(good + "x", "expected " + std::to_string(good.size()));

  const auto with = [&](size_t offset, uint32_t value) {
    std::string bytes = good;
    put(bytes, offset, value);
    seal(bytes);
    return bytes;
  };
  const size_t ids = kHeader + u32(good, kOptionsAt);
  refused(with(0, 0), "LNRECORD");
  refused(with(kVersionAt, 2), "version is 2");
  refused(with(kVocabularyAt, 0), "vocabulary is 0");
  refused(with(kVocabularyAt, 1u << 23), "vocabulary is 8388608");
  refused(with(kPromptAt, 0), "prompt");
  refused(with(kTokensAt, 0), "tokens is 0");
  refused(with(kTokensAt, UINT32_MAX), "expected");
  refused(with(kOptionsAt, u32(good, kOptionsAt) - 1), "multiple of 4");
  refused(with(kOptionsAt, (1u << 20) + 4), "options");
  refused(with(kZeroAt, 7), "reserved");
  refused(with(ids, 1u << 22), "id 4194304");
  refused(with(ids + 4 * u32(good, kPromptAt), uint32_t(-1)), "id -1");
  // NaN: the chain says so.
  refused(with(good.size() - 8 - 4, 0x7fc00000), "logit");

  std::string flipped = good;
  flipped[good.size() / 2] ^= 4;
  refused(flipped, "checksum");
  // A file cannot have libraries loaded, or whatever else is no option of sampling.
  std::string options = good;
  const std::string evil = R"({"sampler_libraries":["x.so"]})";
  const std::string padded = evil + std::string((4 - evil.size() % 4) % 4, ' ');
  options.replace(kHeader, u32(good, kOptionsAt), padded);
  put(options, kOptionsAt, static_cast<uint32_t>(padded.size()));
  seal(options);
  refused(options, "sampler_libraries");

  // Of another vocabulary: without its model only ids are known.
  write_all(file_, with(kHashAt, 12345));
  EXPECT_EQ(sample({demo_model()}).code, 1);
  const Outcome plain = sample({"--json"});
  EXPECT_EQ(plain.code, 0) << plain.err;
  const Json trace = json_of(plain);
  for (const Json& position : at(trace, "positions").elements()) EXPECT_EQ(*at(position, "text").string(), "");
  EXPECT_EQ(sample({"--choice", "yes"}).code, 1);
  EXPECT_EQ(linnet_command({"sample", "--recording", "/nonexistent"}).code, 1);
  EXPECT_EQ(linnet_command({"record", "-p", "x", "-n", "2", "-o", "/nonexistent/x.rec"}).code, 1);
}

TEST_F(Lab, PicturesAreWellFormed) {
  EXPECT_NE(xml_problem("<a><b></a>"), "");
  EXPECT_NE(xml_problem("<a b=\"c>d</a>"), "");
  EXPECT_NE(xml_problem("<a>x & y</a>"), "");
  record({"-p", "Give me JSON with name and age for Alex, who is 25.", "-n", "40", "--seed", "1", "--temp", "1.5",
          "--top-p", "1"});
  const std::string html = scratch("page.html"), svg = scratch("page.svg");
  ASSERT_EQ(sample({"--html", html, "--svg", svg}).code, 0);
  const Json trace = json_of(sample({"--json"}));
  const std::string page = read_all(html), picture = read_all(svg);
  EXPECT_EQ(xml_problem(page), "");
  EXPECT_EQ(xml_problem(picture), "");
  EXPECT_TRUE(picture.starts_with("<svg xmlns="));
  EXPECT_NE(page.find(picture), std::string::npos) << "the page holds the picture";
  // Nothing is loaded from anywhere.
  for (const char* outside : {"src=", "href=", "url(", "<script", "@import"})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  const auto positions = at(trace, "positions").elements();
  ASSERT_FALSE(positions.empty());
  for (const Json& step : at(positions[0], "steps").elements())
    EXPECT_NE(picture.find("<title>" + std::string(*at(step, "step").string()) + "</title>"), std::string::npos);
  for (const Json& position : positions)
    EXPECT_NE(page.find(fmt::format(">{}</text>", number(position, "position"))), std::string::npos);
  EXPECT_NE(page.find("removed by "), std::string::npos);
  EXPECT_EQ(sample({"--html", "/nonexistent/page.html"}).code, 1);
  fs::remove(html);
  fs::remove(svg);
}

// The definitions of mass, entropy and p, on a distribution that can be done by hand: 0.5, 0.3, 0.2.
TEST(SampleTrace, SaysWhatStepsDid) {
  const std::string logits = fmt::format("[{},{},{}]", std::log(0.5), std::log(0.3), std::log(0.2));
  const std::string input =
      fmt::format(R"({{"logits":{},"chain":[{{"type":"top_k","top_k":2}},{{"type":"temperature","temperature":0.5}},)"
                  R"({{"type":"dist"}}],"seed":1}})",
                  logits);
  const Json plain = json_of(linnet_command({"sample", "--json"}, input));
  EXPECT_EQ(plain.members().size(), 2u) << "candidates and token, nothing else unless --trace asks";
  const Json traced = json_of(linnet_command({"sample", "--json", "--trace"}, input));
  EXPECT_EQ(number(traced, "token"), number(plain, "token"));
  const auto steps = at(traced, "steps").elements();
  ASSERT_EQ(steps.size(), 3u);
  const auto entropy = [](std::vector<double> p) {
    double h = 0;
    for (const double x : p) h -= x * std::log(x);
    return h;
  };
  const double square = 0.25 + 0.09;  // temperature 0.5 squares the odds
  const std::vector<std::vector<double>> p = {{0.5, 0.3, 0.2}, {0.625, 0.375}, {0.25 / square, 0.09 / square}};
  const double mass[] = {1, 0.8, 1};
  const char* names[] = {"logits", "top_k", "temperature"};
  const auto token = static_cast<size_t>(number(traced, "token"));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(*at(steps[i], "step").string(), names[i]);
    EXPECT_EQ(number(steps[i], "kept"), static_cast<double>(p[i].size()));
    EXPECT_NEAR(number(steps[i], "mass"), mass[i], 1e-6);
    EXPECT_NEAR(number(steps[i], "entropy"), entropy(p[i]), 1e-6);
    EXPECT_NEAR(number(steps[i], "entropy_before"), entropy(p[i ? i - 1 : 0]), 1e-6);
    EXPECT_NEAR(number(steps[i], "p"), p[i][token], 1e-6);
  }
  const Outcome table = linnet_command({"sample", "--trace"}, input);
  EXPECT_NE(table.out.find("top_k                 2   0.800000"), std::string::npos) << table.out;
}

}  // namespace
}  // namespace linnet
