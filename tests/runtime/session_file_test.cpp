#include "runtime/session_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "gguf/base/hash.h"
#include "tests/gguf/temp_folder.h"
#include "tests/support.h"

namespace linnet {
namespace {

SavedSession sample() {
  SavedSession s;
  s.messages = {{"user", "Hallo, wie geht's? \u00e4\u00f6\u00fc"}, {"assistant", ""}, {"user", std::string(300, 'x')}};
  s.text = "<|im_start|>user\nHallo";
  s.tokens = {1, 2, 3, 1023};
  s.model = "llama/1024/0123456789abcdef";
  for (int i = 0; i < 500; ++i) s.pages.push_back(static_cast<std::byte>(i * 7));
  return s;
}

void expect_equal(const SavedSession& a, const SavedSession& b) {
  ASSERT_EQ(a.messages.size(), b.messages.size());
  for (size_t i = 0; i < a.messages.size(); ++i) {
    EXPECT_EQ(a.messages[i].role, b.messages[i].role);
    EXPECT_EQ(a.messages[i].content, b.messages[i].content);
  }
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.model, b.model);
  EXPECT_EQ(a.pages, b.pages);
}

TEST(SessionFile, ComesBackAsItWas) {
  for (const SavedSession& session : {sample(), SavedSession{}}) {
    const auto decoded = decode_session(encode_session(session));
    ASSERT_TRUE(decoded) << decoded.error().message;
    expect_equal(*decoded, session);
  }
}

TEST(SessionFile, EveryDamagedByteIsNoticed) {
  const std::vector<std::byte> good = encode_session(sample());
  for (size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= std::byte{0x10};
    const auto decoded = decode_session(bad);
    ASSERT_FALSE(decoded) << i;
    EXPECT_EQ(decoded.error().code, Code::session_file) << i;
  }
}

TEST(SessionFile, EveryTruncationIsNoticed) {
  const std::vector<std::byte> good = encode_session(sample());
  for (size_t n = 0; n < good.size(); ++n) ASSERT_FALSE(decode_session(std::span(good).first(n))) << n;
  auto longer = good;
  longer.push_back({});
  EXPECT_FALSE(decode_session(longer));
}

// Damage with a checksum that fits: lengths and counts that lie.
TEST(SessionFile, LyingCountsAreNoticed) {
  Random random(5);
  const std::vector<std::byte> good = encode_session(sample());
  int refused = 0;
  for (int round = test_count(5000); round > 0; --round) {
    auto bad = good;
    const auto body = static_cast<size_t>(24 + random.below(static_cast<int64_t>(good.size()) - 24 - 8));
    const uint64_t value = random.below(3) == 0 ? random.next() : static_cast<uint64_t>(random.below(2000));
    std::memcpy(bad.data() + body, &value, sizeof(value));
    const uint64_t checksum = xxh64(std::span(bad).subspan(24));
    std::memcpy(bad.data() + 16, &checksum, sizeof(checksum));
    const auto decoded = decode_session(bad);  // must not crash, nor take memory beyond the file's size
    refused += !decoded;
  }
  EXPECT_GT(refused, 0);
}

TEST(SessionFile, AnOlderVersionSaysSo) {
  auto bytes = encode_session(sample());
  bytes[7] = std::byte{'0'};
  const auto decoded = decode_session(bytes);
  ASSERT_FALSE(decoded);
  EXPECT_NE(decoded.error().message.find("version"), std::string::npos) << decoded.error().message;
}

TEST(SessionFile, AFailedWriteLeavesTheOldFile) {
  const TempFolder folder;
  const std::string path = folder.path("s.session");
  ASSERT_TRUE(write_session(path, sample()));
  ASSERT_TRUE(read_session(path));
  EXPECT_FALSE(write_session(folder.path("missing/s.session"), sample()));
  const auto missing = read_session(folder.path("none"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::io_not_found);
  std::ofstream(folder.path("text")) << "hello";
  EXPECT_EQ(read_session(folder.path("text")).error().code, Code::session_file);
}

}  // namespace
}  // namespace linnet
