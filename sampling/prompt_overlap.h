// A model that says its prompt again.
//
//     P = |{ i in last 64 tokens : the 8-gram that ends with token i occurs in the prompt }| / 64
//
// 1 when 64 + 7 tokens in a row are from the prompt (also from several places of it), 0 in text of its own. Told from the
// 64th token on.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace linnet {

// Copies share what is known of the prompt: 8 bytes per token of it.
class PromptOverlap {
 public:
  static constexpr int kGram = 8;
  static constexpr int kWindow = 64;

  explicit PromptOverlap(std::span<const int32_t> prompt);
  void add(int32_t token);
  double overlap() const { return count_ < kWindow ? 0.0 : double(common_) / kWindow; }

 private:
  std::shared_ptr<const std::vector<uint64_t>> prompt_;  // hashes of its 8-grams, ascending
  int64_t count_ = 0;                                    // tokens so far
  int32_t common_ = 0;                                   // of the last kWindow
  std::array<int32_t, kGram> last_{};                    // ring: token i is at i % kGram
  std::array<bool, kWindow> in_prompt_{};                // ring
};

}  // namespace linnet
