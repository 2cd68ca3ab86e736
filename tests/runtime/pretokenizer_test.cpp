#include "runtime/pretokenizer.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support.h"

namespace linnet {
namespace {

using Words = std::vector<std::string>;

Words split(const char* name, std::string_view text) {
  Words words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = find_pretokenizer(name)->next(text, at);
    words.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

TEST(Pretokenizer, Gpt2) {
  EXPECT_EQ(split("gpt-2", "Hello, y'all! It's"), (Words{"Hello", ",", " y", "'", "all", "!", " It", "'s"}));
  EXPECT_EQ(split("gpt-2", "'S 's 'RE'ree"), (Words{"'", "S", " '", "s", " '", "RE", "'re", "e"}));
  EXPECT_EQ(split("gpt-2", "a  b   "), (Words{"a", " ", " b", "   "}));
  EXPECT_EQ(split("gpt-2", "a\n\nb\n 1234"), (Words{"a", "\n", "\n", "b", "\n", " 1234"}));
  EXPECT_EQ(split("gpt-2", " "), (Words{" "}));
  EXPECT_EQ(split("gpt-2", "x½② é\u0301\u3000 z"), (Words{"x", "½②", " é", "\u0301", "\u3000", " z"}));
  EXPECT_EQ(split("gpt-2", "a\xff\xfe z\xc3"), (Words{"a", "\xff\xfe", " z", "\xc3"}));
}

TEST(Pretokenizer, Llama3) {
  EXPECT_EQ(split("llama-bpe", "We'Ve a'lL 'D"), (Words{"We", "'Ve", " a", "'lL", " '", "D"}));
  EXPECT_EQ(split("llama-bpe", "1234567 x"), (Words{"123", "456", "7", " x"}));
  EXPECT_EQ(split("llama-bpe", "(foo)\tbar !!\r\n\r\nz"), (Words{"(foo", ")", "\tbar", " !!\r\n\r\n", "z"}));
  EXPECT_EQ(split("llama-bpe", "a \n \n  b"), (Words{"a", " \n \n", " ", " b"}));
  EXPECT_EQ(split("llama-bpe", "\nx"), (Words{"\n", "x"}));
  EXPECT_EQ(split("llama-bpe", "a   "), (Words{"a", "   "}));
  EXPECT_EQ(split("llama-bpe", " 12"), (Words{" ", "12"}));
  EXPECT_EQ(split("llama-bpe", "'\u017fx"), (Words{"'\u017f", "x"}));
  EXPECT_EQ(split("llama3", "1234"), split("llama-v3", "1234"));
}

TEST(Pretokenizer, Qwen2) {
  EXPECT_EQ(split("smollm", "ab 123  4x"), (Words{"ab", " ", "1", "2", "3", "  ", "4", "x"}));
  EXPECT_EQ(split("smollm", "I'll  go \n"), (Words{"I", "'ll", " ", " go", " \n"}));
  EXPECT_EQ(split("qwen2", "ab 123"), (Words{"ab", " ", "1", "2", "3"}));
  EXPECT_EQ(split("qwen2", "I'Ll 工作1天～"), (Words{"I", "'Ll", " 工作", "1", "天", "～"}));
}

TEST(Pretokenizer, Default) {
  EXPECT_EQ(split("default", "it's 12345"), (Words{"it", "'", "s", " ", "123", "45"}));
  EXPECT_EQ(split("default", "a+=b  !"), (Words{"a", "+=", "b", "  ", "!"}));
  EXPECT_EQ(split("default", "12½345x"), (Words{"12½", "345", "x"}));
  EXPECT_EQ(split("default", "`a` 🦙."), (Words{"`", "a", "`", " 🦙", "."}));
}

TEST(Pretokenizer, WordsCoverAnyBytesInOrder) {
  Random random(1);
  const std::string alphabet = " \t\n\r'srevldtmSRE019aZ!$+.\xc3\xa9\xe4\xb8\xad\xf0\x9f\xa6\x99\xe3\x80\x80\xff";
  int checked = 0;
  for (const char* name : {"gpt-2", "llama-bpe", "qwen2", "default"}) {
    for (int i = 0; i < test_count(5000); ++i, ++checked) {
      std::string text, joined;
      for (int64_t n = random.below(24); n > 0; --n) text += alphabet[size_t(random.below(int64_t(alphabet.size())))];
      for (const std::string& word : split(name, text)) {
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
