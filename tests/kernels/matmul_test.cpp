// Matrix products of every format on every backend: against the definition in double precision, and bit for bit against
// each other. Weights and activations end where their memory ends: reading one byte too many is a fault.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tests/gguf/block_scales.h"
#include "tests/kernels/kernels_support.h"

namespace linnet {
namespace {

// n values before a page that cannot be touched.
template <class T>
class Guarded {
 public:
  explicit Guarded(int64_t n) : size_(n) {
    const int64_t page = sysconf(_SC_PAGESIZE), bytes = n * int64_t(sizeof(T));
    mapped_ = static_cast<size_t>((bytes + page - 1) / page * page + page);
    memory_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::byte* const end = static_cast<std::byte*>(memory_) + mapped_ - page;
    if (memory_ == MAP_FAILED || mprotect(end, static_cast<size_t>(page), PROT_NONE) != 0) std::abort();
    data_ = reinterpret_cast<T*>(end - bytes);
  }
  ~Guarded() { munmap(memory_, mapped_); }
  Guarded(const Guarded&) = delete;
  T* data() { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  int64_t size() const { return size_; }

 private:
  int64_t size_;
  size_t mapped_;
  void* memory_;
  T* data_;
};

// n rows of 8-bit activations, or of floats.
struct Rows {
  int64_t n, cols, unit;
  Guarded<float> f32;
  Guarded<int8_t> q;
  Guarded<float> d;
  Guarded<int16_t> sums;

