// StopStrings against a search of the whole text. Input: one byte that says how the text is cut into pieces, then stop
// strings and the text, separated by newlines (the last field is the text).
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/utf8.h"
#include "sampling/stop.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1 || size > 4096) return 0;
  const size_t piece = 1 + data[0] % 7;
  std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::vector<std::string> strings;
  for (size_t end; (end = rest.find('\n')) != rest.npos && strings.size() < 64; rest.remove_prefix(end + 1)) {
    if (end >= 1 && end <= 1024) strings.emplace_back(rest.substr(0, end));
  }
  auto stop = linnet::StopStrings::create(strings);
  if (!stop) std::abort();
  std::string shown;
  for (size_t at = 0; at < rest.size(); at += piece) shown += stop->push(rest.substr(at, piece));
  shown += stop->flush();

  size_t start = rest.npos;
  std::string matched;
  for (const std::string& s : strings) {
    const size_t found = rest.find(s);
    if (found == rest.npos || found > start || (found == start && s.size() <= matched.size())) continue;
    start = found;
    matched = s;
  }
  if (shown != linnet::utf8_replace_invalid(rest.substr(0, start)) || stop->matched() != matched) std::abort();
  return 0;
}
