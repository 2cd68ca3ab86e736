#include "sampling/sampler_cache.h"

#include <algorithm>

namespace linnet {

Result<std::shared_ptr<const DryBreakers>> SamplerCache::dry_breakers(std::span<const std::string> texts) {
  const std::lock_guard lock(mutex_);
  const auto same = [&](const auto& entry) { return std::ranges::equal(entry.first, texts); };
  if (const auto found = std::find_if(breakers_.begin(), breakers_.end(), same); found != breakers_.end()) {
    breakers_.splice(breakers_.begin(), breakers_, found);
  } else {
    LINNET_TRY(auto made, DryBreakers::make(texts, vocabulary_));
    breakers_.emplace_front(std::vector<std::string>(texts.begin(), texts.end()), std::move(made));
    if (breakers_.size() > kKept) breakers_.pop_back();
  }
  return breakers_.front().second;
}

Result<std::shared_ptr<const Grammar>> SamplerCache::grammar(const GrammarSource& source) {
  return grammars_.get(fmt::format("{}:{}", grammar_kind_name(source.kind), source.text),
                       [&] { return grammar_rules(source, vocabulary_); });
}

}  // namespace linnet
