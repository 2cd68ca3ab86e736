// Runs build/bin/linnet as a person or a script would.
#pragma once

#include <string>
#include <vector>

namespace linnet {

struct Outcome {
  int code = -1;  // exit code, 128 + signal when killed
  std::string out, err;
};

// `input` becomes standard input.
Outcome linnet_command(const std::vector<std::string>& arguments, const std::string& input = "");

}  // namespace linnet
