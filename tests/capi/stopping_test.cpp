// Scenarios: where a text ends, by settings of the model, the session and the request.
#include <gtest/gtest.h>

#include <string>

#include "tests/capi/client.h"

namespace linnet {
namespace {

// What the model says is known: one of one choice.
const std::string kCount = R"("choices":["one, two, three, four, five"],"max_tokens":64)";

class Stopping : public ::testing::Test {
 protected:
  std::string say(const std::string& model, const std::string& session, const std::string& request) {
    c.load("{" + kCount + (model.empty() ? "" : "," + model) + "}");
    const uint32_t exec = session.empty() ? c.open(nullptr) : c.open(nullptr, "{" + session + "}");
    return c.say(exec, "Count!", request.empty() ? "" : "{" + request + "}");
  }
  Client c;
};

TEST_F(Stopping, WithoutStopTheWholeTextComes) { EXPECT_EQ(say("", "", ""), "one, two, three, four, five"); }

TEST_F(Stopping, TheModelSaysWhere) { EXPECT_EQ(say(R"("stopping":{"stop":[", four"]})", "", ""), "one, two, three"); }

TEST_F(Stopping, TheSessionSaysWhere) {
  EXPECT_EQ(say(R"("stop":[", four"])", R"("stop":[", three"])", ""), "one, two");
}

TEST_F(Stopping, TheRequestSaysWhere) {
  EXPECT_EQ(say(R"("stop":[", four"])", R"("stop":[", three"])", R"("stop":[", two"])"), "one");
}

TEST_F(Stopping, StopSequencesIsTheSameKey) {
  EXPECT_EQ(say(R"("stop_sequences":[", four"])", "", ""), "one, two, three");
  EXPECT_EQ(say("", "", R"("stopping":{"stop_sequences":["zzz",", two"]})"), "one");
  EXPECT_EQ(say("", "", R"("reverse-prompt":", five")"), "one, two, three, four") << "a text is a list of one";
}

TEST_F(Stopping, TheEarliestOfSeveralCounts) { EXPECT_EQ(say(R"("stop":["five","four","two"])", "", ""), "one, "); }

TEST_F(Stopping, MaxTokensInEveryLayer) {
  const auto tokens = [&](const std::string& model, const std::string& session, const std::string& request) {
    const std::string story = R"({"ignore_eos":true)";
    c.load(story + model + "}");
    const uint32_t exec = c.open("s", "{" + session + "}");
    c.say(exec, "Tell me a story.", request);
    return c.session_number(exec, "completion_tokens");
  };
  EXPECT_EQ(tokens(R"(,"stopping":{"max_tokens":7})", "", ""), 7);
  EXPECT_EQ(tokens(R"(,"n_predict":6)", R"("max_tokens":5)", ""), 5);
  EXPECT_EQ(tokens(R"(,"max_tokens":4)", R"("max_tokens":5)", R"({"max_tokens":3})"), 3);
  EXPECT_EQ(tokens(R"(,"max_tokens":9)", "", R"({"max_tokens":-1})"), 9) << "-1 keeps what was said before";
}

TEST_F(Stopping, TheReasonIsToldInTheStatus) {
  say("", "", R"("stop":[", two"])");
  EXPECT_EQ(c.number(kPerformance, "finish_reasons.stop_string"), 1);
  c.say(c.open(nullptr), "Tell me a story.", R"({"choices":[],"grammar":"","max_tokens":1,"ignore_eos":true})");
  EXPECT_EQ(c.number(kPerformance, "requests"), 2);
}

TEST_F(Stopping, SeedsAreReproducible) {
  c.load(R"({"temp":1.2,"max_tokens":24})");
  const auto text = [&](int seed) {
    return c.say(c.open(nullptr, "{}"), "Tell me a story.", R"({"temp":1.2,"seed":)" + std::to_string(seed) + "}");
  };
  const std::string five = text(5);
  EXPECT_EQ(text(5), five);
  EXPECT_NE(text(6), five);
}

}  // namespace
}  // namespace linnet
