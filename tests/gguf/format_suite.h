// What the tests of formats share: one typed suite per list of formats, reference files, arbitrary blocks.
#pragma once

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "gguf/codec.h"
#include "gguf/formats/formats.h"
#include "tests/gguf/block_scales.h"
#include "tests/support.h"

namespace linnet {

template <class... F>
using TypeList = ::testing::Types<F...>;
using AllFormats = WithFormats<TypeList>;

struct FormatName {
  template <class F>
  static std::string GetName(int) {
    return std::string(type_info(F::type)->name);
  }
};

inline std::vector<char> read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline std::vector<float> read_floats(const std::string& path) {
  const std::vector<char> bytes = read_bytes(path);
  std::vector<float> x(bytes.size() / sizeof(float));
  if (!x.empty()) std::memcpy(x.data(), bytes.data(), x.size() * sizeof(float));
  return x;
}

// A file of the reference data for a type, for example quant/quant_q4_0.q.bin, quant/quant_q4_K.f32.bin.
inline std::optional<std::string> reference_file(Type type, const char* ending) {
  std::string name(type_info(type)->name);
  const bool k = name.ends_with("_K");
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (k) name.back() = 'K';
  return shared_data("quant/quant_" + name + ending);
}

// A block of arbitrary bytes, its scales finite and otherwise arbitrary.
template <class F>
typename F::Block random_block(Random& random) {
  typename F::Block b;
  auto* bytes = reinterpret_cast<uint8_t*>(&b);
  for (size_t i = 0; i < sizeof(b); ++i) bytes[i] = uint8_t(random.next());
  const auto half = [&] { return Half{uint16_t((random.next() & 0x8000) | uint64_t(random.below(0x7c00)))}; };
  const Half d = half(), low = half();
  set_scales<F>(b, d, low);
  if constexpr (F::type == Type::q8_k) b.d = random.normal();
  if constexpr (F::unit == 1) F::encode(std::vector<float>{random.normal()}.data(), b);
  return b;
}

// sqrt(sum (y - x)^2 / sum x^2): 0 when both are zero, infinity when only x is.
inline double nrmse(const std::vector<float>& y, const std::vector<float>& x) {
  double error = 0, power = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    error += std::pow(double(y[i]) - double(x[i]), 2);
    power += std::pow(double(x[i]), 2);
  }
  return error == 0 ? 0 : std::sqrt(error / power);
}

// x encoded and decoded.
template <class F>
std::vector<float> round_trip(const std::vector<float>& x) {
  std::vector<typename F::Block> blocks(x.size() / F::values);
  std::vector<float> y(x.size());
  codec(F::type)->encode(x.data(), blocks.data(), int64_t(x.size()), nullptr);
  codec(F::type)->decode(blocks.data(), y.data(), int64_t(x.size()));
  return y;
}

}  // namespace linnet
