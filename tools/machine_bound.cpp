#include "tools/machine_bound.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "gguf/base/aligned.h"
#include "tools/stopwatch.h"

namespace linnet {
namespace {

constexpr int64_t kEnough = int64_t{256} << 20;

// Sums 64-bit words so that the compiler must read them all. Which is faster, with or without software prefetch, depends
// on the machine: the bound is the better one.
template <bool prefetch>
uint64_t read_all(const std::byte* data, int64_t bytes) {
  uint64_t sum[8] = {};
  for (int64_t i = 0; i + 64 <= bytes; i += 64) {
    if constexpr (prefetch) __builtin_prefetch(data + i + 2048);
    uint64_t words[8];
    std::memcpy(words, data + i, 64);
    for (int j = 0; j < 8; ++j) sum[j] += words[j];
  }
  return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

// Runs work(thread) on all threads at once.
template <class Work>
void on_threads(int32_t threads, Work work) {
  std::vector<std::thread> others;
  for (int32_t i = 1; i < threads; ++i) others.emplace_back(work, i);
  work(0);
  for (std::thread& t : others) t.join();
}

// The longest run of tensor data that lies together.
std::span<const std::byte> largest_shard(const Model& model) {
  std::span<const std::byte> best;
  const std::byte* begin = nullptr;
  uint32_t shard = 0;
  for (const Tensor& t : model.file().tensors()) {
    if (!begin || t.shard != shard || t.data < begin) begin = t.data, shard = t.shard;
    const std::span<const std::byte> all(begin, t.data + t.bytes);
    if (all.size() > best.size()) best = all;
  }
  return best;
}

}  // namespace

double read_bandwidth(const Model& model, int32_t threads) {
  std::span<const std::byte> data = largest_shard(model);
  Aligned<std::byte> memory;
  if (static_cast<int64_t>(data.size()) < kEnough) {
    auto made = Aligned<std::byte>::make(kEnough);
    if (!made) return 0;
    memory = std::move(*made);
    std::memset(memory.data(), 1, static_cast<size_t>(kEnough));
    data = {memory.data(), static_cast<size_t>(kEnough)};
  }
  const int64_t part = std::min<int64_t>(static_cast<int64_t>(data.size()), 4 * kEnough) / threads / 64 * 64;
  std::vector<uint64_t> sums(static_cast<size_t>(threads) * 8);
  double best = 0;
  for (int pass = 0; pass < 6; ++pass) {
    const auto read = pass % 2 ? read_all<true> : read_all<false>;
    const Stopwatch watch;
    on_threads(threads, [&](int32_t i) { sums[static_cast<size_t>(i) * 8] += read(data.data() + i * part, part); });
    best = std::max(best, static_cast<double>(part * threads) / watch.seconds() / 1e9);
  }
  return best;
}

double int8_peak(const Kernels& kernels, int32_t threads) {
  constexpr int64_t kRounds = 20'000'000;
  std::vector<int64_t> operations(static_cast<size_t>(threads) * 8);
  double best = 0;
  for (int pass = 0; pass < 3; ++pass) {
    const Stopwatch watch;
    on_threads(threads, [&](int32_t i) { operations[static_cast<size_t>(i) * 8] = kernels.int8_peak(kRounds); });
    int64_t total = 0;
    for (const int64_t n : operations) total += n;
    best = std::max(best, static_cast<double>(total) / watch.seconds() / 1e9);
  }
  return best;
}

}  // namespace linnet
