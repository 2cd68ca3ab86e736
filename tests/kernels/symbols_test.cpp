// Nothing compiled with wider instructions may be visible to the rest of the program: a weak copy of a shared inline
// function could be the one that the linker keeps for everybody, and an old CPU would meet an instruction it lacks.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>

#include "kernels/kernels.h"
#include "tests/command_output.h"

namespace linnet {
namespace {

#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__COVERAGE__)
constexpr bool kInlined = false;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
constexpr bool kInlined = false;
#else
constexpr bool kInlined = true;
#endif
#else
constexpr bool kInlined = true;
#endif

TEST(Symbols, WideSourcesShowOnlyTheirTable) {
  if (!kInlined) GTEST_SKIP() << "helpers are not inlined in debug, sanitizer and coverage builds";
  const std::string archive = std::string(LINNET_BINARY_DIR) + "/lib/liblinnet_kernels.a";
  if (!std::filesystem::exists(archive)) GTEST_SKIP() << archive << " is not there";
  // Every backend but the scalar one is a wide source of its name.
  std::map<std::string, std::string> tables;  // archive member to the name that it may show
  const KernelList list = all_kernels();
  for (int32_t i = 0; i < list.count; ++i) {
    const std::string name = list.items[i]->name;
    if (name != "scalar") tables[name + ".cpp.o"] = "cpu_" + name;
  }
  // Per archive member: "avx2.cpp.o:", then "<address> <letter> <name>" for what it defines.
  std::istringstream lines(output_of("nm --defined-only " + archive + " 2>&1"));
  std::map<std::string, int> seen;
  std::string member, line;
  while (std::getline(lines, line)) {
    if (!line.empty() && line.back() == ':') {
      member = line.substr(0, line.size() - 1);
      continue;
    }
    const auto wide = tables.find(member);
    if (wide == tables.end()) continue;
    std::istringstream fields(line);
    std::string address, letter, name;
    if (!(fields >> address >> letter >> name)) continue;
    ++seen[member];
    // Lower-case letters are local, but u and w and v are unique or weak ones.
    const bool local = letter.find_first_of("tdrbn") == 0;
    const bool table = name.find(wide->second) != std::string::npos && letter.find_first_of("DR") == 0;
    EXPECT_TRUE(local || table) << member << " defines " << letter << ' ' << name;
  }
  EXPECT_EQ(seen.size(), tables.size()) << "nm did not list all of them";
  for (const auto& [name, count] : seen) std::printf("%s: %d symbols\n", name.c_str(), count);
}

}  // namespace
}  // namespace linnet
