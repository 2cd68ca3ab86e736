// Every pre-tokenizer against the regular expressions it was published with, run by a slow matcher.
#include <gtest/gtest.h>

#include <functional>

#include "gguf/base/utf8.h"
#include "runtime/byte_alphabet.h"
#include "tests/runtime/slow_regex.h"
#include "tests/runtime/split_words.h"
#include "tests/support.h"

namespace linnet {
namespace {

using Words = std::vector<std::string>;

// ---- the definition of a step ----

struct Pattern {
  enum How {
    isolated,  // matches and what lies between are parts
    cuts,      // an empty match cuts the text where it is
    letters,   // isolated, after the text was written in the byte alphabet
  };
  std::string regex;
  How how = isolated;
};

struct Family {
  std::string names;  // of the same pre-tokenizer
  std::vector<Pattern> patterns;
};

// A sequence that is not UTF-8 is one character that is unassigned.
constexpr uint32_t kInvalid = 0x110000;

struct Text {
  CodePoints code_points;
  std::vector<size_t> starts;  // where each character begins, and the end
};

Text characters_of(std::string_view bytes, Pattern::How how) {
  Text text;
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Char c = utf8_decode(bytes, at);
    const bool letters = how == Pattern::letters;
    text.code_points.push_back(letters   ? kByteAlphabet.character[uint8_t(bytes[at])]
                               : c.valid ? c.code_point
                                         : kInvalid);
    text.starts.push_back(at);
    at += letters ? 1 : c.bytes;
  }
  text.starts.push_back(bytes.size());
  return text;
}

Words apply(const SlowRegex& regex, Pattern::How how, const std::string& bytes) {
  const Text text = characters_of(bytes, how);
  std::vector<size_t> cuts;  // characters
  for (size_t at = 0; at < text.code_points.size();) {
    const std::optional<size_t> end = regex.match(text.code_points, at);
    if (end && (how == Pattern::cuts || *end > at)) cuts.push_back(at);
    if (end && *end > at) cuts.push_back(*end);
    at = end && *end > at ? *end : at + 1;
  }
  cuts.push_back(text.code_points.size());
  Words words;
  size_t begin = 0;
  for (const size_t cut : cuts) {
    if (cut > begin) words.push_back(bytes.substr(text.starts[begin], text.starts[cut] - text.starts[begin]));
    begin = cut;
  }
  return words;
}

// ---- the published patterns ----

const std::string kContraction = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const std::string kGpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
const std::string kSpaces = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kLetters = R"([^\r\n\p{L}\p{N}]?\p{L}+|)";
const std::string kSigns = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*)";
const std::string kLlama3 = kContraction + "|" + kLetters + R"(\p{N}{1,3})" + kSigns + kSpaces;
const std::string kQwen2 = kContraction + "|" + kLetters + R"(\p{N})" + kSigns + kSpaces;
const std::string kUpper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])", kLower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";

std::string cased(const std::string& upper, const std::string& lower, const std::string& contraction,
                  const std::string& digits, const std::string& tail) {
  const std::string lead = R"([^\r\n\p{L}\p{N}]?)";
  return lead + upper + "*" + lower + "+" + contraction + "|" + lead + upper + "+" + lower + "*" + contraction + "|" +
         digits + R"(| ?[^\s\p{L}\p{N}]+)" + tail + kSpaces;
}
const std::string kGpt4o = cased(kUpper, kLower, kContraction + "?", R"(\p{N}{1,3})", R"([\r\n/]*)");
const std::string kTekken = cased(kUpper, kLower, "", R"(\p{N})", R"([\r\n/]*)");
const std::string kDeepseekStart =
    R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)re";
const std::string kDeepseek3 = kDeepseekStart + R"([\r\n]*)" + kSpaces;
const std::string kHanKana = "[一-龥぀-ゟ゠-ヿ]+";
const std::string kPunctuation = R"([\p{P}!-/:-@\[-`{-~])";
// clang-format breaks long words of letters anew on every run.
// clang-format off
const std::string kCasedLetters =
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ"
    "-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝ\u1f5f-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌ\u1fd0-\u1fd3"
    "\u1fd6-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲ"
    "ⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃";
