// Matrix products as shares of what the machine can do, measured in the same run, interleaved, medians:
//   decode (few tokens)   weight bytes per second, and their share of a plain read loop over the same memory
//   prefill (many tokens) multiply-adds per second, and their share of a loop of vpdpbusd in registers (VNNI machines)
//
//   matmul_bench [--backend NAME] [--types Q4_K,Q8_0] [--cols 2048,4096] [--tokens 1,512] [--threads 1] [--mib 512]
//                [--clock wall|cpu]    cpu: the process's own time, for one thread on a machine that others use too
#include <immintrin.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

#include "gguf/formats/formats.h"
#include "kernels/cpu/pool.h"
#include "kernels/kernels.h"
#include "tests/gguf/block_scales.h"

namespace linnet {
namespace {

double seconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

double median(std::vector<double> v) {
  std::sort(v.begin(), v.end());
  return v[v.size() / 2];
}

struct Buffer {
  std::byte* data;
  explicit Buffer(int64_t bytes)
      : data(static_cast<std::byte*>(std::aligned_alloc(64, static_cast<size_t>((bytes + 127) / 64 * 64)))) {
    std::memset(data, 0, static_cast<size_t>((bytes + 127) / 64 * 64));
  }
  ~Buffer() { std::free(data); }
  Buffer(const Buffer&) = delete;
};

// The read loop: every member adds up its part of the memory, with the prefetch that the products use.
struct ReadJob {
  const std::byte* data;
  int64_t bytes;
  uint64_t sums[256] = {};
  static void work(void* context, Team team) {
    ReadJob& job = *static_cast<ReadJob*>(context);
    const int64_t lines = job.bytes / 64, begin = lines * team.rank / team.size,
                  end = lines * (team.rank + 1) / team.size;
    __m128i a[4] = {};
    for (int64_t i = begin; i < end; ++i) {
      _mm_prefetch(reinterpret_cast<const char*>(reinterpret_cast<uintptr_t>(job.data) + uintptr_t(64 * i + 2048)),
                   _MM_HINT_T0);
      for (int k = 0; k < 4; ++k)
        a[k] = _mm_add_epi64(a[k], _mm_load_si128(reinterpret_cast<const __m128i*>(job.data + 64 * i) + k));
    }
    const __m128i sum = _mm_add_epi64(_mm_add_epi64(a[0], a[1]), _mm_add_epi64(a[2], a[3]));
    job.sums[team.rank] = static_cast<uint64_t>(_mm_cvtsi128_si64(sum));
  }
};

// Multiply-adds per second of one core's vpdpbusd, 0 where there is none.
__attribute__((target("avx512f,avx512vnni"))) double vnni_peak(clockid_t clock) {
  if (!__builtin_cpu_supports("avx512vnni")) return 0;
  const __m512i w = _mm512_set1_epi32(0x01020304), x = _mm512_set1_epi32(0x04030201);
  __m512i a = w, b = w, c = w, d = w, e = w, f = w, g = w, h = w, i = w, j = w, k = w, l = w;
  constexpr int64_t steps = 2000000;
  const double start = seconds(clock);
  for (int64_t step = 0; step < steps; ++step) {
    a = _mm512_dpbusd_epi32(a, w, x), b = _mm512_dpbusd_epi32(b, w, x), c = _mm512_dpbusd_epi32(c, w, x);
    d = _mm512_dpbusd_epi32(d, w, x), e = _mm512_dpbusd_epi32(e, w, x), f = _mm512_dpbusd_epi32(f, w, x);
    g = _mm512_dpbusd_epi32(g, w, x), h = _mm512_dpbusd_epi32(h, w, x), i = _mm512_dpbusd_epi32(i, w, x);
    j = _mm512_dpbusd_epi32(j, w, x), k = _mm512_dpbusd_epi32(k, w, x), l = _mm512_dpbusd_epi32(l, w, x);
    // Keeps the sums alive and the loop as written.
    __asm__ volatile(""
                     : "+v"(a), "+v"(b), "+v"(c), "+v"(d), "+v"(e), "+v"(f), "+v"(g), "+v"(h), "+v"(i), "+v"(j),
                       "+v"(k), "+v"(l));
  }
  return double(steps) * 12 * 64 / (seconds(clock) - start);
}

struct Options {
  std::string backend;
  std::vector<std::string> types = {"Q4_K", "Q6_K", "Q8_0", "F16"};
  std::vector<std::string> cols = {"2048", "4096"}, tokens = {"1"};
  int threads = 1;
  int64_t mib = 512;
  clockid_t clock = CLOCK_MONOTONIC;
};

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out(1);
  for (const char c : list)
    if (c == ',')
      out.emplace_back();
    else
      out.back() += c;
  return out;
}

// Random codes under scales of 1/64, so that nothing overflows.
template <class F>
void fill(std::byte* data, int64_t blocks) {
  auto* b = reinterpret_cast<typename F::Block*>(data);
  uint64_t x = 1;
  for (int64_t i = 0; i < blocks * int64_t(sizeof(*b)) / 8; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    std::memcpy(data + 8 * i, &x, 8);
  }
  for (int64_t i = 0; i < blocks; ++i) {
    if constexpr (F::unit == 1) {
      const float value = float(int(i % 7) - 3);
      F::encode(&value, b[i]);
    } else {
      set_scales<F>(b[i], to_half(0.015625f), to_half(0.015625f));
    }
  }
}

struct Bench {
  const Kernels& kernels;
  Pool& pool;
  const Options& options;

