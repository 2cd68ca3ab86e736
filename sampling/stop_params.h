// When a generation ends: the parameters. Definitions of all conditions: docs/stopping.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/triggers.h"
#include "sampling/vocabulary.h"

namespace linnet {

struct PatternCondition {
  enum class Match : uint8_t { partial, full };
  std::string pattern;
  Match match = Match::partial;  // partial: found anywhere; full: the whole text so far
};

// "partial" or "full".
std::optional<PatternCondition::Match> pattern_match_type(std::string_view name);

// The time a generation may take: min(max_ms, base_ms + token_scale * tokens generated so far).
struct DynamicTimeout {
  double base_ms = 5000;
  double token_scale = 1.5;  // milliseconds that each token earns
  double max_ms = 30000;
};

struct StopParams {
  int64_t max_tokens = 512;  // -1: no limit here
  int64_t min_tokens = 0;    // hard limits only before, and the end of a grammar that cannot go on
  bool ignore_eos = false;
  std::vector<std::string> stop;
  std::vector<int32_t> token_conditions;
  std::vector<PatternCondition> pattern_conditions;
  std::vector<Trigger> grammar_triggers;
  double max_time_ms = 0;  // 0: off
  std::optional<DynamicTimeout> dynamic_timeout;
  int32_t indent = 0;  // 0: off; -1: as much as the first line has

  // Thresholds in (0, 1].
  std::optional<double> repetition_detection, completion_detection, coherence_break;
  int64_t max_repetition_count = 0;  // 0: off

  bool context_aware = false;
  double context_overlap = 0.95;   // how much of what it says may be from the prompt: in (0, 1]
  std::vector<std::string> roles;  // what begins a turn, in addition to the prompt's own (sampling/turn_markers.h)

  std::vector<std::string> banned_phrases;
  std::vector<int32_t> forbidden_tokens;
  std::vector<int32_t> required_tokens;  // all of them, before the end

  // Every number and id; texts and patterns are checked where they are compiled (StopEngine::create).
  Status check(const SamplingVocabulary& vocabulary) const;
};

}  // namespace linnet
