#include "sampling/turn_markers.h"

#include <algorithm>
#include <cstdint>

namespace linnet {
namespace {

constexpr size_t kMostNameBytes = 32;
constexpr auto kMostWords = 3;
constexpr size_t kMostNames = 16;

// "NAME:" at the beginning of a line, or nothing.
std::string_view name_of(std::string_view line) {
  const size_t colon = line.substr(0, kMostNameBytes + 1).find(':');
  if (colon == line.npos || colon == 0) return {};
  const std::string_view name = line.substr(0, colon);
  const char first = name.front();
  const bool letter = (first >= 'a' && first <= 'z') || (first >= 'A' && first <= 'Z') || uint8_t(first) >= 0x80;
  if (!letter && !(first >= '0' && first <= '9') && first != '#' && first != '*') return {};
  if (name.back() == ' ' || std::count(name.begin(), name.end(), ' ') >= kMostWords) return {};
  return line.substr(0, colon + 1);
}

bool blank(std::string_view text) { return text.find_first_not_of(" \t\r") == text.npos; }

}  // namespace

std::vector<std::string> turn_markers(std::string_view prompt) {
  std::vector<std::string> names;
  bool last = true;
  while (!prompt.empty() && names.size() < kMostNames) {
    const size_t line_break = prompt.rfind('\n');
    const size_t begin = line_break == prompt.npos ? 0 : line_break + 1;
    const std::string_view line = prompt.substr(begin);
    prompt = prompt.substr(0, begin == 0 ? 0 : line_break);
    if (blank(line)) continue;
    const std::string_view name = name_of(line);
    if (last && (name.empty() || !blank(line.substr(name.size())))) return {};
    last = false;
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
  }
  if (names.size() < 2) names.clear();
  return names;
}

}  // namespace linnet
