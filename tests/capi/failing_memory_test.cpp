// Every allocation of every call fails once: the call says so or does its work, and whatever it said, all goes on.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <new>
#include <string>

#include "capi/wasi_nn/backend.h"
#include "tests/capi/runtime.h"
#include "tests/gguf/temp_folder.h"
#include "tests/runtime/failing_new.h"
#include "tests/support.h"

namespace linnet {
namespace {

// Lets the first, the second, ... allocation of `call` fail until there are no more; where there are many, beyond the
// first hundreds, only some of them.
void fail_each(const char* what, const std::function<int32_t()>& call, const std::function<void()>& afterwards) {
  if (!can_fail_allocations()) GTEST_SKIP() << "operator new cannot be replaced here";
  const int64_t all = test_count(500);
  int64_t failures = 0;
  for (int64_t n = 0;; n += n < all ? 1 : 1 + n / 20) {
    fail_allocation(n);
    const int32_t code = call();
    const bool last = none_failed();
    ASSERT_TRUE(code == LINNET_OK || (!last && code == LINNET_OUT_OF_MEMORY))
        << what << ", allocation " << n << ": " << linnet_code_name(code);
    afterwards();
    if (::testing::Test::HasFailure()) FAIL() << what << ", allocation " << n;
    if (last) break;
    ++failures;
  }
  EXPECT_GT(failures, 0) << what;
}

void nothing() {}

class FailingMemory : public ::testing::Test {
 protected:
  void fail(const char* what, const std::function<int32_t()>& call) {
    fail_each(what, call, [this] { EXPECT_FALSE(r.say(steady, "Hi", R"({"max_tokens":1})").empty()); });
  }
  Runtime r{R"({"threads":1,"temp":0,"max_tokens":3,"ctx_size":256,"log_level":"none","max_sessions":3})"};
  linnet_session steady = r.open("steady");
};

TEST_F(FailingMemory, Runtimes) {
  fail_each(
      "a runtime",
      [] {
        linnet_runtime id = 0;
        constexpr std::string_view config = R"({"log_level":"none","sampling":{"temp":0.5}})";
        const int32_t code = linnet_runtime_create(config.data(), config.size(), nullptr, nullptr, &id, nullptr);
        if (code == LINNET_OK) { EXPECT_EQ(linnet_runtime_destroy(id, nullptr), LINNET_OK); }
        return code;
      },
      nothing);
}

TEST_F(FailingMemory, Models) {
  fail("a load", [&] {
    linnet_model model = 0;
    const int32_t code =
        linnet_model_load(r.id, kDemoModel.data(), kDemoModel.size(), "{\"temp\":1}", 10, &model, nullptr);
    if (code == LINNET_OK) { EXPECT_EQ(linnet_model_unload(r.id, model, nullptr), LINNET_OK); }
    return code;
  });
  EXPECT_NE(r.status(LINNET_STATUS_MODEL).find(R"("count":1,)"), std::string::npos) << "no model is left over";
}

TEST_F(FailingMemory, Swaps) {
  linnet_model current = r.load(R"({"ctx_size":65})");
  int64_t size = 66;
  fail("a swap", [&] {
    const std::string config = R"({"ctx_size":)" + std::to_string(size) + "}";
    const int32_t code = linnet_model_replace(r.id, current, kDemoModel.data(), kDemoModel.size(), config.data(),
                                              config.size(), &current, nullptr);
    if (code == LINNET_OK) ++size;
    return code;
  });
  EXPECT_NE(r.status(LINNET_STATUS_MODEL).find(R"("count":2,)"), std::string::npos) << "the old ones are gone";
}

TEST_F(FailingMemory, Sessions) {
  fail("a session", [&] {
    linnet_session s = 0;
    const int32_t code = linnet_session_open(r.id, r.model, nullptr, 0, "{\"temp\":1}", 10, &s, nullptr);
    if (code == LINNET_OK) { EXPECT_EQ(linnet_session_close(r.id, s, nullptr), LINNET_OK); }
    return code;
  });
  int name = 0;
  fail("a session that takes another's place", [&] {
    linnet_session s = 0;
    const char letter = static_cast<char>('a' + name++ % 5);
    return linnet_session_open(r.id, r.model, &letter, 1, nullptr, 0, &s, nullptr);
  });
  EXPECT_NE(r.status(LINNET_STATUS_SESSIONS).find(R"("anonymous":0,)"), std::string::npos);
}

TEST_F(FailingMemory, Requests) {
  fail("a request", [&] { return r.generate(steady, Runtime::request("Hello!")); });
  fail("a grammar", [&] {
    return r.generate(steady, Runtime::request("Hello!", R"({"choices":["yes","no"],"stop":["zz"],"seed":3})"));
  });
  fail("a stream", [&] {
    linnet_stream stream = 0;
    const linnet_request request = Runtime::request("Hello!");
    int32_t code = linnet_stream_start(r.id, steady, &request, &stream, nullptr);
    if (code != LINNET_OK) return code;
    const char* text = nullptr;
    size_t bytes = 0;
    while ((code = linnet_stream_next(r.id, stream, &text, &bytes, nullptr)) == LINNET_OK) {}
    const int32_t finished = linnet_stream_finish(r.id, stream, nullptr, nullptr);
    if (code == LINNET_END) return finished;
    EXPECT_EQ(finished, code) << "the same error";
    return code;
  });
}

TEST_F(FailingMemory, Saving) {
  const TempFolder folder;
  const std::string path = folder.path("s");
  r.say(steady, "Hello!");
  fail("a fork", [&] {
    linnet_session copy = 0;
    const int32_t code = linnet_session_fork(r.id, steady, &copy, nullptr);
    if (code == LINNET_OK) { EXPECT_EQ(linnet_session_close(r.id, copy, nullptr), LINNET_OK); }
    return code;
  });
  fail("a save", [&] { return linnet_session_save(r.id, steady, path.data(), path.size(), nullptr); });
  EXPECT_EQ(folder.entries(), 1u) << "no half file is left";
  fail("a resume", [&] { return linnet_session_resume(r.id, steady, path.data(), path.size(), nullptr); });
  fail("a reset", [&] { return linnet_session_reset(r.id, steady, nullptr); });
}

TEST_F(FailingMemory, Questions) {
  char text[65536];
  for (int32_t topic = LINNET_STATUS_QUEUE; topic <= LINNET_STATUS_PROMETHEUS; ++topic)
    fail("a status", [&] { return linnet_status(r.id, topic, text, sizeof(text), nullptr, nullptr); });
  float vector[4096];
  fail("an embedding", [&] { return linnet_embed(r.id, r.model, "Hello", 5, vector, 4096, nullptr, nullptr); });
}

// The whole life of a guest over what both WASI-NN libraries share. What it throws their functions catch.
TEST_F(FailingMemory, WasiNn) {
  using wasi_nn::Backend;
  using wasi_nn::Outcome;
  wasi_nn::Rules rules;
  rules.one_model = true;
  const auto number = [](Outcome o) {
    return static_cast<int32_t>(o == Outcome::good ? LINNET_OK : LINNET_OUT_OF_MEMORY);
  };
  const auto life = [&](Backend& b) {
    uint32_t graph = 0, exec = 0;
    Outcome o = b.load(kDemoModel, R"({"ctx_size":128})", graph);
    if (o == Outcome::good) o = b.open_context(graph, "s", {}, exec);
    if (o == Outcome::good) o = b.set_input(exec, "Hello!");
    if (o == Outcome::good) o = b.compute(exec);
    std::string text;
    if (o == Outcome::good) o = b.output(exec, 0, false, text);
    if (o == Outcome::good) o = b.set_input(exec, "Hello!");
    if (o == Outcome::good) o = b.compute_single(exec);
    if (o == Outcome::good) o = b.fini_single(exec);
    if (o == Outcome::good) o = b.close_context(exec);
    return o;
  };
  fail("a guest", [&] {
    void* ctx = nullptr;
    try {
      ctx = Backend::open(R"({"threads":1,"max_tokens":2,"log_level":"none"})", rules);
    } catch (const std::bad_alloc&) {}
    if (!ctx) return int32_t{LINNET_OUT_OF_MEMORY};
    Outcome o = Outcome::failed;
    try {
      o = life(*Backend::find(ctx));
    } catch (const std::bad_alloc&) {}
    EXPECT_EQ(Backend::close(ctx), Outcome::good);
    return number(o);
  });
}

}  // namespace
}  // namespace linnet
