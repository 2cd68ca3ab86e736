// The step that runs a custom sampler (sampling/custom_sampler.h) and trusts nothing it does.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/custom_sampler.h"
#include "sampling/step.h"

namespace linnet {

// {"type": "custom", "custom_sampler": NAME, "custom_parameters": {...}}, or {"type": NAME, ...}.
class Custom {
 public:
  static constexpr std::string_view kName = "custom";
  static constexpr uint32_t kStream = 5;

  // Neutral where no sampler is named.
  static Result<Custom> make(const StepInput& in) { return make(in, in.params.custom_sampler); }
  static Result<Custom> make(const StepInput&, const std::string& name);

  // A copy has a clone of the sampler. Where that fails, the copy fails when it is applied.
  Custom(const Custom&);
  Custom& operator=(const Custom& other) { return *this = Custom(other); }
  Custom(Custom&&) noexcept = default;
  Custom& operator=(Custom&&) noexcept = default;

  bool neutral() const { return name_.empty(); }
  bool selects() const { return selects_; }
  // Of the sampler.
  std::string_view name() const { return name_; }
  Status apply(Candidates&);
  void accept(const Accepted&);
  void rewind(std::span<const int32_t> text);
  std::string describe() const;

 private:
  Custom() = default;
  void tell(int32_t token, bool generated);
  void catch_up(std::span<const int32_t> text);
  Status check(const CustomCandidates&) const;
  Error wrong(std::string_view what) const;

  std::string name_;
  uint32_t stream_ = kStream;
  bool selects_ = false;
  std::unique_ptr<CustomSampler> sampler_;  // null: clone() failed, and failure_ says so
  std::vector<uint8_t> generated_;          // of each token of the text
  bool behind_ = false;                     // tokens were taken back that the sampler still counts
  Status failure_;                          // of accept(), reset() or clone(): reported by apply()

  // Working memory of apply().
  std::vector<int32_t> ids_;
  std::vector<float> logits_;
  std::vector<uint8_t> keep_;
};

}  // namespace linnet