// clang-format on
const std::string kBloom = " ?[^(\\s|[.,!?…。，、।۔،])]+";
const std::string kDeepseekCjk = "[一-龥ࠀ-一가-퟿]+";
const std::string kNotHan = "&&[^\\p{Han}]]";

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"default", {{R"([\p{P}\$\+<=>\^~\|]+)"}, {kGpt2}, {R"(\p{N}+)"}, {"[0-9][0-9][0-9]"}}},
      {"gpt-2 gpt-neox phi-2 olmo mpt jais trillion granite-docling exaone4 a.x-4.0 mellum modern-bert roberta-bpe "
       "jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code",
       {{kGpt2}}},
      {"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", {{R"(\p{N})"}, {kGpt2}}},
      {"falcon",
       {{kPunctuation + "+"}, {kGpt2}, {R"(\p{N}+)", Pattern::letters}, {"[0-9][0-9][0-9]", Pattern::letters}}},
      {"falcon3", {{kPunctuation + "+"}, {kGpt2}, {R"(\p{N})", Pattern::letters}}},
      {"falcon-h1", {{kPunctuation + "+"}, {kTekken}, {"[0-9]", Pattern::letters}}},
      {"llama-bpe llama3 llama-v3 pixtral midm-2.0 lfm2 jina-v5-nano", {{kLlama3}}},
      {"dbrx smaug-bpe glm4 chatglm-bpe",
       {{R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n])"
         R"(|\s+(?!\S)|\s+)"}}},
      {"jais-2",
       {{kContraction + "|" + kLetters + R"(\p{N}{1,3})" + kSigns +
         R"(|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S))"
         R"(|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})"}}},
      {"minicpm5", {{R"(\p{N}{1,3})"}, {kContraction + "|" + kLetters + R"(\p{N}+)" + kSigns + kSpaces}}},
      {"qwen2 stablelm2 hunyuan megrez deepseek-r1-qwen grok-2 solar-open kormo f2llmv2", {{kQwen2}}},
      {"bailingmoe bailingmoe2 llada-moe",
       {{R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)"}}},
      {"qwen35",
       {{kContraction + R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" + kSpaces}}},
      {"laguna", {{R"([^\n]+|[\n]+)"}, {kQwen2}}},
      {"seed-coder", {{kContraction + "|" + kLetters + R"(\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+)" + kSpaces}}},
      {"ufakzeka", {{kLetters + R"(\p{N})" + kSigns + kSpaces}}},
      {"exaone-moe",
       {{kContraction + R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?)" +
         R"(|\s*[\r\n]|\s+(?!\S)|\s+)"}}},
      {"gpt-4o o200k llama4 kanana2 talkie gigachat minimax-m2", {{kGpt4o}}},
      {"granite-embed-multi-97m", {{kGpt4o}}},
      {"tiny_aya cohere2moe", {{R"(\d{1,3}(?=(?:\d{3})*\b))"}, {kGpt4o}}},
      {"tekken", {{kTekken}}},
      {"kimi-k2",
       {{R"([\p{Han}]+|)" +
         cased("[" + kUpper + kNotHan, "[" + kLower + kNotHan, kContraction + "?", R"(\p{N}{1,3})", R"([\r\n]*)")}}},
      {"youtu",
       {{"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|" + kHanKana},
        {cased(kUpper, kLower, kContraction + "?", R"(\p{N})", R"([\r\n/]*)")}}},
      {"deepseek-llm",
       {{R"([\r\n])"},
        {R"(\s?[)" + kCasedLetters + "]+"},
        {"\\s?[!-/:-~！-／：-～‘-‟　-。]+"},
        {R"(\s+$)"},
        {kDeepseekCjk},
        {R"(\p{N})"}}},
      {"deepseek-coder", {{R"([\r\n])"}, {R"(\s?\p{L}+)"}, {R"(\s?\p{P}+)"}, {kDeepseekCjk}, {R"(\p{N})"}}},
      {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", {{R"(\p{N}{1,3})"}, {kHanKana}, {kDeepseek3}}},
      {"spark2_5", {{R"(\p{N}{1,3})"}, {kHanKana}, {kDeepseekStart + R"(|[\r\n]|\s+(?!\S)|\s+)"}, {R"(\p{N})"}}},
      {"afmoe",
       {{R"(\p{N}+)"},
        {R"((?=(\p{N}{3})+(?!\p{N})))", Pattern::cuts},
        {"[一-鿿㐀-䶿\uf900-\ufaff぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-"
         "ᇿ]"
         "+"},
        {kDeepseek3}}},
      {"bloom poro-chat gpt3-finnish", {{kBloom}}},
      {"viking", {{kBloom}, {R"(\p{N})"}}},
      {"superbpe", {{R"(\p{N}+)"}, {R"((?=(\d{3})+(?!\d)))", Pattern::cuts}}},
      {"chameleon",
       {{"<sentinel:[0-9]+>"},
        {"(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z"},
        {R"(([\t\n]|    |  ))"},
        {R"(\p{N})"},
        {kPunctuation},
        {kGpt2}}},
      {"gemma4 granite-embed-multi-311m", {{R"([^\n]+|[\n]+)"}}},
      {"sarvam-moe", {{R"([^\n]+|[\n]+)"}}},
  };
  return all;
}

// ---- texts ----

// Pieces that some pattern treats in its own way.
const char* const kPieces[] = {"'s",         "'S",
                               "'ſ",         "'re",
                               "'RE",        "'ll",
                               "'lL",        "'T",
                               "'d",         "'",
                               " ",          "  ",
                               "    ",       "\n",
                               "\r\n",       "\r",
                               "\t",         "\u00a0",
                               "\u3000",     "\u2028",
                               "\u0085",     "a",
                               "Z",          "abc",
                               "Hello",      "WORLD",
                               "camelCase",  "XMLHttp",
                               "é",          "É",
                               "ǅ",          "ʰ",
                               "ª",          "中",
                               "文",         "〇",
                               "々",         "⺀",
                               "\uf900",     "𠀀",
                               "か",         "カ",
                               "ー",         "ｶ",
                               "가",         "ㄱ",
                               "ㄅ",         "ก",
                               "เ",          "ລ",
                               "ក",          "ា",
                               "မ",          "क",
                               "ि",          "ा",
                               "न",          "्",
                               "\u0301",     "\u20dd",
                               "\u0903",     "1",
                               "12",         "123",
                               "1234567",    "٣",
                               "३",          "½",
                               "²",          "Ⅷ",
                               "①",          "Ⓐ",
                               "!",          "?!",
                               ".",          ",",
                               "…",          "。",
                               "，",         "、",
                               "।",          "،",
                               "۔",          "(",
                               ")",          "|",
                               "-",          "_",
                               "‿",          "/",
                               "//",         "+",
                               "=",          "$",
                               "^",          "`",
                               "~",          "<",
                               ">",          "“",
                               "”",          "‘",
                               "—",          "：",
                               "；",         "！",
                               "〜",         "︰",
                               "€",          "😀",
                               "\u200d",     "\u200b",
                               "\x01",       "\x1f",
                               "\x7f",       "\u0378",
                               "\ue000",     "<sentinel:12>",
                               "<sentinel:", "IMGIMGABZ",
                               "IMGIMG",     "IMGIMGABCDEZ",
                               "A",          "I",
                               "ﬁ",          "\u2126",
                               "ß",          "İ",
                               "Ａ",         "～",
                               "\uffff",     "\ufffd",
                               " x",         " 1",
                               " !",         " 中",
                               " É",         "\xff",
                               "\xe4\xb8",   "\xf0\x9f"};

std::string random_text(Random& random) {
  const auto range = [&](uint32_t first, uint32_t last) { return first + uint32_t(random.below(last - first + 1)); };
  std::string text;
  for (int64_t n = 1 + random.below(12); n > 0; --n) {
    const char* piece = kPieces[random.below(std::ssize(kPieces))];
    switch (random.below(12)) {
      case 0:
        for (int64_t k = random.below(4); k >= 0; --k) text += piece;
        break;
      case 1:
        utf8_append(text, range(0x20, 0x24f));
        break;
      case 2:
        utf8_append(text, range(0x300, 0xffff));
        break;
      case 3:
        utf8_append(text, range(0x10000, 0x1ffff));
        break;
      default:
        text += piece;
    }
  }
  return text;
}

void compare(const Family& family, const std::vector<SlowRegex>& regexes, const std::string& text) {
  Words expected = {text};
  for (size_t i = 0; i < regexes.size(); ++i) {
    Words parts;
    for (const std::string& word : expected) {
      for (std::string& part : apply(regexes[i], family.patterns[i].how, word)) parts.push_back(std::move(part));
    }
    expected = std::move(parts);
  }
  const std::string first = family.names.substr(0, family.names.find(' '));
  ASSERT_EQ(split_words(first, text), expected) << first << " of " << quoted(text, 1000);
}

TEST(PretokenizerRegex, EveryOneIsAsPublished) {
  int texts = 0;
  for (const Family& family : families()) {
    std::vector<SlowRegex> regexes;
    for (const Pattern& pattern : family.patterns) regexes.emplace_back(pattern.regex);
    Random random(uint64_t(texts) + 1);
    for (const char* piece : kPieces) compare(family, regexes, piece);
    for (int i = 0; i < test_count(3000); ++i) compare(family, regexes, random_text(random));
    // Runs, for what counts.
    for (size_t n = 1; n < 12; ++n) {
      for (const char* c : {" ", "1", "a", "A", "\n", "中", "!", "\u0301"}) {
        std::string run;
        for (size_t i = 0; i < n; ++i) run += c;
        for (const char* end : {"", "x", " ", "\n", "1"}) compare(family, regexes, run + end);
      }
    }
    if (HasFatalFailure()) return;
    texts += test_count(3000);
  }
  for (const size_t n : {300, 511, 512, 513, 514, 1030}) {
    for (const char* end : {"", "x", "\nx"}) {
      const Family& jais =
          *std::find_if(families().begin(), families().end(), [](const Family& f) { return f.names == "jais-2"; });
      compare(jais, {SlowRegex(jais.patterns[0].regex)}, std::string(n, ' ') + end);
    }
  }
  printf("%d random texts split by %zu pre-tokenizers\n", texts, families().size());
}

// Every name that files use leads to the pre-tokenizer that was compared above.
TEST(PretokenizerRegex, EveryNameIsKnown) {
  size_t names = 0;
  for (const Family& family : families()) {
    const auto* const first = find_pretokenizer(family.names.substr(0, family.names.find(' ')));
    ASSERT_NE(first, nullptr);
    for (size_t at = 0; at < family.names.size(); ++names) {
      const size_t end = std::min(family.names.find(' ', at), family.names.size());
      const auto* const one = find_pretokenizer(family.names.substr(at, end - at));
      ASSERT_NE(one, nullptr) << family.names.substr(at, end - at);
      EXPECT_EQ(one->split, first->split) << family.names.substr(at, end - at);
      at = end + 1;
    }
  }
  const std::string known = pretokenizer_names();
  EXPECT_EQ(names, size_t(std::count(known.begin(), known.end(), ',')) + 1) << "a name without a pattern here";
  printf("%zu names\n", names);
}

// Many of one thing: characters are looked at a bounded number of times, far fewer than there are characters.
TEST(PretokenizerRegex, NoTextIsQuadratic) {
  const size_t n = size_t(test_count(10)) * 2000;
  double worst = 0;
  for (const char* unit :
       {"a", "A",  " ",  "\n", "1",      "!", "\u0301", "中", "😀",      "\xff",        "aA",       "a ", "A中", " \n",
        "'", "' ", "1 ", "½",  "\u3000", "(", " 1",     "\t", "IMGIMG", "<sentinel:1", "中\u0301", "Ⅷ1", "/\n"}) {
    for (const char* end : {"", "x"}) {
      std::string text;
      size_t characters = 0;
      while (text.size() < n) text += unit;
      text += end;
      characters = utf8_count(text);
      for (const Family& family : families()) {
        struct : WordSink {
          void word(std::string_view word) override { bytes += word.size(); }
          size_t bytes = 0;
        } sink;
        const auto* const pretokenizer = find_pretokenizer(family.names.substr(0, family.names.find(' ')));
        const uint64_t looked = pretokenizer->split(text, sink);
        ASSERT_EQ(sink.bytes, text.size());
        ASSERT_LE(looked, 64 * characters) << family.names << " of " << quoted(unit);
        worst = std::max(worst, double(looked) / double(characters));
      }
    }
  }
  printf("texts of %zu bytes: at most %.1f looks per character\n", n, worst);
}

}  // namespace
}  // namespace linnet