  // unit 1: floats only.
  Rows(int64_t rows, int64_t columns, int64_t u)
      : n(rows),
        cols(columns),
        unit(u),
        f32(u == 1 ? n * cols : 0),
        q(u == 1 ? 0 : n * cols),
        d(u == 1 ? 0 : n * cols / u),
        sums(u == 1 ? 0 : n * cols / per_sum()) {}
  int64_t per_sum() const { return unit == 32 ? 32 : 16; }
  void add_up() {
    for (int64_t i = 0; i < sums.size(); ++i) {
      sums[i] = 0;
      for (int64_t k = 0; k < per_sum(); ++k) sums[i] = int16_t(sums[i] + q[i * per_sum() + k]);
    }
  }
  void randomize(Random& random) {
    for (int64_t i = 0; i < f32.size(); ++i) f32[i] = random.normal();
    for (int64_t i = 0; i < q.size(); ++i) q[i] = int8_t(random.below(255) - 127);
    for (int64_t i = 0; i < d.size(); ++i) d[i] = float(random.uniform()) * 0.1f;
    add_up();
  }
  Activations view(int64_t first = 0) {
    Activations a;
    a.cols = cols;
    if (unit == 1) a.f32 = f32.data() + first * cols;
    if (unit == 32)
      a.q32 = q.data() + first * cols, a.d32 = d.data() + first * cols / 32, a.sum32 = sums.data() + first * cols / 32;
    if (unit == 256)
      a.q256 = q.data() + first * cols, a.d256 = d.data() + first * cols / 256,
      a.sum16 = sums.data() + first * cols / 16;
    return a;
  }
  double value(int64_t t, int64_t k) {
    const int64_t i = t * cols + k;
    return unit == 1 ? double(f32[i]) : double(q[i]) * double(d[i / unit]);
  }
};

// Any bytes under scales of ordinary size, so that codes take all their values and every bit of a block counts.
template <class F>
void randomize_blocks(Random& random, Guarded<typename F::Block>& blocks) {
  const auto half = [&] { return to_half((random.below(2) ? 1.0f : -1.0f) * float(0.01 + random.uniform())); };
  for (int64_t b = 0; b < blocks.size(); ++b) {
    if constexpr (!is_quantized<F>) {
      const float x = random.normal();
      F::encode(&x, blocks[b]);
    } else {
      auto* bytes = reinterpret_cast<uint8_t*>(&blocks[b]);
      for (size_t i = 0; i < sizeof(blocks[b]); ++i) bytes[i] = uint8_t(random.next());
      const Half d = half(), low = half();
      set_scales<F>(blocks[b], d, low);
    }
  }
}

template <class F>
Array<float> multiply(const Kernels& kernels, Guarded<typename F::Block>& blocks, int64_t rows, Rows& x, int64_t first,
                      int64_t n, int32_t threads = 1) {
  Bench bench(kernels, threads, {.n = n, .cols = x.cols, .rows = rows, .heads = 1, .v_dim = 1, .context = 1});
  Array<float> y(static_cast<size_t>(n * rows), NAN);
  Linear linear;
  linear.w = {blocks.data(), F::type, 0, rows, x.cols};
  float* const out[1] = {y.data()};
  kernels.linear(bench.exec(), {n, x.view(first), 1, &linear, out, false, 1});
  return y;
}

// The product in double over decoded values. The bound: a unit's share takes four roundings, an accumulator adds up a
// quarter of the units, the parts with and without minimum may each be larger than their difference.
template <class F>
Expected define(Guarded<typename F::Block>& blocks, int64_t row, Rows& x, int64_t t) {
  Expected e;
  double magnitude = 0;
  for (int64_t k = 0; k < x.cols; ++k) {
    const auto& block = blocks[(row * x.cols + k) / F::values];
    const int i = int(k % F::values);
    const double w = double(F::value(block, i)), v = x.value(t, k);
    e.value += w * v;
    double size = std::fabs(w);
    if constexpr (is_quantized<F>) {
      using U = UnitFormat<F>;
      const typename U::Block& unit = unit_block<F>(&block, i / U::unit);
      if constexpr (U::has_min) size += 2 * std::fabs(double(U::minimum(unit)) * U::min_weight(unit, i % U::unit));
    }
    magnitude += size * std::fabs(v);
  }
  e.error = (double(x.cols / F::unit) / 4 + 8) * 0x1p-23 * magnitude + 1e-37;
  return e;
}

template <class F>
std::string name_of() {
  return std::string(type_info(F::type)->name);
}

// cols for a format: counts of units that are and are not multiples of four and eight, or tails of floats.
template <class F>
std::vector<int64_t> widths() {
  if (F::unit == 1) return {1, 31, 32, 43, 172, 320};
  std::vector<int64_t> cols;
  for (const int64_t blocks : {1, 2, 3, 4, 7, 8, 13}) cols.push_back(blocks * F::values);
  return cols;
}

TEST(Matmul, IsTheDefinitionForEveryTypeBackendAndShape) {
  int64_t products = 0, compared = 0;
  for_each_format([&]<class F>() {
    Random random(static_cast<uint64_t>(F::type) + 1);
    for (const int64_t cols : widths<F>())
      for (const int64_t rows : {1, 3, 16, 17, 100}) {
        Guarded<typename F::Block> blocks(rows * cols / F::values);
        randomize_blocks<F>(random, blocks);
        for (const int64_t n : {1, 2, 3, 4, 5, 8, 33, 70}) {
          if (rows == 100 && n > 5 && test_count(10) < 10) continue;
          Rows x(n, cols, F::unit);
          x.randomize(random);
          const Array<float> y = multiply<F>(scalar(), blocks, rows, x, 0, n);
          // Every result where there are few, else a sample: the definition in double is slow.
          const int64_t step = std::max<int64_t>(1, n * rows / 50);
          for (int64_t i = 0; i < n * rows; i += step) {
            const Expected want = define<F>(blocks, i % rows, x, i / rows);
            const double error = std::fabs(double(y[size_t(i)]) - want.value);
            if (!(error <= want.error))
              FAIL() << name_of<F>() << " cols " << cols << " rows " << rows << " n " << n << " [" << i
                     << "]: " << y[size_t(i)] << " is not " << want.value << " within " << want.error;
            ++products;
          }
          for (const Kernels* k : backends()) {
            if (k == &scalar()) continue;
            expect_same(y, multiply<F>(*k, blocks, rows, x, 0, n),
                        name_of<F>() + " on " + k->name + ", cols " + std::to_string(cols) + " rows " +
                            std::to_string(rows) + " n " + std::to_string(n));
            if (testing::Test::HasFatalFailure()) return;
            compared += n * rows;
          }
        }
      }
  });
  std::printf("%ld products within their bound, %ld equal to the bit\n", long(products), long(compared));
}

TEST(Matmul, ATokenAloneIsTheTokenInTheBatchAndAnyThreadsAgree) {
  for_each_format([&]<class F>() {
    Random random(static_cast<uint64_t>(F::type) + 100);
    const int64_t n = 70, rows = 75, cols = F::unit == 1 ? 172 : 5 * F::values;
    Guarded<typename F::Block> blocks(rows * cols / F::values);
    randomize_blocks<F>(random, blocks);
    Rows x(n, cols, F::unit);
    x.randomize(random);
    for (const Kernels* k : backends()) {
      const Array<float> all = multiply<F>(*k, blocks, rows, x, 0, n);
      for (const int32_t threads : {2, 5})
        expect_same(all, multiply<F>(*k, blocks, rows, x, 0, n, threads),
                    name_of<F>() + " with more threads on " + k->name);
      for (const int64_t few : {1, 2, 3, 4, 6, 12})
        for (int64_t t = 0; t + few <= n; t += 9)
          expect_same(Array<float>(all.begin() + t * rows, all.begin() + (t + few) * rows),
                      multiply<F>(*k, blocks, rows, x, t, few), name_of<F>() + " in smaller batches on " + k->name);
    }
  });
}

// Codes and sub-scales at their ends (bytes all alike, scales put right), activations at +-127 in every pattern that
// makes sums large: nothing may saturate or overflow.
TEST(Matmul, ExtremesStayExact) {
  int64_t cases = 0;
  for_each_format([&]<class F>() {
    if constexpr (is_quantized<F>) {
      Random random(static_cast<uint64_t>(F::type) + 200);
      using U = UnitFormat<F>;
      const int64_t rows = 33, cols = 5 * F::values;
      Guarded<typename F::Block> blocks(rows * cols / F::values);
      for (const int fill : {0x00, 0x0f, 0x1f, 0x3f, 0x7f, 0x80, 0x81, 0xf0, 0xff}) {
        for (const int fill_odd : {fill, 0xff - fill}) {
          for (int64_t b = 0; b < blocks.size(); ++b) {
            auto* bytes = reinterpret_cast<uint8_t*>(&blocks[b]);
            for (size_t i = 0; i < sizeof(blocks[b]); ++i) bytes[i] = uint8_t(i % 2 ? fill_odd : fill);
            set_scales<F>(blocks[b], to_half(65504.0f), to_half(-65504.0f));
          }
          for (const int pattern : {0, 1, 2, 3}) {
            const int64_t n = 9;
            Rows x(n, cols, F::unit);
            for (int64_t i = 0; i < x.q.size(); ++i) {
              const float w = F::value(blocks[i % cols / F::values], int(i % F::values));
              x.q[i] = int8_t(pattern == 0   ? 127
                              : pattern == 1 ? -127
                              : pattern == 2 ? (w < 0 ? -127 : 127)
                                             : (i % 2 ? 127 : -127));
            }
            for (int64_t i = 0; i < x.d.size(); ++i) x.d[i] = 3.0f;
            x.add_up();
            for (const int64_t few : {int64_t{1}, int64_t{3}, n}) {
              const Array<float> y = multiply<F>(scalar(), blocks, rows, x, 0, few);
              const Expected want = define<F>(blocks, 0, x, 0);
              EXPECT_LE(std::fabs(double(y[0]) - want.value), want.error) << name_of<F>();
              for (const Kernels* k : backends()) {
                expect_same(y, multiply<F>(*k, blocks, rows, x, 0, few), name_of<F>() + " at extremes on " + k->name);
                ++cases;
              }
            }
          }
        }
      }
      // |sum| over a unit stays an int32, whatever its bytes: weights are at most this.
      int64_t most = 0;
      for (int64_t u = 0; u < rows * cols / U::unit; ++u) {
        const typename U::Block& unit = unit_block<F>(blocks.data(), u);
        for (int i = 0; i < U::unit; ++i) most = std::max<int64_t>(most, std::abs(U::weight(unit, i)));
      }
      EXPECT_LT(most * 127 * F::unit, INT32_MAX) << name_of<F>();
    }
  });
  std::printf("%ld extreme cases equal to the bit\n", long(cases));
}

// Results near zero: subnormal scales, underflow in the products, zeros of both signs, tails of units.
TEST(Matmul, TinyScalesKeepTheirBits) {
  for_each_format([&]<class F>() {
    if constexpr (is_quantized<F>) {
      Random random(static_cast<uint64_t>(F::type) + 300);
      for (const int64_t units : {1, 3, 6, 8}) {
        const int64_t rows = 20, cols = units * F::values;
        Guarded<typename F::Block> blocks(rows * cols / F::values);
        randomize_blocks<F>(random, blocks);
        for (int64_t b = 0; b < blocks.size(); ++b) {
          const Half tiny = {uint16_t(random.below(2) << 15 | random.below(4))};
          set_scales<F>(blocks[b], tiny, tiny);
        }
        Rows x(7, cols, F::unit);
        x.randomize(random);
        for (int64_t i = 0; i < x.d.size(); ++i) x.d[i] = random.below(3) ? 0x1p-140f * float(random.below(64)) : 0.0f;
        for (const int64_t few : {1, 2, 7}) {
          const Array<float> y = multiply<F>(scalar(), blocks, rows, x, 0, few);
          for (const Kernels* k : backends())
            expect_same(y, multiply<F>(*k, blocks, rows, x, 0, few), name_of<F>() + " near zero on " + k->name);
        }
      }
    }
  });
}

TEST(Matmul, EveryFormatRunsInTheFormOfItsUnit) {
  for (const Kernels* k : backends()) {
    for_each_format([&]<class F>() {
      EXPECT_TRUE(k->can(F::type)) << name_of<F>();
      EXPECT_EQ(k->form(F::type), F::unit == 32 ? uint32_t(kForm32) : F::unit == 256 ? uint32_t(kForm256) : 0u);
    });
    EXPECT_FALSE(k->can(Type::i32));
    EXPECT_FALSE(k->can(Type::f64));
  }
}

}  // namespace
}  // namespace linnet
