// Once a chain has sampled a few tokens, sampling allocates nothing.
#include <cstdlib>
#include <new>

#include <gtest/gtest.h>

#include "sampling/chain.h"
#include "sampling/custom_sampler.h"
#include "sampling/vocabulary.h"
#include "tests/sampling/allocations.h"
#include "tests/support.h"

// Clang's thread sanitizer brings an operator new that may not be replaced.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LINNET_FIXED_NEW
#endif
#endif

namespace {
thread_local int64_t allocations = 0, bytes_allocated = 0;
}

#ifndef LINNET_FIXED_NEW
void* operator new(std::size_t bytes) {
  ++allocations;
  bytes_allocated += int64_t(bytes);
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  bytes_allocated += int64_t(bytes);
  return std::malloc(bytes);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
#endif

namespace linnet {

int64_t allocation_count() { return allocations; }
int64_t allocated_bytes() { return bytes_allocated; }

namespace {

class HalfLogits : public CustomSampler {
 public:
  Status apply(CustomCandidates& c) override {
    for (float& l : c.logits) l /= 2;
    return {};
  }
  Result<std::unique_ptr<CustomSampler>> clone() const override {
    return Result<std::unique_ptr<CustomSampler>>(std::make_unique<HalfLogits>());
  }
};

TEST(Allocation, NoneAfterWarmUp) {
#ifdef LINNET_FIXED_NEW
  GTEST_SKIP() << "allocations cannot be counted under Clang's thread sanitizer";
#endif
  const PlainVocabulary vocabulary(32000);
  const SamplingParams each[] = {
      {.seed = 1},
      {.temperature = 0, .frequency_penalty = 0.5f},
      {.temperature = 1, .top_k = 0, .top_p = 0.9f, .min_p = 0, .penalty_last_n = 1000, .seed = 1},
      {.temperature = 1, .top_k = 0, .top_p = 1, .min_p = 0.1f, .seed = 1},
      {.temperature = 0.5f, .top_k = 0, .top_p = 1, .min_p = 0, .seed = 1},
      {.top_p = 1, .min_p = 0, .custom_sampler = "half", .seed = 1},
  };
  CustomSamplers samplers;
  ASSERT_TRUE(samplers.add("half", [](const Json&, const CustomInput&) {
    return Result<std::unique_ptr<CustomSampler>>(std::make_unique<HalfLogits>());
  }));
  for (const SamplingParams& params : each) {
    Result<Chain> chain = Chain::create(params, {.vocabulary = vocabulary, .context = 4096, .custom = &samplers});
    ASSERT_TRUE(chain);
    Random random(1);
    std::vector<float> logits(32000), row(32000);
    for (float& l : logits) l = float(random.normal() * 2);
    int64_t before = 0;
    for (uint64_t i = 0; i < 600; ++i) {
      if (i == 8) before = allocations;
      row = logits;
      const Result<int32_t> token = chain->sample(row.data(), i);
      ASSERT_TRUE(token);
      chain->accept(*token);
    }
    EXPECT_GT(allocations, 0);
    EXPECT_EQ(allocations, before) << chain->describe().front();
  }
}

}  // namespace
}  // namespace linnet
