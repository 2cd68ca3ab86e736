#include "tests/tools/command_line.h"

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace linnet {
namespace {

std::string read_all(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

}  // namespace

Outcome linnet_command(const std::vector<std::string>& arguments, const std::string& input) {
  const std::filesystem::path folder = std::filesystem::temp_directory_path();
  const std::string stem = "linnet-test-" + std::to_string(getpid());
  const auto in = folder / (stem + ".in"), out = folder / (stem + ".out"), err = folder / (stem + ".err");
  std::ofstream(in, std::ios::binary) << input;
  const pid_t child = fork();
  if (child == 0) {
    const bool redirected = std::freopen(in.c_str(), "rb", stdin) && std::freopen(out.c_str(), "wb", stdout) &&
                            std::freopen(err.c_str(), "wb", stderr);
    std::vector<char*> argv = {const_cast<char*>("linnet")};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    if (redirected) execv(LINNET_BINARY_DIR "/bin/linnet", argv.data());
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  Outcome result{WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_all(out), read_all(err)};
  for (const auto& path : {in, out, err}) std::filesystem::remove(path);
  return result;
}

}  // namespace linnet
