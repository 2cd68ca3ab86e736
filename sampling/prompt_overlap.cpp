#include "sampling/prompt_overlap.h"

#include <algorithm>

#include "sampling/ngram.h"

namespace linnet {

PromptOverlap::PromptOverlap(std::span<const int32_t> prompt) {
  std::vector<uint64_t> grams;
  for (size_t end = kGram; end <= prompt.size(); ++end) {
    grams.push_back(ngram_hash(kGram, [&](int i) { return prompt[end - 1 - size_t(i)]; }));
  }
  std::sort(grams.begin(), grams.end());
  grams.erase(std::unique(grams.begin(), grams.end()), grams.end());
  prompt_ = std::make_shared<const std::vector<uint64_t>>(std::move(grams));
}

void PromptOverlap::add(int32_t token) {
  last_[size_t(count_ % kGram)] = token;
  bool common = false;
  if (count_ + 1 >= kGram) {
    const uint64_t gram = ngram_hash(kGram, [&](int i) { return last_[size_t((count_ - i) % kGram)]; });
    common = std::binary_search(prompt_->begin(), prompt_->end(), gram);
  }
  bool& slot = in_prompt_[size_t(count_ % kWindow)];
  common_ += int32_t(common) - int32_t(slot);
  slot = common;
  ++count_;
}

}  // namespace linnet
