#include "runtime/rwkv.h"

#include <gtest/gtest.h>

#include "tests/runtime/loaded_tokenizer.h"
#include "tests/support.h"

namespace linnet {
namespace {

TEST(Rwkv, EscapesOfTheTexts) {
  const Loaded t(sample_rwkv());
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_FALSE(t->add_bos());
  EXPECT_FALSE(t->add_eos());
  EXPECT_EQ(t->bytes(1), std::string(1, '\0'));
  EXPECT_EQ(t->bytes(1 + 0xff), "\xff");
  EXPECT_EQ(t->bytes(*t->find("\\n\\n")), "\n\n");
  EXPECT_EQ(t->bytes(*t->find("\\r\\n")), "\r\n");
  EXPECT_EQ(t->bytes(*t->find("\\t\\t")), "\t\t");
  EXPECT_EQ(t->bytes(*t->find("\\\\\\\\")), "\\\\");
  EXPECT_EQ(t->bytes(*t->find("\\'s\"")), "'s\"");
  EXPECT_EQ(t->bytes(*t->find("\\xe6\\x97\\xa5")), "日");
}

TEST(Rwkv, LongestTokenAtEveryPlace) {
  const Loaded t(sample_rwkv());
  ASSERT_TRUE(t.tokenizer) << t.error;
  EXPECT_EQ(pieces(*t, encode(*t, "hello hell")), "hello \\x20 hell");
  EXPECT_EQ(pieces(*t, encode(*t, "aaaaaaa")), "aaaa aa a");
  EXPECT_EQ(pieces(*t, encode(*t, "日\xe6\x97\xa6\n\n\n")), "\\xe6\\x97\\xa5 \\xe6\\x97 \\xa6 \\n\\n \\x0a");
  EXPECT_EQ(pieces(*t, encode(*t, "a<|im_end|>", {.special = true})), "a <|im_end|>");

  const std::vector<std::string> known = {"he",   "hell", "hello", " wo", "  ",      "    ",
                                          "\n\n", "aa",   "aaaa",  "日",  "\xe6\x97"};
  Random random(9);
  const int n = test_count(5000);
  for (int i = 0; i < n; ++i) {
    std::string text;
    for (int64_t k = random.below(20); k > 0; --k) {
      const char* parts[] = {"h", "e", "l", "o", " ", "w", "\n", "a", "日", "\xe6", "hello", "x"};
      text += parts[random.below(std::ssize(parts))];
    }
    std::vector<std::string> slow;
    for (size_t at = 0; at < text.size(); at += slow.back().size()) {
      slow.push_back(text.substr(at, 1));
      for (const std::string& token : known) {
        if (token.size() > slow.back().size() && text.compare(at, token.size(), token) == 0) slow.back() = token;
      }
    }
    std::vector<std::string> fast;
    for (const int32_t id : encode(*t, text)) fast.emplace_back(t->bytes(id));
    ASSERT_EQ(fast, slow) << text;
    ASSERT_EQ(t->decode(encode(*t, text)), text);
  }
  printf("%d texts\n", n);
}

TEST(Rwkv, BytesWithoutAToken) {
  VocabularyFile file = sample_rwkv();
  file.tokens[1 + 'x'] = "xx";
  file.finish();
  const Loaded dropped(file);
  file.set("tokenizer.ggml.unknown_token_id", 3u);
  const Loaded marked(file);
  ASSERT_TRUE(dropped.tokenizer && marked.tokenizer) << dropped.error << marked.error;
  EXPECT_EQ(pieces(*dropped, encode(*dropped, "axbxx")), "a b xx");
  EXPECT_EQ(encode(*marked, "axb"), (Ids{1 + 'a', 3, 1 + 'b'}));
}

}  // namespace
}  // namespace linnet
