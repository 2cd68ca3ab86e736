// What the kernel tests share: aligned arrays, the runnable backends, random matrices, activations in all forms.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "gguf/formats/formats.h"
#include "kernels/cpu/pool.h"
#include "kernels/kernels.h"
#include "tests/support.h"

namespace linnet {

template <class T>
struct LineAllocator {
  using value_type = T;
  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}  // NOLINT: implicit, as allocators are
  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64))); }
  void deallocate(T* p, size_t) { ::operator delete(p, std::align_val_t(64)); }
  bool operator==(const LineAllocator&) const { return true; }
};
template <class T>
using Array = std::vector<T, LineAllocator<T>>;

inline Array<float> random_floats(Random& random, int64_t n, float scale = 1.0f) {
  Array<float> x(static_cast<size_t>(n));
  for (float& v : x) v = random.normal() * scale;
  return x;
}

inline std::vector<const Kernels*> backends() {
  std::vector<const Kernels*> found;
  for (int32_t i = 0; i < all_kernels().count; ++i)
    if (all_kernels().items[i]->supported()) found.push_back(all_kernels().items[i]);
  return found;
}
inline const Kernels& scalar() { return *find_kernels("scalar"); }

// A pool and scratch memory of the size that the backend asks for, poisoned so that stale contents show.
class Bench {
 public:
  Bench(const Kernels& kernels, int32_t threads, ScratchNeed need) {
    auto made = Pool::create(threads);
    EXPECT_TRUE(made);
    pool_ = *std::move(made);
    need.threads = threads;
    scratch_.assign(static_cast<size_t>(kernels.scratch_bytes(need)), std::byte{0xff});
    exec_ = {pool_.get(), scratch_.data(), static_cast<int64_t>(scratch_.size())};
  }
  Exec& exec() { return exec_; }

 private:
  std::unique_ptr<Pool> pool_;
  Array<std::byte> scratch_;
  Exec exec_{};
};

// Runs `run` on every backend with 1, 2 and 5 threads, and returns all results with their names; [0] is scalar alone.
struct Outcome {
  std::string name;
  Array<float> values;
};
inline std::vector<Outcome> everywhere(const ScratchNeed& need,
                                       const std::function<Array<float>(const Kernels&, Exec&)>& run) {
  std::vector<Outcome> all;
  for (const Kernels* k : backends())
    for (int32_t threads : {1, 2, 5}) {
      Bench bench(*k, threads, need);
      Outcome o{std::string(k->name) + " with " + std::to_string(threads), run(*k, bench.exec())};
      if (k == &scalar() && threads == 1)
        all.insert(all.begin(), std::move(o));
      else
        all.push_back(std::move(o));
    }
  return all;
}

// Equal bits; NaN equals NaN, since which NaN comes out is not defined.
inline void expect_same(const Array<float>& want, const Array<float>& got, const std::string& where) {
  ASSERT_EQ(want.size(), got.size()) << where;
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isnan(want[i]) && std::isnan(got[i])) continue;
    ASSERT_EQ(std::memcmp(&want[i], &got[i], 4), 0) << where << ": [" << i << "] " << want[i] << " != " << got[i];
  }
}
inline void expect_all_same(const std::vector<Outcome>& all) {
  for (const Outcome& o : all) expect_same(all[0].values, o.values, o.name + " against " + all[0].name);
}

// Random matrix in the bytes of a type; `values` holds what they mean.
struct Matrix {
  Weight w;
  Array<std::byte> bytes;
  std::vector<double> values;  // [rows][cols]
  double at(int64_t r, int64_t c) const { return values[static_cast<size_t>(r * w.cols + c)]; }
};

inline Matrix random_matrix(Random& random, Type type, int64_t rows, int64_t cols) {
  Matrix m;
  m.w.type = type;
  m.w.rows = rows;
  m.w.cols = cols;
  for_each_format([&]<class F>() {
    if (F::type != type) return;
    const int64_t blocks = rows * cols / F::values;
    m.bytes.resize(static_cast<size_t>(blocks) * sizeof(typename F::Block));
    auto* at = reinterpret_cast<typename F::Block*>(m.bytes.data());
    Array<float> x = random_floats(random, rows * cols, 0.3f);
    for (int64_t b = 0; b < blocks; ++b) F::encode(x.data() + b * F::values, at[b]);
    decode_row<F>(at, x.data(), rows * cols);
    m.values.assign(x.begin(), x.end());
  });
  m.w.data = m.bytes.data();
  return m;
}

// Activations with memory, and the plain definition of their 8-bit forms.
struct Held {
  Activations a;
  Array<float> f32, d32, d256;
  Array<int8_t> q32, q256;
  Array<int16_t> sum32, sum16;
  uint32_t forms = 0;

  Held(int64_t n, int64_t cols) {
    a.cols = cols;
    f32.assign(static_cast<size_t>(n * cols), NAN);
    a.f32 = f32.data();
    if (cols % 32 == 0) {
      forms |= kForm32;
      q32.assign(f32.size(), 99), d32.assign(f32.size() / 32, NAN), sum32.assign(f32.size() / 32, 99);
      a.q32 = q32.data(), a.d32 = d32.data(), a.sum32 = sum32.data();
    }
    if (cols % 256 == 0) {
      forms |= kForm256;
      q256.assign(f32.size(), 99), d256.assign(f32.size() / 256, NAN), sum16.assign(f32.size() / 16, 99);
      a.q256 = q256.data(), a.d256 = d256.data(), a.sum16 = sum16.data();
    }
  }
  Held(const Held&) = delete;

