#include "sampling/stop_params.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr double kWeek = 7 * 24 * 3600 * 1000.0;  // in milliseconds
constexpr int64_t kMostTokens = 1000000000;
constexpr size_t kMostRequired = 64;
constexpr int32_t kMostIndent = 1024;

// Written so that a NaN fails.
Status in_range(std::string_view key, double value, double least, double most, std::string_view hint = "") {
  if (value >= least && value <= most) return {};
  return fail(Code::option_range, "{} is {}, expected {} to {}{}{}", key, value, least, most, hint.empty() ? "" : "; ",
              hint);
}

Status whole_in_range(std::string_view key, int64_t value, int64_t least, int64_t most, std::string_view hint) {
  if (value >= least && value <= most) return {};
  return fail(Code::option_range, "{} is {}, expected {} to {}; {}", key, value, least, most, hint);
}

Status threshold(std::string_view key, std::optional<double> value) {
  if (!value || (*value > 0 && *value <= 1)) return {};
  return fail(Code::option_range, "{} is {}, expected a number above 0 and at most 1; leave it out to turn it off", key,
              *value);
}

Status ids(std::string_view key, const std::vector<int32_t>& tokens, int32_t vocabulary_size) {
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] >= 0 && tokens[i] < vocabulary_size) continue;
    return fail(Code::token_range, "{}[{}]: token {} is not in the vocabulary: expected 0 to {}", key, i, tokens[i],
                vocabulary_size - 1);
  }
  return {};
}

Status check_times(const StopParams& p) {
  LINNET_CHECK(in_range("stopping.max_time_ms", p.max_time_ms, 0, kWeek, "0 turns it off"));
  if (!p.dynamic_timeout) return {};
  const DynamicTimeout& d = *p.dynamic_timeout;
  LINNET_CHECK(in_range("stopping.dynamic_timeout.base_ms", d.base_ms, 0, kWeek));
  LINNET_CHECK(in_range("stopping.dynamic_timeout.token_scale", d.token_scale, 0, kWeek, "milliseconds per token"));
  return in_range("stopping.dynamic_timeout.max_ms", d.max_ms, std::max(d.base_ms, 1.0), kWeek,
                  "it is at least 1 and not below base_ms");
}

Status check_tokens(const StopParams& p, const SamplingVocabulary& vocabulary) {
  const int32_t size = vocabulary.size();
  LINNET_CHECK(ids("stopping.token_conditions", p.token_conditions, size));
  LINNET_CHECK(ids("stopping.token_filters.forbidden_tokens", p.forbidden_tokens, size));
  LINNET_CHECK(ids("stopping.token_filters.required_tokens", p.required_tokens, size));
  std::vector<int32_t> forbidden = p.forbidden_tokens;
  std::sort(forbidden.begin(), forbidden.end());
  forbidden.erase(std::unique(forbidden.begin(), forbidden.end()), forbidden.end());
  if (forbidden.size() == size_t(size)) {
    return fail(Code::option_range, "stopping.token_filters.forbidden_tokens forbids all {} tokens of the vocabulary",
                size);
  }
  if (p.required_tokens.size() > kMostRequired) {
    return fail(Code::option_range, "stopping.token_filters.required_tokens has {} ids, at most {} are taken",
                p.required_tokens.size(), kMostRequired);
  }
  for (const int32_t id : p.required_tokens) {
    if (std::binary_search(forbidden.begin(), forbidden.end(), id)) {
      return fail(Code::option_range, "token {} is in both stopping.token_filters.required_tokens and forbidden_tokens",
                  id);
    }
    if (vocabulary.is_eog(id)) {
      return fail(Code::option_range,
                  "stopping.token_filters.required_tokens: token {} ends the generation, so it cannot come before the "
                  "end; leave it out",
                  id);
    }
  }
  return {};
}

}  // namespace

std::optional<PatternCondition::Match> pattern_match_type(std::string_view name) {
  if (name == "partial") return PatternCondition::Match::partial;
  if (name == "full") return PatternCondition::Match::full;
  return std::nullopt;
}

Status StopParams::check(const SamplingVocabulary& vocabulary) const {
  LINNET_CHECK(whole_in_range("stopping.max_tokens", max_tokens, -1, kMostTokens, "-1 is no limit"));
  LINNET_CHECK(whole_in_range("stopping.min_tokens", min_tokens, 0, kMostTokens, "0 turns it off"));
  if (max_tokens >= 0 && min_tokens > max_tokens) {
    return fail(Code::option_range, "stopping.min_tokens is {}, more than stopping.max_tokens, which is {}", min_tokens,
                max_tokens);
  }
  LINNET_CHECK(whole_in_range("stopping.indent", indent, -1, kMostIndent, "0 turns it off"));
  LINNET_CHECK(whole_in_range("stopping.semantic_stopping.max_repetition_count", max_repetition_count, 0, kMostTokens,
                              "0 turns it off"));
  LINNET_CHECK(threshold("stopping.semantic_conditions: the threshold of repetition_detection", repetition_detection));
  LINNET_CHECK(threshold("stopping.semantic_conditions: the threshold of completion_detection", completion_detection));
  LINNET_CHECK(threshold("stopping.semantic_conditions: the threshold of coherence_break", coherence_break));
  LINNET_CHECK(threshold("stopping.context_overlap", context_overlap));
  LINNET_CHECK(check_times(*this));
  return check_tokens(*this, vocabulary);
}

}  // namespace linnet
