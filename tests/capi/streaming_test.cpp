// Scenarios: text piece by piece.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "gguf/base/utf8.h"
#include "tests/capi/client.h"

namespace linnet {
namespace {

constexpr int32_t kEnd = ClientAbi::end_of_sequence;
constexpr const char* kSettings =
    R"({"threads":1,"temp":0.9,"seed":11,"max_tokens":40,"ctx_size":512,"log_level":"none"})";
constexpr const char* kEndless = R"({"max_tokens":100000000,"ignore_eos":true})";

std::string computed(Client& c, const std::string& input) {
  const uint32_t exec = c.open(nullptr);
  std::string text;
  EXPECT_EQ(c.set_input(exec, input), 0);
  EXPECT_EQ(c.abi.compute(c.ctx, exec), 0);
  EXPECT_EQ(c.output(exec, text), 0);
  c.close(exec);
  return text;
}

TEST(Streaming, ThePiecesAreTheText) {
  Client c(kSettings);
  c.load();
  const std::string whole = computed(c, "Tell me a story.");
  ASSERT_GT(whole.size(), 40u);
  const uint32_t exec = c.open(nullptr);
  ASSERT_EQ(c.set_input(exec, "Tell me a story."), 0);
  std::string joined, piece, so_far;
  int32_t code = 0, pieces = 0;
  while ((code = c.piece(exec, piece)) == 0) {
    EXPECT_FALSE(piece.empty());
    EXPECT_TRUE(utf8_valid(piece));
    joined += piece;
    ++pieces;
    ASSERT_EQ(c.output(exec, so_far), 0);
    EXPECT_EQ(so_far, joined);
  }
  EXPECT_EQ(code, kEnd);
  EXPECT_EQ(joined, whole);
  EXPECT_GT(pieces, 5);
  ASSERT_EQ(c.output(exec, so_far), 0);
  EXPECT_EQ(so_far, whole) << "after the end the whole text can be had";
  EXPECT_EQ(c.abi.fini_single(c.ctx, exec), 0);
  EXPECT_EQ(c.output(exec, so_far), ClientAbi::runtime_error) << "and after fini_single nothing";
  EXPECT_EQ(c.session_number(exec, "messages"), 2) << "it is part of the history";
}

TEST(Streaming, TheNextStreamBeginsWithAnInput) {
  Client c(kSettings);
  c.load();
  const uint32_t exec = c.open(nullptr);
  for (int round = 0; round < 3; ++round) {
    std::string piece;
    ASSERT_EQ(c.set_input(exec, "Hello!"), 0);
    while (c.piece(exec, piece) == 0) {}
    EXPECT_EQ(c.abi.compute_single(c.ctx, exec), ClientAbi::invalid_argument) << "the input is used up";
    if (round == 1) { EXPECT_EQ(c.abi.fini_single(c.ctx, exec), 0); }
  }
  EXPECT_EQ(c.session_number(exec, "messages"), 6);
}

TEST(Streaming, EndingInTheMiddle) {
  Client c(kSettings);
  c.load();
  const uint32_t exec = c.open(nullptr);
  std::string piece;
  ASSERT_EQ(c.set_input(exec, kEndless, 1), 0);
  ASSERT_EQ(c.set_input(exec, "Tell me a story."), 0);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(c.piece(exec, piece), 0);
  EXPECT_EQ(c.abi.fini_single(c.ctx, exec), 0);
  EXPECT_EQ(c.number(kQueue, "running"), 0) << "the request is over";
  ASSERT_EQ(c.set_input(exec, R"({"max_tokens":3})", 1), 0);
  ASSERT_EQ(c.set_input(exec, "Hello!"), 0);
  int32_t code = 0;
  while ((code = c.piece(exec, piece)) == 0) {}
  EXPECT_EQ(code, kEnd);
}

TEST(Streaming, ANewInputEndsTheStream) {
  Client c(kSettings);
  c.load();
  const uint32_t exec = c.open(nullptr);
  std::string piece, text;
  ASSERT_EQ(c.set_input(exec, kEndless, 1), 0);
  ASSERT_EQ(c.set_input(exec, "Tell me a story."), 0);
  ASSERT_EQ(c.piece(exec, piece), 0);
  ASSERT_EQ(c.set_input(exec, R"({"choices":["yes"]})", 1), 0);
  ASSERT_EQ(c.set_input(exec, "Really?"), 0);
  int32_t code = 0;
  while ((code = c.piece(exec, piece)) == 0) text += piece;
  EXPECT_EQ(code, kEnd);
  EXPECT_EQ(text, "yes") << "nothing of the old one comes";
}

TEST(Streaming, TwoAtATimeDoNotMix) {
  Client c(kSettings);
  c.load();
  const std::string inputs[] = {"Tell me a story.", "What is your name?"};
  const std::string whole[] = {computed(c, inputs[0]), computed(c, inputs[1])};
  ASSERT_NE(whole[0], whole[1]);
  const uint32_t exec[] = {c.open(nullptr), c.open("named")};
  std::string joined[2], piece;
  int32_t code[] = {0, 0};
  for (int i : {0, 1}) ASSERT_EQ(c.set_input(exec[i], inputs[i]), 0);
  while (code[0] == 0 || code[1] == 0) {
    for (int i : {0, 1}) {
      if (code[i] == 0 && (code[i] = c.piece(exec[i], piece)) == 0) joined[i] += piece;
    }
  }
  for (int i : {0, 1}) EXPECT_EQ(joined[i], whole[i]);
}

TEST(Streaming, ACancelledStreamComesToItsEnd) {
  Client c(kSettings);
  c.load();
  const uint32_t exec = c.open(nullptr);
  std::string piece;
  ASSERT_EQ(c.set_input(exec, kEndless, 1), 0);
  ASSERT_EQ(c.set_input(exec, "Tell me a story."), 0);
  ASSERT_EQ(c.piece(exec, piece), 0);
  ASSERT_EQ(c.abi.cancel(c.ctx, exec), 0);
  int32_t code = 0;
  while ((code = c.piece(exec, piece)) == 0) {}
  EXPECT_EQ(code, kEnd);
  std::string metadata;
  ASSERT_EQ(c.output(exec, metadata, 1), 0);
  EXPECT_EQ(*parse_json(metadata)->find("finish_reason")->string(), "cancelled");
}

TEST(Streaming, ClosingWhileAPieceIsAwaited) {
  Client c(kSettings);
  c.load();
  for (int round = 0; round < 20; ++round) {
    const uint32_t exec = c.open(nullptr);
    ASSERT_EQ(c.set_input(exec, kEndless, 1), 0);
    ASSERT_EQ(c.set_input(exec, "Tell me a story."), 0);
    std::atomic<bool> began = false;
    std::vector<std::thread> pulls;
    for (int t = 0; t < 2; ++t) {
      pulls.emplace_back([&] {
        int32_t code = 0;
        while ((code = c.abi.compute_single(c.ctx, exec)) == 0) began = true;
        EXPECT_TRUE(code == kEnd || code == ClientAbi::invalid_argument || code == ClientAbi::runtime_error) << code;
      });
    }
    while (!began) std::this_thread::yield();
    if (round % 2) { EXPECT_EQ(c.abi.fini_single(c.ctx, exec), 0); }
    c.close(exec);
    for (std::thread& pull : pulls) pull.join();
  }
}

TEST(Streaming, ASessionThatMadeRoomTakesItsStreamAlong) {
  Client c(R"({"threads":1,"max_tokens":2,"log_level":"none","max_sessions":1})");
  c.load();
  const uint32_t first = c.open("first");
  std::string piece;
  ASSERT_EQ(c.set_input(first, "Hello!"), 0);
  ASSERT_EQ(c.piece(first, piece), 0);
  while (c.number(kQueue, "running") > 0 || c.session_number(first, "requests") == 0) std::this_thread::yield();
  c.open("second");
  EXPECT_EQ(c.piece(first, piece), ClientAbi::invalid_argument);
  EXPECT_EQ(c.abi.fini_single(c.ctx, first), ClientAbi::invalid_argument);
}

}  // namespace
}  // namespace linnet
