// When a generation ends, and what of it is shown. All conditions, their formulas and limits: docs/stopping.md.
//
// A plain value that is told every generated token and answers: go on, end, or take tokens back (a banned phrase). It
// knows no clock, no model and no tokenizer; what it needs to know comes with the token.
//
//   StopEngine stop = ...create(params, vocabulary, prompt);
//   for (;;) {
//     mask forbidden_tokens(), banned_tokens(), and end-of-generation tokens if mask_eog(); sample a token
//     const StopOutcome outcome = stop.add({.id = token, .bytes = ..., ...});
//     deliver outcome.text;  drop outcome.take_back tokens, then append the token if outcome.keep_token
//     if (outcome.action == StopOutcome::Action::end) break;
//   }
//
// Text that was given out stays: what a stop string, a banned phrase, an indentation or a character may yet need is held
// back. Which text is shown in the end, and why it ends, does not depend on how tokens cut it, except where a condition
// speaks of tokens.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/base/error.h"
#include "sampling/coherence_detector.h"
#include "sampling/completion_detector.h"
#include "sampling/indentation.h"
#include "sampling/loop_detector.h"
#include "sampling/phrase_bans.h"
#include "sampling/prompt_overlap.h"
#include "sampling/stop.h"
#include "sampling/stop_params.h"
#include "sampling/triggers.h"
#include "sampling/vocabulary.h"

namespace linnet {

enum class StopReason : uint8_t {
  eog,
  stop_string,
  stop_token,
  stop_pattern,
  stop_trigger,
  max_tokens,
  max_time,
  dynamic_timeout,
  indentation,
  loop,
  completion,
  coherence_break,
  context_aware,
  phrase_ban,
};
std::string_view stop_reason_name(StopReason reason);  // "eog", "stop_string", ...

// What is known of a token. eog_probability and entropy are of the distribution it was drawn from as the model gave it:
// temperature 1, nothing truncated or masked. They are needed only where needs() says so.
struct GeneratedToken {
  int32_t id = -1;
  std::string_view bytes = {};  // what it adds to the text
  bool is_eog = false;
  double eog_probability = 0;  // of all end-of-generation tokens together
  double entropy = 0;          // in nats
  double elapsed_ms = 0;       // since the request began to be computed
};

struct StopOutcome {
  enum class Action : uint8_t { go_on, end, take_back };
  Action action = Action::go_on;
  std::string text = {};   // to be shown now, behind what was shown before
  bool keep_token = true;  // whether the token is part of the generated ones
  // How many tokens before this one are taken back. What was shown is not theirs.
  int64_t take_back = 0;
  // At the end: why, with the text or token id that matched, and the condition that it met (a pattern, a measure with its
  // threshold). When tokens are taken back: the phrase.
  StopReason reason = StopReason::eog;
  std::string matched = {};
  std::string condition = {};
};

// What the text is generated for. Only context_aware asks.
struct StopPrompt {
  std::span<const int32_t> tokens = {};
  std::string_view text = {};
};

// Copyable: a copy goes on by itself and shares what never changes. It costs the text that is held back, up to 16 KiB
// where there are patterns (80 KiB with full ones), and 5 KiB for the detectors that are on.
class StopEngine {
 public:
  // More than this many phrases taken back end the request: a model that insists would go round for ever.
  static constexpr int64_t kMostRollbacks = 1000;

  static Result<StopEngine> create(const StopParams& params, const SamplingVocabulary& vocabulary,
                                   StopPrompt prompt = {});

  struct Needs {
    bool eog_probability = false;
    bool entropy = false;
  };
  Needs needs() const;

  // Before the next token: whether end-of-generation tokens are to be masked, and which others are.
  bool mask_eog() const { return !may_end(); }
  std::span<const int32_t> forbidden_tokens() const { return params_->forbidden_tokens; }
  std::span<const int32_t> banned_tokens() { return bans_.at(progress_.tokens); }

  // Not after an end.
  StopOutcome add(const GeneratedToken& token);
  // While a token is waited for: the time limits. Nothing else happens.
  std::optional<StopOutcome> check_time(double elapsed_ms);
  // The end for a reason that is not known here (cancelled, context full): what was held back. If that holds a stop
  // string, the outcome ends with it; else its action is go_on.
  StopOutcome flush();

  int64_t tokens() const { return progress_.tokens; }
  int64_t rollbacks() const { return rollbacks_; }
  // Sentences about conditions that cannot be met any more.
  std::vector<std::string> notes() const;

 private:
  // All that goes back when tokens are taken back, but for the text.
  struct Progress {
    int64_t tokens = 0;
    uint64_t missing = 0;  // bit i: required token i has not occurred
    BannedPhrases::Place phrase;
    std::optional<Indentation> indentation;
    std::optional<LoopDetector> loop;
    std::optional<CompletionDetector> completion;
    std::optional<CoherenceDetector> coherence;
    std::optional<PromptOverlap> overlap;
  };
  // A token that may be taken back, with how things were before it.
  struct Held {
    int32_t token;
    Progress before;
    StopStrings::Mark strings;
    uint64_t length, from;  // of triggers_
  };
  struct End {
    StopReason reason;
    std::string matched = {}, condition = {};
  };

  StopEngine(StopStrings strings, TriggerMatcher triggers, BannedPhrases phrases)
      : strings_(std::move(strings)), triggers_(std::move(triggers)), phrases_(std::move(phrases)) {}

  bool may_end() const { return progress_.tokens >= params_->min_tokens && progress_.missing == 0; }
  std::optional<End> before(const GeneratedToken& token);
  std::optional<StopOutcome> banned_phrase(const GeneratedToken& token);
  void settle();
  uint64_t settled() const;
  std::optional<End> add_text(std::string_view bytes, std::string& shown);
  std::optional<End> stopped_by_string() const;
  End trigger_end(const TriggerMatch& match) const;
  std::optional<End> detected() const;
  std::optional<End> time_end(double elapsed_ms) const;
  StopOutcome finish(std::optional<End> end, std::string shown, bool keep_token);

  std::shared_ptr<const StopParams> params_;
  std::vector<int32_t> stop_tokens_;  // ascending
  StopStrings strings_;               // the request's, then the roles'
  TriggerMatcher triggers_;           // pattern conditions, then triggers
  BannedPhrases phrases_;
  PositionBans bans_;
  std::deque<Held> held_;
  Progress progress_;
  int64_t rollbacks_ = 0;
};

}  // namespace linnet
