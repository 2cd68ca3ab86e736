// Four threads call anything with anything: handles that were, are and never were, sizes from nothing to too much,
// configurations with and without sense. Nothing may crash, hang or write where it should not, and afterwards all works.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/capi/client.h"
#include "tests/support.h"

namespace linnet {
namespace {

constexpr int kThreads = 4;

const std::string kConfigs[] = {
    "",
    "{}",
    R"({"max_tokens":2})",
    R"({"max_tokens":-1,"max_time_ms":5})",
    R"({"temp":1.5,"seed":3,"max_tokens":3})",
    R"({"choices":["ä€😀"]})",
    R"({"stop":["e","o"],"n_probs":2})",
    R"({"priority":"urgent","queue_timeout_ms":3})",
    R"({"first_token_timeout_ms":1})",
    R"({"grammar":"root ::= [a-c]+","max_tokens":4})",
    R"({"grammar":"root ::= ("})",
    R"({"strict":true,"nonsense":1})",
    R"({"cache_salt":"x"})",
    R"({"max_tokens":2,"ignore_eos":true,"top_k":-5})",
    "{\"temp\":",
    "\xff\xfe\x00",
    R"([1,2,3])",
};

// The contexts that the threads share. Slots are opened, closed and used by all of them.
struct Shared {
  std::atomic<void*> ctx[3] = {};
  std::atomic<uint32_t> last_exec = 0, last_graph = 0;
  std::atomic<int64_t> successes = 0;
};

class Caller {
 public:
  Caller(Shared& shared, uint64_t seed) : shared_(shared), random_(seed) {}

  void call() {
    void* const ctx = some_ctx();
    const std::string& config = kConfigs[random_.below(std::size(kConfigs))];
    const auto length = static_cast<uint32_t>(config.size());
    uint32_t id = 0;
    int32_t code = -1;
    switch (random_.below(100)) {
      case 0:
        code = reopen();
        break;
      case 1:
        code = abi_.load_by_name_with_config(ctx, kDemoModel.data(), path_length(),
                                             random_.below(2) ? kSmall.data() : kOther.data(), 1000, &id);
        if (code == 0) shared_.last_graph = id;
        break;
      case 2:
        code = random_.below(4) == 0 ? abi_.unload(ctx, some_graph()) : abi_.load_by_name(ctx, "/absent", 7, &id);
        break;
      case 3: {
        Builder part{out_.data(), static_cast<uint32_t>(random_.below(64))};
        BuilderArray parts{random_.below(8) ? &part : nullptr, static_cast<uint32_t>(random_.below(2))};
        code = abi_.load(ctx, &parts, static_cast<int32_t>(random_.below(9)) - 1,
                         static_cast<int32_t>(random_.below(4)), random_.below(8) ? &id : nullptr);
        break;
      }
      case 4 ... 14:
        code = abi_.init_execution_context(ctx, some_graph(), &id);
        if (code == 0) shared_.last_exec = id;
        break;
      case 15 ... 24:
        code = abi_.init_execution_context_with_session_id(ctx, kNames[random_.below(std::size(kNames))], &id);
        if (code == 0) shared_.last_exec = id;
        break;
      case 25 ... 29:
        code = abi_.init_execution_context_with_config(ctx, some_graph(), kNames[random_.below(std::size(kNames))],
                                                       config.data(), length, &id);
        break;
      case 30 ... 41:
        code = abi_.close_execution_context(ctx, some_exec());
        break;
      case 42 ... 49: {
        uint32_t room = static_cast<uint32_t>(random_.below(static_cast<int64_t>(kRoom)));
        code = abi_.run_inference(ctx, some_exec(), 0, tensor(), out_.data(), &room, config.data(), length);
        EXPECT_LE(room, kRoom);
        break;
      }
      case 50 ... 59:
        code = abi_.set_input(ctx, some_exec(), static_cast<uint32_t>(random_.below(3)), tensor());
        break;
      case 60 ... 64:
        code = abi_.compute(ctx, some_exec());
        break;
      case 65 ... 72:
        code = abi_.compute_single(ctx, some_exec());
        break;
      case 73 ... 77:
        code = abi_.fini_single(ctx, some_exec());
        break;
      case 78 ... 89: {
        uint32_t room = static_cast<uint32_t>(random_.below(static_cast<int64_t>(kRoom)));
        const auto index = static_cast<uint32_t>(random_.below(3));
        const auto get = random_.below(2) ? abi_.get_output : abi_.get_output_single;
        code = get(ctx, some_exec(), index, random_.below(10) ? out_.data() : nullptr, &room);
        break;
      }
      case 90 ... 95:
        code = abi_.cancel(ctx, some_exec());
        break;
      default:
        code = abi_.get_backend_status(ctx, static_cast<int32_t>(random_.below(7)) - 1,
                                       reinterpret_cast<char*>(out_.data()),
                                       static_cast<uint32_t>(random_.below(static_cast<int64_t>(kRoom))));
    }
    EXPECT_TRUE((code >= 0 && code <= 7) || (code >= 100 && code <= 103)) << code;
    for (size_t i = kRoom; i < out_.size(); ++i) ASSERT_EQ(out_[i], 0xee) << "written beyond the room";
    if (code == 0) ++shared_.successes;
  }

 private:
  static constexpr size_t kRoom = 8192;
  static constexpr std::string_view kSmall = R"({"ctx_size":128,"max_tokens":3,"swap_timeout_ms":50})";
  static constexpr std::string_view kOther = R"({"ctx_size":192,"max_tokens":3,"swap_timeout_ms":0})";
  static constexpr const char* kNames[] = {"a", "b", "c", "d", "ä", "", "\xff", "a long name for a session", nullptr};

  static uint32_t path_length() { return static_cast<uint32_t>(kDemoModel.size()); }

  void* some_ctx() {
    switch (random_.below(24)) {
      case 0:
        return nullptr;
      case 1:
        return reinterpret_cast<void*>(random_.next());
      default:
        return shared_.ctx[random_.below(std::size(shared_.ctx))];
    }
  }
  uint32_t near(uint32_t last) {
    if (random_.below(16) == 0) return static_cast<uint32_t>(random_.next());
    const auto back = static_cast<uint32_t>(random_.below(6));
    return last > back ? last - back : last;
  }
  uint32_t some_exec() { return near(shared_.last_exec); }
  uint32_t some_graph() { return near(shared_.last_graph); }

  // Now and then a context ends, and another takes its slot.
  int32_t reopen() {
    std::atomic<void*>& slot = shared_.ctx[random_.below(std::size(shared_.ctx))];
    void* fresh = nullptr;
    constexpr std::string_view config =
        R"({"threads":1,"log_level":"none","max_sessions":4,"max_concurrent":3,"queue_size":2,"idle_timeout_ms":50})";
    const int32_t code = abi_.init_backend_with_config(&fresh, config.data(), config.size());
    if (code != 0) return code;
    void* const old = slot.exchange(fresh);
    uint32_t graph = 0;
    EXPECT_TRUE(abi_.load_by_name_with_config(fresh, kDemoModel.data(), path_length(), kSmall.data(), kSmall.size(),
                                              &graph) <= 4);
    shared_.last_graph = graph;
    return old ? abi_.deinit_backend(old) : code;
  }

  ClientAbi::Tensor* tensor() {
    static constexpr std::string_view kTexts[] = {"Hi", "", "Tell me a story.", "\xc3\x28", R"({"max_tokens":1})"};
    text_ = kTexts[random_.below(std::size(kTexts))];
    extent_[0] = static_cast<uint32_t>(random_.below(static_cast<int64_t>(text_.size()) + 1));
    extent_[1] = 1;
    dims_ = {random_.below(8) ? extent_ : nullptr, static_cast<uint32_t>(random_.below(3))};
    if (random_.below(50) == 0) extent_[0] = extent_[1] = 0xffffffff, dims_ = {extent_, 2};  // more than may be
    input_ = {random_.below(3) ? &dims_ : nullptr, static_cast<int32_t>(random_.next()),
              random_.below(20) ? reinterpret_cast<uint8_t*>(text_.data()) : nullptr};
    return random_.below(30) ? &input_ : nullptr;
  }

  const ClientAbi& abi_ = client_abi();
  Shared& shared_;
  Random random_;
  std::vector<uint8_t> out_ = std::vector<uint8_t>(kRoom + 64, 0xee);
  std::string text_;
  uint32_t extent_[2] = {};
  Dims dims_ = {};
  ClientAbi::Tensor input_ = {};
};

TEST(RandomCalls, FromFourThreads) {
  Shared shared;
  std::vector<std::thread> threads;
  const int calls = test_count(100000) / kThreads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      Caller caller(shared, static_cast<uint64_t>(t) + 1);
      for (int i = 0; i < calls && !::testing::Test::HasFailure(); ++i) caller.call();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(shared.successes, calls / 4) << "most calls did nothing";
  for (std::atomic<void*>& slot : shared.ctx) {
    if (void* const ctx = slot) { EXPECT_EQ(client_abi().deinit_backend(ctx), 0); }
  }
  Client fresh;
  fresh.load();
  EXPECT_FALSE(fresh.say(fresh.open("after"), "Hello!").empty());
  EXPECT_EQ(fresh.number(kQueue, "running"), 0);
}

}  // namespace
}  // namespace linnet