  static void define(const float* x, int64_t n, int8_t* q, float* d) {
    float amax = 0;
    for (int64_t i = 0; i < n; ++i) amax = std::fabs(x[i]) > amax ? std::fabs(x[i]) : amax;
    *d = amax / 127.0f;
    if (n == 32) {  // 11 significant bits, half to even
      int exponent;
      std::frexp(*d, &exponent);
      const int step = (exponent > -125 ? exponent : -125) - 11;  // subnormals keep the smallest normal step
      *d = std::isfinite(*d) ? std::ldexp(std::nearbyintf(std::ldexp(*d, -step)), step) : *d;
    }
    const float inverse = amax > 0 ? 127.0f / amax : 0.0f;
    for (int64_t i = 0; i < n; ++i) {
      const float v = std::nearbyintf(x[i] * inverse);
      q[i] = static_cast<int8_t>(std::isnan(v) ? 0 : v > 127 ? 127 : v < -127 ? -127 : v);
    }
  }
  void quantize() {
    for (size_t i = 0; i < q32.size(); i += 32) {
      define(&f32[i], 32, &q32[i], &d32[i / 32]);
      sum32[i / 32] = 0;
      for (size_t j = i; j < i + 32; ++j) sum32[i / 32] = static_cast<int16_t>(sum32[i / 32] + q32[j]);
    }
    for (size_t i = 0; i < q256.size(); i += 256) {
      define(&f32[i], 256, &q256[i], &d256[i / 256]);
      for (size_t j = i; j < i + 256; ++j) sum16[j / 16] = static_cast<int16_t>((j % 16 ? sum16[j / 16] : 0) + q256[j]);
    }
  }
  // Everything as floats, for comparing bits.
  void append_to(Array<float>& out) const {
    out.insert(out.end(), f32.begin(), f32.end());
    out.insert(out.end(), d32.begin(), d32.end());
    out.insert(out.end(), d256.begin(), d256.end());
    for (int8_t v : q32) out.push_back(v);
    for (int8_t v : q256) out.push_back(v);
    for (int16_t v : sum32) out.push_back(v);
    for (int16_t v : sum16) out.push_back(v);
  }
  // Fails unless the 8-bit forms are the definition of the float32 form.
  void expect_forms() const {
    Held want(static_cast<int64_t>(f32.size()) / a.cols, a.cols);
    want.f32.assign(f32.begin(), f32.end());
    want.quantize();
    EXPECT_EQ(want.q32, q32);
    EXPECT_EQ(want.q256, q256);
    EXPECT_EQ(want.sum32, sum32);
    EXPECT_EQ(want.sum16, sum16);
    expect_same(want.d32, d32, "d32");
    expect_same(want.d256, d256, "d256");
  }
  // What a matrix of this form multiplies: value k of row t.
  double seen(uint32_t form, int64_t t, int64_t k) const {
    const auto i = static_cast<size_t>(t * a.cols + k);
    if (form == kForm32) return double(q32[i]) * d32[i / 32];
    if (form == kForm256) return double(q256[i]) * d256[i / 256];
    return f32[i];
  }
};

// A dot product in double, and a bound of what canonical arithmetic may be off by: a few roundings per term.
struct Expected {
  double value = 0;
  double error = 0;
};
inline Expected product(const Matrix& m, const Held& x, int64_t t, int64_t r) {
  Expected e;
  double magnitude = 0;
  const uint32_t form = scalar().form(m.w.type);
  for (int64_t k = 0; k < m.w.cols; ++k) {
    const double term = m.at(r, k) * x.seen(form, t, k);
    e.value += term;
    magnitude += std::fabs(term);
  }
  // Formats with minimums subtract two sums that are larger than their difference; 16 covers the ratio met here.
  e.error = 16 * (static_cast<double>(m.w.cols) / 32 + 8) * 0x1p-24 * magnitude;
  return e;
}

// act(gate) * up, or act(up) where gate is null.
inline Expected activated(Glu kind, const Expected* gate, Expected up) {
  const Expected v = gate ? *gate : up;
  if (!gate) up = {1, 0};
  double act = v.value / (1 + std::exp(-v.value));
  double slope = 1.13;  // of both silu and gelu at most
  if (kind == Glu::gelu_tanh)
    act = 0.5 * v.value * (1 + std::tanh(std::sqrt(2 / M_PI) * (v.value + 0.044715 * v.value * v.value * v.value)));
  if (kind == Glu::relu_squared) {
    act = v.value > 0 ? v.value * v.value : 0;
    slope = 2 * std::fabs(v.value) + 1;
  }
  if (kind == Glu::clamped_swish) {
    const double held = std::min(v.value, 7.0);
    act = held / (1 + std::exp(-1.702 * held));
    up.value = std::clamp(up.value, -7.0, 7.0) + 1;
  }
  const double error = slope * v.error * (std::fabs(up.value) + up.error) + up.error * std::fabs(act) +
                       0x1p-20 * ((1 + std::fabs(v.value)) * (std::fabs(up.value) + 1));
  return {act * up.value, error};
}

}  // namespace linnet
