#include "runtime/pretokenizer.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/runtime/split_words.h"
#include "tests/support.h"

namespace linnet {
namespace {

using Words = std::vector<std::string>;

TEST(Pretokenizer, Gpt2) {
  EXPECT_EQ(split_words("gpt-2", "Hello, y'all! It's"), (Words{"Hello", ",", " y", "'", "all", "!", " It", "'s"}));
  EXPECT_EQ(split_words("gpt-2", "'S 's 'RE'ree"), (Words{"'", "S", " '", "s", " '", "RE", "'re", "e"}));
  EXPECT_EQ(split_words("gpt-2", "a  b   "), (Words{"a", " ", " b", "   "}));
  EXPECT_EQ(split_words("gpt-2", "a\n\nb\n 1234"), (Words{"a", "\n", "\n", "b", "\n", " 1234"}));
  EXPECT_EQ(split_words("gpt-2", " "), (Words{" "}));
  EXPECT_EQ(split_words("gpt-2", "x½② é\u0301\u3000 z"), (Words{"x", "½②", " é", "\u0301", "\u3000", " z"}));
  EXPECT_EQ(split_words("gpt-2", "a\xff\xfe z\xc3"), (Words{"a", "\xff\xfe", " z", "\xc3"}));
}

TEST(Pretokenizer, Llama3) {
  EXPECT_EQ(split_words("llama-bpe", "We'Ve a'lL 'D"), (Words{"We", "'Ve", " a", "'lL", " '", "D"}));
  EXPECT_EQ(split_words("llama-bpe", "1234567 x"), (Words{"123", "456", "7", " x"}));
  EXPECT_EQ(split_words("llama-bpe", "(foo)\tbar !!\r\n\r\nz"), (Words{"(foo", ")", "\tbar", " !!\r\n\r\n", "z"}));
  EXPECT_EQ(split_words("llama-bpe", "a \n \n  b"), (Words{"a", " \n \n", " ", " b"}));
  EXPECT_EQ(split_words("llama-bpe", "\nx"), (Words{"\n", "x"}));
  EXPECT_EQ(split_words("llama-bpe", "a   "), (Words{"a", "   "}));
  EXPECT_EQ(split_words("llama-bpe", " 12"), (Words{" ", "12"}));
  EXPECT_EQ(split_words("llama-bpe", "'\u017fx"), (Words{"'\u017f", "x"}));
  EXPECT_EQ(split_words("llama3", "1234"), split_words("llama-v3", "1234"));
}

TEST(Pretokenizer, Qwen2) {
  EXPECT_EQ(split_words("smollm", "ab 123  4x"), (Words{"ab", " ", "1", "2", "3", "  ", "4", "x"}));
  EXPECT_EQ(split_words("smollm", "I'll  go \n"), (Words{"I", "'ll", " ", " go", " \n"}));
  EXPECT_EQ(split_words("qwen2", "ab 123"), (Words{"ab", " ", "1", "2", "3"}));
  EXPECT_EQ(split_words("qwen2", "I'Ll 工作1天～"), (Words{"I", "'Ll", " 工作", "1", "天", "～"}));
}

TEST(Pretokenizer, Default) {
  EXPECT_EQ(split_words("default", "it's 12345"), (Words{"it", "'", "s", " ", "123", "45"}));
  EXPECT_EQ(split_words("default", "a+=b  !"), (Words{"a", "+=", "b", "  ", "!"}));
  EXPECT_EQ(split_words("default", "12½345x"), (Words{"12½", "345", "x"}));
  EXPECT_EQ(split_words("default", "`a` 🦙."), (Words{"`", "a", "`", " 🦙", "."}));
}

// One word of text by text: what the families do with the same sentence.
TEST(Pretokenizer, Others) {
  EXPECT_EQ(split_words("falcon", "it's 12345 ½"), (Words{"it", "'", "s", " ", "123", "45", " \xc2", "\xbd"}));
  EXPECT_EQ(split_words("falcon3", "a  12."), (Words{"a", " ", " ", "1", "2", "."}));
  EXPECT_EQ(split_words("gpt-4o", "XMLHttp camelCase It'S"), (Words{"XMLHttp", " camel", "Case", " It'S"}));
  EXPECT_EQ(split_words("tekken", "It's 12 a/b\n//\nc"),
            (Words{"It", "'s", " ", "1", "2", " a", "/b", "\n", "//\n", "c"}));
  EXPECT_EQ(split_words("qwen35", "नमस्ते 12"), (Words{"नमस्ते", " ", "1", "2"}));
  EXPECT_EQ(split_words("qwen2", "नमस्ते"), (Words{"नमस", "्त", "े"}));
  EXPECT_EQ(split_words("kimi-k2", "中文abc Def's"), (Words{"中文", "abc", " Def's"}));
  EXPECT_EQ(split_words("deepseek-v3", "1234 .foo 中文か漢!\n\nx"),
            (Words{"123", "4", " .", "foo", " ", "中文か漢", "!\n\n", "x"}));
  EXPECT_EQ(split_words("deepseek-coder", "if x:\n  中文1"), (Words{"if", " x", ":", "\n", " ", " ", "中文", "1"}));
  EXPECT_EQ(split_words("bloom", "Hi (a|b). x"), (Words{"Hi", " (", "a", "|", "b", ").", " x"}));
  EXPECT_EQ(split_words("superbpe", "by the way 1234567"), (Words{"by the way ", "1", "234", "567"}));
  EXPECT_EQ(split_words("tiny_aya", "1234567 12345x"), (Words{"1", "234", "567", " ", "123", "45", "x"}));
  EXPECT_EQ(split_words("exaone-moe", "we go on, 12"), (Words{"we go on", ",", " ", "1", "2"}));
  EXPECT_EQ(split_words("jais-2", "a" + std::string(300, ' ') + "b"),
            (Words{"a", std::string(256, ' '), std::string(32, ' '), std::string(8, ' '), "  ", " ", " b"}));
  EXPECT_EQ(split_words("gemma4", "a b\n\nc"), (Words{"a b", "\n\n", "c"}));
}

TEST(Pretokenizer, WordsCoverAnyBytesInOrder) {
  Random random(1);
  const std::string alphabet = " \t\n\r'srevldtmSRE019aZ!$+.\xc3\xa9\xe4\xb8\xad\xf0\x9f\xa6\x99\xe3\x80\x80\xff";
  int checked = 0;
  for (const char* name : {"gpt-2", "llama-bpe", "qwen2", "default"}) {
    for (int i = 0; i < test_count(5000); ++i, ++checked) {
      std::string text, joined;
      for (int64_t n = random.below(24); n > 0; --n) text += alphabet[size_t(random.below(int64_t(alphabet.size())))];
      for (const std::string& word : split_words(name, text)) {
        ASSERT_FALSE(word.empty());
        joined += word;
      }
      ASSERT_EQ(joined, text);
    }
  }
  printf("%d texts split\n", checked);
}

TEST(Pretokenizer, UnknownName) {
  EXPECT_EQ(find_pretokenizer("no-such"), nullptr);
  EXPECT_NE(pretokenizer_names().find("llama-bpe"), std::string::npos);
}

}  // namespace
}  // namespace linnet
