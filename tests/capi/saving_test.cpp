// Sessions on disk: what was said comes back, after a restart and with another model; a damaged file is refused; and
// however a process dies while it saves, the file is whole.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>
#include <string>
#include <thread>

#include "gguf/base/json.h"
#include "runtime/session_file.h"
#include "tests/capi/runtime.h"
#include "tests/gguf/temp_folder.h"
#include "tests/support.h"

namespace linnet {
namespace {

int32_t save(Runtime& r, linnet_session s, const std::string& path) {
  return linnet_session_save(r.id, s, path.data(), path.size(), &r.error);
}
int32_t resume(Runtime& r, linnet_session s, const std::string& path) {
  return linnet_session_resume(r.id, s, path.data(), path.size(), &r.error);
}
int64_t messages(Runtime& r) {
  const auto json = parse_json(r.status(LINNET_STATUS_SESSIONS));
  return *json->find("sessions")->elements()[0].find("messages")->integer();
}

constexpr std::string_view kFirst = "My name is Ann and I like yellow flowers. What do you like?";
constexpr std::string_view kSecond = "What is my name?";

TEST(Saving, AForkGoesItsOwnWay) {
  Runtime r;
  const linnet_session s = r.open();
  r.say(s, kFirst);
  linnet_session copy = 0;
  ASSERT_EQ(linnet_session_fork(r.id, s, &copy, &r.error), LINNET_OK) << r.error.message;
  int64_t cached = 0;
  const std::string in_copy = r.say(copy, kSecond, {}, &cached);
  EXPECT_GT(cached, 10) << "what is computed is shared";
  EXPECT_EQ(r.say(s, kSecond), in_copy);
  r.say(copy, "And more?");
  ASSERT_EQ(linnet_session_reset(r.id, s, &r.error), LINNET_OK);
  EXPECT_EQ(messages(r), 0);
  r.say(copy, "Still there?");
}

TEST(Saving, ASessionComesBackAfterARestart) {
  const TempFolder folder;
  const std::string path = folder.path("ann.session");
  std::string expected;
  {
    Runtime r;
    const linnet_session s = r.open("ann");
    r.say(s, kFirst);
    ASSERT_EQ(save(r, s, path), LINNET_OK) << r.error.message;
    expected = r.say(s, kSecond);
  }
  Runtime r;
  const linnet_session s = r.open("ann");
  ASSERT_EQ(resume(r, s, path), LINNET_OK) << r.error.message;
  EXPECT_EQ(messages(r), 2);
  int64_t cached = 0;
  EXPECT_EQ(r.say(s, kSecond, {}, &cached), expected);
  EXPECT_GT(cached, 20) << "what was computed was not computed again";
  EXPECT_EQ(folder.entries(), 1u) << "no other file is left";
}

TEST(Saving, ASessionComesBackAfterASwap) {
  const TempFolder folder;
  const std::string path = folder.path("s");
  Runtime r;
  const linnet_session s = r.open();
  r.say(s, kFirst);
  const std::string expected = [&] {
    EXPECT_EQ(save(r, s, path), LINNET_OK);
    return r.say(s, kSecond);
  }();
  // Another number type of the cache: the pages do not fit, the history does.
  constexpr std::string_view config = R"({"kv_type":"f32"})";
  ASSERT_EQ(linnet_model_replace(r.id, r.model, kDemoModel.data(), kDemoModel.size(), config.data(), config.size(),
                                 &r.model, &r.error),
            LINNET_OK);
  const linnet_session again = r.open();
  ASSERT_EQ(resume(r, again, path), LINNET_OK) << r.error.message;
  EXPECT_EQ(messages(r), 2);
  int64_t cached = -1;
  EXPECT_FALSE(r.say(again, kSecond, {}, &cached).empty());
  EXPECT_EQ(cached, 0) << "computed again";
  EXPECT_EQ(messages(r), 4);
}

TEST(Saving, AHistoryThatIsTooLongForTheContextLosesItsBeginning) {
  const TempFolder folder;
  const std::string path = folder.path("s");
  Runtime r;
  const linnet_session s = r.open();
  for (int i = 0; i < 8; ++i) r.say(s, "Tell me about number " + std::to_string(i), R"({"max_tokens":30})");
  ASSERT_EQ(save(r, s, path), LINNET_OK);
  r.model = r.load(R"({"ctx_size":192,"n_keep_tokens":64,"n_discard_tokens":64,"kv_type":"f32"})");
  const linnet_session small = r.open();
  ASSERT_EQ(resume(r, small, path), LINNET_OK) << r.error.message;
  EXPECT_FALSE(r.say(small, kSecond).empty());
  EXPECT_FALSE(r.say(small, kSecond).empty());
  r.model = r.load(R"({"ctx_size":192,"context_shifting":false,"kv_type":"f32"})");
  const linnet_session fixed = r.open();
  ASSERT_EQ(resume(r, fixed, path), LINNET_OK);
  EXPECT_EQ(r.generate(fixed, Runtime::request(kSecond)), LINNET_PROMPT_TOO_LONG) << "unless contexts are not shifted";
}

TEST(Saving, AnEmptySessionAndALongOne) {
  const TempFolder folder;
  const std::string path = folder.path("s");
  Runtime r(R"({"threads":1,"temp":0,"max_tokens":40,"ctx_size":256,"log_level":"none"})");
  const linnet_session s = r.open();
  ASSERT_EQ(save(r, s, path), LINNET_OK) << r.error.message;
  for (int i = 0; i < 12; ++i) r.say(s, "Tell me about number " + std::to_string(i), R"({"ignore_eos":true})");
  const std::string longer = folder.path("longer");
  ASSERT_EQ(save(r, s, longer), LINNET_OK) << "a session whose context was shifted";
  const std::string expected = r.say(s, kSecond);
  const linnet_session other = r.open();
  ASSERT_EQ(resume(r, other, longer), LINNET_OK);
  EXPECT_EQ(r.say(other, kSecond), expected);
  ASSERT_EQ(resume(r, s, path), LINNET_OK);
  EXPECT_EQ(messages(r), 0);
}

TEST(Saving, PathsThatDoNotGo) {
  const TempFolder folder;
  Runtime r;
  const linnet_session s = r.open();
  r.say(s, "Hi");
  EXPECT_EQ(resume(r, s, folder.path("absent")), LINNET_NOT_FOUND);
  EXPECT_EQ(save(r, s, folder.path("absent/below")), LINNET_NOT_FOUND);
  EXPECT_EQ(save(r, s, folder.path("")), LINNET_IO);
  EXPECT_EQ(resume(r, s, folder.path("")), LINNET_IO);
  EXPECT_EQ(resume(r, s, kDemoModel), LINNET_IO) << "some other file";
  EXPECT_EQ(messages(r), 2) << "the session is as it was";
}

TEST(Saving, DamageInAnyByteIsSeen) {
  const TempFolder folder;
  const std::string path = folder.path("s"), damaged = folder.path("damaged");
  Runtime r;
  const linnet_session s = r.open();
  r.say(s, "Hi", R"({"max_tokens":2})");
  ASSERT_EQ(save(r, s, path), LINNET_OK);
  const std::string good = TempFolder::read(path);
  ASSERT_GT(good.size(), 200u);
  // Every byte of what comes before the pages, and many of these; the decoder reads bytes as resume() gives them to it.
  const size_t step = std::max<size_t>(1, good.size() / static_cast<size_t>(test_count(4000)));
  std::string bytes = good;
  for (size_t at = 0; at < good.size(); at += at < 1000 ? 1 : step) {
    for (const int change : {1, 0x80, 0xff}) {
      bytes[at] = static_cast<char>(good[at] ^ change);
      const auto session = decode_session(std::as_bytes(std::span(bytes)));
      ASSERT_FALSE(session) << "byte " << at;
      EXPECT_EQ(session.error().code, Code::session_file);
    }
    bytes[at] = good[at];
  }
  for (size_t size = 0; size < good.size(); size += size < 1000 ? 1 : step) {
    ASSERT_FALSE(decode_session(std::as_bytes(std::span(good.data(), size)))) << size;
  }
  for (const std::string& text : {good.substr(0, good.size() - 1), good + "x", std::string(), good.substr(0, 8)}) {
    folder.write("damaged", text);
    EXPECT_EQ(resume(r, s, damaged), LINNET_IO) << r.error.message;
    EXPECT_STREQ(r.error.name, "session_file");
  }
  EXPECT_EQ(messages(r), 2);
  EXPECT_EQ(resume(r, s, path), LINNET_OK);
}

// What a file with a good checksum says is not believed either.
TEST(Saving, AForgedFileDoesNoHarm) {
  const TempFolder folder;
  Runtime r;
  const linnet_session s = r.open();
  r.say(s, kFirst);
  const std::string path = folder.path("s");
  ASSERT_EQ(save(r, s, path), LINNET_OK);
  auto saved = read_session(path);
  ASSERT_TRUE(saved);
  Random random(3);
  for (int i = 0; i < test_count(200); ++i) {
    SavedSession forged = *saved;
    switch (random.below(5)) {
      case 0:
        for (int n = 0; n < 4 && !forged.pages.empty(); ++n)
          forged.pages[static_cast<size_t>(
              random.below(static_cast<int64_t>(std::min<size_t>(forged.pages.size(), 300))))] ^=
              std::byte{static_cast<uint8_t>(1 + random.below(255))};
        break;
      case 1:
        forged.pages.resize(static_cast<size_t>(random.below(static_cast<int64_t>(forged.pages.size()))));
        break;
      case 2:
        for (int32_t& token : forged.tokens)
          if (random.below(4) == 0) token = static_cast<int32_t>(random.next());
        break;
      case 3:
        forged.tokens.resize(static_cast<size_t>(random.below(static_cast<int64_t>(forged.tokens.size() + 1))));
        forged.text = "something else";
        break;
      default:
        forged.messages.resize(static_cast<size_t>(random.below(3)));
        forged.messages.push_back({"nobody", "{{ '}}' }}"});
    }
    const std::string name = folder.path("forged");
    ASSERT_TRUE(write_session(name, forged));
    if (resume(r, s, name) == LINNET_OK) r.generate(s, Runtime::request("Hi", R"({"max_tokens":1})"));
  }
  ASSERT_EQ(resume(r, s, path), LINNET_OK) << r.error.message;
  EXPECT_FALSE(r.say(s, kSecond).empty());
}

// A child saves one session over another, again and again, until it is killed; the file is one of the two each time.
TEST(Saving, AProcessKilledWhileItSavesLeavesTheOldOrTheNewFile) {
  const TempFolder folder;
  const std::string path = folder.path("s");
  SavedSession one, two;
  one.messages = {{"user", "one"}};
  two.messages = {{"user", "two"}};
  one.pages.resize(3 << 20, std::byte{1});
  two.pages.resize(2 << 20, std::byte{2});
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(write_session(path, one));
  const auto one_write =
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
  Random random(1);
  int ones = 0, twos = 0;
  const int kills = test_count(100);
  for (int i = 0; i < kills; ++i) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (bool second = true;; second = !second) {
        if (!write_session(path, second ? two : one) || ::write(ends[1], "", 1) != 1) ::_exit(1);
      }
    }
    // After 0, 1 or 2 files, somewhere within the next.
    for (int written = 0; written < i % 3; ++written) {
      char done;
      ASSERT_EQ(::read(ends[0], &done, 1), 1);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(one_write.count() + 1)));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    int state = 0;
    ASSERT_EQ(::waitpid(child, &state, 0), child);
    ::close(ends[0]);
    ::close(ends[1]);
    ASSERT_TRUE(WIFSIGNALED(state)) << "the child could not write";
    const auto read = read_session(path);
    ASSERT_TRUE(read) << read.error().message << ", kill " << i;
    const bool is_one = read->messages[0].content == "one";
    EXPECT_EQ(read->pages, is_one ? one.pages : two.pages);
    ++(is_one ? ones : twos);
  }
  EXPECT_EQ(ones + twos, kills);
  EXPECT_GT(ones, 0);
  EXPECT_GT(twos, 0) << "no child came far enough";
}

}  // namespace
}  // namespace linnet
