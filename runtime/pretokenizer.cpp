#include "runtime/pretokenizer.h"

#include "runtime/pretokenizer_steps.h"

namespace linnet {
namespace {

using namespace steps;  // NOLINT: this file is a list of them

template <class... Steps>
uint64_t split(std::string_view text, WordSink& sink) {
  uint64_t looked = 0;
  cut<Steps...>(Piece(text, looked), [&](const Piece& word) { sink.word(word.text()); });
  return looked;
}

// ---- classes that only one family has ----

// [\p{P}\$\+<=>\^~\|]: without the grave accent
bool is_default_sign(const Char& c) { return is_punctuation_or_ascii(c) && c.code_point != '`'; }

// Cased letters, as deepseek-llm lists them.
bool is_cased_letter(const Char& c) {
  static constexpr uint32_t kRanges[][2] = {
      {0x41, 0x5a},       {0x61, 0x7a},       {0xb5, 0xb5},       {0xc0, 0xd6},       {0xd8, 0xf6},
      {0xf8, 0x1ba},      {0x1bc, 0x1bf},     {0x1c4, 0x293},     {0x295, 0x2af},     {0x370, 0x373},
      {0x376, 0x377},     {0x37b, 0x37d},     {0x37f, 0x37f},     {0x386, 0x386},     {0x388, 0x38a},
      {0x38c, 0x38c},     {0x38e, 0x3a1},     {0x3a3, 0x3f5},     {0x3f7, 0x481},     {0x48a, 0x52f},
      {0x531, 0x556},     {0x10a0, 0x10c5},   {0x13a0, 0x13f5},   {0x13f8, 0x13fd},   {0x1c90, 0x1cba},
      {0x1cbd, 0x1cbf},   {0x1d00, 0x1d2b},   {0x1d6b, 0x1d77},   {0x1d79, 0x1d9a},   {0x1e00, 0x1f15},
      {0x1f18, 0x1f1d},   {0x1f20, 0x1f45},   {0x1f48, 0x1f4d},   {0x1f50, 0x1f57},   {0x1f59, 0x1f59},
      {0x1f5b, 0x1f5b},   {0x1f5d, 0x1f5d},   {0x1f5f, 0x1f7d},   {0x1f80, 0x1fb4},   {0x1fb6, 0x1fbc},
      {0x1fbe, 0x1fbe},   {0x1fc2, 0x1fc4},   {0x1fc6, 0x1fcc},   {0x1fd0, 0x1fd3},   {0x1fd6, 0x1fdb},
      {0x1fe0, 0x1fec},   {0x1ff2, 0x1ff4},   {0x1ff6, 0x1ffc},   {0x2102, 0x2102},   {0x2107, 0x2107},
      {0x210a, 0x2113},   {0x2115, 0x2115},   {0x2119, 0x211d},   {0x2124, 0x2124},   {0x2126, 0x2126},
      {0x2128, 0x2128},   {0x212a, 0x212d},   {0x212f, 0x2134},   {0x2139, 0x2139},   {0x213c, 0x213f},
      {0x2145, 0x2149},   {0x214e, 0x214e},   {0x2183, 0x2184},   {0x2c00, 0x2c7b},   {0x2c7e, 0x2ce4},
      {0x2ceb, 0x2cee},   {0x2cf2, 0x2cf3},   {0xa640, 0xa66d},   {0xa680, 0xa69b},   {0xa722, 0xa76f},
      {0xa771, 0xa787},   {0xa78b, 0xa78e},   {0xab70, 0xabbf},   {0xfb00, 0xfb06},   {0xfb13, 0xfb17},
      {0xff21, 0xff3a},   {0xff41, 0xff5a},   {0x10400, 0x1044f}, {0x104b0, 0x104d3}, {0x104d8, 0x104fb},
      {0x10c80, 0x10cb2}, {0x10cc0, 0x10cf2}, {0x118a0, 0x118df}, {0x1e900, 0x1e943}};
  return in_ranges(kRanges, c.code_point);
}
// [!-/:-~！-／：-～‘-‟　-。]
bool is_deepseek_sign(const Char& c) {
  static constexpr uint32_t kRanges[][2] = {{0x21, 0x2f},     {0x3a, 0x7e},     {0x2018, 0x201f},
                                            {0x3000, 0x3002}, {0xff01, 0xff0f}, {0xff1a, 0xff5e}};
  return in_ranges(kRanges, c.code_point);
}
// [一-龥ࠀ-一가-퟿]
bool is_deepseek_cjk(const Char& c) { return in_range(0x800, 0x9fa5, c) || in_range(0xac00, 0xd7ff, c); }
// [一-龥぀-ゟ゠-ヿ]
bool is_han_or_kana(const Char& c) { return in_range(0x4e00, 0x9fa5, c) || in_range(0x3040, 0x30ff, c); }
// [一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]
bool is_afmoe_asian(const Char& c) {
  static constexpr uint32_t kRanges[][2] = {{0xe40, 0xe7f},   {0xe80, 0xeff},   {0x1000, 0x109f}, {0x1100, 0x11ff},
                                            {0x1780, 0x17ff}, {0x2f00, 0x2fdf}, {0x3040, 0x30ff}, {0x3400, 0x4dbf},
                                            {0x4e00, 0x9fff}, {0xa9e0, 0xa9ff}, {0xaa60, 0xaa7f}, {0xac00, 0xd7af},
                                            {0xf900, 0xfaff}, {0xff65, 0xff9f}};
  return in_ranges(kRanges, c.code_point);
}

// [가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+
struct Youtu {
  static size_t match(const Piece& p, size_t at) {
    const Char c = p.at(at);
    for (const auto in : {is_hangul, is_wide_sign, is_bopomofo, is_han_or_kana}) {
      if (in(c)) return p.run(c.end, in);
    }
    return at;
  }