  void run(const TypeInfo& type, int64_t cols, int64_t n) {
    const int64_t block_bytes = row_bytes(type, cols);
    // Prefill needs no more rows than make a run measurable.
    int64_t rows = (options.mib << 20) / block_bytes / 32 * 32;
    if (n > 16)
      rows = std::max<int64_t>(32 * options.threads,
                               std::min<int64_t>(rows, int64_t{6'000'000'000} / (n * cols) / 64 * 64));
    const int64_t bytes = rows * block_bytes;
    Buffer weights(bytes), y(n * rows * 4);
    for_each_format([&]<class F>() {
      if (F::type == type.type) fill<F>(weights.data, rows * (cols / F::values));
    });
    Buffer f32(n * cols * 4), q(n * cols), d(n * cols / 32 * 4), sums(n * cols / 16 * 2);
    Activations x = {.cols = cols,
                     .f32 = reinterpret_cast<float*>(f32.data),
                     .q32 = reinterpret_cast<int8_t*>(q.data),
                     .d32 = reinterpret_cast<float*>(d.data),
                     .sum32 = reinterpret_cast<int16_t*>(sums.data),
                     .q256 = reinterpret_cast<int8_t*>(q.data),
                     .d256 = reinterpret_cast<float*>(d.data),
                     .sum16 = reinterpret_cast<int16_t*>(sums.data)};
    for (int64_t i = 0; i < n * cols; ++i) x.f32[i] = float(i % 31 - 15), x.q32[i] = int8_t(i % 255 - 127);
    for (int64_t i = 0; i < n * cols / 32; ++i) x.d32[i] = 0.01f;
    const int64_t scratch_bytes = kernels.scratch_bytes(
        {.n = n, .cols = cols, .rows = rows, .heads = 1, .v_dim = 64, .context = 64, .threads = options.threads});
    Buffer scratch(scratch_bytes);
    Exec exec = {&pool, scratch.data, scratch_bytes};
    const Linear linear = {.w = {weights.data, type.type, 0, rows, cols}};
    float* out[1] = {reinterpret_cast<float*>(y.data)};
    const LinearArgs args = {.n = n, .x = x, .count = 1, .linears = &linear, .y = out, .add = false, .scale = 1};

    ReadJob read{weights.data, bytes};
    const clockid_t clock = options.clock;
    std::vector<double> read_times, times, peaks;
    for (int trial = 0; trial < 7; ++trial) {
      if (n > 1) peaks.push_back(vnni_peak(clock));
      double start = seconds(clock);
      pool.run(ReadJob::work, &read);
      read_times.push_back(seconds(clock) - start);
      start = seconds(clock);
      kernels.linear(exec, args);
      times.push_back(seconds(clock) - start);
    }
    const double time = median(times), rate = double(n) * double(rows) * double(cols) / time;
    std::printf("%-7s cols %5ld tokens %4ld threads %d: %6.1f GB/s %5.1f %% of reading (%5.1f GB/s)  %7.1f GMAC/s",
                type.name.data(), long(cols), long(n), options.threads, double(bytes) / time / 1e9,
                100 * median(read_times) / time, double(bytes) / median(read_times) / 1e9, rate / 1e9);
    if (n > 1 && median(peaks) > 0)
      std::printf(" %5.1f %% of vpdpbusd (%5.1f)", 100 * rate / (median(peaks) * options.threads), median(peaks) / 1e9);
    std::printf("\n");
    std::fflush(stdout);
  }
};

}  // namespace

int run_bench(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string key = argv[i], value = argv[i + 1];
    if (key == "--backend")
      options.backend = value;
    else if (key == "--types")
      options.types = split(value);
    else if (key == "--cols")
      options.cols = split(value);
    else if (key == "--tokens")
      options.tokens = split(value);
    else if (key == "--threads")
      options.threads = std::atoi(value.c_str());
    else if (key == "--clock")
      options.clock = value == "cpu" ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    else if (key == "--mib")
      options.mib = std::atoll(value.c_str());
    else
      return std::fprintf(stderr, "unknown option %s\n", key.c_str()), 1;
  }
  const Kernels* kernels = find_kernels(options.backend.c_str());
  if (!kernels) return std::fprintf(stderr, "no backend \"%s\" on this machine\n", options.backend.c_str()), 1;
  auto pool = Pool::create(options.threads);
  if (!pool) return std::fprintf(stderr, "threads could not be started\n"), 1;
  std::printf("backend %s\n", kernels->name);
  Bench bench{*kernels, **pool, options};
  for (const std::string& name : options.types) {
    const TypeInfo* type = type_by_name(name);
    if (!type || !kernels->can(type->type)) return std::fprintf(stderr, "no type %s\n", name.c_str()), 1;
    for (const std::string& cols : options.cols)
      for (const std::string& n : options.tokens) bench.run(*type, std::atoll(cols.c_str()), std::atoll(n.c_str()));
  }
  return 0;
}

}  // namespace linnet

int main(int argc, char** argv) { return linnet::run_bench(argc, argv); }
