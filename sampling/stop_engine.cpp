#include "sampling/stop_engine.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sampling/turn_markers.h"

namespace linnet {
namespace {

// Tokens held back for a banned phrase. A phrase has at most 1 KiB; what exceeds this are tokens without text.
constexpr size_t kMostHeld = 2048;

Result<TriggerMatcher> all_triggers(const StopParams& params, int32_t vocabulary_size) {
  std::vector<Trigger> triggers;
  std::vector<std::string> names;
  for (const PatternCondition& c : params.pattern_conditions) {
    const bool full = c.match == PatternCondition::Match::full;
    names.push_back(fmt::format("stopping.pattern_conditions[{}]", triggers.size()));
    triggers.push_back({.type = full ? Trigger::Type::pattern_full : Trigger::Type::pattern, .value = c.pattern});
  }
  for (size_t i = 0; i < params.grammar_triggers.size(); ++i) {
    names.push_back(fmt::format("stopping.grammar_triggers[{}]", i));
  }
  triggers.insert(triggers.end(), params.grammar_triggers.begin(), params.grammar_triggers.end());
  return TriggerMatcher::create(std::move(triggers), vocabulary_size,
                                "stopping: pattern_conditions and grammar_triggers", names);
}

// The request's own stop strings, then those of roles; those that the prompt gives take the room that is left.
Result<StopStrings> all_strings(const StopParams& params, std::string_view prompt) {
  LINNET_TRY(StopStrings checked, StopStrings::create(params.stop));
  if (!params.context_aware) return checked;
  std::vector<std::string> strings = params.stop;
  const auto add = [&](const std::string& role) {
    std::string line = "\n" + role;
    if (std::find(strings.begin(), strings.end(), line) == strings.end()) strings.push_back(std::move(line));
  };
  for (size_t i = 0; i < params.roles.size(); ++i) {
    if (params.roles[i].empty()) return fail(Code::option_range, "stopping.roles[{}] is empty; leave it out", i);
    add(params.roles[i]);
  }
  for (const std::string& role : turn_markers(prompt)) {
    if (strings.size() < StopStrings::kMostStrings) add(role);
  }
  return StopStrings::create(std::move(strings));
}

std::string measure(std::string_view name, double value, double threshold) {
  return fmt::format("{} {:.3f} >= {}", name, value, threshold);
}

}  // namespace

std::string_view stop_reason_name(StopReason reason) {
  constexpr std::array<std::string_view, 14> kNames{"eog",           "stop_string", "stop_token", "stop_pattern",
                                                    "stop_trigger",  "max_tokens",  "max_time",   "dynamic_timeout",
                                                    "indentation",   "loop",        "completion", "coherence_break",
                                                    "context_aware", "phrase_ban"};
  return kNames[size_t(reason)];
}

Result<StopEngine> StopEngine::create(const StopParams& params, const SamplingVocabulary& vocabulary,
                                      StopPrompt prompt) {
  if (vocabulary.size() < 2) {
    return fail(Code::invalid_argument, "a vocabulary of {} tokens leaves nothing to generate", vocabulary.size());
  }
  LINNET_CHECK(params.check(vocabulary));
  LINNET_TRY(StopStrings strings, all_strings(params, prompt.text));
  LINNET_TRY(TriggerMatcher triggers, all_triggers(params, vocabulary.size()));
  LINNET_TRY(BannedPhrases phrases, BannedPhrases::create(params.banned_phrases, "stopping.banned_phrases"));
  StopEngine made(std::move(strings), std::move(triggers), std::move(phrases));
  made.params_ = std::make_shared<const StopParams>(params);
  made.stop_tokens_ = params.token_conditions;
  std::sort(made.stop_tokens_.begin(), made.stop_tokens_.end());
  Progress& progress = made.progress_;
  for (size_t i = 0; i < params.required_tokens.size(); ++i) progress.missing |= uint64_t(1) << i;
  if (params.indent != 0) progress.indentation.emplace(params.indent);
  if (params.repetition_detection || params.max_repetition_count > 0) progress.loop.emplace();
  if (params.completion_detection) progress.completion.emplace();
  if (params.coherence_break) progress.coherence.emplace(vocabulary.size());
  if (params.context_aware) progress.overlap.emplace(prompt.tokens);
  return made;
}

StopEngine::Needs StopEngine::needs() const {
  return {.eog_probability = progress_.completion.has_value(), .entropy = progress_.coherence.has_value()};
}

std::vector<std::string> StopEngine::notes() const {
  if (!triggers_.full_patterns_over()) return {};
  return {fmt::format("the text is longer than {} bytes: patterns of the whole text cannot match any more",
                      triggers_.full_text())};
}

// An end before the token, which is not part of the text.
std::optional<StopEngine::End> StopEngine::before(const GeneratedToken& token) {
  const bool is_place = progress_.completion && progress_.completion->look(token.eog_probability);
  if (!may_end()) return std::nullopt;
  if (token.is_eog && !params_->ignore_eos) return End{StopReason::eog};
  if (std::binary_search(stop_tokens_.begin(), stop_tokens_.end(), token.id)) {
    return End{StopReason::stop_token, fmt::format("{}", token.id), fmt::format("token {}", token.id)};
  }
  if (const auto match = triggers_.on_token(token.id)) return trigger_end(*match);
  if (!is_place) return std::nullopt;
  const double completion = progress_.completion->completion();
  if (completion < *params_->completion_detection) return std::nullopt;
  return End{StopReason::completion, "", measure("completion", completion, *params_->completion_detection)};
}

// If the token completes a banned phrase: goes back to before the token in which the phrase begins.
std::optional<StopOutcome> StopEngine::banned_phrase(const GeneratedToken& token) {
  if (phrases_.empty()) return std::nullopt;
  const auto found = phrases_.push(progress_.phrase, token.bytes);
  if (!found) return std::nullopt;
  // Of the tokens that begin at or before the phrase, the last; if all that did are out, the first that is not.
  size_t first = held_.size() - 1;
  while (first > 0 && held_[first].length > found->start) --first;
  const Held& back = held_[first];
  StopOutcome outcome{.action = StopOutcome::Action::take_back,
                      .keep_token = false,
                      .take_back = progress_.tokens - back.before.tokens,
                      .reason = StopReason::phrase_ban,
                      .matched = phrases_.phrase(found->phrase)};
  bans_.add(back.before.tokens, back.token);
  strings_.rewind(back.strings);
  triggers_.rewind(back.length, back.from);
  progress_ = back.before;
  held_.resize(first);
  if (++rollbacks_ <= kMostRollbacks) return outcome;
  outcome.action = StopOutcome::Action::end;
  outcome.condition = fmt::format("{} phrases were taken back before", kMostRollbacks);
  outcome.text = strings_.flush();
  return outcome;
}

// Lets go of tokens that no phrase can begin in any more.
void StopEngine::settle() {
  if (held_.size() > kMostHeld) progress_.phrase.node = StringAutomaton::kStart;
  const uint64_t undecided = phrases_.undecided(progress_.phrase);
  while (!held_.empty()) {
    const uint64_t end = held_.size() > 1 ? held_[1].length : progress_.phrase.position;
    if (end > undecided) break;
    held_.pop_front();
  }
  bans_.settle(held_.empty() ? progress_.tokens : held_.front().before.tokens);
}

// Up to where text may be given out, whatever tokens are taken back: what was undecided before the first of them may be
// so again.
uint64_t StopEngine::settled() const {
  if (held_.empty()) return UINT64_MAX;
  const Held& first = held_.front();
  const uint64_t strings = strings_.undecided(first.strings);
  if (!first.before.indentation) return strings;
  return std::min(strings, first.before.indentation->undecided().value_or(UINT64_MAX));
}

StopOutcome StopEngine::add(const GeneratedToken& token) {
  if (!phrases_.empty()) {
    held_.push_back({token.id, progress_, strings_.mark(), triggers_.length(), triggers_.from()});
  }
  if (auto end = before(token)) return finish(std::move(end), {}, false);
  if (auto outcome = banned_phrase(token)) {
    auto late = outcome->action == StopOutcome::Action::take_back ? time_end(token.elapsed_ms) : std::nullopt;
    if (!late) return *std::move(outcome);
    StopOutcome end = finish(std::move(late), {}, false);
    end.take_back = outcome->take_back;
    return end;
  }
  ++progress_.tokens;
  for (size_t i = 0; i < params_->required_tokens.size(); ++i) {
    if (params_->required_tokens[i] == token.id) progress_.missing &= ~(uint64_t(1) << i);
  }
  if (progress_.loop) progress_.loop->add(token.id);
  if (progress_.completion) progress_.completion->add(token.bytes);
  if (progress_.coherence) progress_.coherence->add(token.entropy);
  if (progress_.overlap) progress_.overlap->add(token.id);
  std::string shown;
  std::optional<End> end = add_text(token.bytes, shown);
  if (!end && may_end()) end = detected();
  if (!end && params_->max_tokens >= 0 && progress_.tokens >= params_->max_tokens) {
    end = End{StopReason::max_tokens, "", fmt::format("{} tokens", params_->max_tokens)};
  }
  if (!end) end = time_end(token.elapsed_ms);
  return finish(std::move(end), std::move(shown), true);
}

// The text conditions. Each is decided by a first part of the text; the shortest decides. An end at a place of the text
// leaves stop strings that begin before it the word.
std::optional<StopEngine::End> StopEngine::add_text(std::string_view bytes, std::string& shown) {
  if (!phrases_.empty()) settle();
  std::optional<Indentation>& indentation = progress_.indentation;
  if (!may_end()) {
    triggers_.pass(bytes);
    if (indentation) indentation->pass(bytes);
    strings_.hold(settled());
    shown = strings_.pass(bytes);
    return std::nullopt;
  }
  const uint64_t start = triggers_.length();
  const std::optional<TriggerMatch> match = triggers_.push(bytes);
  const std::optional<uint64_t> line = indentation ? indentation->push(bytes) : std::nullopt;
  if (match && !(line && indentation->position() < match->known)) {
    shown = strings_.push(bytes.substr(0, size_t(match->end - start)));
    shown += strings_.flush(match->end);
    if (auto end = stopped_by_string()) return end;
    return trigger_end(*match);
  }
  const auto undecided = line ? line : indentation ? indentation->undecided() : std::nullopt;
  strings_.hold(std::min(settled(), undecided.value_or(UINT64_MAX)));
  if (line) {
    shown = strings_.push(bytes.substr(0, size_t(indentation->position() - start)));
    shown += strings_.flush(*line);
    if (auto end = stopped_by_string()) return end;
    return End{StopReason::indentation, "", fmt::format("a line with less than {} blanks", indentation->least())};
  }
  shown = strings_.push(bytes);
  return stopped_by_string();
}

std::optional<StopEngine::End> StopEngine::stopped_by_string() const {
  if (strings_.matched().empty()) return std::nullopt;
  const bool own = size_t(strings_.matched_index()) < params_->stop.size();
  return End{own ? StopReason::stop_string : StopReason::context_aware, strings_.matched(),
             own ? strings_.matched() : "a turn of the conversation begins"};
}

StopEngine::End StopEngine::trigger_end(const TriggerMatch& match) const {
  const size_t conditions = params_->pattern_conditions.size();
  if (match.trigger < conditions) {
    return {StopReason::stop_pattern, match.text, params_->pattern_conditions[match.trigger].pattern};
  }
  const Trigger& trigger = params_->grammar_triggers[match.trigger - conditions];
  if (trigger.type != Trigger::Type::token) return {StopReason::stop_trigger, match.text, trigger.value};
  return {StopReason::stop_trigger, trigger.value, fmt::format("token {}", trigger.token)};
}

std::optional<StopEngine::End> StopEngine::detected() const {
  const StopParams& p = *params_;
  if (p.repetition_detection && progress_.loop->repetition() >= *p.repetition_detection) {
    return End{StopReason::loop, "", measure("repetition", progress_.loop->repetition(), *p.repetition_detection)};
  }
  if (p.max_repetition_count > 0 && progress_.loop->rounds() > p.max_repetition_count) {
    return End{StopReason::loop, "", fmt::format("{} rounds > {}", progress_.loop->rounds(), p.max_repetition_count)};
  }
  if (p.coherence_break && progress_.coherence->incoherence() >= *p.coherence_break) {
    return End{StopReason::coherence_break, "",
               measure("incoherence", progress_.coherence->incoherence(), *p.coherence_break)};
  }
  if (progress_.overlap && progress_.overlap->overlap() >= p.context_overlap) {
    return End{StopReason::context_aware, "",
               measure("overlap with the prompt", progress_.overlap->overlap(), p.context_overlap)};
  }
  return std::nullopt;
}

std::optional<StopEngine::End> StopEngine::time_end(double elapsed_ms) const {
  if (params_->max_time_ms > 0 && elapsed_ms >= params_->max_time_ms) {
    return End{StopReason::max_time, "", fmt::format("{} ms", params_->max_time_ms)};
  }
  if (!params_->dynamic_timeout) return std::nullopt;
  const DynamicTimeout& d = *params_->dynamic_timeout;
  const double budget = std::min(d.max_ms, d.base_ms + d.token_scale * double(progress_.tokens));
  if (!(elapsed_ms >= budget)) return std::nullopt;
  return End{StopReason::dynamic_timeout, "", fmt::format("{} ms after {} tokens", budget, progress_.tokens)};
}

std::optional<StopOutcome> StopEngine::check_time(double elapsed_ms) {
  std::optional<End> end = time_end(elapsed_ms);
  if (!end) return std::nullopt;
  return finish(std::move(end), {}, false);
}

StopOutcome StopEngine::flush() {
  StopOutcome outcome{.text = strings_.flush(), .keep_token = false};
  const std::optional<End> end = stopped_by_string();
  if (!end) return outcome;
  return finish(end, std::move(outcome.text), false);
}

// What was held back may yet decide a stop string: it was complete while a longer one was possible.
StopOutcome StopEngine::finish(std::optional<End> end, std::string shown, bool keep_token) {
  StopOutcome outcome{.text = std::move(shown), .keep_token = keep_token};
  if (!end) return outcome;
  outcome.text += strings_.flush();
  if (auto string = stopped_by_string()) end = std::move(string);
  outcome.action = StopOutcome::Action::end;
  outcome.reason = end->reason;
  outcome.matched = std::move(end->matched);
  outcome.condition = std::move(end->condition);
  return outcome;
}

}  // namespace linnet