 private:
  static bool is_hangul(const Char& c) { return in_range(0xac00, 0xd7a3, c) || in_range(0x3131, 0x318e, c); }
  static bool is_bopomofo(const Char& c) { return in_range(0x3105, 0x312f, c); }
  static bool is_wide_sign(const Char& c) {
    static constexpr uint32_t kRanges[][2] = {{0x2014, 0x2014}, {0x2018, 0x2019}, {0x201c, 0x201d},
                                              {0x2026, 0x2026}, {0x3001, 0x303f}, {0xfe30, 0xfe4f},
                                              {0xff01, 0xff01}, {0xff0c, 0xff0c}, {0xff1a, 0xff1b}};
    return in_ranges(kRanges, c.code_point);
  }
};

// ---- the list ----

template <Rules R>
using Split = Isolate<Words<R>>;
using Digits = Isolate<One<is_number>>;
using Punctuation = Isolate<Run<is_punctuation_or_ascii>>;

constexpr Rules kLlama3{};
constexpr Rules kQwen2{.digits = 1};
constexpr Rules kQwen35{.word = Word::letters_and_marks, .digits = 1};
constexpr Rules kSeedCoder{.digits = 1, .tail = Tail::none};
constexpr Rules kUfakzeka{.contraction = Contraction::none, .digits = 1};
constexpr Rules kExaoneMoe{.word = Word::phrases, .digits = 1, .tail = Tail::newline_or_slash};
constexpr Rules kMiniCpm5{.digits = 0};
constexpr Rules kGpt4o{.contraction = Contraction::last, .word = Word::cased, .tail = Tail::newlines_and_slashes};
constexpr Rules kKimi{.contraction = Contraction::last, .word = Word::cased_not_han};
constexpr Rules kYoutu{
    .contraction = Contraction::last, .word = Word::cased, .digits = 1, .tail = Tail::newlines_and_slashes};
constexpr Rules kTekken{
    .contraction = Contraction::none, .word = Word::cased, .digits = 1, .tail = Tail::newlines_and_slashes};

constexpr Pretokenizer kPretokenizers[] = {
    {"default", split<Isolate<Run<is_default_sign>>, Isolate<Gpt2>, Isolate<Run<is_number>>, Isolate<ThreeAscii>>},
    {"gpt-2 gpt-neox phi-2 olmo mpt jais trillion granite-docling exaone4 a.x-4.0 mellum modern-bert roberta-bpe "
     "jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code",
     split<Isolate<Gpt2>>},
    {"starcoder refact command-r smollm codeshell exaone minerva-7b mellum2", split<Digits, Isolate<Gpt2>>},
    {"falcon", split<Punctuation, Isolate<Gpt2>, ByteDigits<false>, Isolate<ThreeAscii>>},
    {"falcon3", split<Punctuation, Isolate<Gpt2>, ByteDigits<true>>, true, true},
    {"falcon-h1", split<Punctuation, Split<kTekken>, Isolate<One<is_ascii_digit>>>, true, true},
    {"llama-bpe llama3 llama-v3 pixtral midm-2.0 lfm2 jina-v5-nano", split<Split<kLlama3>>, true, true},
    {"dbrx smaug-bpe glm4 chatglm-bpe", split<Split<kLlama3>>},
    {"jais-2", split<Split<kLlama3>, PowersOfTwo>},
    {"minicpm5", split<Isolate<Threes>, Split<kMiniCpm5>>, true},
    {"qwen2 stablelm2 hunyuan megrez deepseek-r1-qwen grok-2 solar-open kormo f2llmv2 bailingmoe bailingmoe2 llada-moe",
     split<Split<kQwen2>>},
    {"qwen35", split<Split<kQwen35>>},
    {"laguna", split<Isolate<Lines>, Split<kQwen2>>},
    {"seed-coder", split<Split<kSeedCoder>>},
    {"ufakzeka", split<Split<kUfakzeka>>},
    {"exaone-moe", split<Split<kExaoneMoe>>},
    {"gpt-4o o200k llama4 kanana2 talkie gigachat minimax-m2", split<Split<kGpt4o>>},
    {"granite-embed-multi-97m", split<Split<kGpt4o>>, true},
    {"tiny_aya cohere2moe", split<Thousands<is_decimal, true>, Split<kGpt4o>>},
    {"tekken", split<Split<kTekken>>, true, true},
    {"kimi-k2", split<Split<kKimi>>, true},
    {"youtu", split<Isolate<Youtu>, Split<kYoutu>>, true},
    {"deepseek-llm", split<Isolate<One<is_newline>>, Isolate<SpaceRun<is_cased_letter>>,
                           Isolate<SpaceRun<is_deepseek_sign>>, TrailingSpaces, Isolate<Run<is_deepseek_cjk>>, Digits>},
    {"deepseek-coder", split<Isolate<One<is_newline>>, Isolate<SpaceRun<is_letter>>, Isolate<SpaceRun<is_punctuation>>,
                             Isolate<Run<is_deepseek_cjk>>, Digits>},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4",
     split<Isolate<Threes>, Isolate<Run<is_han_or_kana>>, Isolate<DeepseekWords<true>>>},
    {"spark2_5", split<Isolate<Threes>, Isolate<Run<is_han_or_kana>>, Isolate<DeepseekWords<false>>, Digits>},
    {"afmoe", split<Thousands<is_number, false>, Isolate<Run<is_afmoe_asian>>, Isolate<DeepseekWords<true>>>},
    {"bloom poro-chat gpt3-finnish", split<Isolate<Bloom>>},
    {"viking", split<Isolate<Bloom>, Digits>},
    {"superbpe", split<Isolate<Run<is_number>>, BeforeThrees>},
    {"chameleon",
     split<Isolate<Sentinel>, Isolate<Image>, Isolate<Blanks>, Digits, Isolate<One<is_punctuation_or_ascii>>,
           Isolate<Gpt2>>,
     false, true},
    {"gemma4 granite-embed-multi-311m", split<Isolate<Lines>>, false, true, true},
    {"sarvam-moe", split<Isolate<Lines>>, false, false, true},
};

}  // namespace

const Pretokenizer* find_pretokenizer(std::string_view name) {
  for (const Pretokenizer& p : kPretokenizers) {
    for (size_t at = p.names.find(name); at != p.names.npos && !name.empty(); at = p.names.find(name, at + 1)) {
      const bool begins = at == 0 || p.names[at - 1] == ' ';
      const bool ends = at + name.size() == p.names.size() || p.names[at + name.size()] == ' ';
      if (begins && ends && name.find(' ') == name.npos) return &p;
    }
  }
  return nullptr;
}

std::string pretokenizer_names() {
  std::string names;
  for (const Pretokenizer& p : kPretokenizers) {
    if (!names.empty()) names += ", ";
    for (const char c : p.names) names += c == ' ' ? std::string(", ") : std::string(1, c);
  }
  return names;
}

}  // namespace linnet
