// What all tests share: the reference data, the size of randomized tests, reproducible random numbers.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace linnet {

// The path of a file of the shared reference data, if it is there: $LINNET_SHARED_DATA, else beside the source tree.
inline std::optional<std::string> shared_data(std::string_view relative) {
  const char* named = std::getenv("LINNET_SHARED_DATA");
  const std::filesystem::path root =
      named ? std::filesystem::path(named) : std::filesystem::path(LINNET_SOURCE_DIR) / ".." / "shared" / "data";
  const std::filesystem::path path = root / relative;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return path.string();
}

// How many cases a randomized test runs: a tenth when LINNET_REDUCED=1 (sanitizers, emulators).
inline int test_count(int full) {
  const char* reduced = std::getenv("LINNET_REDUCED");
  if (!reduced || std::string_view(reduced) != "1") return full;
  return full / 10 > 0 ? full / 10 : 1;
}

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers everywhere for a seed.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    state_ += 0x9e3779b97f4a7c15u;
    uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  }
  // [0, n)
  int64_t below(int64_t n) { return static_cast<int64_t>(next() % static_cast<uint64_t>(n)); }
  // [0, 1)
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  // mean 0, about normal: the sum of 12 uniforms
  float normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += uniform();
    return static_cast<float>(sum);
  }

 private:
  uint64_t state_;
};

}  // namespace linnet
