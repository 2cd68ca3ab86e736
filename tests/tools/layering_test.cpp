// Reads the #include lines: data flows one way through the folders, and so must includes.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

namespace {

namespace fs = std::filesystem;

// What each folder may include besides itself.
const std::map<std::string, std::set<std::string>> kAllowed = {
    {"gguf/base", {}},
    {"gguf", {"gguf/base"}},
    {"kernels", {"gguf/base", "gguf"}},
    {"sampling", {"gguf/base"}},
    {"runtime", {"gguf/base", "gguf", "kernels", "sampling"}},
    {"capi", {"gguf/base", "gguf", "kernels", "sampling", "runtime"}},
    {"tools", {"gguf/base", "gguf", "kernels", "sampling", "runtime", "capi"}},
};

std::string room_of(const std::string& path) {
  if (path.starts_with("gguf/base/")) return "gguf/base";
  return path.substr(0, path.find('/'));
}

TEST(Layering, IncludesFollowTheFlowOfData) {
  const fs::path root = LINNET_SOURCE_DIR;
  int files = 0, includes = 0;
  for (const char* top : {"gguf", "kernels", "sampling", "runtime", "capi", "tools"}) {
    for (const auto& entry : fs::recursive_directory_iterator(root / top)) {
      const fs::path& path = entry.path();
      if (path.extension() != ".cpp" && path.extension() != ".h" && path.extension() != ".cu") continue;
      const std::string name = fs::relative(path, root).string();
      const std::string room = room_of(name);
      ++files;
      std::ifstream in(path);
      for (std::string line; std::getline(in, line);) {
        if (!line.starts_with("#include \"")) continue;
        std::string target = line.substr(10, line.find('"', 10) - 10);
        // Headers that are installed name what is installed beside them.
        if (target.find('/') == target.npos && name.starts_with("capi/"))
          target = fs::relative(path.parent_path() / target, root).string();
        ++includes;
        EXPECT_TRUE(fs::exists(root / target)) << name << " includes " << target << ": write paths from the root";
        const std::string other = room_of(target);
        EXPECT_TRUE(other == room || kAllowed.at(room).contains(other)) << name << " may not include " << target;
      }
    }
  }
  EXPECT_GT(files, 50);
  std::printf("%d files, %d includes in order\n", files, includes);
}

}  // namespace
