// Damaged vocabularies: each is refused with a sentence that names the key and the index.
#include "runtime/vocabulary.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "runtime/tokenizer.h"
#include "tests/runtime/sample_vocabulary.h"
#include "tests/support.h"

namespace linnet {
namespace {

Result<Tokenizer> load(const std::string& bytes) {
  auto gguf = Gguf::parse(as_bytes(bytes));
  if (!gguf) return gguf.error();
  return Tokenizer::load(*gguf);  // only its success or error is looked at: the Gguf ends here
}

enum Sample { spm, bpe, wordpiece, unigram, rwkv, gemma4 };

VocabularyFile sample(Sample which) {
  switch (which) {
    case spm:
      return sample_spm();
    case bpe:
      return sample_bpe();
    case wordpiece:
      return sample_wordpiece();
    case unigram:
      return sample_unigram();
    case rwkv:
      return sample_rwkv();
    case gemma4:
      return sample_gemma4();
  }
  return {};
}
constexpr Sample kSamples[] = {spm, bpe, wordpiece, unigram, rwkv, gemma4};

struct Damage {
  const char* name;
  Sample sample;
  std::function<void(VocabularyFile&)> change;
  Code code;
  std::vector<const char*> says;  // parts of the sentence
};

constexpr Code kBad = Code::gguf_vocabulary;
const char* const kTokens = "tokenizer.ggml.tokens";
const char* const kKinds = "tokenizer.ggml.token_type";
const char* const kScores = "tokenizer.ggml.scores";
const char* const kMerges = "tokenizer.ggml.merges";

// Changes the texts before they are written.
std::function<void(VocabularyFile&)> text(size_t index, std::string replacement) {
  return [=](VocabularyFile& f) {
    f.tokens[index] = replacement;
    f.finish();
  };
}
std::function<void(VocabularyFile&)> kind(size_t index, int32_t replacement) {
  return [=](VocabularyFile& f) {
    f.kinds[index] = replacement;
    f.finish();
  };
}
std::function<void(VocabularyFile&)> merge(size_t index, std::string replacement) {
  return [=](VocabularyFile& f) {
    f.merges[index] = replacement;
    f.finish();
  };
}
template <class T>
std::function<void(VocabularyFile&)> key(const char* name, T value) {
  return [=](VocabularyFile& f) { f.set(name, value); };
}
std::function<void(VocabularyFile&)> no(const char* name) {
  return [=](VocabularyFile& f) { f.remove(name); };
}

const std::vector<Damage>& damages() {
  static const std::vector<Damage> all = {
      {"no model", spm, no("tokenizer.ggml.model"), kBad, {"tokenizer.ggml.model", "missing"}},
      {"model no string", spm, key("tokenizer.ggml.model", 7u), kBad, {"tokenizer.ggml.model", "u32"}},
      {"other model",
       spm,
       key("tokenizer.ggml.model", "plamo2"),
       Code::unsupported,
       {"'plamo2'", "llama", "gpt2", "bert"}},
      {"tokens absent", spm, no(kTokens), kBad, {kTokens, "missing"}},
      {"tokens empty", spm, key(kTokens, std::vector<std::string>()), kBad, {kTokens, "0 tokens"}},
      {"tokens no strings", spm, key(kTokens, std::vector<int32_t>{1, 2}), kBad, {kTokens, "i32"}},
      {"tokens no array", spm, key(kTokens, "a"), kBad, {kTokens, "string"}},
      {"scores short", spm, key(kScores, std::vector<float>{1, 2}), kBad, {kScores, "2 elements"}},
      {"scores bytes", spm, key(kScores, std::vector<uint8_t>(300)), kBad, {kScores, "u8"}},
      {"scores absent", spm, no(kScores), kBad, {kScores, "missing"}},
      {"score NaN", spm, [](VocabularyFile& f) { f.scores[9] = NAN, f.finish(); }, kBad, {kScores, "[9]", "NaN"}},
      {"kinds short", spm, key(kKinds, std::vector<int32_t>{1}), kBad, {kKinds, "1 elements"}},
      {"kinds bytes", bpe, key(kKinds, std::vector<uint8_t>(300)), kBad, {kKinds, "u8"}},
      {"kind 0", spm, kind(4, 0), kBad, {kKinds, "[4]", "is 0"}},
      {"kind 99", bpe, kind(5, 99), kBad, {kKinds, "[5]", "is 99"}},
      {"merges absent", bpe, no(kMerges), kBad, {kMerges, "missing"}},
      {"merges no strings", bpe, key(kMerges, std::vector<int32_t>{1}), kBad, {kMerges, "i32"}},
      {"merge without space", bpe, merge(3, "hello"), kBad, {kMerges, "[3]", "'hello'"}},
      {"merge empty", bpe, merge(2, ""), kBad, {kMerges, "[2]"}},
      {"merge of one", bpe, merge(2, "a "), kBad, {kMerges, "[2]"}},
      {"merge of nothing", bpe, merge(2, " a"), kBad, {kMerges, "[2]"}},
      {"merge unknown left", bpe, merge(1, "qz a"), kBad, {kMerges, "[1]", "'qz'"}},
      {"merge unknown right", bpe, merge(1, "a qz"), kBad, {kMerges, "[1]", "'qz'"}},
      {"merge unknown result", bpe, merge(1, "q z"), kBad, {kMerges, "[1]", "'qz'"}},
      {"bos too large", spm, key("tokenizer.ggml.bos_token_id", 100000u), kBad, {"bos_token_id", "100000"}},
      {"eos negative", spm, key("tokenizer.ggml.eos_token_id", int32_t(-2)), kBad, {"eos_token_id", "-2"}},
      {"eot no number", spm, key("tokenizer.ggml.eot_token_id", "5"), kBad, {"eot_token_id", "string"}},
      {"pad too large", bpe, key("tokenizer.ggml.padding_token_id", int64_t(1) << 40), kBad, {"padding_token_id"}},
      {"unk too large", bpe, key("tokenizer.ggml.unknown_token_id", 5000u), kBad, {"unknown_token_id", "5000"}},
      {"byte missing", spm, kind(3 + 65, 1), kBad, {"255 byte tokens", "<0x41>"}},
      {"byte negative", spm, text(3, "<0x-1>"), kBad, {kTokens, "[3]", "<0x-1>"}},
      {"byte no hex", spm, text(3, "<0xZZ>"), kBad, {kTokens, "[3]", "<0xZZ>"}},
      {"byte twice", spm, text(3, "<0x01>"), kBad, {"[3]", "[4]", "0x01"}},
      {"no byte letters",
       bpe,
       [](VocabularyFile& f) {
         f.tokens = {"hello"}, f.kinds = {1}, f.scores = {0}, f.merges = {"a b"};
         f.finish();
         f.remove("tokenizer.ggml.eos_token_id");
       },
       kBad,
       {kTokens, "byte letters"}},
      {"text not UTF-8", spm, text(270, "a\xff"), kBad, {kTokens, "[270]", "UTF-8"}},
      {"text empty", bpe, text(257, ""), kBad, {kTokens, "[257]", "empty"}},
      {"text of 1 MiB", spm, text(270, std::string(1 << 20, 'a')), kBad, {kTokens, "[270]", "1048576"}},
      {"pre unknown",
       bpe,
       key("tokenizer.ggml.pre", "whitespace"),
       Code::unsupported,
       {"'whitespace'", "llama-bpe", "qwen2"}},
      {"pre no string", bpe, key("tokenizer.ggml.pre", 1u), Code::gguf_key_type, {"tokenizer.ggml.pre"}},
      {"template no string", bpe, key("tokenizer.chat_template", 1u), Code::gguf_key_type, {"chat_template"}},
      {"add_bos no bool", spm, key("tokenizer.ggml.add_bos_token", 1u), Code::gguf_key_type, {"add_bos_token"}},
      {"add_bos without bos", bpe, key("tokenizer.ggml.add_bos_token", true), kBad, {"add_bos_token", "no BOS"}},
      {"t5 without scores", unigram, no(kScores), kBad, {kScores, "missing", "'t5'"}},
      {"t5 prefix no bool", unigram, key("tokenizer.ggml.add_space_prefix", 1u), Code::gguf_key_type, {"space_prefix"}},
      {"t5 spaces no bool",
       unigram,
       key("tokenizer.ggml.remove_extra_whitespaces", 1u),
       Code::gguf_key_type,
       {"remove_extra_whitespaces"}},
      {"charsmap no bytes",
       unigram,
       key("tokenizer.ggml.precompiled_charsmap", std::vector<int32_t>{1}),
       kBad,
       {"precompiled_charsmap", "i32"}},
      {"charsmap too short",
       unigram,
       key("tokenizer.ggml.precompiled_charsmap", std::vector<uint8_t>{8, 0, 0, 0, 1}),
       kBad,
       {"precompiled_charsmap", "5 bytes"}},
      {"byte tokens of t5",
       unigram,
       [](VocabularyFile& f) { f.add("<0x0A>", 6), f.finish(); },
       kBad,
       {"1 byte tokens"}},
      {"lowercase no bool",
       wordpiece,
       key("tokenizer.ggml.normalizer.lowercase", "yes"),
       Code::gguf_key_type,
       {"normalizer.lowercase"}},
      {"sep too large", wordpiece, key("tokenizer.ggml.seperator_token_id", 999u), kBad, {"seperator_token_id", "999"}},
      {"sep without sep",
       wordpiece,
       [](VocabularyFile& f) {
         f.tokens[3] = "[ZZZ]", f.finish();
         f.set("tokenizer.ggml.add_sep_token", true);
       },
       kBad,
       {"add_sep_token", "no SEP"}},
      {"eos without eos", rwkv, key("tokenizer.ggml.add_eos_token", true), kBad, {"add_eos_token", "no EOS"}},
      {"gemma4 without merges", gemma4, no(kMerges), kBad, {kMerges, "missing", "'gemma4'"}},
      {"gemma4 merge unknown", gemma4, merge(0, "h q"), kBad, {kMerges, "[0]", "'q'"}},
      {"gemma4 byte twice", gemma4, text(3, "<0x00>"), kBad, {"byte 0x00"}},
      {"long token of rwkv", rwkv, text(270, std::string(kMaxTokenBytes + 1, 'a')), kBad, {kTokens, "[270]", "4097"}},
      {"nothing to write in",
       spm,
       [](VocabularyFile& f) {
         f.tokens = {"a", "b"}, f.kinds = {1, 1}, f.scores = {0, 0};
         f.finish();
       },
       kBad,
       {"byte tokens", "unknown"}},
  };
  return all;
}

TEST(Vocabulary, DamagedOnesAreRefused) {
  for (const Damage& damage : damages()) {
    SCOPED_TRACE(damage.name);
    VocabularyFile file = sample(damage.sample);
    damage.change(file);
    const auto tokenizer = load(file.bytes());
    ASSERT_FALSE(tokenizer);
    EXPECT_EQ(code_name(tokenizer.error().code), code_name(damage.code)) << tokenizer.error().message;
    for (const char* part : damage.says) {
      EXPECT_NE(tokenizer.error().message.find(part), std::string::npos)
          << part << " in: " << tokenizer.error().message;
    }
  }
  printf("%zu damaged vocabularies refused\n", damages().size());
}

TEST(Vocabulary, MutatedOnesAreUsableOrRefused) {
  int usable = 0, refused = 0;
  for (const Sample which : kSamples) {
    const std::string good = sample(which).bytes();
    Random random(which);
    for (int i = 0; i < test_count(2000); ++i) {
      std::string bytes = good;
      for (int64_t n = 1 + random.below(4); n > 0; --n) {
        char& c = bytes[size_t(random.below(int64_t(bytes.size())))];
        c = random.below(2) ? char(c ^ 1 << random.below(8)) : char(random.below(256));
      }
      auto gguf = Gguf::parse(as_bytes(bytes));
      auto tokenizer = gguf ? Tokenizer::load(*gguf) : Result<Tokenizer>(gguf.error());
      if (!tokenizer) {
        EXPECT_FALSE(tokenizer.error().message.empty());
        ++refused;
        continue;
      }
      ++usable;
      const auto tokens = tokenizer->encode("hello world <|im_end|><tool> aaaa日本\xff", {.special = true});
      ASSERT_TRUE(tokens);
      for (const int32_t token : *tokens) ASSERT_TRUE(token >= 0 && token < tokenizer->size());
      (void)tokenizer->decode(*tokens, true);
    }
  }
  EXPECT_GT(usable, 0);
  EXPECT_GT(refused, 0);
  printf("%d mutated vocabularies: %d usable, %d refused\n", usable + refused, usable, refused);
}

TEST(Vocabulary, TooManyMerges) {
  VocabularyFile file = sample_bpe();
  file.set(kMerges, std::vector<std::string>((size_t(1) << 22) + 1, "h e"));
  const auto tokenizer = load(file.bytes());
  ASSERT_FALSE(tokenizer);
  EXPECT_EQ(tokenizer.error().code, kBad);
  EXPECT_NE(tokenizer.error().message.find("4194305"), std::string::npos) << tokenizer.error().message;
}

TEST(Vocabulary, OddOnesThatAreFine) {
  for (const Sample which : kSamples) {
    const VocabularyFile good = sample(which);
    const std::vector<std::pair<const char*, std::function<void(VocabularyFile&)>>> changes = {
        {"as it is", [](VocabularyFile&) {}},
        {"equal texts", text(good.tokens.size() - 2, good.tokens[good.tokens.size() - 3])},
        {"id -1", key("tokenizer.ggml.padding_token_id", int32_t(-1))},
        {"id -1 as u32", key("tokenizer.ggml.padding_token_id", UINT32_MAX)},
        {"no kinds", no(kKinds)},
        {"longest text", [](VocabularyFile& f) { f.add(std::string(kMaxTokenBytes, 'a')), f.finish(); }},
    };
    for (const auto& [name, change] : changes) {
      SCOPED_TRACE(name);
      VocabularyFile file = good;
      change(file);
      const auto tokenizer = load(file.bytes());
      EXPECT_TRUE(tokenizer) << tokenizer.error().message;
    }
  }
}

TEST(Vocabulary, TheFirstOfEqualTextsCounts) {
  VocabularyFile file = sample_spm();
  file.add("hello", 1, 100);
  file.finish();
  const std::string bytes = file.bytes();
  auto gguf = Gguf::parse(as_bytes(bytes));
  ASSERT_TRUE(gguf) << gguf.error().message;
  auto v = Vocabulary::load(*gguf);
  ASSERT_TRUE(v) << v.error().message;
  EXPECT_LT(v->find("hello"), v->size() - 1);
  EXPECT_EQ(v->find("hel", "lo"), v->find("hello"));
  EXPECT_EQ(v->text(v->find("hello")), "hello");
  EXPECT_EQ(v->find("nothing like this"), -1);
  EXPECT_EQ(v->find(""), -1);
}

TEST(Vocabulary, KindsAreInferredWhereTheFileHasNone) {
  VocabularyFile file = sample_spm();
  file.remove(kKinds);
  const std::string bytes = file.bytes();
  auto gguf = Gguf::parse(as_bytes(bytes));
  ASSERT_TRUE(gguf);
  auto v = Vocabulary::load(*gguf);
  ASSERT_TRUE(v) << v.error().message;
  EXPECT_EQ(v->kind(0), TokenKind::unknown);
  EXPECT_EQ(v->kind(1), TokenKind::control);
  EXPECT_EQ(v->kind(3), TokenKind::byte);
  EXPECT_EQ(v->bytes(3 + 'A'), "A");
}

}  // namespace
}  // namespace linnet
