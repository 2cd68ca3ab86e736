// What the two files are to a loader: what they need, what they show, and that they stay when a host lets them go.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <thread>

#include "tests/capi/libraries.h"
#include "tests/command_output.h"

namespace linnet {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__COVERAGE__)
constexpr bool kPlain = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kPlain = false;
#else
constexpr bool kPlain = true;
#endif
#else
constexpr bool kPlain = true;
#endif

const std::string kBoth[] = {LINNET_CLIENT_LIBRARY, LINNET_HOST_LIBRARY};

TEST(SharedObjects, NeedLittle) {
  if (!kPlain) GTEST_SKIP() << "sanitizers need more";
  for (const std::string& path : kBoth) {
    std::istringstream lines(output_of("readelf -d '" + path + "' 2>&1"));
    int needed = 0;
    bool stays = false;
    for (std::string line; std::getline(lines, line);) {
      stays |= line.find("NODELETE") != line.npos;
      EXPECT_EQ(line.find("(RPATH)"), line.npos) << line;
      EXPECT_EQ(line.find("(RUNPATH)"), line.npos) << line;
      if (line.find("(NEEDED)") == line.npos) continue;
      ++needed;
      const size_t begin = line.find('[') + 1;
      const std::string name = line.substr(begin, line.find(']') - begin);
      bool known = false;
      for (const char* may :
           {"libc.so.", "libm.so.", "libstdc++.so.", "libgcc_s.so.", "libsimdjson.so.", "libre2.so.", "ld-linux"})
        known |= name.starts_with(may);
      EXPECT_TRUE(known) << path << " needs " << name;
    }
    EXPECT_GE(needed, 3) << "readelf was not understood";
    EXPECT_TRUE(stays);
  }
}

TEST(SharedObjects, RunNothingOfTheirOwnWhenLoaded) {
  if (!kPlain) GTEST_SKIP() << "sanitizers run something";
  // A process that loads one has one thread before and after.
  const auto threads = [] {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
      if (word == "Threads:") {
        int n = 0;
        status >> n;
        return n;
      }
    return -1;
  };
  const int before = threads();
  for (const std::string& path : kBoth) {
    OpenLibrary library(path);
    ASSERT_TRUE(library.is_open());
    EXPECT_EQ(threads(), before);
    library.close();
  }
}

// The names between "global:" and "local:" of a version script.
std::set<std::string> names_in(const std::string& script) {
  std::ifstream file(script);
  std::set<std::string> names;
  bool global = false;
  for (std::string word; file >> word;) {
    if (word == "global:") {
      global = true;
    } else if (word == "local:") {
      global = false;
    } else if (global && word.back() == ';') {
      names.insert(word.substr(0, word.size() - 1));
    }
  }
  return names;
}

TEST(SharedObjects, ShowTheirInterfaceAndNothingElse) {
  const std::set<std::string> common = {"init_backend",
                                        "deinit_backend",
                                        "load",
                                        "load_by_name",
                                        "load_by_name_with_config",
                                        "unload",
                                        "init_execution_context",
                                        "init_execution_context_with_config",
                                        "finalize_execution_context",
                                        "set_input",
                                        "compute",
                                        "get_output",
                                        "compute_single",
                                        "get_output_single",
                                        "fini_single",
                                        "cancel",
                                        "get_backend_status"};
  const std::set<std::string> of_clients = {"init_backend_with_config", "init_execution_context_with_session_id",
                                            "close_execution_context", "run_inference"};
  for (const std::string& path : kBoth) {
    const bool client = path == LINNET_CLIENT_LIBRARY;
    std::set<std::string> shown;
    std::istringstream lines(output_of("nm -D --defined-only '" + path + "' 2>&1"));
    for (std::string address, letter, name; lines >> address >> letter >> name;) shown.insert(name);
    const std::string folder = LINNET_SOURCE_DIR "/capi/wasi_nn/";
    EXPECT_EQ(shown, names_in(folder + (client ? "client.map" : "host.map")));
    for (const std::string& name : common) EXPECT_TRUE(shown.contains(name)) << name;
    for (const std::string& name : of_clients) EXPECT_EQ(shown.contains(name), client) << name;
  }
}

TEST(SharedObjects, StayWhenTheyAreClosedWithContextsAlive) {
  for (const bool with_work : {false, true}) {
    OpenLibrary library(LINNET_CLIENT_LIBRARY);
    const ClientAbi abi(library);
    void *leaked = nullptr, *closed = nullptr;
    constexpr std::string_view config = R"({"threads":1,"max_tokens":100000,"log_level":"none"})";
    ASSERT_EQ(abi.init_backend_with_config(&leaked, config.data(), config.size()), 0);
    ASSERT_EQ(abi.init_backend_with_config(&closed, config.data(), config.size()), 0);
    uint32_t graph = 0, exec = 0;
    if (with_work) {
      ASSERT_EQ(abi.load_by_name(leaked, kDemoModel.c_str(), static_cast<uint32_t>(kDemoModel.size()), &graph), 0);
      ASSERT_EQ(abi.init_execution_context(leaked, graph, &exec), 0);
      uint8_t text[] = "Tell me a story.";
      ClientAbi::Tensor input{nullptr, 4, text};
      ASSERT_EQ(abi.set_input(leaked, exec, 0, &input), 0);
      ASSERT_EQ(abi.compute_single(leaked, exec), 0) << "its threads are at work from now on";
    }
    ASSERT_EQ(abi.deinit_backend(closed), 0);
    library.close();
    Dl_info info;
    ASSERT_NE(::dladdr(reinterpret_cast<void*>(abi.compute), &info), 0) << "the code is still there";
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    OpenLibrary again(LINNET_CLIENT_LIBRARY);
    EXPECT_EQ(again.symbol("compute"), reinterpret_cast<void*>(abi.compute)) << "the same library";
    if (with_work) { EXPECT_EQ(abi.compute_single(leaked, exec), 0) << "with what was left in it"; }
    EXPECT_EQ(abi.deinit_backend(leaked), 0);
    again.close();
  }
}

[[noreturn]] void end_with_a_context_at_work() {
  const ClientAbi& abi = client_abi();
  constexpr std::string_view config = R"({"threads":2,"max_tokens":100000,"log_level":"none"})";
  void* ctx = nullptr;
  uint32_t graph = 0, exec = 0;
  uint8_t text[] = "Tell me a story.";
  ClientAbi::Tensor input{nullptr, 4, text};
  const bool works = abi.init_backend_with_config(&ctx, config.data(), config.size()) == 0 &&
                     abi.load_by_name(ctx, kDemoModel.c_str(), static_cast<uint32_t>(kDemoModel.size()), &graph) == 0 &&
                     abi.init_execution_context(ctx, graph, &exec) == 0 && abi.set_input(ctx, exec, 0, &input) == 0 &&
                     abi.compute_single(ctx, exec) == 0;
  std::exit(works ? 7 : 1);
}

TEST(SharedObjects, LeakedContextsDoNotKeepAProcessFromItsEnd) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(end_with_a_context_at_work(), ::testing::ExitedWithCode(7), "");
}

}  // namespace
}  // namespace linnet
