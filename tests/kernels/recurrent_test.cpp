// The convolution and the scan of state space layers: the definitions in double precision, states in pages.
#include <gtest/gtest.h>

#include "tests/kernels/pages_support.h"

namespace linnet {
namespace {

// One sequence's pages with `bytes` of state each, poisoned; positions from 0.
struct States {
  States(int64_t end, int64_t bytes) {
    for (int64_t p = 0; p * kPageTokens < end; ++p)
      memory.emplace_back(static_cast<size_t>(64 + bytes), std::byte{0xff});
    for (auto& page : memory) pages.push_back(page.data());
  }
  RowPlace place(int64_t position) const { return {pages.data(), 0, position, 0, position + 1}; }
  const float* at(int64_t position) const {
    return reinterpret_cast<const float*>(pages[static_cast<size_t>(position / kPageTokens)] + 64);
  }
  std::vector<std::byte> bytes() const {
    std::vector<std::byte> all;
    for (const auto& page : memory) all.insert(all.end(), page.begin(), page.end());
    return all;
  }
  std::vector<Array<std::byte>> memory;
  std::vector<std::byte*> pages;
};

constexpr int64_t kTokens = 150;  // over two pages' ends

double silu(double x) { return x / (1 + std::exp(-x)); }

// How a prompt is cut into calls.
const std::vector<std::vector<int64_t>> kChunks = {{150}, {1, 63, 64, 22}, {64, 86}, {100, 1, 1, 48}};

struct ConvCase {
  int64_t channels;
  int32_t taps;
};
class Conv : public testing::TestWithParam<ConvCase> {};

TEST_P(Conv, IsTheDefinitionHoweverThePromptIsCut) {
  const auto [channels, taps] = GetParam();
  Random random(5);
  const Array<float> x = random_floats(random, kTokens * channels), weight = random_floats(random, taps * channels),
                     bias = random_floats(random, channels);
  const bool forms = channels % 32 == 0;
  std::vector<std::vector<std::byte>> stored;
  const auto all = everywhere({kTokens, channels, channels, 1, 1, 1, 1}, [&](const Kernels& k, Exec& exec) {
    Array<float> first;
    for (const auto& chunks : kChunks) {
      States states(kTokens, (taps - 1) * channels * 4);
      Array<float> out;
      int64_t done = 0;
      for (const int64_t n : chunks) {
        std::vector<RowPlace> rows;
        for (int64_t t = 0; t < n; ++t) rows.push_back(states.place(done + t));
        Held part(n, channels);
        k.conv(exec, {.n = n,
                      .channels = channels,
                      .taps = taps,
                      .x = x.data() + done * channels,
                      .weight = weight.data(),
                      .bias = bias.data(),
                      .state_offset = 64,
                      .rows = rows.data(),
                      .forms = forms ? uint32_t{kForm32} : 0,
                      .out = part.a});
        if (forms) {
          Held want(n, channels);
          want.f32 = part.f32;
          want.quantize();
          EXPECT_EQ(want.q32, part.q32);
        }
        out.insert(out.end(), part.f32.begin(), part.f32.end());
        done += n;
      }
      stored.push_back(states.bytes());
      if (first.empty()) first = out;
      expect_same(first, out, std::string(k.name) + ": cut otherwise");
    }
    return first;
  });
  expect_all_same(all);
  for (const auto& bytes : stored) ASSERT_EQ(bytes, stored[0]);
  for (int64_t t = 0; t < kTokens; ++t)
    for (int64_t c = 0; c < channels; ++c) {
      double sum = bias[static_cast<size_t>(c)], magnitude = std::fabs(sum);
      for (int32_t j = 0; j < taps; ++j) {
        const int64_t from = t - taps + 1 + j;
        const double term = from < 0 ? 0
                                     : double(weight[static_cast<size_t>(j * channels + c)]) *
                                           x[static_cast<size_t>(from * channels + c)];
        sum += term;
        magnitude += std::fabs(term);
      }
      ASSERT_NEAR(all[0].values[static_cast<size_t>(t * channels + c)], silu(sum), 1e-6 * (1 + magnitude)) << t;
    }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Conv,
                         testing::Values(ConvCase{32, 4}, ConvCase{43, 3}, ConvCase{5, 2}, ConvCase{96, 1}));

struct ScanCase {
  int64_t channels, states;
};
class Scan : public testing::TestWithParam<ScanCase> {};

TEST_P(Scan, IsTheDefinitionHoweverThePromptIsCut) {
  const auto [channels, states] = GetParam();
  Random random(6);
  const Array<float> x = random_floats(random, kTokens * channels), z = random_floats(random, kTokens * channels),
                     b = random_floats(random, kTokens * states), c = random_floats(random, kTokens * states),
                     d = random_floats(random, channels);
  Array<float> dt = random_floats(random, kTokens * channels, 2), a = random_floats(random, channels * states);
  for (float& rate : a) rate = -std::exp(rate);
  dt[3] = 25;  // beyond 20 it stays as it is
  std::vector<std::vector<std::byte>> stored;
  const auto all = everywhere({kTokens, channels, channels, 1, 1, 1, 1}, [&](const Kernels& k, Exec& exec) {
    Array<float> first;
    for (const auto& chunks : kChunks) {
      States pages(kTokens, channels * states * 4);
      Array<float> out;
      int64_t done = 0;
      for (const int64_t n : chunks) {
        std::vector<RowPlace> rows;
        for (int64_t t = 0; t < n; ++t) rows.push_back(pages.place(done + t));
        Held part(n, channels);
        k.scan(exec, {.n = n,
                      .channels = channels,
                      .states = states,
                      .x = x.data() + done * channels,
                      .dt = dt.data() + done * channels,
                      .z = z.data() + done * channels,
                      .b = b.data() + done * states,
                      .c = c.data() + done * states,
                      .a = a.data(),
                      .d = d.data(),
                      .state_offset = 64,
                      .rows = rows.data(),
                      .forms = 0,
                      .out = part.a});
        out.insert(out.end(), part.f32.begin(), part.f32.end());
        done += n;
      }
      stored.push_back(pages.bytes());
      if (first.empty()) first = out;
      expect_same(first, out, std::string(k.name) + ": cut otherwise");
    }
    return first;
  });
  expect_all_same(all);
  for (const auto& bytes : stored) ASSERT_EQ(bytes, stored[0]);
  for (int64_t i = 0; i < channels; ++i) {
    std::vector<double> h(static_cast<size_t>(states), 0);
    for (int64_t t = 0; t < kTokens; ++t) {
      const auto at = static_cast<size_t>(t * channels + i);
      const double step = std::log1p(std::exp(double(dt[at])));
      double y = double(d[static_cast<size_t>(i)]) * x[at], magnitude = std::fabs(y);
      for (int64_t s = 0; s < states; ++s) {
        double& state = h[static_cast<size_t>(s)];
        state = state * std::exp(step * a[static_cast<size_t>(i * states + s)]) +
                step * b[static_cast<size_t>(t * states + s)] * x[at];
        const double term = state * c[static_cast<size_t>(t * states + s)];
        y += term;
        magnitude += std::fabs(term);
      }
      ASSERT_NEAR(all[0].values[at], y * silu(z[at]), 4e-6 * (1 + magnitude) * (1 + std::fabs(z[at]))) << t << " " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, Scan, testing::Values(ScanCase{32, 16}, ScanCase{21, 5}, ScanCase{3, 40}));

// Two sequences in one batch keep apart.
TEST(Scan, SequencesOfABatchDoNotMeet) {
  constexpr int64_t kChannels = 16, kStates = 8, kLength = 5;
  Random random(7);
  const Array<float> x = random_floats(random, kLength * kChannels), dt = random_floats(random, kLength * kChannels),
                     z = random_floats(random, kLength * kChannels), b = random_floats(random, kLength * kStates),
                     a = random_floats(random, kChannels * kStates, 0.1f), d = random_floats(random, kChannels);
  for (const Kernels* k : backends()) {
    Bench bench(*k, 2, {2 * kLength, kChannels, kChannels, 1, 1, 1, 1});
    const auto run = [&](const std::vector<RowPlace>& rows, const Array<float>& in, const Array<float>& steps,
                         const Array<float>& gates, const Array<float>& states) {
      Held out(static_cast<int64_t>(rows.size()), kChannels);
      k->scan(bench.exec(), {.n = static_cast<int64_t>(rows.size()),
                             .channels = kChannels,
                             .states = kStates,
                             .x = in.data(),
                             .dt = steps.data(),
                             .z = gates.data(),
                             .b = states.data(),
                             .c = states.data(),
                             .a = a.data(),
                             .d = d.data(),
                             .state_offset = 64,
                             .rows = rows.data(),
                             .forms = 0,
                             .out = out.a});
      return out.f32;
    };
    States alone(kLength, kChannels * kStates * 4), one(kLength, kChannels * kStates * 4),
        two(kLength, kChannels * kStates * 4);
    std::vector<RowPlace> single, both;
    for (int64_t t = 0; t < kLength; ++t) single.push_back(alone.place(t));
    const Array<float> want = run(single, x, dt, z, b);
    const auto twice = [](const Array<float>& v, int64_t width) {  // t of one, t of two, t + 1 of one ...
      Array<float> all;
      for (int64_t t = 0; t < kLength; ++t)
        for (int i = 0; i < 2; ++i) all.insert(all.end(), v.begin() + t * width, v.begin() + (t + 1) * width);
      return all;
    };
    for (int64_t t = 0; t < kLength; ++t) both.push_back(one.place(t)), both.push_back(two.place(t));
    expect_same(twice(want, kChannels),
                run(both, twice(x, kChannels), twice(dt, kChannels), twice(z, kChannels), twice(b, kStates)), k->name);
    EXPECT_EQ(alone.bytes(), one.bytes());
    EXPECT_EQ(alone.bytes(), two.bytes());
  }
}

}  // namespace
}  // namespace linnet
