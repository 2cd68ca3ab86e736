// What a shell command prints.
#pragma once

#include <cstdio>
#include <string>

namespace linnet {

// Standard output, all of it; empty when the command cannot be started.
inline std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen(command.c_str(), "r");
  if (!pipe) return text;
  char buffer[4096];
  for (size_t got; (got = fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, got);
  pclose(pipe);
  return text;
}

}  // namespace linnet
