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

struct Damage {
  const char* name;
  bool bpe;
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
      {"no model", false, no("tokenizer.ggml.model"), kBad, {"tokenizer.ggml.model", "missing"}},
      {"model no string", false, key("tokenizer.ggml.model", 7u), kBad, {"tokenizer.ggml.model", "u32"}},
      {"other model", false, key("tokenizer.ggml.model", "bert"), Code::unsupported, {"'bert'", "llama", "gpt2"}},
      {"tokens absent", false, no(kTokens), kBad, {kTokens, "missing"}},
      {"tokens empty", false, key(kTokens, std::vector<std::string>()), kBad, {kTokens, "0 tokens"}},
      {"tokens no strings", false, key(kTokens, std::vector<int32_t>{1, 2}), kBad, {kTokens, "i32"}},
      {"tokens no array", false, key(kTokens, "a"), kBad, {kTokens, "string"}},
      {"scores short", false, key(kScores, std::vector<float>{1, 2}), kBad, {kScores, "2 elements"}},
      {"scores bytes", false, key(kScores, std::vector<uint8_t>(300)), kBad, {kScores, "u8"}},
      {"scores absent", false, no(kScores), kBad, {kScores, "missing"}},
      {"score NaN", false, [](VocabularyFile& f) { f.scores[9] = NAN, f.finish(); }, kBad, {kScores, "[9]", "NaN"}},
      {"kinds short", false, key(kKinds, std::vector<int32_t>{1}), kBad, {kKinds, "1 elements"}},
      {"kinds bytes", true, key(kKinds, std::vector<uint8_t>(300)), kBad, {kKinds, "u8"}},
      {"kind 0", false, kind(4, 0), kBad, {kKinds, "[4]", "is 0"}},
      {"kind 99", true, kind(5, 99), kBad, {kKinds, "[5]", "is 99"}},
      {"merges absent", true, no(kMerges), kBad, {kMerges, "missing"}},
      {"merges no strings", true, key(kMerges, std::vector<int32_t>{1}), kBad, {kMerges, "i32"}},
      {"merge without space", true, merge(3, "hello"), kBad, {kMerges, "[3]", "'hello'"}},
      {"merge empty", true, merge(2, ""), kBad, {kMerges, "[2]"}},
      {"merge of one", true, merge(2, "a "), kBad, {kMerges, "[2]"}},
      {"merge of nothing", true, merge(2, " a"), kBad, {kMerges, "[2]"}},
      {"merge unknown left", true, merge(1, "qz a"), kBad, {kMerges, "[1]", "'qz'"}},
      {"merge unknown right", true, merge(1, "a qz"), kBad, {kMerges, "[1]", "'qz'"}},
      {"merge unknown result", true, merge(1, "q z"), kBad, {kMerges, "[1]", "'qz'"}},
      {"bos too large", false, key("tokenizer.ggml.bos_token_id", 100000u), kBad, {"bos_token_id", "100000"}},
      {"eos negative", false, key("tokenizer.ggml.eos_token_id", int32_t(-2)), kBad, {"eos_token_id", "-2"}},
      {"eot no number", false, key("tokenizer.ggml.eot_token_id", "5"), kBad, {"eot_token_id", "string"}},
      {"pad too large", true, key("tokenizer.ggml.padding_token_id", int64_t(1) << 40), kBad, {"padding_token_id"}},
      {"unk too large", true, key("tokenizer.ggml.unknown_token_id", 5000u), kBad, {"unknown_token_id", "5000"}},
      {"byte missing", false, kind(3 + 65, 1), kBad, {"255 byte tokens", "<0x41>"}},
      {"byte negative", false, text(3, "<0x-1>"), kBad, {kTokens, "[3]", "<0x-1>"}},
      {"byte no hex", false, text(3, "<0xZZ>"), kBad, {kTokens, "[3]", "<0xZZ>"}},
      {"byte twice", false, text(3, "<0x01>"), kBad, {"[3]", "[4]", "0x01"}},
      {"no byte letters",
       true,
       [](VocabularyFile& f) {
         f.tokens = {"hello"}, f.kinds = {1}, f.scores = {0}, f.merges = {"a b"};
         f.finish();
         f.remove("tokenizer.ggml.eos_token_id");
       },
       kBad,
       {kTokens, "byte letters"}},
      {"text not UTF-8", false, text(270, "a\xff"), kBad, {kTokens, "[270]", "UTF-8"}},
      {"text empty", true, text(257, ""), kBad, {kTokens, "[257]", "empty"}},
      {"text of 1 MiB", false, text(270, std::string(1 << 20, 'a')), kBad, {kTokens, "[270]", "1048576"}},
      {"pre unknown", true, key("tokenizer.ggml.pre", "falcon"), Code::unsupported, {"'falcon'", "llama-bpe", "qwen2"}},
      {"pre no string", true, key("tokenizer.ggml.pre", 1u), Code::gguf_key_type, {"tokenizer.ggml.pre"}},
      {"template no string", true, key("tokenizer.chat_template", 1u), Code::gguf_key_type, {"chat_template"}},
      {"add_bos no bool", false, key("tokenizer.ggml.add_bos_token", 1u), Code::gguf_key_type, {"add_bos_token"}},
      {"add_bos without bos", true, key("tokenizer.ggml.add_bos_token", true), kBad, {"add_bos_token", "no BOS"}},
      {"nothing to write in",
       false,
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
    VocabularyFile file = damage.bpe ? sample_bpe() : sample_spm();
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
  for (const bool bpe : {false, true}) {
    const std::string good = (bpe ? sample_bpe() : sample_spm()).bytes();
    Random random(bpe);
    for (int i = 0; i < test_count(4000); ++i) {
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
  for (const bool bpe : {false, true}) {
    const VocabularyFile sample = bpe ? sample_bpe() : sample_spm();
    const std::vector<std::pair<const char*, std::function<void(VocabularyFile&)>>> changes = {
        {"as it is", [](VocabularyFile&) {}},
        {"equal texts", text(260, sample.tokens[259])},
        {"id -1", key("tokenizer.ggml.padding_token_id", int32_t(-1))},
        {"id -1 as u32", key("tokenizer.ggml.padding_token_id", UINT32_MAX)},
        {"no kinds", no(kKinds)},
        {"longest text", [](VocabularyFile& f) { f.add(std::string(kMaxTokenBytes, 'a')), f.finish(); }},
    };
    for (const auto& [name, change] : changes) {
      SCOPED_TRACE(name);
      VocabularyFile file = sample;
      change(file);
      const auto tokenizer = load(file.bytes());
      if (bpe && std::string_view(name) == "equal texts") continue;  // takes a merge's result away
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
