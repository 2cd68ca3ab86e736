#include "tests/runtime/engine_reference.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>

namespace linnet {
namespace {

struct Phrase {
  size_t start, end;
};

// The phrase that is complete first; of those, the longest.
std::optional<Phrase> find_phrase(const std::string& text, const std::vector<std::string>& phrases) {
  std::optional<Phrase> found;
  for (const std::string& phrase : phrases) {
    const size_t start = text.find(phrase);
    if (start == std::string::npos) continue;
    const Phrase next{start, start + phrase.size()};
    if (!found || next.end < found->end || (next.end == found->end && next.start < found->start)) found = next;
  }
  return found;
}

// How much of the end of the text may be the beginning of a phrase.
size_t longest_beginning(const std::string& text, const std::vector<std::string>& phrases) {
  size_t longest = 0;
  for (const std::string& phrase : phrases) {
    for (size_t n = 1; n < phrase.size() && n <= text.size(); ++n) {
      if (text.ends_with(phrase.substr(0, n))) longest = std::max(longest, n);
    }
  }
  return longest;
}

class Definition {
 public:
  Definition(Engine& engine, const Request& request)
      : engine_(engine), tokenizer_(engine.model().tokenizer()), r_(request), prompt_(request.prompt) {
    if (!r_.token_healing) return;
    heal_ = tokenizer_.bytes(prompt_.back());
    prompt_.pop_back();
  }

  Defined run() {
    while (static_cast<int64_t>(made_.tokens.size()) < r_.stopping.max_tokens) {
      const std::optional<int32_t> token = next();
      if (!token) break;
      made_.tokens.push_back(*token);
      take_back();
    }
    made_.text = text(made_.tokens.size());
    return made_;
  }

 private:
  std::string said(size_t n) const {
    std::string bytes;
    for (size_t i = 0; i < n; ++i) bytes += tokenizer_.bytes(made_.tokens[i]);
    return bytes;
  }

  // What the first `n` tokens show.
  std::string text(size_t n) const {
    if (!heal_.empty()) {
      std::string bytes = said(n);
      return bytes.erase(0, heal_.size());
    }
    std::string shown;
    for (size_t i = 0; i < n; ++i) {
      shown += tokenizer_.shown(made_.tokens[i], i == 0 ? prompt_.back() : made_.tokens[i - 1], false);
    }
    return shown;
  }

  bool fits(int32_t token, const std::string& before) const {
    const auto& forbidden = r_.stopping.forbidden_tokens;
    if (std::find(forbidden.begin(), forbidden.end(), token) != forbidden.end()) return false;
    const auto ban = bans_.find(made_.tokens.size());
    if (ban != bans_.end() && ban->second.contains(token)) return false;
    if (before.size() >= heal_.size()) return true;
    const std::string with = before + std::string(tokenizer_.bytes(token));
    return with.size() > before.size() && (with.starts_with(heal_) || heal_.starts_with(with));
  }

  std::optional<int32_t> next() {
    std::vector<int32_t> all = prompt_;
    all.insert(all.end(), made_.tokens.begin(), made_.tokens.end());
    auto row = engine_.logits(all, false);
    EXPECT_TRUE(row);
    const std::string before = said(made_.tokens.size());
    for (int32_t t = 0; t < tokenizer_.size(); ++t) {
      if (!fits(t, before)) (*row)[static_cast<size_t>(t)] = -std::numeric_limits<float>::infinity();
    }
    const Kernels& k = engine_.forward().kernels();
    auto chain = Chain::create(r_.sampling, {tokenizer_, 1 << 20, {k.max, k.above, k.sum_exp, k.exp}});
    EXPECT_TRUE(chain) << chain.error().message;
    for (const int32_t t : prompt_) chain->accept_prompt(t);
    for (const int32_t t : made_.tokens) chain->accept(t);
    const auto token = chain->sample(row->data(), all.size());
    EXPECT_TRUE(token) << token.error().message;
    if (!token) return std::nullopt;
    chain->accept(*token);
    if (chain->ended() || (tokenizer_.is_eog(*token) && !r_.stopping.ignore_eos)) return std::nullopt;
    return *token;
  }

  void take_back() {
    const std::string all = text(made_.tokens.size());
    const auto phrase = find_phrase(all, r_.stopping.banned_phrases);
    if (!phrase) {
      const size_t sure = all.size() - longest_beginning(all, r_.stopping.banned_phrases);
      while (out_ < made_.tokens.size() && text(out_ + 1).size() <= sure) ++out_;
      return;
    }
    size_t first = made_.tokens.size() - 1;
    while (first > out_ && text(first).size() > phrase->start) --first;
    bans_.erase(bans_.upper_bound(first), bans_.end());
    bans_[first].insert(made_.tokens[first]);
    made_.tokens.resize(first);
    ++made_.rollbacks;
  }

  Engine& engine_;
  const Tokenizer& tokenizer_;
  const Request& r_;
  std::vector<int32_t> prompt_;
  std::string heal_;
  Defined made_;
  size_t out_ = 0;                            // tokens that are out: no phrase could begin in them
  std::map<size_t, std::set<int32_t>> bans_;  // by position
};

}  // namespace

Defined define_completion(Engine& engine, const Request& request) { return Definition(engine, request).run(); }

}  // namespace linnet
